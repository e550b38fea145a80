use roster_domain::{ApiKeyId, Name, Tenant, Timestamp};

use uuid::Uuid;

use super::once::{Once, RepeatError, Repeatable};
use crate::outcome::Outcome;
use crate::ports::{EntropyError, StoreError};
use crate::records::ApiKeyRecord;
use crate::{Action, ApiKey, ApiKeySecret, Grant, Operation, Roster, Scope, Scopes, Target};

/// A key to create.
#[derive(Debug, Clone)]
pub struct ApiKeyOrder {
    /// The tenant that it will give access to.
    pub tenant: Tenant,
    /// The name that its owner gives it.
    pub name: Option<Name>,
    /// What it will allow its holder to do.
    pub scopes: Scopes,
    /// From this time on it is refused. Default: never.
    pub expires_at: Option<Timestamp>,
}

/// A created key with its secret, which is stored nowhere.
#[derive(Debug, Clone)]
pub struct CreatedApiKey {
    /// The key as it is stored.
    pub key: ApiKey,
    /// The key in the clear.
    pub secret: ApiKeySecret,
}

/// Why a key was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateApiKeyError {
    /// There is no such merchant.
    #[error("there is no such merchant")]
    UnknownMerchant,
    /// It would have expired already.
    #[error("it would have expired already")]
    Expired,
    /// It would have a scope that its creator lacks.
    #[error("the scope {0} is not yours to give")]
    BeyondScope(Scope),
    /// It would outlive its creator, which expires at this time.
    #[error("it would outlive the key that makes it, which expires at {0}")]
    Outlives(Timestamp),
    /// The system has no random bytes.
    #[error("no secret could be made")]
    Entropy(#[source] EntropyError),
    /// It is not answered as the first request with its idempotency key.
    #[error("it is no repeat of the first request")]
    Repeat(#[from] RepeatError),
    /// The store failed.
    #[error("the key could not be stored")]
    Store(#[from] StoreError),
}

impl Roster {
    /// Creates an API key for an operator, who may give every scope for ever. Its secret is returned here and stored nowhere.
    ///
    /// # Errors
    /// [`CreateApiKeyError`]
    pub fn create_api_key(&self, order: ApiKeyOrder, by: &Operation) -> Result<CreatedApiKey, CreateApiKeyError> {
        self.create_key(order, Scopes::ALL.into(), None, Some(by)).result
    }

    /// Creates an API key for a caller, who may give it what is `granted`, once for the idempotency key of a request. A repeat
    /// with the same credential gets the same key in the clear.
    #[must_use]
    pub fn create_api_key_once(
        &self,
        order: ApiKeyOrder,
        granted: Grant,
        once: Option<&Once>,
    ) -> Repeatable<Result<CreatedApiKey, CreateApiKeyError>> {
        self.create_key(order, granted, once, None)
    }

    fn create_key(
        &self,
        order: ApiKeyOrder,
        granted: Grant,
        once: Option<&Once>,
        by: Option<&Operation>,
    ) -> Repeatable<Result<CreatedApiKey, CreateApiKeyError>> {
        let (tenant, scopes, expires_at) = (order.tenant, order.scopes, order.expires_at);
        let NewApiKey { created, salt } = match self.new_api_key(order, once) {
            Ok(new) => new,
            Err(error) => return Repeatable { result: Err(error), is_replayed: false },
        };
        let target = Target::ApiKey(created.key.id);
        let entry = by.map(|by| self.log_entry(by, Action::ApiKeyCreated, target));
        self.do_once(
            tenant,
            once,
            |uow| {
                if let Some(scope) = scopes.first_beyond(granted.scopes) {
                    return Err(CreateApiKeyError::BeyondScope(scope));
                }
                if let Some(end) = granted.exceeded_by(expires_at) {
                    return Err(CreateApiKeyError::Outlives(end));
                }
                if !created.key.is_usable(created.key.created_at) {
                    return Err(CreateApiKeyError::Expired);
                }
                uow.merchants().find(tenant.merchant)?.ok_or(CreateApiKeyError::UnknownMerchant)?;
                uow.api_keys().insert(&created.key)?;
                entry.iter().try_for_each(|entry| uow.operators().log(entry))?;
                Ok(created.clone())
            },
            |result| result.as_ref().ok().map(|created| created.outcome(salt)),
            |outcome| CreatedApiKey::replayed(outcome, once),
        )
    }

    /// Creates a key without storing it.
    pub(super) fn new_api_key(&self, order: ApiKeyOrder, once: Option<&Once>) -> Result<NewApiKey, CreateApiKeyError> {
        let ApiKeyOrder { tenant, name, scopes, expires_at } = order;
        let now = self.clock.now();
        let mut salt = [0; 16];
        let secret = match once {
            None => ApiKeySecret::generate(tenant.environment, self.entropy.as_ref()),
            Some(Once { seed, .. }) => {
                self.entropy.fill(&mut salt).and_then(|()| seed.secret(tenant.environment, Uuid::from_bytes(salt)))
            }
        };
        let secret = secret.map_err(CreateApiKeyError::Entropy)?;
        let key = ApiKey {
            id: ApiKeyId::new(self.ids.next(now)),
            tenant,
            name,
            scopes,
            digest: secret.digest(),
            created_at: now,
            expires_at,
            last_used_at: None,
            revoked_at: None,
            successor: None,
        };
        Ok(NewApiKey { created: CreatedApiKey { key, secret }, salt: Uuid::from_bytes(salt) })
    }
}

/// A key that is not stored yet.
pub(super) struct NewApiKey {
    pub(super) created: CreatedApiKey,
    /// What its secret is derived from beside the [`Once`] of its request, if it has one.
    pub(super) salt: Uuid,
}

impl CreatedApiKey {
    /// What is saved for repeats of its request: all but the secret.
    pub(super) fn outcome(&self, salt: Uuid) -> Outcome {
        Outcome::KeyCreated { key: Box::new(ApiKeyRecord::from(&self.key)), salt }
    }

    /// The key that an earlier request has created.
    pub(super) fn replayed<E: From<StoreError> + From<RepeatError>>(
        outcome: Outcome,
        once: Option<&Once>,
    ) -> Result<Self, E> {
        let (Outcome::KeyCreated { key, salt }, Some(Once { seed, .. })) = (outcome, once) else {
            return Err(StoreError::internal("a reply is of another kind of request").into());
        };
        let key = ApiKey::try_from(*key)?;
        let secret = seed.secret(key.tenant.environment, salt).map_err(StoreError::internal)?;
        if secret.digest() == key.digest { Ok(Self { key, secret }) } else { Err(RepeatError::OtherCredential.into()) }
    }
}
