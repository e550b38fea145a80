use roster_domain::{CustomerId, Environment, MerchantId, Tenant, Timestamp};
use uuid::Uuid;

use crate::Digest;
use crate::ports::{ReplyKey, SavedReply, StoreError};

/// The row of a saved reply, in types that every database has.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "fields are the columns")]
pub struct ReplyRecord {
    pub merchant_id: Uuid,
    pub environment: String,
    pub key_digest: Vec<u8>,
    pub fingerprint: Vec<u8>,
    pub customer_id: Option<Uuid>,
    /// JSON.
    pub outcome: String,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Milliseconds since 1970.
    pub expires_at: i64,
}

impl From<&SavedReply> for ReplyRecord {
    fn from(reply: &SavedReply) -> Self {
        let tenant = reply.key.tenant;
        Self {
            merchant_id: tenant.merchant.uuid(),
            environment: tenant.environment.as_str().to_owned(),
            key_digest: reply.key.digest.0.to_vec(),
            fingerprint: reply.fingerprint.0.to_vec(),
            customer_id: reply.customer.map(CustomerId::uuid),
            outcome: reply.outcome.clone(),
            created_at: reply.created_at.as_millis(),
            expires_at: reply.expires_at.as_millis(),
        }
    }
}

impl TryFrom<ReplyRecord> for SavedReply {
    type Error = StoreError;

    /// # Errors
    /// [`StoreError::Corrupt`], naming the column, if a value does not decode.
    fn try_from(record: ReplyRecord) -> Result<Self, StoreError> {
        let key = reply_key(record.merchant_id, &record.environment, record.key_digest)?;
        let corrupt = |column| corrupt_reply(&key, column);
        let time = |millis, column| Timestamp::from_millis(millis).map_err(|_| corrupt(column));
        Ok(Self {
            key,
            fingerprint: Digest(record.fingerprint.try_into().map_err(|_| corrupt("fingerprint"))?),
            customer: record.customer_id.map(CustomerId::new),
            outcome: record.outcome,
            created_at: time(record.created_at, "created_at")?,
            expires_at: time(record.expires_at, "expires_at")?,
        })
    }
}

/// The key in a row of a reply.
///
/// # Errors
/// [`StoreError::Corrupt`] if it does not decode.
pub fn reply_key(merchant_id: Uuid, environment: &str, key_digest: Vec<u8>) -> Result<ReplyKey, StoreError> {
    let corrupt = |column| StoreError::Corrupt { table: "replies", column, id: merchant_id };
    let digest = Digest(key_digest.try_into().map_err(|_| corrupt("key_digest"))?);
    let environment = Environment::parse(environment).map_err(|_| corrupt("environment"))?;
    Ok(ReplyKey { tenant: Tenant { merchant: MerchantId::new(merchant_id), environment }, digest })
}

/// The error of a reply that does not decode. It names the reply by the first half of its key's digest.
pub(crate) fn corrupt_reply(key: &ReplyKey, column: &'static str) -> StoreError {
    let mut half = [0; 16];
    half.copy_from_slice(&key.digest.0[..16]);
    StoreError::Corrupt { table: "replies", column, id: Uuid::from_bytes(half) }
}
