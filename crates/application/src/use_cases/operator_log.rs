use std::time::Duration;

use roster_domain::LogEntryId;
use uuid::Builder;

use super::Sweep;
use crate::ports::StoreError;
use crate::{Action, LogEntry, Operation, Page, PageSize, Roster, Target};

/// How long an entry stays in the operator log: 400 days, so that a year can be looked at as a whole.
pub const OPERATOR_LOG_LIFETIME: Duration = Duration::from_hours(400 * 24);

/// Entries that one step deletes at most.
const ENTRIES: usize = 250;

impl Roster {
    /// A page of the entries of the operator log that precede `before`, newest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn list_operator_log(&self, before: Option<LogEntryId>, size: PageSize) -> Result<Page<LogEntry>, StoreError> {
        let entries = self.store.direct(|uow| uow.operators().entries(before, size.get() + 1))?;
        Ok(Page::cut(entries, size.get()))
    }

    /// Deletes at most 250 entries of the operator log that are older than [`OPERATOR_LOG_LIFETIME`]. Returns `from` if there may
    /// be more.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn sweep_operator_log(&self, from: Sweep) -> Result<Option<Sweep>, StoreError> {
        let millis = self.clock.now().minus(OPERATOR_LOG_LIFETIME).as_millis();
        // The first identifier of that moment.
        let oldest = Builder::from_unix_timestamp_millis(u64::try_from(millis).unwrap_or(0), &[0; 10]).into_uuid();
        let deleted = self.store.direct(|uow| uow.operators().delete_entries(LogEntryId::new(oldest), ENTRIES))?;
        Ok((deleted == ENTRIES).then_some(from))
    }

    /// An entry of the operator log, to be stored in the transaction of what it says.
    pub(super) fn log_entry(&self, by: &Operation, action: Action, target: Target) -> LogEntry {
        let now = self.clock.now();
        let id = LogEntryId::new(self.ids.next(now));
        LogEntry { id, operation: by.clone(), action, target, created_at: now }
    }
}
