//! Natural batching without another thread: what the requests of one thread ask for in one turn of its event loop is
//! served by that thread.
//!
//! The first request of a turn is served at once, and schedules a task behind all tasks that are ready to run. That task
//! serves, with one call, the requests that have come by then. So a lone request is a batch of one, and many share a
//! call. The thread does nothing else meanwhile: this is only for what takes no longer than waking another thread.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::ExecuteError;
use crate::batched::{Operation, Pending, run_batch, run_one};
use crate::figures::Meter;

/// The requests of one thread that wait to be served together.
pub(crate) struct TurnBatcher<O: Operation> {
    service: O::Service,
    pending: RefCell<VecDeque<Pending<O>>>,
    bound: usize,
    meter: Arc<Meter>,
    /// Whether a task is scheduled that serves what is pending.
    has_task: Cell<bool>,
}

impl<O: Operation> TurnBatcher<O> {
    /// A batcher in which at most `bound` requests wait for `service`.
    pub(crate) fn new(service: O::Service, bound: usize, meter: &Arc<Meter>) -> Rc<Self> {
        let meter = Arc::clone(meter);
        Rc::new(Self { service, pending: RefCell::default(), bound, meter, has_task: Cell::new(false) })
    }

    /// Serves `input` at once if it is the first of its turn, otherwise together with the others of the turn.
    ///
    /// No timer is set: the thread that would see it expire is the one that serves. A request whose turn comes after its
    /// deadline is not served.
    pub(crate) async fn call(self: &Rc<Self>, deadline: Duration, input: O::Input) -> Result<O::Output, ExecuteError> {
        if !self.has_task.replace(true) {
            tokio::task::spawn_local(Rc::clone(self).serve(deadline));
            return run_one::<O>(&self.service, input, &self.meter);
        }
        let (answer, answered) = oneshot::channel();
        self.push(Pending { input, until: Instant::now() + deadline, answer })?;
        answered.await.unwrap_or(Err(ExecuteError::DeadlineExceeded))
    }

    fn push(&self, request: Pending<O>) -> Result<(), ExecuteError> {
        let mut pending = self.pending.borrow_mut();
        if pending.len() >= self.bound {
            self.meter.refused();
            return Err(ExecuteError::QueueFull);
        }
        pending.push_back(request);
        Ok(())
    }

    /// What the task does.
    async fn serve(self: Rc<Self>, deadline: Duration) {
        loop {
            let batch = self.pop_batch();
            run_batch(&self.service, batch, deadline, &self.meter);
            if self.pending.borrow().is_empty() {
                self.has_task.set(false);
                return;
            }
            // Other tasks have their turn before the rest of many requests.
            tokio::task::yield_now().await;
        }
    }

    fn pop_batch(&self) -> Vec<Pending<O>> {
        let mut pending = self.pending.borrow_mut();
        let count = pending.len().min(O::MAX_BATCH);
        pending.drain(..count).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::future::join_all;

    use super::*;
    use crate::batched::tests::{DEADLINE, Double, Number};
    use crate::test_callers::{Callers, block_on};

    /// The answers to `values` if all are requested in one turn, and how many were doubled by each call.
    fn in_one_turn(values: &[u32], goes_away: impl Fn(u32) -> bool) -> (Vec<Result<u32, ExecuteError>>, Vec<usize>) {
        let calls = Arc::<Mutex<Vec<usize>>>::default();
        let batcher = TurnBatcher::<Double>::new((), values.len(), &Arc::new(Meter::new()));
        let answers = block_on(async {
            let number = |value| Number { value, calls: Arc::clone(&calls), gate: None };
            let requests = values.iter().map(|&value| (batcher.call(DEADLINE, number(value)), goes_away(value)));
            Callers::start(requests, 1).answers().await
        });
        let calls = calls.lock().expect("no panic before").clone();
        (answers, calls)
    }

    #[test]
    fn the_first_of_a_turn_is_served_at_once_and_the_others_share_calls() {
        let values: Vec<u32> = (100..401).collect();
        let (answers, calls) = in_one_turn(&values, |_| false);
        assert_eq!(answers, values.iter().map(|value| Ok(value * 2)).collect::<Vec<_>>());
        assert_eq!(calls, [1, Double::MAX_BATCH, Double::MAX_BATCH, 300 - 2 * Double::MAX_BATCH]);
    }

    #[test]
    fn a_request_whose_caller_has_gone_away_is_not_served() {
        let (answers, calls) = in_one_turn(&[1, 2, 3, 4, 5], |value| value % 2 == 0);
        assert_eq!((answers, calls), (vec![Ok(2), Ok(6), Ok(10)], vec![1, 2]));
        assert_eq!(in_one_turn(&[1, 2, 3], |value| value > 1), (vec![Ok(2)], vec![1]));
    }

    #[test]
    fn a_panic_ends_the_requests_of_its_batch_and_the_others_are_served() {
        let mut values: Vec<u32> = (100..101 + u32::try_from(Double::MAX_BATCH).expect("a small number")).collect();
        values[5] = 13;
        values.push(1);
        let (answers, _) = in_one_turn(&values, |_| false);
        assert!(answers[1..=Double::MAX_BATCH].iter().all(|answer| *answer == Err(ExecuteError::Panicked)));
        assert_eq!((&answers[0], &answers[Double::MAX_BATCH + 1]), (&Ok(200), &Ok(2)));
        assert_eq!(in_one_turn(&[13, 1], |_| false).0, [Err(ExecuteError::Panicked), Ok(2)]);
    }

    #[test]
    fn late_requests_and_those_beyond_the_bound_are_not_served_and_the_next_turn_starts_anew() {
        let calls = Arc::<Mutex<Vec<usize>>>::default();
        let batcher = TurnBatcher::<Double>::new((), 2, &Arc::new(Meter::new()));
        let call = |value, deadline| batcher.call(deadline, Number { value, calls: Arc::clone(&calls), gate: None });
        block_on(async {
            assert_eq!(call(1, DEADLINE).await, Ok(2));
            let (in_time, late) = (call(2, DEADLINE), call(3, Duration::ZERO));
            let answers = join_all([in_time, late, call(4, DEADLINE)]).await;
            assert_eq!(answers, [Ok(4), Err(ExecuteError::DeadlineExceeded), Err(ExecuteError::QueueFull)]);
            for value in 5..7 {
                assert_eq!(call(value, DEADLINE).await, Ok(2 * value));
                tokio::task::yield_now().await;
            }
        });
        assert_eq!(*calls.lock().expect("no panic before"), [1, 1, 1, 1]);
    }

    #[test]
    fn other_tasks_have_their_turn_before_the_rest_of_many_requests() {
        let calls = Arc::<Mutex<Vec<usize>>>::default();
        let batcher = TurnBatcher::<Double>::new((), 2 * Double::MAX_BATCH, &Arc::new(Meter::new()));
        let call = async || {
            batcher.call(DEADLINE, Number { value: 1, calls: Arc::clone(&calls), gate: None }).await.expect("two");
            calls.lock().expect("no panic before").len()
        };
        let requests = 1 + 2 * Double::MAX_BATCH;
        let calls_before = block_on(join_all((0..requests).map(|_| call())));
        assert_eq!([0, 1, requests - 1].map(|place| calls_before[place]), [1, 2, 3]);
    }
}
