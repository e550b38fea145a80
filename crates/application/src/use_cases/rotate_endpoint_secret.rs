use std::time::Duration;

use roster_domain::{Endpoint, EndpointId, Tenant};

use super::change_endpoint::write;
use crate::Roster;
use crate::ports::{EntropyError, StoreError};

/// Why the secret of an endpoint was not rotated.
#[derive(Debug, thiserror::Error)]
pub enum RotateEndpointSecretError {
    /// The tenant has no such endpoint.
    #[error("there is no such webhook endpoint")]
    NotFound,
    /// The system has no random bytes.
    #[error("no secret could be made")]
    Entropy(#[source] EntropyError),
    /// The store failed.
    #[error("the secret could not be stored")]
    Store(#[from] StoreError),
}

impl Roster {
    /// Gives an endpoint a new secret, which is in the result and is shown to its owner this once. Deliveries are signed with the
    /// present one as well for `overlap`, at most [`Endpoint::MAX_OVERLAP`]; one from before that is gone.
    ///
    /// # Errors
    /// [`RotateEndpointSecretError`]; nothing has changed then.
    pub fn rotate_endpoint_secret(
        &self,
        tenant: Tenant,
        id: EndpointId,
        overlap: Duration,
    ) -> Result<Endpoint, RotateEndpointSecretError> {
        let now = self.clock.now();
        let secret = self.new_endpoint_secret().map_err(RotateEndpointSecretError::Entropy)?;
        self.store.transaction(|uow| {
            let rotated = write(uow, tenant, id, |endpoint| endpoint.rotated(secret.clone(), overlap, now))?;
            rotated.ok_or(RotateEndpointSecretError::NotFound)
        })
    }
}
