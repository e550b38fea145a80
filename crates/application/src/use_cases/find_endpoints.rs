use roster_domain::{Endpoint, EndpointId, Tenant};

use crate::ports::StoreError;
use crate::{Page, PageSize, Roster};

impl Roster {
    /// An endpoint of the tenant.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn find_endpoint(&self, tenant: Tenant, id: EndpointId) -> Result<Option<Endpoint>, StoreError> {
        Ok(self.store.direct(|uow| uow.webhooks().find(tenant, id))?.map(|stored| stored.endpoint))
    }

    /// A page of the tenant's endpoints that follow `after`, oldest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn list_endpoints(
        &self,
        tenant: Tenant,
        after: Option<EndpointId>,
        size: PageSize,
    ) -> Result<Page<Endpoint>, StoreError> {
        let found = self.store.direct(|uow| uow.webhooks().list(tenant, after, size.get() + 1))?;
        Ok(Page::cut(found.into_iter().map(|stored| stored.endpoint).collect(), size.get()))
    }
}
