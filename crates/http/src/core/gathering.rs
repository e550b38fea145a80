//! Natural batching on the spot: what the requests of one thread ask for in one turn of its event loop is served by that
//! thread.
//!
//! Nobody waits for others here either. Whoever comes first is served at once, and has a task put behind all who are ready
//! to go on, which serves those who have come by then with one call: a lone request goes alone, a crowd together. No other
//! thread is told of anything; but this one does nothing else meanwhile, so that it is for what takes no longer than two
//! threads would take to tell each other of it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::NotDone;
use super::batch::{Batch, Waiting, serve_all, serve_one};

/// The requests of one thread that wait to be served together.
pub(super) struct Gathering<B: Batch> {
    service: B::Service,
    waiting: RefCell<VecDeque<Waiting<B>>>,
    bound: usize,
    /// Whether a task stands ready to serve those who wait.
    has_task: Cell<bool>,
}

impl<B: Batch> Gathering<B> {
    /// Where at most `bound` wait for `service`.
    pub(super) fn new(service: B::Service, bound: usize) -> Rc<Self> {
        Rc::new(Self { service, waiting: RefCell::default(), bound, has_task: Cell::new(false) })
    }

    /// Serves `input` at once if it is the first of its turn, and otherwise together with the others of the turn.
    ///
    /// No clock is set: the thread that would look at it is the one that serves. Whoever's turn comes too late is not
    /// served.
    pub(super) async fn run(self: &Rc<Self>, deadline: Duration, input: B::Input) -> Result<B::Output, NotDone> {
        if !self.has_task.replace(true) {
            actix_web::rt::spawn(Rc::clone(self).serve());
            return serve_one::<B>(&self.service, input);
        }
        let (answer, answered) = oneshot::channel();
        self.join(Waiting { input, until: Instant::now() + deadline, answer })?;
        answered.await.unwrap_or(Err(NotDone::Late))
    }

    fn join(&self, one: Waiting<B>) -> Result<(), NotDone> {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= self.bound {
            return Err(NotDone::Busy);
        }
        waiting.push_back(one);
        Ok(())
    }

    /// What the task does.
    async fn serve(self: Rc<Self>) {
        loop {
            let taken = self.take();
            serve_all(&self.service, taken);
            if self.waiting.borrow().is_empty() {
                self.has_task.set(false);
                return;
            }
            // Others have their turn before the rest of a large crowd.
            tokio::task::yield_now().await;
        }
    }

    fn take(&self) -> Vec<Waiting<B>> {
        let mut waiting = self.waiting.borrow_mut();
        let count = waiting.len().min(B::MAX_BATCH);
        waiting.drain(..count).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures_util::future::join_all;

    use super::super::batch::tests::{DEADLINE, Double, Number};
    use super::super::callers::Callers;
    use super::*;

    /// What each of `values` is answered if all are asked for in one turn, and how many were doubled by each call.
    fn in_one_turn(values: &[u32], leave: impl Fn(u32) -> bool) -> (Vec<Result<u32, NotDone>>, Vec<usize>) {
        let calls = Arc::<Mutex<Vec<usize>>>::default();
        let gathering = Gathering::<Double>::new((), values.len());
        let answers = actix_web::rt::System::new().block_on(async {
            let number = |value| Number { value, calls: Arc::clone(&calls), gate: None };
            let asked = values.iter().map(|&value| (gathering.run(DEADLINE, number(value)), leave(value)));
            Callers::ask(asked, 1).answers().await
        });
        let calls = calls.lock().expect("a whole list").clone();
        (answers, calls)
    }

    #[test]
    fn the_first_of_a_turn_is_served_at_once_and_the_others_together_and_each_gets_their_own() {
        let values: Vec<u32> = (100..401).collect();
        let (answers, calls) = in_one_turn(&values, |_| false);
        assert_eq!(answers, values.iter().map(|value| Ok(value * 2)).collect::<Vec<_>>());
        assert_eq!(calls, [1, Double::MAX_BATCH, Double::MAX_BATCH, 300 - 2 * Double::MAX_BATCH]);
    }

    #[test]
    fn who_has_left_is_not_served() {
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
        assert!(answers[1..=Double::MAX_BATCH].iter().all(|answer| *answer == Err(NotDone::Panicked)));
        assert_eq!((&answers[0], &answers[Double::MAX_BATCH + 1]), (&Ok(200), &Ok(2)));
        assert_eq!(in_one_turn(&[13, 1], |_| false).0, [Err(NotDone::Panicked), Ok(2)]);
    }

    #[test]
    fn beyond_the_bound_and_the_deadline_nobody_is_served_and_the_next_turn_begins_anew() {
        let calls = Arc::<Mutex<Vec<usize>>>::default();
        let gathering = Gathering::<Double>::new((), 2);
        let run = |value, deadline| gathering.run(deadline, Number { value, calls: Arc::clone(&calls), gate: None });
        actix_web::rt::System::new().block_on(async {
            assert_eq!(run(1, DEADLINE).await, Ok(2));
            let (in_time, late) = (run(2, DEADLINE), run(3, Duration::ZERO));
            let answers = join_all([in_time, late, run(4, DEADLINE)]).await;
            assert_eq!(answers, [Ok(4), Err(NotDone::Late), Err(NotDone::Busy)]);
            for value in 5..7 {
                assert_eq!(run(value, DEADLINE).await, Ok(2 * value));
                tokio::task::yield_now().await;
            }
        });
        assert_eq!(*calls.lock().expect("a whole list"), [1, 1, 1, 1]);
    }

    #[test]
    fn others_have_their_turn_before_the_rest_of_a_large_crowd() {
        let calls = Arc::<Mutex<Vec<usize>>>::default();
        let gathering = Gathering::<Double>::new((), 2 * Double::MAX_BATCH);
        let ask = async || {
            gathering.run(DEADLINE, Number { value: 1, calls: Arc::clone(&calls), gate: None }).await.expect("two");
            calls.lock().expect("a whole list").len()
        };
        let crowd = 1 + 2 * Double::MAX_BATCH;
        let calls_before = actix_web::rt::System::new().block_on(join_all((0..crowd).map(|_| ask())));
        assert_eq!([0, 1, crowd - 1].map(|place| calls_before[place]), [1, 2, 3]);
    }
}
