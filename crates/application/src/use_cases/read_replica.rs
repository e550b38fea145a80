use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Roster;
use crate::ports::{Fact, Position, Replica, Shown, Store, StoreError, Usage, Work};

/// What came of reads from a replica.
#[derive(Debug, Clone)]
pub enum ReplicaRead<T> {
    /// What was read, and what it includes.
    Shown(T, Shown),
    /// The replica is behind all positions that are wanted.
    Behind,
    /// The replica failed: what was read may be in part.
    Failed(StoreError),
}

impl Roster {
    /// Whether there is a replica.
    #[must_use]
    pub fn has_replica(&self) -> bool {
        self.replica.is_some()
    }

    /// Calls `read` with the service over its replica. What it reads serves requests that want `wanted`, one for each; `None`:
    /// that request wants no position. What is read does not include all of `wanted`: the caller compares.
    pub fn read_replica<T>(&self, wanted: &[Option<Position>], read: impl FnOnce(&Self) -> T) -> ReplicaRead<T> {
        let Some(replica) = &self.replica else {
            return ReplicaRead::Failed(StoreError::internal("there is no replica"));
        };
        let reads =
            Arc::new(Reads { replica: Arc::clone(replica), wanted: wanted.to_vec(), outcome: Mutex::default() });
        let value = read(&Self { store: Arc::clone(&reads) as Arc<dyn Store>, ..self.clone() });
        let outcome = std::mem::take(&mut *reads.outcome());
        match outcome {
            Outcome::Shown(shown) => ReplicaRead::Shown(value, shown),
            Outcome::Behind => ReplicaRead::Behind,
            Outcome::Failed(error) => ReplicaRead::Failed(error),
            Outcome::Nothing => ReplicaRead::Failed(StoreError::internal("nothing was read from the replica")),
        }
    }
}

/// A replica as the store of some reads, which notes what they have seen.
struct Reads {
    replica: Arc<dyn Replica>,
    wanted: Vec<Option<Position>>,
    outcome: Mutex<Outcome>,
}

/// What came of the reads so far.
#[derive(Default)]
enum Outcome {
    #[default]
    Nothing,
    Shown(Shown),
    Behind,
    Failed(StoreError),
}

impl Reads {
    /// Ignores lock poisoning: nothing that can panic is done under the lock.
    fn outcome(&self) -> MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Reads {
    fn run_transaction(&self, _: &mut Work<'_>) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }

    fn run_direct(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        let read = self.replica.run_read(&self.wanted, work);
        let mut outcome = self.outcome();
        let (next, result) = match (&*outcome, read) {
            (Outcome::Behind, _) | (_, Ok(None)) => {
                (Outcome::Behind, Err(StoreError::unavailable("the replica is behind")))
            }
            (Outcome::Failed(first), _) => (Outcome::Failed(first.clone()), Err(first.clone())),
            (_, Err(error)) => (Outcome::Failed(error.clone()), Err(error)),
            (Outcome::Nothing, Ok(Some(shown))) => (Outcome::Shown(shown), Ok(())),
            (Outcome::Shown(before), Ok(Some(shown))) => (Outcome::Shown(before.and(shown)), Ok(())),
        };
        *outcome = next;
        result
    }

    fn run_snapshot(&self, _: Duration, _: &mut Work<'_>) -> Result<(), StoreError> {
        Err(not_asked())
    }

    fn ping(&self) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }

    fn position(&self) -> Result<Option<Position>, StoreError> {
        Err(not_asked())
    }

    fn flush_search_index(&self) -> Result<bool, StoreError> {
        Err(StoreError::ReadOnly)
    }

    fn inspect(&self, _: &mut dyn FnMut(Fact)) -> Result<(), StoreError> {
        Err(not_asked())
    }

    fn check_connections(&self) -> Result<(), StoreError> {
        Err(not_asked())
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }

    fn migrate(&self) -> Result<Vec<String>, StoreError> {
        Err(StoreError::ReadOnly)
    }

    fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        Err(not_asked())
    }

    fn is_distributed(&self) -> Result<bool, StoreError> {
        Err(not_asked())
    }

    fn distribute(&self) -> Result<Vec<String>, StoreError> {
        Err(StoreError::ReadOnly)
    }
}

/// The refusal of what is asked of the store itself, and never of reads.
fn not_asked() -> StoreError {
    StoreError::internal("a replica is asked for customers only")
}
