use roster_domain::{ApiKeyId, Environment, MerchantId, Name, Tenant, Timestamp};
use uuid::Uuid;

use super::StoreError;
use crate::{ApiKey, Digest};

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

    /// At most `limit` keys of `merchant` behind `after`, the oldest first, usable or not.
    ///
    /// # Errors
    /// [`StoreError`]
    fn list(&mut self, merchant: MerchantId, after: Option<ApiKeyId>, limit: usize) -> Result<Vec<ApiKey>, StoreError>;

    /// Revokes a key from `now` on, unless it was revoked before, and returns it. `None` if there is no such key.
    ///
    /// # Errors
    /// [`StoreError`]
    fn revoke(&mut self, id: ApiKeyId, now: Timestamp) -> Result<Option<ApiKey>, StoreError>;
}

/// What is read of a key's row, in types that every database has.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "they are the columns, named as what they hold")]
pub struct ApiKeyRecord {
    pub merchant_id: Uuid,
    pub id: Uuid,
    pub environment: String,
    pub name: Option<String>,
    pub digest: Vec<u8>,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Milliseconds since 1970.
    pub expires_at: Option<i64>,
    /// Milliseconds since 1970.
    pub revoked_at: Option<i64>,
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
            tenant: Tenant {
                merchant: MerchantId::new(record.merchant_id),
                environment: Environment::parse(&record.environment).map_err(|_| corrupt("environment"))?,
            },
            name: record.name.map(Name::parse).transpose().map_err(|_| corrupt("name"))?,
            digest: Digest(record.digest.try_into().map_err(|_| corrupt("digest"))?),
            created_at: time(record.created_at, "created_at")?,
            expires_at: record.expires_at.map(|millis| time(millis, "expires_at")).transpose()?,
            revoked_at: record.revoked_at.map(|millis| time(millis, "revoked_at")).transpose()?,
        })
    }
}
