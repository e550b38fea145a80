use roster_domain::{Name, OperatorId, Timestamp};
use uuid::Uuid;

use crate::ports::StoreError;
use crate::{Digest, Operator, Role};

/// The row of an operator, in types that every database has.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "fields are the columns")]
pub struct OperatorRecord {
    pub id: Uuid,
    pub name: String,
    pub role: String,
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

impl From<&Operator> for OperatorRecord {
    fn from(operator: &Operator) -> Self {
        Self {
            id: operator.id.uuid(),
            name: operator.name.as_str().to_owned(),
            role: operator.role.as_str().to_owned(),
            digest: operator.digest.0.to_vec(),
            created_at: operator.created_at.as_millis(),
            expires_at: operator.expires_at.map(Timestamp::as_millis),
            last_used_at: operator.last_used_at.map(Timestamp::as_millis),
            revoked_at: operator.revoked_at.map(Timestamp::as_millis),
        }
    }
}

impl TryFrom<OperatorRecord> for Operator {
    type Error = StoreError;

    /// # Errors
    /// [`StoreError::Corrupt`], naming the column, if a value does not decode.
    fn try_from(record: OperatorRecord) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::Corrupt { table: "operators", column, id: record.id };
        let time = |millis, column| Timestamp::from_millis(millis).map_err(|_| corrupt(column));
        Ok(Self {
            id: OperatorId::new(record.id),
            name: Name::restore(record.name),
            role: Role::named(&record.role).ok_or_else(|| corrupt("role"))?,
            digest: Digest(record.digest.try_into().map_err(|_| corrupt("digest"))?),
            created_at: time(record.created_at, "created_at")?,
            expires_at: record.expires_at.map(|millis| time(millis, "expires_at")).transpose()?,
            last_used_at: record.last_used_at.map(|millis| time(millis, "last_used_at")).transpose()?,
            revoked_at: record.revoked_at.map(|millis| time(millis, "revoked_at")).transpose()?,
        })
    }
}
