use std::time::Duration;

use roster_domain::AttemptId;
use uuid::Builder;

use super::Sweep;
use crate::Roster;
use crate::ports::StoreError;

/// How long an attempt stays in the log: 30 days.
pub const ATTEMPT_LIFETIME: Duration = Duration::from_hours(30 * 24);

/// The most attempts that the log of an endpoint keeps: the last 1,000.
pub const MAX_ATTEMPTS: usize = 1000;

/// Attempts that one step deletes at most.
const ATTEMPTS: usize = 250;

impl Roster {
    /// Deletes attempts that are older than [`ATTEMPT_LIFETIME`], or beyond [`MAX_ATTEMPTS`] of their endpoint: of 100 merchants
    /// behind `from` and at most 250, a step that holds up no other writer for long. Returns where to go on; `None` if all
    /// merchants were looked through.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn sweep_attempts(&self, from: Sweep) -> Result<Option<Sweep>, StoreError> {
        let millis = self.clock.now().minus(ATTEMPT_LIFETIME).as_millis();
        // The first identifier of that moment.
        let oldest = Builder::from_unix_timestamp_millis(u64::try_from(millis).unwrap_or(0), &[0; 10]).into_uuid();
        self.sweep(from, ATTEMPTS, |tenants| {
            let find = AttemptId::new(oldest);
            let outdated =
                self.store.direct(|uow| uow.webhooks().outdated_attempts(tenants, find, MAX_ATTEMPTS, ATTEMPTS))?;
            if !outdated.is_empty() {
                self.store.direct(|uow| uow.webhooks().delete_attempts(&outdated))?;
            }
            Ok(outdated.len())
        })
    }
}
