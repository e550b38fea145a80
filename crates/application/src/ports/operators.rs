use roster_domain::{LogEntryId, OperatorId, Timestamp};

use super::StoreError;
use crate::{Digest, LogEntry, Operator};

/// An operator that is revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokedOperator {
    /// The operator.
    pub operator: Operator,
    /// Whether this call has revoked it; otherwise it was revoked before, and keeps its time.
    pub is_new: bool,
}

/// The stored operators, and the log of what they did.
pub trait OperatorRepository {
    /// Adds an operator.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] if its id or its digest exists already; other [`StoreError`]s.
    fn insert(&mut self, operator: &Operator) -> Result<(), StoreError>;

    /// Finds an operator by the digest of its key, usable or not.
    ///
    /// # Errors
    /// [`StoreError`]
    fn find(&mut self, digest: &Digest) -> Result<Option<Operator>, StoreError>;

    /// At most `limit` operators that follow `after`, oldest first, usable or not.
    ///
    /// # Errors
    /// [`StoreError`]
    fn list(&mut self, after: Option<OperatorId>, limit: usize) -> Result<Vec<Operator>, StoreError>;

    /// Revokes an operator at `at`, unless it is revoked already, and returns it. `None` if there is no such operator.
    ///
    /// # Errors
    /// [`StoreError`]
    fn revoke(&mut self, id: OperatorId, at: Timestamp) -> Result<Option<RevokedOperator>, StoreError>;

    /// Writes that an operator used its key at `at`.
    ///
    /// # Errors
    /// [`StoreError`]
    fn record_use(&mut self, id: OperatorId, at: Timestamp) -> Result<(), StoreError>;

    /// Adds an entry to the log.
    ///
    /// # Errors
    /// [`StoreError`]
    fn log(&mut self, entry: &LogEntry) -> Result<(), StoreError>;

    /// At most `limit` entries of the log that precede `before`, newest first.
    ///
    /// # Errors
    /// [`StoreError`]
    fn entries(&mut self, before: Option<LogEntryId>, limit: usize) -> Result<Vec<LogEntry>, StoreError>;

    /// Deletes at most `limit` entries of the log that precede `oldest`, and returns how many.
    ///
    /// # Errors
    /// [`StoreError`]
    fn delete_entries(&mut self, oldest: LogEntryId, limit: usize) -> Result<usize, StoreError>;
}
