use roster_domain::{EndpointId, Tenant};

use crate::Roster;
use crate::ports::StoreError;

impl Roster {
    /// Deletes an endpoint with its log of attempts. Returns whether the tenant had it. A delivery that is being made is not
    /// stopped.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn delete_endpoint(&self, tenant: Tenant, id: EndpointId) -> Result<bool, StoreError> {
        self.store.transaction(|uow| uow.webhooks().delete(tenant, id))
    }
}
