//! Natural batching: requests that wait at the same time are served by one call.
//!
//! No request waits for a batch to fill. A worker that becomes free takes all that wait, up to a bound, so that a lone
//! request is a batch of one, and many requests share a statement, a commit and a sync of the disk. Each request gets its
//! own result.

use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::ExecuteError;
use crate::figures::{Figures, Meter};
use crate::queue::{Full, Queue, TurnRule};
use crate::threads::{Turns, Worker};
use crate::turn_batcher::TurnBatcher;

/// How long a batch counts among those that are served at once. Where all are slow, more at a time would make them slower still, so it
/// is many times as long as one takes.
const YOUNG_FOR: Duration = Duration::from_millis(20);

/// Something that is done for many requests with one call.
pub trait Operation: 'static {
    /// What its threads are called.
    const NAME: &str;
    /// The most requests of one batch, at least one; on worker threads a request counts as its [`weight`](Self::weight).
    const MAX_BATCH: usize;
    /// What serves it.
    type Service: Clone + Send + Sync + 'static;
    /// What one request asks for.
    type Input: Send + 'static;
    /// What it gets.
    type Output: Send + 'static;

    /// How many requests `input` counts as. One that counts as more than a batch may have is a batch of its own.
    fn weight(_input: &Self::Input) -> usize {
        1
    }

    /// Serves each of `inputs`. The outputs are in their order, and no input fails because of another.
    fn run(service: &Self::Service, inputs: Vec<Self::Input>) -> Vec<Self::Output>;
}

/// How many requests may wait, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests that may wait in one queue.
    pub queue: usize,
    /// How long a request waits for its answer.
    pub deadline: Duration,
}

/// Which threads serve an operation.
#[derive(Debug, Clone, Copy)]
pub enum Workers<I> {
    /// Worker threads.
    Threads {
        /// How many queues there are.
        queues: usize,
        /// How many threads serve each of them.
        threads: usize,
        /// Which of `queues` a request waits in.
        queue_of: fn(&I, queues: usize) -> usize,
        /// Which requests may be in one batch: those of one group. One without a group is a batch of its own.
        group_of: fn(&I) -> Option<u64>,
        /// How many batches are served at a time unless they take long, and of each group one. `None`: as many as there are threads.
        at_once: Option<usize>,
        /// Whether a thread is replaced when its batch takes longer than the deadline.
        are_watched: bool,
    },
    /// The threads that call.
    Callers,
}

impl<I> Workers<I> {
    /// So many threads over one queue, which are replaced when they hang.
    #[must_use]
    pub fn threads(threads: usize) -> Self {
        let group_of = |_: &I| Some(0);
        Self::Threads { queues: 1, threads, queue_of: |_, _| 0, group_of, at_once: None, are_watched: true }
    }
}

/// A batched operation: its queues, and the loop that its workers run.
pub struct Batched<O: Operation> {
    service: O::Service,
    limits: Limits,
    workers: Workers<O::Input>,
    queues: Arc<[Queue<Pending<O>>]>,
    meter: Arc<Meter>,
}

/// A batched operation, as one thread calls it.
pub struct Local<O: Operation> {
    limits: Limits,
    meter: Arc<Meter>,
    served: ServedBy<O>,
}

enum ServedBy<O: Operation> {
    Threads { queues: Arc<[Queue<Pending<O>>]>, queue_of: fn(&O::Input, usize) -> usize },
    Caller(Rc<TurnBatcher<O>>),
}

/// A request that waits to be served.
pub(crate) struct Pending<O: Operation> {
    pub(crate) input: O::Input,
    pub(crate) until: Instant,
    pub(crate) answer: oneshot::Sender<Result<O::Output, ExecuteError>>,
}

impl<O: Operation> Batched<O> {
    /// An operation that `service` serves, on `workers` that have not been started.
    #[must_use]
    pub fn new(service: O::Service, limits: Limits, workers: Workers<O::Input>) -> Self {
        let (count, at_once) = match workers {
            Workers::Threads { queues, at_once, .. } => (queues, at_once),
            Workers::Callers => (0, None),
        };
        // A thread that hangs for longer than the deadline is replaced.
        let rule = |at_once| TurnRule { lasts: limits.deadline, at_once, young_for: YOUNG_FOR };
        let queues = (0..count).map(|_| Queue::new(limits.queue, at_once.map(rule))).collect();
        Self { service, limits, workers, queues, meter: Arc::new(Meter::new()) }
    }

    /// The worker threads: each works until it is replaced, or the operation is [closed](Batched::close).
    #[must_use]
    pub fn workers(&self) -> Vec<Worker> {
        let Workers::Threads { threads, group_of, are_watched: is_watched, .. } = self.workers else {
            return Vec::new();
        };
        let places = (0..self.queues.len()).flat_map(|queue| (0..threads).map(move |thread| (queue, thread)));
        let worker = |(place, thread)| {
            let (queues, service) = (Arc::clone(&self.queues), self.service.clone());
            let (meter, deadline) = (Arc::clone(&self.meter), self.limits.deadline);
            let work = move |turns: &Turns| {
                let queue: &Queue<Pending<O>> = &queues[place];
                let weight = |pending: &Pending<O>| O::weight(&pending.input);
                let group = |pending: &Pending<O>| group_of(&pending.input);
                while let Some(batch) = queue.pop_batch(O::MAX_BATCH, weight, group) {
                    let served = turns.take(|| run_batch(&service, batch.items, deadline, &meter));
                    queue.end(batch.turn);
                    if served.is_err() {
                        return;
                    }
                }
            };
            Worker { name: format!("{}-{place}-{thread}", O::NAME), work: Box::new(work), is_watched }
        };
        places.map(worker).collect()
    }

    /// The operation for the calling thread.
    #[must_use]
    pub fn local(&self) -> Local<O> {
        let served = match self.workers {
            Workers::Threads { queue_of, .. } => ServedBy::Threads { queues: Arc::clone(&self.queues), queue_of },
            Workers::Callers => {
                ServedBy::Caller(TurnBatcher::new(self.service.clone(), self.limits.queue, &self.meter))
            }
        };
        Local { limits: self.limits, meter: Arc::clone(&self.meter), served }
    }

    /// What has been counted of it.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.meter.read(O::NAME, self.queues.iter().map(Queue::len).sum())
    }

    /// Refuses further requests; the workers end once their queue is empty.
    pub fn close(&self) {
        self.queues.iter().for_each(Queue::close);
    }
}

impl<O: Operation> Clone for Local<O> {
    fn clone(&self) -> Self {
        let served = match &self.served {
            ServedBy::Threads { queues, queue_of } => {
                ServedBy::Threads { queues: Arc::clone(queues), queue_of: *queue_of }
            }
            ServedBy::Caller(batcher) => ServedBy::Caller(Rc::clone(batcher)),
        };
        Self { limits: self.limits, meter: Arc::clone(&self.meter), served }
    }
}

impl<O: Operation> Local<O> {
    /// Has `input` served in a batch with the requests that wait beside it.
    ///
    /// # Errors
    /// [`ExecuteError`]
    pub async fn call(&self, input: O::Input) -> Result<O::Output, ExecuteError> {
        let Limits { deadline, .. } = self.limits;
        match &self.served {
            ServedBy::Threads { queues, queue_of } => {
                let queue = queues.get(queue_of(&input, queues.len())).ok_or(ExecuteError::QueueFull)?;
                let (answer, answered) = oneshot::channel();
                queue
                    .push(Pending { input, until: Instant::now() + deadline, answer })
                    .inspect_err(|Full| self.meter.refused())?;
                match tokio::time::timeout(deadline, answered).await {
                    Ok(Ok(result)) => result,
                    // It was not started, because its turn came too late.
                    Ok(Err(_)) | Err(_) => Err(ExecuteError::DeadlineExceeded),
                }
            }
            ServedBy::Caller(batcher) => batcher.call(deadline, input).await,
        }
    }
}

impl From<Full> for ExecuteError {
    fn from(_: Full) -> Self {
        Self::QueueFull
    }
}

/// Runs one batch of requests, each of which waits for at most `deadline`.
pub(crate) fn run_batch<O: Operation>(service: &O::Service, batch: Vec<Pending<O>>, deadline: Duration, meter: &Meter) {
    let now = Instant::now();
    // A request that is too late, or whose caller has gone away, is left out: its result would be thrown away.
    let in_time = batch.into_iter().filter(|pending| now < pending.until && !pending.answer.is_closed());
    let waited = |pending: &Pending<O>| meter.waited(deadline.saturating_sub(pending.until.duration_since(now)));
    let (inputs, answers): (Vec<_>, Vec<_>) =
        in_time.inspect(waited).map(|pending| (pending.input, pending.answer)).unzip();
    if inputs.is_empty() {
        return;
    }
    meter.batch(inputs.len());
    for (answer, output) in answers.into_iter().zip(outputs::<O>(service, inputs)) {
        // The caller may have gone away meanwhile; what was done is done all the same.
        let _gone = answer.send(output);
    }
}

/// Runs a batch of one, which did not wait.
pub(crate) fn run_one<O: Operation>(
    service: &O::Service,
    input: O::Input,
    meter: &Meter,
) -> Result<O::Output, ExecuteError> {
    meter.waited(Duration::ZERO);
    meter.batch(1);
    outputs::<O>(service, vec![input]).next().unwrap_or(Err(ExecuteError::Panicked))
}

/// The output of each input. A panic that gets here comes from none of them alone: it fails this batch, and must not end
/// the thread that others wait for. Nothing is left half-changed: a transaction is rolled back when its connection
/// unwinds.
fn outputs<O: Operation>(
    service: &O::Service,
    inputs: Vec<O::Input>,
) -> impl Iterator<Item = Result<O::Output, ExecuteError>> {
    let outputs = catch_unwind(AssertUnwindSafe(|| O::run(service, inputs)));
    outputs.into_iter().flatten().map(Ok).chain(iter::repeat_with(|| Err(ExecuteError::Panicked)))
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::{Mutex, mpsc};
    use std::thread;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::test_callers::{Callers, block_on};
    use crate::threads::Threads;

    pub const DEADLINE: Duration = Duration::from_secs(50);

    /// Doubles numbers, and panics at 13.
    pub struct Double;

    /// A number, and what the test wants to know of the call that doubles it.
    pub struct Number {
        pub value: u32,
        /// How many were doubled by each call.
        pub calls: Arc<Mutex<Vec<usize>>>,
        /// Keeps the call from ending before the test says so.
        pub gate: Option<mpsc::Receiver<()>>,
    }

    impl Operation for Double {
        const NAME: &str = "double";
        const MAX_BATCH: usize = 128;
        type Service = ();
        type Input = Number;
        type Output = u32;

        fn run((): &(), numbers: Vec<Number>) -> Vec<u32> {
            numbers[0].calls.lock().expect("no panic before").push(numbers.len());
            for gate in numbers.iter().filter_map(|number| number.gate.as_ref()) {
                gate.recv().expect("the test opens it");
            }
            assert!(numbers.iter().all(|number| number.value != 13), "on purpose");
            numbers.into_iter().map(|number| number.value * 2).collect()
        }
    }

    /// Sends numbers while the only worker is busy with another one. Returns their answers, and how many were doubled by
    /// each call.
    fn behind_a_busy_worker(
        values: &[u32],
        goes_away: impl Fn(u32) -> bool,
    ) -> (Vec<Result<u32, ExecuteError>>, Vec<usize>) {
        let limits = Limits { queue: values.len() + 1, deadline: DEADLINE };
        let batched = Batched::<Double>::new((), limits, Workers::threads(1));
        let threads = Threads::start(batched.workers(), DEADLINE).expect("threads");
        let local = batched.local();
        let calls = Arc::<Mutex<Vec<usize>>>::default();
        let (open, gate) = mpsc::channel();
        let number = |value, gate| Number { value, calls: Arc::clone(&calls), gate };
        let answers = block_on(async {
            let mut busy = Box::pin(local.call(number(0, Some(gate))));
            assert_eq!(busy.as_mut().now_or_never(), None);
            while calls.lock().expect("no panic before").is_empty() {
                thread::yield_now();
            }
            let waiting = values.iter().map(|&value| (local.call(number(value, None)), goes_away(value)));
            let callers = Callers::start(waiting, 0);
            open.send(()).expect("the worker waits for it");
            assert_eq!(busy.await, Ok(0));
            callers.answers().await
        });
        batched.close();
        threads.join(Instant::now() + DEADLINE);
        let calls = calls.lock().expect("no panic before").split_off(1);
        (answers, calls)
    }

    #[test]
    fn requests_that_wait_together_share_calls_and_get_their_own_results() {
        let values: Vec<u32> = (100..400).collect();
        let (answers, calls) = behind_a_busy_worker(&values, |_| false);
        assert_eq!(answers, values.iter().map(|value| Ok(value * 2)).collect::<Vec<_>>());
        assert_eq!(calls, [Double::MAX_BATCH, Double::MAX_BATCH, 300 - 2 * Double::MAX_BATCH]);
    }

    #[test]
    fn a_request_whose_caller_has_gone_away_is_not_served() {
        let (answers, calls) = behind_a_busy_worker(&[1, 2, 3, 4, 5], |value| value % 2 == 0);
        assert_eq!((answers, calls), (vec![Ok(2), Ok(6), Ok(10)], vec![3]));
    }

    #[test]
    fn a_panic_ends_the_requests_of_its_batch_and_the_worker_goes_on() {
        let mut values: Vec<u32> = (100..100 + u32::try_from(Double::MAX_BATCH).expect("a small number")).collect();
        values[5] = 13;
        values.push(1);
        let (answers, _) = behind_a_busy_worker(&values, |_| false);
        let (last, panicked) = answers.split_last().expect("answers");
        assert!(panicked.iter().all(|answer| *answer == Err(ExecuteError::Panicked)));
        assert_eq!(*last, Ok(2));
    }

    #[test]
    fn a_closed_operation_refuses_requests() {
        let limits = Limits { queue: 1, deadline: DEADLINE };
        let batched = Batched::<Double>::new((), limits, Workers::threads(1));
        batched.close();
        let number = Number { value: 1, calls: Arc::default(), gate: None };
        assert_eq!(block_on(batched.local().call(number)), Err(ExecuteError::QueueFull));
    }

    #[test]
    fn each_queue_has_its_own_workers() {
        let (queue_of, group_of): (fn(&_, _) -> _, fn(&_) -> _) = (|_, _| 0, |_| Some(0));
        let workers = Workers::Threads { queues: 2, threads: 2, queue_of, group_of, at_once: None, are_watched: true };
        let batched = Batched::<Double>::new((), Limits { queue: 1, deadline: DEADLINE }, workers);
        let names: Vec<String> = batched.workers().into_iter().map(|worker| worker.name).collect();
        assert_eq!(names, ["double-0-0", "double-0-1", "double-1-0", "double-1-1"]);
    }
}
