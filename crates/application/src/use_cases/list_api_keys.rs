use roster_domain::{ApiKeyId, Tenant};

use crate::ports::StoreError;
use crate::{ApiKey, Page, PageSize, Roster};

impl Roster {
    /// A page of the tenant's keys that follow `after`, oldest first, usable or not.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn list_api_keys(
        &self,
        tenant: Tenant,
        after: Option<ApiKeyId>,
        size: PageSize,
    ) -> Result<Page<ApiKey>, StoreError> {
        let keys = self.store.direct(|uow| uow.api_keys().list(tenant, after, size.get() + 1))?;
        Ok(Page::cut(keys, size.get()))
    }
}
