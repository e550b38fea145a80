use roster_domain::{Merchant, MerchantId, MerchantName, Timestamp};
use uuid::Uuid;

use crate::ports::StoreError;

/// The row of a merchant, in types that every database has.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "fields are the columns")]
pub struct MerchantRecord {
    pub id: Uuid,
    pub name: String,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

impl From<&Merchant> for MerchantRecord {
    fn from(merchant: &Merchant) -> Self {
        Self {
            id: merchant.id.uuid(),
            name: merchant.name.as_str().to_owned(),
            created_at: merchant.created_at.as_millis(),
        }
    }
}

impl TryFrom<MerchantRecord> for Merchant {
    type Error = StoreError;

    /// # Errors
    /// [`StoreError::Corrupt`], naming the column, if a value does not decode.
    fn try_from(record: MerchantRecord) -> Result<Self, StoreError> {
        let corrupt = |_| StoreError::Corrupt { table: "merchants", column: "created_at", id: record.id };
        Ok(Self {
            id: MerchantId::new(record.id),
            name: MerchantName::restore(record.name),
            created_at: Timestamp::from_millis(record.created_at).map_err(corrupt)?,
        })
    }
}
