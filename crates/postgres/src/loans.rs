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
    held: HashMap<u64, Held>,
}

#[derive(Clone, Copy)]
struct Held {
    since: Instant,
    generation: u64,
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

    /// Waits until `end` for the right to hold a connection of `generation`. Calls `on_overdue` with the generation of each
    /// that is overdue.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if all are held until then.
    pub fn take(self: &Arc<Self>, generation: u64, end: Instant, on_overdue: impl Fn(u64)) -> Result<Loan, StoreError> {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let is_in_time = |held: &Held| now.duration_since(held.since) < self.term;
            state.held.values().filter(|held| !is_in_time(held)).for_each(|held| on_overdue(held.generation));
            if state.held.values().filter(|held| is_in_time(held)).count() < self.limit {
                let number = state.next;
                state.next += 1;
                state.held.insert(number, Held { since: now, generation });
                return Ok(Loan { loans: Arc::clone(self), number });
            }
            if now >= end {
                return Err(StoreError::unavailable("all connections are in use"));
            }
            // The first of those that are held may become overdue before one is given back.
            let overdue = state.held.values().map(|held| held.since + self.term).filter(|due| *due > now).min();
            let wait = overdue.map_or(end, |due| due.min(end)).saturating_duration_since(now);
            (state, _) = self.returned.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// How many connections are held, overdue ones among them, and how many may be.
    pub fn held(&self) -> (usize, usize) {
        (self.lock().held.len(), self.limit)
    }

    /// Ignores lock poisoning: nothing that can panic is done under the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loan {
    /// Counts the time from now on: the connection, of this generation, is there only now.
    pub fn restart(&self, generation: u64) {
        self.loans.lock().held.insert(self.number, Held { since: Instant::now(), generation });
    }

    /// Whether another connection may have been opened in the place of this one.
    pub fn is_overdue(&self) -> bool {
        self.loans.lock().held.get(&self.number).is_none_or(|held| held.since.elapsed() >= self.loans.term)
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.loans.lock().held.remove(&self.number);
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
        let take = || loans.take(1, Instant::now(), |_| panic!("none is overdue"));
        let held = [take().expect("the first"), take().expect("the second")];
        assert!(take().is_err());
        drop(held);
        take().expect("they were given back");
    }

    #[test]
    fn one_that_is_overdue_no_longer_counts_and_is_noticed() {
        let loans = Arc::new(Loans::new(1, Duration::from_millis(1)));
        let noticed = Cell::new(None);
        let first = loans.take(1, Instant::now(), |_| ()).expect("the first");
        first.restart(2);
        let notice = |generation| noticed.set(Some(generation));
        let second = loans.take(3, Instant::now() + LONG, notice).expect("the first becomes overdue");
        assert_eq!((first.is_overdue(), noticed.get()), (true, Some(2)));
        drop(second);
    }
}
