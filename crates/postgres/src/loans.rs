//! Which connections callers hold, and since when.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use roster_application::ports::StoreError;

/// The connections that callers hold: at most `limit`, those aside that are overdue.
pub struct Loans {
    limit: usize,
    /// A connection that is held for longer is overdue.
    term: Duration,
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Default)]
struct State {
    next: u64,
    /// Since when each is held.
    since: HashMap<u64, Instant>,
}

/// The right to hold a connection, until it is dropped.
pub struct Loan {
    loans: Arc<Loans>,
    number: u64,
}

impl Loans {
    /// No connection is held yet.
    pub fn new(limit: u32, term: Duration) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Self { limit, term, state: Mutex::default(), returned: Condvar::new() }
    }

    /// Waits until `end` for the right to hold a connection. Calls `on_overdue` if one that is held is overdue.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if all are held until then.
    pub fn take(self: &Arc<Self>, end: Instant, on_overdue: impl Fn()) -> Result<Loan, StoreError> {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let in_time = state.since.values().filter(|since| now.duration_since(**since) < self.term).count();
            if in_time < state.since.len() {
                on_overdue();
            }
            if in_time < self.limit {
                let number = state.next;
                state.next += 1;
                state.since.insert(number, now);
                return Ok(Loan { loans: Arc::clone(self), number });
            }
            if now >= end {
                return Err(StoreError::unavailable("all connections are in use"));
            }
            // The first of those that are held may become overdue before one is given back.
            let overdue = state.since.values().map(|since| *since + self.term).filter(|due| *due > now).min();
            let wait = overdue.map_or(end, |due| due.min(end)).saturating_duration_since(now);
            (state, _) = self.returned.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ignores lock poisoning: nothing that can panic is done under the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loan {
    /// Counts the time from now on: the connection is there only now.
    pub fn restart(&self) {
        self.loans.lock().since.insert(self.number, Instant::now());
    }

    /// Whether another connection may have been opened in the place of this one.
    pub fn is_overdue(&self) -> bool {
        self.loans.lock().since.get(&self.number).is_none_or(|since| since.elapsed() >= self.loans.term)
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.loans.lock().since.remove(&self.number);
        self.loans.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const LONG: Duration = Duration::from_mins(10);

    #[test]
    fn as_many_may_be_held_as_the_limit_says() {
        let loans = Arc::new(Loans::new(2, LONG));
        let take = || loans.take(Instant::now(), || panic!("none is overdue"));
        let held = [take().expect("the first"), take().expect("the second")];
        assert!(take().is_err());
        drop(held);
        take().expect("they were given back");
    }

    #[test]
    fn one_that_is_overdue_no_longer_counts_and_is_noticed() {
        let loans = Arc::new(Loans::new(1, Duration::from_millis(1)));
        let noticed = Cell::new(false);
        let first = loans.take(Instant::now(), || ()).expect("the first");
        let second = loans.take(Instant::now() + LONG, || noticed.set(true)).expect("the first becomes overdue");
        assert!(first.is_overdue() && noticed.get());
        drop(second);
    }
}
