use std::time::Duration;

use roster_domain::{ApiKeyId, Environment, MerchantId, Name, Tenant, Timestamp};
use uuid::Uuid;

use super::StoreError;
use crate::{ApiKey, Digest, Scopes};

/// The API keys.
pub trait ApiKeyRepository {
    /// Adds a key. Its merchant exists.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] if its id or its digest is there already; other [`StoreError`]s.
    fn insert(&mut self, key: &ApiKey) -> Result<(), StoreError>;

    /// Finds keys by what is stored of their secrets, usable or not; the results stand in the order of the digests.
    ///
    /// # Errors
    /// [`StoreError`]
    fn find(&mut self, digests: &[Digest]) -> Result<Vec<Option<ApiKey>>, StoreError>;

    /// Whose key that is, usable or not: for whoever runs the service and knows a key by its id alone. `None` if there is
    /// no such key.
    ///
    /// # Errors
    /// [`StoreError`]
    fn tenant_of(&mut self, id: ApiKeyId) -> Result<Option<Tenant>, StoreError>;

    /// At most `limit` keys of `tenant` behind `after`, the oldest first, usable or not.
    ///
    /// # Errors
    /// [`StoreError`]
    fn list(&mut self, tenant: Tenant, after: Option<ApiKeyId>, limit: usize) -> Result<Vec<ApiKey>, StoreError>;

    /// Finds a key, usable or not, and keeps every other writer from it until the transaction ends.
    ///
    /// # Errors
    /// [`StoreError`]
    fn lock(&mut self, tenant: Tenant, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError>;

    /// Writes when a key that was [locked](ApiKeyRepository::lock) in this transaction expires, and when it was revoked;
    /// nothing else about a key ever changes.
    ///
    /// # Errors
    /// [`StoreError`]
    fn update(&mut self, key: &ApiKey) -> Result<(), StoreError>;

    /// Writes that keys were used, each unless a use less than [`USE_INTERVAL`] before that one, or a later one, is
    /// written already. Keys that are not there are passed over.
    ///
    /// # Errors
    /// [`StoreError`]
    fn record_uses(&mut self, uses: &[ApiKeyUse]) -> Result<(), StoreError>;
}

/// How long the uses of a key after a written one go unwritten: a minute.
pub const USE_INTERVAL: Duration = Duration::from_mins(1);

/// That a key was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiKeyUse {
    /// Whose key it is.
    pub tenant: Tenant,
    /// Which it is.
    pub id: ApiKeyId,
    /// When it was used.
    pub at: Timestamp,
}

impl ApiKeyUse {
    /// A use that is written keeps this one from being written if it is later than this.
    #[must_use]
    pub fn covered_after(&self) -> Timestamp {
        self.at.minus(USE_INTERVAL)
    }
}

/// What is read of a key's row, in types that every database has.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "they are the columns, named as what they hold")]
pub struct ApiKeyRecord {
    pub merchant_id: Uuid,
    pub id: Uuid,
    pub environment: String,
    pub name: Option<String>,
    /// The names of the scopes, with a space between them.
    pub scopes: String,
    pub digest: Vec<u8>,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Milliseconds since 1970.
    pub expires_at: Option<i64>,
    /// Milliseconds since 1970.
    pub last_used_at: Option<i64>,
    /// Milliseconds since 1970.
    pub revoked_at: Option<i64>,
}

/// The tenant in the row of the key `id`.
///
/// # Errors
/// [`StoreError::Corrupt`] if the row was not written by this service.
pub fn api_key_tenant(id: Uuid, merchant_id: Uuid, environment: &str) -> Result<Tenant, StoreError> {
    let corrupt = |_| StoreError::Corrupt { table: "api_keys", column: "environment", id };
    let environment = Environment::parse(environment).map_err(corrupt)?;
    Ok(Tenant { merchant: MerchantId::new(merchant_id), environment })
}

impl TryFrom<ApiKeyRecord> for ApiKey {
    type Error = StoreError;

    /// # Errors
    /// [`StoreError::Corrupt`], naming the column, if the row was not written by this service.
    fn try_from(record: ApiKeyRecord) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::Corrupt { table: "api_keys", column, id: record.id };
        let time = |millis, column| Timestamp::from_millis(millis).map_err(|_| corrupt(column));
        Ok(Self {
            id: ApiKeyId::new(record.id),
            tenant: api_key_tenant(record.id, record.merchant_id, &record.environment)?,
            name: record.name.map(Name::parse).transpose().map_err(|_| corrupt("name"))?,
            scopes: Scopes::parse(&record.scopes).ok_or_else(|| corrupt("scopes"))?,
            digest: Digest(record.digest.try_into().map_err(|_| corrupt("digest"))?),
            created_at: time(record.created_at, "created_at")?,
            expires_at: record.expires_at.map(|millis| time(millis, "expires_at")).transpose()?,
            last_used_at: record.last_used_at.map(|millis| time(millis, "last_used_at")).transpose()?,
            revoked_at: record.revoked_at.map(|millis| time(millis, "revoked_at")).transpose()?,
        })
    }
}
