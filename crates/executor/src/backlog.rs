//! What is not delivered to webhook endpoints, for those who ask.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use roster_application::ports::StoreError;
use roster_application::{EventBacklog, Roster, Sweep};

/// How long it is until all merchants are looked through again.
const INTERVAL: Duration = Duration::from_secs(15);

/// How long it is until someone may have asked.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);

/// What was looked up so long ago is not known any more.
const LIFETIME: Duration = Duration::from_mins(2);

/// The last that was looked up. Nothing is before someone has asked.
#[derive(Default)]
pub(crate) struct Backlog {
    is_wanted: AtomicBool,
    last: Mutex<Option<(Instant, EventBacklog)>>,
}

impl Backlog {
    /// What was looked up last. `None` if that is too long ago, or this is the first call.
    pub(crate) fn read(&self) -> Option<EventBacklog> {
        self.is_wanted.store(true, Relaxed);
        self.last().filter(|(at, _)| at.elapsed() < LIFETIME).map(|(_, backlog)| backlog)
    }

    /// One step of the job that looks. `walk` is how far it has come. Returns how long it is until the next step.
    pub(crate) fn look(&self, roster: &Roster, walk: &mut Walk) -> Result<Duration, StoreError> {
        if !self.is_wanted.load(Relaxed) {
            return Ok(IDLE_INTERVAL);
        }
        let begun = Instant::now();
        let mut sum = walk.sum;
        match roster.add_event_backlog(walk.next, &mut sum) {
            Ok(Some(next)) => {
                *walk = Walk { next, sum };
                // As the other jobs: the database has as much time for others.
                Ok(begun.elapsed())
            }
            Ok(None) => {
                *walk = Walk::default();
                *self.last() = Some((Instant::now(), sum));
                Ok(INTERVAL)
            }
            Err(error) => {
                *walk = Walk::default();
                Err(error)
            }
        }
    }

    /// Ignores lock poisoning: nothing that can panic is done under the lock.
    fn last(&self) -> MutexGuard<'_, Option<(Instant, EventBacklog)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far the job has looked through all merchants, and what it has found so far.
#[derive(Default)]
pub(crate) struct Walk {
    next: Sweep,
    sum: EventBacklog,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::roster;

    #[test]
    fn nothing_is_looked_up_before_someone_asks() {
        let (backlog, roster, mut walk) = (Backlog::default(), roster(), Walk::default());
        assert_eq!(backlog.look(&roster, &mut walk).expect("memory"), IDLE_INTERVAL);
        assert_eq!(backlog.read(), None);
        assert_eq!(backlog.look(&roster, &mut walk).expect("memory"), INTERVAL);
        assert_eq!(backlog.read(), Some(EventBacklog::default()));
    }
}
