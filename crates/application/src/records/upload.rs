use roster_domain::{Environment, ImportId, MerchantId, Tenant, Timestamp, UploadId};
use uuid::Uuid;

use super::event::actor;
use crate::ports::StoreError;
use crate::{Digest, Upload, UploadState};

/// The row of an upload, in types that every database has.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "fields are the columns")]
pub struct UploadRecord {
    pub merchant_id: Uuid,
    pub environment: String,
    pub id: Uuid,
    pub state: String,
    pub options: String,
    pub actor_type: String,
    pub actor_id: Option<String>,
    pub actor_issuer: Option<String>,
    pub import_id: Option<Uuid>,
    pub digest: Option<Vec<u8>>,
    pub size: i64,
    pub parts: i64,
    pub error_parts: i64,
    pub failure: Option<String>,
    pub fence: i64,
    /// Milliseconds since 1970.
    pub lease_until: Option<i64>,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Milliseconds since 1970.
    pub updated_at: i64,
    /// Milliseconds since 1970.
    pub ended_at: Option<i64>,
}

impl From<&Upload> for UploadRecord {
    fn from(upload: &Upload) -> Self {
        Self {
            merchant_id: upload.tenant.merchant.uuid(),
            environment: upload.tenant.environment.as_str().to_owned(),
            id: upload.id.uuid(),
            state: upload.state.as_str().to_owned(),
            options: upload.options.clone(),
            actor_type: upload.actor.kind().to_owned(),
            actor_id: upload.actor.id(),
            actor_issuer: upload.actor.issuer().map(str::to_owned),
            import_id: upload.import.map(ImportId::uuid),
            digest: upload.digest.map(|digest| digest.0.to_vec()),
            size: i64::try_from(upload.size).unwrap_or(i64::MAX),
            parts: upload.parts.into(),
            error_parts: upload.error_parts.into(),
            failure: upload.failure.clone(),
            fence: upload.fence,
            lease_until: upload.lease_until.map(Timestamp::as_millis),
            created_at: upload.created_at.as_millis(),
            updated_at: upload.updated_at.as_millis(),
            ended_at: upload.ended_at.map(Timestamp::as_millis),
        }
    }
}

impl TryFrom<UploadRecord> for Upload {
    type Error = StoreError;

    /// # Errors
    /// [`StoreError::Corrupt`], naming the column, if a value does not decode.
    fn try_from(record: UploadRecord) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::Corrupt { table: "uploads", column, id: record.id };
        let time = |millis, column| Timestamp::from_millis(millis).map_err(|_| corrupt(column));
        let digest = record.digest.map(|bytes| bytes.try_into().map(Digest).map_err(|_| corrupt("digest")));
        Ok(Self {
            tenant: Tenant {
                merchant: MerchantId::new(record.merchant_id),
                environment: Environment::parse(&record.environment).map_err(|_| corrupt("environment"))?,
            },
            id: UploadId::new(record.id),
            state: UploadState::named(&record.state).ok_or_else(|| corrupt("state"))?,
            options: record.options,
            actor: actor(&record.actor_type, record.actor_id, record.actor_issuer).map_err(corrupt)?,
            import: record.import_id.map(ImportId::new),
            digest: digest.transpose()?,
            size: u64::try_from(record.size).map_err(|_| corrupt("size"))?,
            parts: u32::try_from(record.parts).map_err(|_| corrupt("parts"))?,
            error_parts: u32::try_from(record.error_parts).map_err(|_| corrupt("error_parts"))?,
            failure: record.failure,
            fence: record.fence,
            lease_until: record.lease_until.map(|millis| time(millis, "lease_until")).transpose()?,
            created_at: time(record.created_at, "created_at")?,
            updated_at: time(record.updated_at, "updated_at")?,
            ended_at: record.ended_at.map(|millis| time(millis, "ended_at")).transpose()?,
        })
    }
}
