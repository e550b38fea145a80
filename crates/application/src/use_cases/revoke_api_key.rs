use roster_domain::{ApiKeyId, Tenant, Timestamp};

use super::once::{Once, RepeatError, Repeatable};
use crate::outcome::Outcome;
use crate::ports::{StoreError, UnitOfWork};
use crate::{Action, ApiKey, Operation, Roster, Target};

impl Roster {
    /// Revokes a key for an operator: this process refuses it at once, every other process when its cached entry expires.
    ///
    /// Revoking it again changes nothing, and is not logged. `None` if the tenant has no such key.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn revoke_api_key(&self, tenant: Tenant, id: ApiKeyId, by: &Operation) -> Result<Option<ApiKey>, StoreError> {
        let now = self.clock.now();
        let entry = self.log_entry(by, Action::ApiKeyRevoked, Target::ApiKey(id));
        let revoked = self.store.transaction(|uow| {
            let Some((key, is_new)) = revoke(uow, tenant, id, now)? else { return Ok::<_, StoreError>(None) };
            if is_new {
                uow.operators().log(&entry)?;
            }
            Ok(Some(key))
        })?;
        self.forget(revoked.as_ref());
        Ok(revoked)
    }

    /// The same for a caller, once for the idempotency key of a request.
    #[must_use]
    pub fn revoke_api_key_once(
        &self,
        tenant: Tenant,
        id: ApiKeyId,
        once: Option<&Once>,
    ) -> Repeatable<Result<(), RevokeApiKeyError>> {
        let now = self.clock.now();
        let mut revoked = None;
        let answer = self.do_once(
            tenant,
            once,
            |uow| {
                revoked = revoke(uow, tenant, id, now)?.map(|(key, _)| key);
                revoked.as_ref().map(drop).ok_or(RevokeApiKeyError::NotFound)
            },
            |result| match result {
                Ok(()) => Some(Outcome::KeyRevoked {}),
                Err(RevokeApiKeyError::NotFound) => Some(Outcome::KeyNotFound {}),
                Err(RevokeApiKeyError::Repeat(_) | RevokeApiKeyError::Store(_)) => None,
            },
            |outcome| match outcome {
                Outcome::KeyRevoked {} => Ok(()),
                Outcome::KeyNotFound {} => Err(RevokeApiKeyError::NotFound),
                _ => Err(StoreError::internal("a reply is of another kind of request").into()),
            },
        );
        self.forget(revoked.as_ref());
        answer
    }

    fn forget(&self, revoked: Option<&ApiKey>) {
        if let Some(key) = revoked {
            self.known.evict_key(&key.digest);
        }
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

/// Why a key was not revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeApiKeyError {
    /// The tenant has no such key.
    #[error("there is no such key")]
    NotFound,
    /// It is not answered as the first request with its idempotency key.
    #[error("it is no repeat of the first request")]
    Repeat(#[from] RepeatError),
    /// The store failed.
    #[error("the key could not be revoked")]
    Store(#[from] StoreError),
}

/// The revoked key, and whether it was revoked by this.
fn revoke(
    uow: &mut dyn UnitOfWork,
    tenant: Tenant,
    id: ApiKeyId,
    now: Timestamp,
) -> Result<Option<(ApiKey, bool)>, StoreError> {
    let Some(key) = uow.api_keys().lock(tenant, id)? else { return Ok(None) };
    if key.revoked_at.is_some() {
        return Ok(Some((key, false)));
    }
    let key = ApiKey { revoked_at: Some(now), ..key };
    uow.api_keys().update(&key)?;
    Ok(Some((key, true)))
}
