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
    turns: Option<TurnRule>,
}

/// How groups share the workers of a queue: a group has one batch at a time, so that its items wait for each other and make larger
/// batches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TurnRule {
    /// How long a batch that does not end keeps the other items of its group waiting.
    pub(crate) lasts: Duration,
    /// How many batches of groups are served at a time, as long as they are young. More at a time are slower: what they ask for
    /// is small, and the processors are as busy.
    pub(crate) at_once: usize,
    /// From which age on a batch is not young: what it asks may not answer, and the others must not wait for it.
    pub(crate) young_for: Duration,
}

struct State<T> {
    items: VecDeque<T>,
    /// Workers that sleep and have not been woken yet.
    sleepers: usize,
    /// Of the batches of groups that have not ended.
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
    began: Instant,
}

/// The queue takes no more items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl<T> Queue<T> {
    /// A queue of at most `bound` items, whose groups take turns if there is a rule for it.
    pub(crate) fn new(bound: usize, turns: Option<TurnRule>) -> Self {
        let state = State { items: VecDeque::new(), sleepers: 0, turns: Vec::new(), is_closed: false };
        Self { state: Mutex::new(state), pushed: Condvar::new(), bound, turns }
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
    /// there is none that has its turn. Items of other groups stay where they are; one without a group is taken alone, and always has
    /// its turn. `None` once the queue is closed and empty.
    pub(crate) fn pop_batch(
        &self,
        most: usize,
        weight: impl Fn(&T) -> usize,
        group: impl Fn(&T) -> Option<u64>,
    ) -> Option<Batch<T>> {
        let mut state = self.lock();
        let mut place = loop {
            let now = Instant::now();
            if let Some(rule) = self.turns {
                state.turns.retain(|turn| now < turn.began + rule.lasts);
            }
            let is_any_free = self.turns.is_none_or(|rule| state.young(rule, now).count() < rule.at_once);
            let has_turn = |item| match group(item) {
                Some(group) => is_any_free && state.turns.iter().all(|turn| turn.group != group),
                None => true,
            };
            if let Some(place) = state.items.iter().position(has_turn) {
                break place;
            }
            if state.is_closed && state.items.is_empty() {
                return None;
            }
            let next = self.turns.filter(|_| !state.items.is_empty()).and_then(|rule| state.next_turn(rule, now));
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
        let Some(group_of_batch) = group(&first) else { return Some(Batch { items: vec![first], turn: None }) };
        let mut total = weight(&first);
        let mut items = vec![first];
        while let Some(item) = state.items.get(place) {
            if group(item) != Some(group_of_batch) {
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
        let turn = self.turns.map(|_| Turn { group: group_of_batch, began: Instant::now() });
        state.turns.extend(turn);
        Some(Batch { items, turn })
    }

    /// The batch with this turn was served.
    pub(crate) fn end(&self, turn: Option<Turn>) {
        let (Some(turn), Some(rule)) = (turn, self.turns) else { return };
        let mut state = self.lock();
        if let Some(place) = state.turns.iter().position(|of| *of == turn) {
            state.turns.swap_remove(place);
        }
        // The worker that has served it takes one batch of those that wait.
        let is_another_free = state.young(rule, Instant::now()).count() + 1 < rule.at_once;
        let wakes = state.sleepers > 0 && state.items.len() > 1 && is_another_free;
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

impl<T> State<T> {
    /// The turns of batches that are young.
    fn young(&self, rule: TurnRule, now: Instant) -> impl Iterator<Item = &Turn> {
        self.turns.iter().filter(move |turn| now < turn.began + rule.young_for)
    }

    /// When a turn ends, or a batch is no longer young, at the latest.
    fn next_turn(&self, rule: TurnRule, now: Instant) -> Option<Instant> {
        let ends = |turn: &Turn| [turn.began + rule.young_for, turn.began + rule.lasts];
        self.turns.iter().flat_map(ends).filter(|end| now < *end).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    /// A batch of items that are all of one group.
    fn pop<T>(queue: &Queue<T>, most: usize) -> Option<Vec<T>> {
        queue.pop_batch(most, |_| 1, |_| Some(0)).map(|batch| batch.items)
    }

    #[test]
    fn items_are_taken_together_in_order_up_to_the_bound_of_a_batch() {
        let queue = Queue::new(10, None);
        for item in 0..5 {
            queue.push(item).expect("there is room");
        }
        assert_eq!(pop(&queue, 3), Some(vec![0, 1, 2]));
        assert_eq!(pop(&queue, 3), Some(vec![3, 4]));
    }

    #[test]
    fn items_are_taken_together_up_to_a_weight_and_a_heavier_one_alone() {
        let queue = Queue::new(10, None);
        for item in [2, 1, 9, 3, 1] {
            queue.push(item).expect("there is room");
        }
        let batches: Vec<_> =
            (0..3).map(|_| queue.pop_batch(4, |item| *item, |_| Some(0)).map(|batch| batch.items)).collect();
        assert_eq!(batches, [Some(vec![2, 1]), Some(vec![9]), Some(vec![3, 1])]);
    }

    #[test]
    fn items_that_may_not_be_together_with_the_first_keep_their_places() {
        let queue = Queue::new(10, None);
        for item in [1, 2, 3, 5, 4, 7] {
            queue.push(item).expect("there is room");
        }
        let pop = |most| queue.pop_batch(most, |_| 1, |item: &u64| Some(item % 2)).map(|batch| batch.items);
        assert_eq!(pop(3), Some(vec![1, 3, 5]));
        assert_eq!(pop(3), Some(vec![2, 4]));
        assert_eq!(pop(3), Some(vec![7]));
    }

    #[test]
    fn an_item_without_a_group_is_taken_alone() {
        let queue = Queue::new(10, Some(TurnRule { at_once: 1, ..RULE }));
        for item in [1, 0, 3, 0, 0] {
            queue.push(item).expect("there is room");
        }
        let group = |item: &u64| (*item > 0).then_some(1);
        let pop = || queue.pop_batch(9, |_| 1, group).map(|batch| batch.items);
        assert_eq!([pop(), pop(), pop(), pop()], [Some(vec![1, 3]), Some(vec![0]), Some(vec![0]), Some(vec![0])]);
    }

    const RULE: TurnRule =
        TurnRule { lasts: Duration::from_mins(1), at_once: usize::MAX, young_for: Duration::from_mins(1) };

    /// A queue of numbers, which are of the group of their last digit.
    fn numbers(rule: TurnRule, numbers: &[u64]) -> Queue<u64> {
        let queue = Queue::new(10, Some(rule));
        for number in numbers {
            queue.push(*number).expect("there is room");
        }
        queue
    }

    fn pop_numbers(queue: &Queue<u64>) -> Batch<u64> {
        queue.pop_batch(2, |_| 1, |number| Some(number % 10)).expect("items")
    }

    /// What another worker takes after it has begun to wait, and `then` was done.
    fn taken_after(queue: &Queue<u64>, then: impl FnOnce()) -> Vec<u64> {
        thread::scope(|scope| {
            let waiting = scope.spawn(|| pop_numbers(queue));
            while queue.lock().sleepers == 0 {
                thread::yield_now();
            }
            then();
            waiting.join().expect("no panic").items
        })
    }

    #[test]
    fn a_group_has_one_batch_at_a_time_and_others_pass_it() {
        let queue = numbers(RULE, &[11, 12, 21, 31]);
        let (one, two) = (pop_numbers(&queue), pop_numbers(&queue));
        assert_eq!((one.items, two.items), (vec![11, 21], vec![12]));
        let next = taken_after(&queue, || {
            queue.push(41).expect("there is room");
            queue.end(one.turn);
        });
        assert_eq!(next, [31, 41]);
    }

    #[test]
    fn a_turn_that_is_not_given_back_ends_by_itself() {
        let queue = numbers(TurnRule { lasts: Duration::from_millis(1), ..RULE }, &[11, 21, 31]);
        let batches = [pop_numbers(&queue), pop_numbers(&queue)].map(|batch| batch.items);
        assert_eq!(batches, [vec![11, 21], vec![31]]);
    }

    #[test]
    fn only_so_many_batches_are_served_at_once_while_they_are_young() {
        let queue = numbers(TurnRule { at_once: 2, ..RULE }, &[1, 2, 3, 4]);
        let (one, two) = (pop_numbers(&queue), pop_numbers(&queue));
        let next = taken_after(&queue, || {
            queue.end(one.turn);
            queue.end(two.turn);
        });
        assert_eq!(next, [3]);
        let queue = numbers(TurnRule { at_once: 2, young_for: Duration::from_millis(1), ..RULE }, &[1, 2, 3, 4]);
        let taken = [(); 4].map(|()| pop_numbers(&queue).items);
        assert_eq!(taken, [[1], [2], [3], [4]]);
    }

    #[test]
    fn a_full_queue_refuses_items_until_one_is_taken() {
        let queue = Queue::new(2, None);
        assert_eq!([queue.push(1), queue.push(2), queue.push(3)], [Ok(()), Ok(()), Err(Full)]);
        assert_eq!(pop(&queue, 1), Some(vec![1]));
        assert_eq!([queue.push(4), queue.push(5)], [Ok(()), Err(Full)]);
    }

    #[test]
    fn a_closed_queue_refuses_items_and_gives_out_what_it_has() {
        let queue = Queue::new(2, None);
        queue.push(1).expect("there is room");
        queue.close();
        assert_eq!(queue.push(2), Err(Full));
        assert_eq!((pop(&queue, 9), pop(&queue, 9)), (Some(vec![1]), None));
    }

    #[test]
    fn no_item_is_lost_however_many_threads_push_and_take() {
        const EACH: usize = 20_000;
        let queue = Queue::new(usize::MAX, None);
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
        let queue: Queue<()> = Queue::new(1, None);
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
