//! A bounded queue that a worker empties with one lock.
//!
//! A worker takes all that wait, up to a bound, so that many requests at a time cost one lock and one wake-up. The channels of libraries
//! hand over one item at a time.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// First come, first served.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    pushed: Condvar,
    bound: usize,
}

struct State<T> {
    items: VecDeque<T>,
    /// Workers that sleep and have not been woken yet.
    sleepers: usize,
    /// Of the groups that have a batch which has not ended.
    turns: Vec<Turn>,
    is_closed: bool,
}

/// Items that are served together.
pub(crate) struct Batch<T> {
    pub(crate) items: Vec<T>,
    /// To be given back once they are served.
    pub(crate) turn: Option<Turn>,
}

/// The turn of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    group: u64,
    /// When others of the group are served although it was not given back.
    until: Instant,
}

/// The queue takes no more items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl<T> Queue<T> {
    /// A queue of at most `bound` items.
    pub(crate) fn new(bound: usize) -> Self {
        let state = State { items: VecDeque::new(), sleepers: 0, turns: Vec::new(), is_closed: false };
        Self { state: Mutex::new(state), pushed: Condvar::new(), bound }
    }

    /// Adds an item at the end.
    ///
    /// # Errors
    /// [`Full`] if the bound is reached, or the queue is closed.
    pub(crate) fn push(&self, item: T) -> Result<(), Full> {
        let mut state = self.lock();
        if state.is_closed || state.items.len() >= self.bound {
            return Err(Full);
        }
        state.items.push_back(item);
        // A busy worker looks at the queue by itself when it is done; only a sleeping one needs a system call.
        let wakes = state.sleepers > 0;
        if wakes {
            state.sleepers -= 1;
        }
        drop(state);
        if wakes {
            self.pushed.notify_one();
        }
        Ok(())
    }

    /// Takes the first items of a group, at least one and otherwise of a `weight` of at most `most` together, and waits for one if
    /// there is none. Items of other groups stay where they are. `None` once the queue is closed and empty.
    ///
    /// With `turn`, a group whose last batch has not [ended](Self::end) is passed over, at most for that long: its items wait for each
    /// other, and make larger batches.
    pub(crate) fn pop_batch(
        &self,
        most: usize,
        weight: impl Fn(&T) -> usize,
        group: impl Fn(&T) -> u64,
        turn: Option<Duration>,
    ) -> Option<Batch<T>> {
        let mut state = self.lock();
        let mut place = loop {
            let now = Instant::now();
            state.turns.retain(|turn| now < turn.until);
            let has_turn = |item| state.turns.iter().all(|turn| turn.group != group(item));
            if let Some(place) = state.items.iter().position(has_turn) {
                break place;
            }
            if state.is_closed && state.items.is_empty() {
                return None;
            }
            let next = state.turns.iter().map(|turn| turn.until).min().filter(|_| !state.items.is_empty());
            state.sleepers += 1;
            state = match next {
                Some(until) => {
                    // It may not have been woken, and is counted then until one is woken in vain.
                    let waited = self.pushed.wait_timeout(state, until.saturating_duration_since(now));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.pushed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        };
        let first = state.items.remove(place)?;
        let group_of_batch = group(&first);
        let mut total = weight(&first);
        let mut items = vec![first];
        while let Some(item) = state.items.get(place) {
            if group(item) != group_of_batch {
                place += 1;
                continue;
            }
            total += weight(item);
            if total > most {
                break;
            }
            // At the front, where they are unless others are left out, this moves nothing.
            items.extend(state.items.remove(place));
        }
        let turn = turn.map(|lasts| Turn { group: group_of_batch, until: Instant::now() + lasts });
        state.turns.extend(turn);
        Some(Batch { items, turn })
    }

    /// The batch with this turn was served.
    pub(crate) fn end(&self, turn: Option<Turn>) {
        let Some(turn) = turn else { return };
        let mut state = self.lock();
        if let Some(place) = state.turns.iter().position(|of| *of == turn) {
            state.turns.swap_remove(place);
        }
        // The worker that has served it takes one batch of those that wait.
        let wakes = state.sleepers > 0 && state.items.len() > 1;
        if wakes {
            state.sleepers -= 1;
        }
        drop(state);
        if wakes {
            self.pushed.notify_one();
        }
    }

    /// How many items wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().items.len()
    }

    /// Refuses further items; workers end once it is empty.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.pushed.notify_all();
    }

    /// Ignores lock poisoning: nothing that can panic is done under the lock.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    /// A batch of items that are all of one group.
    fn pop<T>(queue: &Queue<T>, most: usize) -> Option<Vec<T>> {
        queue.pop_batch(most, |_| 1, |_| 0, None).map(|batch| batch.items)
    }

    #[test]
    fn items_are_taken_together_in_order_up_to_the_bound_of_a_batch() {
        let queue = Queue::new(10);
        for item in 0..5 {
            queue.push(item).expect("there is room");
        }
        assert_eq!(pop(&queue, 3), Some(vec![0, 1, 2]));
        assert_eq!(pop(&queue, 3), Some(vec![3, 4]));
    }

    #[test]
    fn items_are_taken_together_up_to_a_weight_and_a_heavier_one_alone() {
        let queue = Queue::new(10);
        for item in [2, 1, 9, 3, 1] {
            queue.push(item).expect("there is room");
        }
        let batches: Vec<_> =
            (0..3).map(|_| queue.pop_batch(4, |item| *item, |_| 0, None).map(|batch| batch.items)).collect();
        assert_eq!(batches, [Some(vec![2, 1]), Some(vec![9]), Some(vec![3, 1])]);
    }

    #[test]
    fn items_that_may_not_be_together_with_the_first_keep_their_places() {
        let queue = Queue::new(10);
        for item in [1, 2, 3, 5, 4, 7] {
            queue.push(item).expect("there is room");
        }
        let pop = |most| queue.pop_batch(most, |_| 1, |item: &u64| item % 2, None).map(|batch| batch.items);
        assert_eq!(pop(3), Some(vec![1, 3, 5]));
        assert_eq!(pop(3), Some(vec![2, 4]));
        assert_eq!(pop(3), Some(vec![7]));
    }

    #[test]
    fn a_group_has_one_batch_at_a_time_and_others_pass_it() {
        let queue = Queue::new(10);
        for item in [1, 2, 3, 5] {
            queue.push(item).expect("there is room");
        }
        let pop = |turn| queue.pop_batch(2, |_| 1, |item: &u64| item % 2, Some(turn)).expect("items");
        let (odd, even) = (pop(Duration::from_mins(1)), pop(Duration::from_mins(1)));
        assert_eq!((odd.items, even.items), (vec![1, 3], vec![2]));
        thread::scope(|scope| {
            let waiting = scope.spawn(|| pop(Duration::from_millis(1)));
            while queue.lock().sleepers == 0 {
                thread::yield_now();
            }
            queue.push(7).expect("there is room");
            queue.end(odd.turn);
            assert_eq!(waiting.join().expect("no panic").items, [5, 7]);
        });
        // That turn was not given back: it ends by itself.
        queue.push(9).expect("there is room");
        assert_eq!(pop(Duration::from_millis(1)).items, [9]);
    }

    #[test]
    fn a_full_queue_refuses_items_until_one_is_taken() {
        let queue = Queue::new(2);
        assert_eq!([queue.push(1), queue.push(2), queue.push(3)], [Ok(()), Ok(()), Err(Full)]);
        assert_eq!(pop(&queue, 1), Some(vec![1]));
        assert_eq!([queue.push(4), queue.push(5)], [Ok(()), Err(Full)]);
    }

    #[test]
    fn a_closed_queue_refuses_items_and_gives_out_what_it_has() {
        let queue = Queue::new(2);
        queue.push(1).expect("there is room");
        queue.close();
        assert_eq!(queue.push(2), Err(Full));
        assert_eq!((pop(&queue, 9), pop(&queue, 9)), (Some(vec![1]), None));
    }

    #[test]
    fn no_item_is_lost_however_many_threads_push_and_take() {
        const EACH: usize = 20_000;
        let queue = Queue::new(usize::MAX);
        let (report, reports) = mpsc::channel();
        thread::scope(|scope| {
            let workers: Vec<_> = (0..3)
                .map(|_| {
                    let report = report.clone();
                    let queue = &queue;
                    scope.spawn(move || {
                        while let Some(batch) = pop(queue, 7) {
                            for item in batch {
                                report.send(item).expect("the test listens");
                            }
                        }
                    })
                })
                .collect();
            let pushers = [0, EACH, 2 * EACH].map(|first| {
                let queue = &queue;
                scope.spawn(move || (first..first + EACH).for_each(|item| queue.push(item).expect("there is room")))
            });
            for pusher in pushers {
                pusher.join().expect("no panic");
            }
            queue.close();
            for worker in workers {
                worker.join().expect("no panic");
            }
        });
        drop(report);
        let mut taken: Vec<usize> = reports.iter().collect();
        taken.sort_unstable();
        assert_eq!(taken, (0..3 * EACH).collect::<Vec<_>>());
    }

    #[test]
    fn sleeping_workers_end_when_the_queue_is_closed() {
        let queue: Queue<()> = Queue::new(1);
        thread::scope(|scope| {
            let workers: Vec<_> = (0..3).map(|_| scope.spawn(|| pop(&queue, 1))).collect();
            while queue.lock().sleepers < 3 {
                thread::yield_now();
            }
            queue.close();
            for worker in workers {
                assert_eq!(worker.join().expect("no panic"), None);
            }
        });
    }
}
