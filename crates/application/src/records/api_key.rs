use roster_domain::{ApiKeyId, Environment, MerchantId, Name, Tenant, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ports::StoreError;
use crate::{ApiKey, Digest, Scopes};

/// The row of an API key, in types that every database has.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(missing_docs, reason = "fields are the columns")]
pub struct ApiKeyRecord {
    pub merchant_id: Uuid,
    pub id: Uuid,
    pub environment: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The names of the scopes, with a space between them.
    pub scopes: String,
    pub digest: Vec<u8>,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// Milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<i64>,
    /// Milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successor_id: Option<Uuid>,
}

impl From<&ApiKey> for ApiKeyRecord {
    fn from(key: &ApiKey) -> Self {
        Self {
            merchant_id: key.tenant.merchant.uuid(),
            id: key.id.uuid(),
            environment: key.tenant.environment.as_str().to_owned(),
            name: key.name.as_ref().map(|name| name.as_str().to_owned()),
            scopes: key.scopes.to_string(),
            digest: key.digest.0.to_vec(),
            created_at: key.created_at.as_millis(),
            expires_at: key.expires_at.map(Timestamp::as_millis),
            last_used_at: key.last_used_at.map(Timestamp::as_millis),
            revoked_at: key.revoked_at.map(Timestamp::as_millis),
            successor_id: key.successor.map(ApiKeyId::uuid),
        }
    }
}

impl TryFrom<ApiKeyRecord> for ApiKey {
    type Error = StoreError;

    /// # Errors
    /// [`StoreError::Corrupt`], naming the column, if a value does not decode.
    fn try_from(record: ApiKeyRecord) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::Corrupt { table: "api_keys", column, id: record.id };
        let time = |millis, column| Timestamp::from_millis(millis).map_err(|_| corrupt(column));
        Ok(Self {
            id: ApiKeyId::new(record.id),
            tenant: tenant_of(record.id, record.merchant_id, &record.environment)?,
            name: record.name.map(Name::restore),
            scopes: Scopes::parse(&record.scopes).ok_or_else(|| corrupt("scopes"))?,
            digest: Digest(record.digest.try_into().map_err(|_| corrupt("digest"))?),
            created_at: time(record.created_at, "created_at")?,
            expires_at: record.expires_at.map(|millis| time(millis, "expires_at")).transpose()?,
            last_used_at: record.last_used_at.map(|millis| time(millis, "last_used_at")).transpose()?,
            revoked_at: record.revoked_at.map(|millis| time(millis, "revoked_at")).transpose()?,
            successor: record.successor_id.map(ApiKeyId::new),
        })
    }
}

/// The tenant in the row of the API key `id`.
///
/// # Errors
/// [`StoreError::Corrupt`] if the environment does not decode.
pub fn tenant_of(id: Uuid, merchant_id: Uuid, environment: &str) -> Result<Tenant, StoreError> {
    let corrupt = |_| StoreError::Corrupt { table: "api_keys", column: "environment", id };
    let environment = Environment::parse(environment).map_err(corrupt)?;
    Ok(Tenant { merchant: MerchantId::new(merchant_id), environment })
}
