//! The operators, and the log of what they did.

use std::ops::Bound;

use roster_application::ports::{OperatorRepository, RevokedOperator, StoreError};
use roster_application::{Digest, LogEntry, Operator};
use roster_domain::{LogEntryId, OperatorId, Timestamp};

use crate::unit_of_work::MemoryUnitOfWork;

impl OperatorRepository for MemoryUnitOfWork<'_> {
    fn insert(&mut self, operator: &Operator) -> Result<(), StoreError> {
        self.call(|rows| {
            if rows.operators.contains_key(&operator.id) {
                return Err(StoreError::Duplicate { index: "operators (id)".to_owned() });
            }
            if rows.operators.values().any(|stored| stored.digest == operator.digest) {
                return Err(StoreError::Duplicate { index: "operators (digest)".to_owned() });
            }
            rows.operators.insert(operator.id, operator.clone());
            Ok(())
        })
    }

    fn find(&mut self, digest: &Digest) -> Result<Option<Operator>, StoreError> {
        self.call(|rows| Ok(rows.operators.values().find(|operator| operator.digest == *digest).cloned()))
    }

    fn list(&mut self, after: Option<OperatorId>, limit: usize) -> Result<Vec<Operator>, StoreError> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.call(|rows| {
            Ok(rows.operators.range((start, Bound::Unbounded)).take(limit).map(|(_, o)| o.clone()).collect())
        })
    }

    fn revoke(&mut self, id: OperatorId, at: Timestamp) -> Result<Option<RevokedOperator>, StoreError> {
        self.call(|rows| {
            let Some(operator) = rows.operators.get_mut(&id) else { return Ok(None) };
            let is_new = operator.revoked_at.is_none();
            operator.revoked_at = operator.revoked_at.or(Some(at));
            Ok(Some(RevokedOperator { operator: operator.clone(), is_new }))
        })
    }

    fn record_use(&mut self, id: OperatorId, at: Timestamp) -> Result<(), StoreError> {
        self.call(|rows| {
            if let Some(operator) = rows.operators.get_mut(&id) {
                operator.last_used_at = Some(at);
            }
            Ok(())
        })
    }

    fn log(&mut self, entry: &LogEntry) -> Result<(), StoreError> {
        self.call(|rows| {
            rows.operator_log.insert(entry.id, entry.clone());
            Ok(())
        })
    }

    fn entries(&mut self, before: Option<LogEntryId>, limit: usize) -> Result<Vec<LogEntry>, StoreError> {
        let end = before.map_or(Bound::Unbounded, Bound::Excluded);
        self.call(|rows| {
            let entries = rows.operator_log.range((Bound::Unbounded, end)).rev();
            Ok(entries.take(limit).map(|(_, entry)| entry.clone()).collect())
        })
    }

    fn delete_entries(&mut self, oldest: LogEntryId, limit: usize) -> Result<usize, StoreError> {
        self.call(|rows| {
            let ids: Vec<_> = rows.operator_log.range(..oldest).take(limit).map(|(id, _)| *id).collect();
            for id in &ids {
                rows.operator_log.remove(id);
            }
            Ok(ids.len())
        })
    }
}
