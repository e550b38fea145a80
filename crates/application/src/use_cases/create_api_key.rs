use roster_domain::{ApiKeyId, Name, Tenant, Timestamp};

use crate::ports::{EntropyError, StoreError};
use crate::{ApiKey, ApiKeySecret, Roster};

/// A key to be made.
#[derive(Debug, Clone)]
pub struct ApiKeyOrder {
    /// Whose customers it will open.
    pub tenant: Tenant,
    /// What its owner calls it.
    pub name: Option<Name>,
    /// From when on it is refused. Default: never.
    pub expires_at: Option<Timestamp>,
}

/// A key that was made, with its secret, which is nowhere else.
#[derive(Debug, Clone)]
pub struct CreatedApiKey {
    /// The key as it is stored.
    pub key: ApiKey,
    /// The key in the clear.
    pub secret: ApiKeySecret,
}

/// Why a key was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateApiKeyError {
    /// There is no such merchant.
    #[error("there is no such merchant")]
    UnknownMerchant,
    /// The system has no randomness to give.
    #[error("no secret could be made")]
    Entropy(#[source] EntropyError),
    /// The store failed.
    #[error("the key could not be stored")]
    Store(#[from] StoreError),
}

impl Roster {
    /// Makes an API key. Its secret is returned here and stored nowhere.
    ///
    /// # Errors
    /// [`CreateApiKeyError`]
    pub fn create_api_key(&self, order: ApiKeyOrder) -> Result<CreatedApiKey, CreateApiKeyError> {
        let ApiKeyOrder { tenant, name, expires_at } = order;
        let now = self.clock.now();
        let secret =
            ApiKeySecret::generate(tenant.environment, self.entropy.as_ref()).map_err(CreateApiKeyError::Entropy)?;
        let key = ApiKey {
            id: ApiKeyId::new(self.ids.next(now)),
            tenant,
            name,
            digest: secret.digest(),
            created_at: now,
            expires_at,
            revoked_at: None,
        };
        self.store.transaction(|uow| {
            uow.merchants().find(tenant.merchant)?.ok_or(CreateApiKeyError::UnknownMerchant)?;
            uow.api_keys().insert(&key)?;
            Ok::<_, CreateApiKeyError>(())
        })?;
        Ok(CreatedApiKey { key, secret })
    }
}
