use roster_domain::{LogEntryId, OperatorId, Timestamp};
use uuid::Uuid;

use crate::ports::StoreError;
use crate::{Action, LogEntry, Operation, Target};

/// The row of an entry of the operator log, in types that every database has.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "fields are the columns")]
pub struct LogEntryRecord {
    pub id: Uuid,
    pub operator_id: Option<Uuid>,
    pub action: String,
    pub target: String,
    pub request_id: Option<String>,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

impl From<&LogEntry> for LogEntryRecord {
    fn from(entry: &LogEntry) -> Self {
        Self {
            id: entry.id.uuid(),
            operator_id: entry.operation.operator.map(OperatorId::uuid),
            action: entry.action.as_str().to_owned(),
            target: entry.target.to_string(),
            request_id: entry.operation.request_id.clone(),
            created_at: entry.created_at.as_millis(),
        }
    }
}

impl TryFrom<LogEntryRecord> for LogEntry {
    type Error = StoreError;

    /// # Errors
    /// [`StoreError::Corrupt`], naming the column, if a value does not decode.
    fn try_from(record: LogEntryRecord) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::Corrupt { table: "operator_log", column, id: record.id };
        Ok(Self {
            id: LogEntryId::new(record.id),
            action: Action::named(&record.action).ok_or_else(|| corrupt("action"))?,
            target: Target::parse(&record.target).ok_or_else(|| corrupt("target"))?,
            created_at: Timestamp::from_millis(record.created_at).map_err(|_| corrupt("created_at"))?,
            operation: Operation { operator: record.operator_id.map(OperatorId::new), request_id: record.request_id },
        })
    }
}
