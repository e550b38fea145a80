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
    /// Milliseconds since 1970.
    pub disabled_at: Option<i64>,
}

impl From<&Merchant> for MerchantRecord {
    fn from(merchant: &Merchant) -> Self {
        Self {
            id: merchant.id.uuid(),
            name: merchant.name.as_str().to_owned(),
            created_at: merchant.created_at.as_millis(),
            disabled_at: merchant.disabled_at.map(Timestamp::as_millis),
        }
    }
}

impl TryFrom<MerchantRecord> for Merchant {
    type Error = StoreError;

    /// # Errors
    /// [`StoreError::Corrupt`], naming the column, if a value does not decode.
    fn try_from(record: MerchantRecord) -> Result<Self, StoreError> {
        let time = |millis, column| {
            let corrupt = |_| StoreError::Corrupt { table: "merchants", column, id: record.id };
            Timestamp::from_millis(millis).map_err(corrupt)
        };
        Ok(Self {
            id: MerchantId::new(record.id),
            name: MerchantName::restore(record.name),
            created_at: time(record.created_at, "created_at")?,
            disabled_at: record.disabled_at.map(|millis| time(millis, "disabled_at")).transpose()?,
        })
    }
}
