use roster_domain::{ApiKeyId, Tenant};

use crate::ports::StoreError;
use crate::{ApiKey, Roster};

impl Roster {
    /// Revokes a key: this process refuses it at once, every other process when its cached entry expires.
    ///
    /// Revoking it again changes nothing. `None` if the tenant has no such key.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn revoke_api_key(&self, tenant: Tenant, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        let now = self.clock.now();
        let revoked = self.store.transaction(|uow| {
            let Some(key) = uow.api_keys().lock(tenant, id)? else { return Ok(None) };
            let key = ApiKey { revoked_at: key.revoked_at.or(Some(now)), ..key };
            uow.api_keys().update(&key)?;
            Ok::<_, StoreError>(Some(key))
        })?;
        if let Some(key) = &revoked {
            self.known.evict_key(&key.digest);
        }
        Ok(revoked)
    }

    /// The tenant of a key, usable or not. `None` if there is no such key.
    ///
    /// For the operator of the service, never for callers.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn tenant_of_api_key(&self, id: ApiKeyId) -> Result<Option<Tenant>, StoreError> {
        self.store.direct(|uow| uow.api_keys().tenant_of(id))
    }
}
