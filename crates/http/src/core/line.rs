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

/// How many must be taken alone, one after the other, until there is no crowd any more.
const CALM: usize = 32;

struct State<T> {
    waiting: VecDeque<T>,
    /// How many are at work on what they took.
    turns: usize,
    /// How many were taken alone since several were taken together.
    lone: usize,
    /// Threads that sleep and that nobody has woken yet.
    sleepers: usize,
    is_closed: bool,
}

/// The time from when some are taken until they are served.
pub(super) struct Turn<'a, T> {
    /// Who is to be served.
    pub(super) taken: Vec<T>,
    line: &'a Line<T>,
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        self.line.lock().turns -= 1;
    }
}

/// The line has no place any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

impl<T> Line<T> {
    /// A line in which at most `bound` wait.
    pub(super) fn new(bound: usize) -> Self {
        let state = State { waiting: VecDeque::new(), turns: 0, lone: CALM, sleepers: 0, is_closed: false };
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
    pub(super) fn take(&self, most: usize) -> Option<Turn<'_, T>> {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            if state.is_closed {
                return None;
            }
            state.sleepers += 1;
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let count = state.waiting.len().min(most);
        state.lone = if count > 1 { 0 } else { state.lone.saturating_add(1) };
        let taken = state.waiting.drain(..count).collect();
        Some(self.turn(&mut state, taken))
    }

    /// Takes the turn of somebody who need not wait: nobody waits, nobody is being served, and it has been calm for a
    /// while. In a crowd it is better to wait a little and to be served together.
    pub(super) fn take_turn_if_idle(&self) -> Option<Turn<'_, T>> {
        let mut state = self.lock();
        let is_idle = state.turns == 0 && state.waiting.is_empty() && state.lone >= CALM;
        is_idle.then(|| self.turn(&mut state, Vec::new()))
    }

    fn turn(&self, state: &mut State<T>, taken: Vec<T>) -> Turn<'_, T> {
        state.turns += 1;
        Turn { taken, line: self }
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

    fn take<T>(line: &Line<T>, most: usize) -> Option<Vec<T>> {
        line.take(most).map(|mut turn| std::mem::take(&mut turn.taken))
    }

    #[test]
    fn who_waits_is_taken_together_in_order_up_to_the_bound_of_the_taker() {
        let line = Line::new(10);
        for one in 0..5 {
            line.join(one).expect("there is room");
        }
        assert_eq!(take(&line, 3), Some(vec![0, 1, 2]));
        assert_eq!(take(&line, 3), Some(vec![3, 4]));
    }

    #[test]
    fn a_full_line_takes_nobody_until_somebody_is_taken() {
        let line = Line::new(2);
        assert_eq!([line.join(1), line.join(2), line.join(3)], [Ok(()), Ok(()), Err(Full)]);
        assert_eq!(take(&line, 1), Some(vec![1]));
        assert_eq!([line.join(4), line.join(5)], [Ok(()), Err(Full)]);
    }

    #[test]
    fn a_closed_line_takes_nobody_but_lets_those_who_wait_be_served() {
        let line = Line::new(2);
        line.join(1).expect("there is room");
        line.close();
        assert_eq!(line.join(2), Err(Full));
        assert_eq!((take(&line, 9), take(&line, 9)), (Some(vec![1]), None));
    }

    #[test]
    fn only_who_meets_nobody_is_served_at_once() {
        let line = Line::new(2);
        let alone = line.take_turn_if_idle().expect("nobody is there");
        assert!(line.take_turn_if_idle().is_none(), "somebody is being served");
        drop(alone);
        line.join(1).expect("there is room");
        assert!(line.take_turn_if_idle().is_none(), "somebody waits");
        let taken = line.take(1).expect("somebody waits");
        assert!(line.take_turn_if_idle().is_none(), "somebody is being served");
        drop(taken);
        assert!(line.take_turn_if_idle().is_some());
    }

    #[test]
    fn after_a_crowd_nobody_is_served_at_once_until_it_has_been_calm_for_a_while() {
        let line = Line::new(2);
        for one in 0..2 {
            line.join(one).expect("there is room");
        }
        take(&line, 9).expect("two wait");
        for one in 0..CALM {
            assert!(line.take_turn_if_idle().is_none(), "after {one}");
            line.join(one).expect("there is room");
            take(&line, 9).expect("one waits");
        }
        assert!(line.take_turn_if_idle().is_some());
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
                        while let Some(some) = take(line, 7) {
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
            let takers: Vec<_> = (0..3).map(|_| scope.spawn(|| take(&line, 1))).collect();
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
