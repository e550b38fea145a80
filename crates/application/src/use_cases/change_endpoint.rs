use roster_domain::{Endpoint, EndpointEdit, EndpointId, Tenant};

use crate::Roster;
use crate::ports::{StoreError, UnitOfWork};

impl Roster {
    /// Changes an endpoint, enables it or disables it. A delivery that is being made is not stopped; the next ones are made as
    /// the change says. An endpoint that is enabled is sent what it has missed. `None` if the tenant has no such endpoint.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn change_endpoint(
        &self,
        tenant: Tenant,
        id: EndpointId,
        edit: &EndpointEdit,
    ) -> Result<Option<Endpoint>, StoreError> {
        let now = self.clock.now();
        self.store.transaction(|uow| write(uow, tenant, id, |endpoint| endpoint.changed(edit.clone(), now)))
    }
}

/// Changes an endpoint as it is stored. `None` if the tenant has none with this identifier.
pub(super) fn write(
    uow: &mut dyn UnitOfWork,
    tenant: Tenant,
    id: EndpointId,
    change: impl FnOnce(Endpoint) -> Endpoint,
) -> Result<Option<Endpoint>, StoreError> {
    let Some(stored) = uow.webhooks().lock(tenant, id)? else { return Ok(None) };
    let changed = change(stored.endpoint.clone());
    if changed != stored.endpoint {
        uow.webhooks().update(&changed)?;
    }
    Ok(Some(changed))
}
