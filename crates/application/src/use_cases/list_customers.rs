use roster_domain::{Customer, CustomerId, Tenant};

use crate::ports::StoreError;
use crate::{Page, PageSize, Roster};

impl Roster {
    /// A page of the live customers of `tenant`, newest first, behind the customer `before`, which need not be there
    /// any more.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn list_customers(
        &self,
        tenant: Tenant,
        before: Option<CustomerId>,
        size: PageSize,
    ) -> Result<Page<Customer>, StoreError> {
        let customers = self.store.direct(|uow| uow.customers().list(tenant, before, size.get() + 1))?;
        Ok(Page::cut(customers, size))
    }
}
