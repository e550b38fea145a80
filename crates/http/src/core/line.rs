//! A bounded line in which requests wait for a thread.
//!
//! Whoever stands in it is taken together with those behind: a thread takes the whole line at once, up to a bound, with
//! one lock and with one wake-up for all. That is what makes a crowd cheap, and what the channels of libraries, which
//! hand over one at a time, do not do.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A line of `T`, first come, first served.
pub(super) struct Line<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
    bound: usize,
}

struct State<T> {
    waiting: VecDeque<T>,
    /// Threads that sleep and that nobody has woken yet.
    sleepers: usize,
    is_closed: bool,
}

/// The line has no place any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

impl<T> Line<T> {
    /// A line in which at most `bound` wait.
    pub(super) fn new(bound: usize) -> Self {
        let state = State { waiting: VecDeque::new(), sleepers: 0, is_closed: false };
        Self { state: Mutex::new(state), arrived: Condvar::new(), bound }
    }

    /// Joins the end of the line.
    ///
    /// # Errors
    /// [`Full`] if too many wait already, or if the line is closed.
    pub(super) fn join(&self, one: T) -> Result<(), Full> {
        let mut state = self.lock();
        if state.is_closed || state.waiting.len() >= self.bound {
            return Err(Full);
        }
        state.waiting.push_back(one);
        // A thread that works will look by itself when it is done; only one that sleeps needs a call of the system.
        let wakes = state.sleepers > 0;
        if wakes {
            state.sleepers -= 1;
        }
        drop(state);
        if wakes {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Lets `one` join the end of the line on behalf of somebody who has been served, however full or closed it is. The
    /// calling thread takes from the line next, so that nobody need be woken.
    pub(super) fn join_next(&self, one: T) {
        self.lock().waiting.push_back(one);
    }

    /// Takes the first `most` who wait, or whoever is the next to come. `None` once the line is closed and empty.
    pub(super) fn take(&self, most: usize) -> Option<Vec<T>> {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            if state.is_closed {
                return None;
            }
            state.sleepers += 1;
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let count = state.waiting.len().min(most);
        Some(state.waiting.drain(..count).collect())
    }

    /// Lets nobody join any more, and its threads end once it is empty.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.arrived.notify_all();
    }

    /// Nothing that can panic is done under the lock, so it cannot be poisoned.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn who_waits_is_taken_together_in_order_up_to_the_bound_of_the_taker() {
        let line = Line::new(10);
        for one in 0..5 {
            line.join(one).expect("there is room");
        }
        assert_eq!(line.take(3), Some(vec![0, 1, 2]));
        assert_eq!(line.take(3), Some(vec![3, 4]));
    }

    #[test]
    fn a_full_line_takes_nobody_until_somebody_is_taken() {
        let line = Line::new(2);
        assert_eq!([line.join(1), line.join(2), line.join(3)], [Ok(()), Ok(()), Err(Full)]);
        assert_eq!(line.take(1), Some(vec![1]));
        assert_eq!([line.join(4), line.join(5)], [Ok(()), Err(Full)]);
    }

    #[test]
    fn a_closed_line_takes_nobody_but_lets_those_who_wait_be_served() {
        let line = Line::new(2);
        line.join(1).expect("there is room");
        line.close();
        assert_eq!(line.join(2), Err(Full));
        assert_eq!((line.take(9), line.take(9)), (Some(vec![1]), None));
    }

    #[test]
    fn nobody_is_forgotten_however_many_threads_take_and_join() {
        const EACH: usize = 20_000;
        let line = Line::new(usize::MAX);
        let (report, reports) = mpsc::channel();
        thread::scope(|scope| {
            let takers: Vec<_> = (0..3)
                .map(|_| {
                    let report = report.clone();
                    let line = &line;
                    scope.spawn(move || {
                        while let Some(some) = line.take(7) {
                            for one in some {
                                report.send(one).expect("the test listens");
                            }
                        }
                    })
                })
                .collect();
            let joiners = [0, EACH, 2 * EACH].map(|first| {
                let line = &line;
                scope.spawn(move || (first..first + EACH).for_each(|one| line.join(one).expect("there is room")))
            });
            for joiner in joiners {
                joiner.join().expect("no panic");
            }
            line.close();
            for taker in takers {
                taker.join().expect("no panic");
            }
        });
        drop(report);
        let mut taken: Vec<usize> = reports.iter().collect();
        taken.sort_unstable();
        assert_eq!(taken, (0..3 * EACH).collect::<Vec<_>>());
    }

    #[test]
    fn threads_that_sleep_end_when_the_line_is_closed() {
        let line: Line<()> = Line::new(1);
        thread::scope(|scope| {
            let takers: Vec<_> = (0..3).map(|_| scope.spawn(|| line.take(1))).collect();
            while line.lock().sleepers < 3 {
                thread::yield_now();
            }
            line.close();
            for taker in takers {
                assert_eq!(taker.join().expect("no panic"), None);
            }
        });
    }
}
