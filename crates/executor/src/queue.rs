//! A bounded queue that a worker empties with one lock.
//!
//! A worker takes all that wait, up to a bound, so that many requests at a time cost one lock and one wake-up. The channels of libraries
//! hand over one item at a time.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

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
    is_closed: bool,
}

/// The queue takes no more items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl<T> Queue<T> {
    /// A queue of at most `bound` items.
    pub(crate) fn new(bound: usize) -> Self {
        let state = State { items: VecDeque::new(), sleepers: 0, is_closed: false };
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

    /// Takes the first items, at least one and otherwise of a `weight` of at most `most` together, and waits for one if
    /// there is none. Items that are not `together` with the first stay where they are. `None` once the queue is closed and empty.
    pub(crate) fn pop_batch(
        &self,
        most: usize,
        weight: impl Fn(&T) -> usize,
        together: impl Fn(&T, &T) -> bool,
    ) -> Option<Vec<T>> {
        let mut state = self.lock();
        while state.items.is_empty() {
            if state.is_closed {
                return None;
            }
            state.sleepers += 1;
            state = self.pushed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let first = state.items.pop_front()?;
        let mut total = weight(&first);
        let mut batch = vec![first];
        let mut place = 0;
        while let Some(item) = state.items.get(place) {
            if !together(&batch[0], item) {
                place += 1;
                continue;
            }
            total += weight(item);
            if total > most {
                break;
            }
            // At the front, where they are unless others are left out, this moves nothing.
            batch.extend(state.items.remove(place));
        }
        Some(batch)
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

    #[test]
    fn items_are_taken_together_in_order_up_to_the_bound_of_a_batch() {
        let queue = Queue::new(10);
        for item in 0..5 {
            queue.push(item).expect("there is room");
        }
        assert_eq!(queue.pop_batch(3, |_| 1, |_, _| true), Some(vec![0, 1, 2]));
        assert_eq!(queue.pop_batch(3, |_| 1, |_, _| true), Some(vec![3, 4]));
    }

    #[test]
    fn items_are_taken_together_up_to_a_weight_and_a_heavier_one_alone() {
        let queue = Queue::new(10);
        for item in [2, 1, 9, 3, 1] {
            queue.push(item).expect("there is room");
        }
        let batches: Vec<_> = (0..3).map(|_| queue.pop_batch(4, |item| *item, |_, _| true)).collect();
        assert_eq!(batches, [Some(vec![2, 1]), Some(vec![9]), Some(vec![3, 1])]);
    }

    #[test]
    fn items_that_may_not_be_together_with_the_first_keep_their_places() {
        let queue = Queue::new(10);
        for item in [1, 2, 3, 5, 4, 7] {
            queue.push(item).expect("there is room");
        }
        let are_alike = |one: &i32, other: &i32| one % 2 == other % 2;
        assert_eq!(queue.pop_batch(3, |_| 1, are_alike), Some(vec![1, 3, 5]));
        assert_eq!(queue.pop_batch(3, |_| 1, are_alike), Some(vec![2, 4]));
        assert_eq!(queue.pop_batch(3, |_| 1, are_alike), Some(vec![7]));
    }

    #[test]
    fn a_full_queue_refuses_items_until_one_is_taken() {
        let queue = Queue::new(2);
        assert_eq!([queue.push(1), queue.push(2), queue.push(3)], [Ok(()), Ok(()), Err(Full)]);
        assert_eq!(queue.pop_batch(1, |_| 1, |_, _| true), Some(vec![1]));
        assert_eq!([queue.push(4), queue.push(5)], [Ok(()), Err(Full)]);
    }

    #[test]
    fn a_closed_queue_refuses_items_and_gives_out_what_it_has() {
        let queue = Queue::new(2);
        queue.push(1).expect("there is room");
        queue.close();
        assert_eq!(queue.push(2), Err(Full));
        assert_eq!(
            (queue.pop_batch(9, |_| 1, |_, _| true), queue.pop_batch(9, |_| 1, |_, _| true)),
            (Some(vec![1]), None)
        );
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
                        while let Some(batch) = queue.pop_batch(7, |_| 1, |_, _| true) {
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
            let workers: Vec<_> = (0..3).map(|_| scope.spawn(|| queue.pop_batch(1, |()| 1, |(), ()| true))).collect();
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
