use roster_domain::{ApiKeyId, Name, Tenant, Timestamp};

use crate::ports::{EntropyError, StoreError};
use crate::{ApiKey, ApiKeySecret, Grant, Roster, Scope, Scopes};

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
    /// The store failed.
    #[error("the key could not be stored")]
    Store(#[from] StoreError),
}

impl Roster {
    /// Creates an API key. Its secret is returned here and stored nowhere.
    ///
    /// `granted` is what the creator may give to it.
    ///
    /// # Errors
    /// [`CreateApiKeyError`]
    pub fn create_api_key(
        &self,
        order: ApiKeyOrder,
        granted: impl Into<Grant>,
    ) -> Result<CreatedApiKey, CreateApiKeyError> {
        let granted = granted.into();
        if let Some(scope) = order.scopes.first_beyond(granted.scopes) {
            return Err(CreateApiKeyError::BeyondScope(scope));
        }
        if let Some(end) = granted.exceeded_by(order.expires_at) {
            return Err(CreateApiKeyError::Outlives(end));
        }
        let created = self.new_api_key(order)?;
        if !created.key.is_usable(created.key.created_at) {
            return Err(CreateApiKeyError::Expired);
        }
        let key = &created.key;
        self.store.transaction(|uow| {
            uow.merchants().find(key.tenant.merchant)?.ok_or(CreateApiKeyError::UnknownMerchant)?;
            uow.api_keys().insert(key)?;
            Ok::<_, CreateApiKeyError>(())
        })?;
        Ok(created)
    }

    /// Creates a key without storing it.
    pub(super) fn new_api_key(&self, order: ApiKeyOrder) -> Result<CreatedApiKey, CreateApiKeyError> {
        let ApiKeyOrder { tenant, name, scopes, expires_at } = order;
        let now = self.clock.now();
        let secret =
            ApiKeySecret::generate(tenant.environment, self.entropy.as_ref()).map_err(CreateApiKeyError::Entropy)?;
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
        Ok(CreatedApiKey { key, secret })
    }
}
