use roster_domain::{AttemptId, EndpointId, Tenant};

use crate::ports::{Attempt, StoreError};
use crate::{Page, PageSize, Roster};

impl Roster {
    /// A page of the attempts to deliver to an endpoint before `before`, the newest first. `None` if the tenant has no such
    /// endpoint.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn list_attempts(
        &self,
        tenant: Tenant,
        id: EndpointId,
        before: Option<AttemptId>,
        size: PageSize,
    ) -> Result<Option<Page<Attempt>>, StoreError> {
        self.store.direct(|uow| {
            if uow.webhooks().find(tenant, id)?.is_none() {
                return Ok(None);
            }
            let attempts = uow.webhooks().attempts(tenant, id, before, size.get() + 1)?;
            Ok(Some(Page::cut(attempts, size.get())))
        })
    }
}
