use roster_domain::{Environment, ImportId, MerchantId, Tenant, Timestamp};
use uuid::Uuid;

use crate::ports::StoreError;
use crate::{Digest, Import, ImportCounts};

/// The row of an import, in types that every database has.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "fields are the columns")]
pub struct ImportRecord {
    pub merchant_id: Uuid,
    pub environment: String,
    pub id: Uuid,
    pub digest: Vec<u8>,
    pub options: String,
    pub rows_read: i64,
    pub rows_created: i64,
    pub rows_updated: i64,
    pub rows_unchanged: i64,
    pub rows_skipped: i64,
    pub rows_failed: i64,
    pub faults: i64,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Milliseconds since 1970.
    pub updated_at: i64,
    /// Milliseconds since 1970.
    pub finished_at: Option<i64>,
}

impl From<&Import> for ImportRecord {
    fn from(import: &Import) -> Self {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let ImportCounts { rows, created, updated, unchanged, skipped, failed, faults } = import.counts;
        Self {
            merchant_id: import.tenant.merchant.uuid(),
            environment: import.tenant.environment.as_str().to_owned(),
            id: import.id.uuid(),
            digest: import.digest.0.to_vec(),
            options: import.options.clone(),
            rows_read: number(rows),
            rows_created: number(created),
            rows_updated: number(updated),
            rows_unchanged: number(unchanged),
            rows_skipped: number(skipped),
            rows_failed: number(failed),
            faults: number(faults),
            created_at: import.created_at.as_millis(),
            updated_at: import.updated_at.as_millis(),
            finished_at: import.finished_at.map(Timestamp::as_millis),
        }
    }
}

impl TryFrom<ImportRecord> for Import {
    type Error = StoreError;

    /// # Errors
    /// [`StoreError::Corrupt`], naming the column, if a value does not decode.
    fn try_from(record: ImportRecord) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::Corrupt { table: "imports", column, id: record.id };
        let time = |millis, column| Timestamp::from_millis(millis).map_err(|_| corrupt(column));
        let number = |count: i64, column| u64::try_from(count).map_err(|_| corrupt(column));
        Ok(Self {
            tenant: Tenant {
                merchant: MerchantId::new(record.merchant_id),
                environment: Environment::parse(&record.environment).map_err(|_| corrupt("environment"))?,
            },
            id: ImportId::new(record.id),
            counts: ImportCounts {
                rows: number(record.rows_read, "rows_read")?,
                created: number(record.rows_created, "rows_created")?,
                updated: number(record.rows_updated, "rows_updated")?,
                unchanged: number(record.rows_unchanged, "rows_unchanged")?,
                skipped: number(record.rows_skipped, "rows_skipped")?,
                failed: number(record.rows_failed, "rows_failed")?,
                faults: number(record.faults, "faults")?,
            },
            created_at: time(record.created_at, "created_at")?,
            updated_at: time(record.updated_at, "updated_at")?,
            finished_at: record.finished_at.map(|millis| time(millis, "finished_at")).transpose()?,
            digest: Digest(record.digest.try_into().map_err(|_| corrupt("digest"))?),
            options: record.options,
        })
    }
}
