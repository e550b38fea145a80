use std::time::Duration;

use roster_domain::{ApiKeyId, Tenant, Timestamp};

use super::create_api_key::{ApiKeyOrder, CreateApiKeyError, NewApiKey};
use super::once::{Once, RepeatError, Repeatable};
use crate::outcome::Outcome;
use crate::ports::StoreError;
use crate::{Action, ApiKey, CreatedApiKey, Grant, Operation, Roster, Scope, Scopes, Target};

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
    /// It was rotated before, and this key was created in its place. Rotate that one.
    #[error("the key was rotated before: {0} has come into its place")]
    HasSuccessor(ApiKeyId),
    /// It is revoked or has expired and cannot be rotated.
    #[error("the key is revoked or has expired")]
    Ended,
    /// It has a scope that the caller lacks and would gain with the new secret.
    #[error("the key has the scope {0}, which is not yours to give")]
    BeyondScope(Scope),
    /// The new key would outlive the caller, which expires at this time.
    #[error("the new key would outlive the key that makes it, which expires at {0}")]
    Outlives(Timestamp),
    /// The new key could not be created.
    #[error("no key could be made in its place")]
    Create(#[source] CreateApiKeyError),
    /// It is not answered as the first request with its idempotency key.
    #[error("it is no repeat of the first request")]
    Repeat(#[from] RepeatError),
    /// The store failed.
    #[error("the key could not be rotated")]
    Store(#[from] StoreError),
}

impl Roster {
    /// Creates a key to replace another, with the same name, the same scopes and the same end.
    ///
    /// The old key stays valid for `overlap`, at most [`MAX_OVERLAP`], or until it expires. With no overlap it is revoked,
    /// so that no clock decides whether it is still valid. A key has one successor: of several callers that rotate it,
    /// one creates a key, and the others learn which.
    ///
    /// This is for an operator, who may give every scope for ever.
    ///
    /// # Errors
    /// [`RotateApiKeyError`]; nothing has changed then.
    pub fn rotate_api_key(
        &self,
        tenant: Tenant,
        id: ApiKeyId,
        overlap: Duration,
        by: &Operation,
    ) -> Result<CreatedApiKey, RotateApiKeyError> {
        self.rotate_key(tenant, id, overlap, Scopes::ALL.into(), None, Some(by)).result
    }

    /// The same for a caller, who may give the new key what is `granted`, once for the idempotency key of a request. A repeat with
    /// the same credential gets the same key in the clear.
    #[must_use]
    pub fn rotate_api_key_once(
        &self,
        tenant: Tenant,
        id: ApiKeyId,
        overlap: Duration,
        granted: Grant,
        once: Option<&Once>,
    ) -> Repeatable<Result<CreatedApiKey, RotateApiKeyError>> {
        self.rotate_key(tenant, id, overlap, granted, once, None)
    }

    fn rotate_key(
        &self,
        tenant: Tenant,
        id: ApiKeyId,
        overlap: Duration,
        granted: Grant,
        once: Option<&Once>,
        by: Option<&Operation>,
    ) -> Repeatable<Result<CreatedApiKey, RotateApiKeyError>> {
        let now = self.clock.now();
        // Created outside the transaction, whose closure may run again. The old key's name, scopes and end replace these
        // below.
        let order = ApiKeyOrder { tenant, name: None, scopes: Scopes::NONE, expires_at: None };
        let NewApiKey { created: fresh, salt } = match self.new_api_key(order, once) {
            Ok(new) => new,
            Err(error) => return Repeatable { result: Err(RotateApiKeyError::Create(error)), is_replayed: false },
        };
        let entry = by.map(|by| self.log_entry(by, Action::ApiKeyRotated, Target::ApiKey(fresh.key.id)));
        let mut rotated = None;
        let answer = self.do_once(
            tenant,
            once,
            |uow| {
                let old = uow.api_keys().lock(tenant, id)?.ok_or(RotateApiKeyError::NotFound)?;
                check_rotation(&old, now, granted)?;
                let (name, scopes, expires_at) = (old.name.clone(), old.scopes, old.expires_at);
                let new = ApiKey { name, scopes, expires_at, ..fresh.key.clone() };
                let old = ApiKey { successor: Some(new.id), ..ended(old, now, overlap) };
                uow.api_keys().insert(&new)?;
                uow.api_keys().update(&old)?;
                entry.iter().try_for_each(|entry| uow.operators().log(entry))?;
                rotated = Some(old.digest);
                Ok(CreatedApiKey { key: new, secret: fresh.secret.clone() })
            },
            |result| match result {
                Ok(created) => Some(created.outcome(salt)),
                Err(RotateApiKeyError::NotFound) => Some(Outcome::KeyNotFound {}),
                Err(RotateApiKeyError::Ended) => Some(Outcome::KeyEnded {}),
                Err(RotateApiKeyError::HasSuccessor(successor)) => {
                    Some(Outcome::KeyHasSuccessor { successor: successor.uuid() })
                }
                Err(_) => None,
            },
            |outcome| match outcome {
                Outcome::KeyNotFound {} => Err(RotateApiKeyError::NotFound),
                Outcome::KeyEnded {} => Err(RotateApiKeyError::Ended),
                Outcome::KeyHasSuccessor { successor } => {
                    Err(RotateApiKeyError::HasSuccessor(ApiKeyId::new(successor)))
                }
                outcome => CreatedApiKey::replayed(outcome, once),
            },
        );
        if let Some(digest) = rotated {
            self.known.evict_key(&digest);
        }
        answer
    }
}

fn check_rotation(old: &ApiKey, now: Timestamp, granted: Grant) -> Result<(), RotateApiKeyError> {
    // First, so that a caller whose answer was lost learns of the successor, also if the key was revoked for it.
    if let Some(successor) = old.successor {
        return Err(RotateApiKeyError::HasSuccessor(successor));
    }
    if !old.is_usable(now) {
        return Err(RotateApiKeyError::Ended);
    }
    if let Some(scope) = old.scopes.first_beyond(granted.scopes) {
        return Err(RotateApiKeyError::BeyondScope(scope));
    }
    granted.exceeded_by(old.expires_at).map_or(Ok(()), |end| Err(RotateApiKeyError::Outlives(end)))
}

/// The key with the end that its rotation gives it.
fn ended(old: ApiKey, now: Timestamp, overlap: Duration) -> ApiKey {
    if overlap.is_zero() {
        return ApiKey { revoked_at: Some(now), ..old };
    }
    let end = now.plus(overlap.min(MAX_OVERLAP));
    ApiKey { expires_at: Some(old.expires_at.map_or(end, |expiry| expiry.min(end))), ..old }
}
