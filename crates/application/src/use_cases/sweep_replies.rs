use super::Sweep;
use crate::Roster;
use crate::ports::StoreError;

/// Replies that one step deletes at most.
const REPLIES: usize = 250;

impl Roster {
    /// Deletes replies that have expired, of 100 merchants behind `from` and at most 250: a step that holds up no other
    /// writer for long. Returns where to go on; `None` if all merchants were looked through.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn sweep_replies(&self, from: Sweep) -> Result<Option<Sweep>, StoreError> {
        let now = self.clock.now();
        self.sweep(from, REPLIES, |tenants| {
            let expired = self.store.direct(|uow| uow.replies().expired(tenants, now, REPLIES))?;
            if !expired.is_empty() {
                self.store.direct(|uow| uow.replies().delete_expired(&expired, now))?;
            }
            Ok(expired.len())
        })
    }
}
