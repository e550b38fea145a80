use roster_domain::{ApiKeyId, Name, Tenant, Timestamp};

use crate::ports::{EntropyError, StoreError};
use crate::{ApiKey, ApiKeySecret, Roster, Scope, Scopes};

/// A key to be made.
#[derive(Debug, Clone)]
pub struct ApiKeyOrder {
    /// Whose customers it will open.
    pub tenant: Tenant,
    /// What its owner calls it.
    pub name: Option<Name>,
    /// What it will let its holder do.
    pub scopes: Scopes,
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
    /// It would have expired already.
    #[error("it would have expired already")]
    Expired,
    /// It would have a scope that whoever makes it lacks.
    #[error("the scope {0} is not yours to give")]
    BeyondScope(Scope),
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
    /// `granted` is what whoever makes it may do: nobody gives away what they lack.
    ///
    /// # Errors
    /// [`CreateApiKeyError`]
    pub fn create_api_key(&self, order: ApiKeyOrder, granted: Scopes) -> Result<CreatedApiKey, CreateApiKeyError> {
        if let Some(scope) = order.scopes.first_beyond(granted) {
            return Err(CreateApiKeyError::BeyondScope(scope));
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

    /// A key that is not stored yet.
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
        };
        Ok(CreatedApiKey { key, secret })
    }
}
