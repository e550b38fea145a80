use std::time::Duration;

use roster_domain::{ApiKeyId, Tenant};

use super::create_api_key::{ApiKeyOrder, CreateApiKeyError};
use crate::ports::StoreError;
use crate::{ApiKey, CreatedApiKey, Roster, Scope, Scopes};

/// The longest time that a rotated key may stay valid beside the new one: 30 days.
pub const MAX_OVERLAP: Duration = Duration::from_hours(30 * 24);

/// How long a rotated key stays valid beside the new one by default: a day.
pub const DEFAULT_OVERLAP: Duration = Duration::from_hours(24);

/// Why a key was not rotated.
#[derive(Debug, thiserror::Error)]
pub enum RotateApiKeyError {
    /// The tenant has no such key.
    #[error("there is no such key")]
    NotFound,
    /// It is revoked or has expired and cannot be rotated.
    #[error("the key is revoked or has expired")]
    Ended,
    /// It has a scope that the caller lacks and would gain with the new secret.
    #[error("the key has the scope {0}, which is not yours to give")]
    BeyondScope(Scope),
    /// The new key could not be created.
    #[error("no key could be made in its place")]
    Create(#[source] CreateApiKeyError),
    /// The store failed.
    #[error("the key could not be rotated")]
    Store(#[from] StoreError),
}

impl Roster {
    /// Creates a key to replace another, with the same name, the same scopes and, from now on, the same lifetime.
    ///
    /// The old key stays valid for `overlap`, at most [`MAX_OVERLAP`], or until it expires. `granted` holds the scopes
    /// of the caller.
    ///
    /// # Errors
    /// [`RotateApiKeyError`]; nothing has changed then.
    pub fn rotate_api_key(
        &self,
        tenant: Tenant,
        id: ApiKeyId,
        overlap: Duration,
        granted: Scopes,
    ) -> Result<CreatedApiKey, RotateApiKeyError> {
        let now = self.clock.now();
        let end = now.plus(overlap.min(MAX_OVERLAP));
        // Created outside the transaction, whose closure may run again. The old key's name, scopes and lifetime replace
        // these below.
        let order = ApiKeyOrder { tenant, name: None, scopes: Scopes::NONE, expires_at: None };
        let fresh = self.new_api_key(order).map_err(RotateApiKeyError::Create)?;
        let (new, old) = self.store.transaction(|uow| {
            let keys = uow.api_keys();
            let old = keys.lock(tenant, id)?.ok_or(RotateApiKeyError::NotFound)?;
            if !old.is_usable(now) {
                return Err(RotateApiKeyError::Ended);
            }
            if let Some(scope) = old.scopes.first_beyond(granted) {
                return Err(RotateApiKeyError::BeyondScope(scope));
            }
            let new = ApiKey {
                name: old.name.clone(),
                scopes: old.scopes,
                expires_at: old.expires_at.map(|expiry| now.plus(expiry.since(old.created_at))),
                ..fresh.key.clone()
            };
            let old = ApiKey { expires_at: Some(old.expires_at.map_or(end, |expiry| expiry.min(end))), ..old };
            keys.insert(&new)?;
            keys.update(&old)?;
            Ok((new, old))
        })?;
        self.known.evict_key(&old.digest);
        Ok(CreatedApiKey { key: new, secret: fresh.secret })
    }
}
