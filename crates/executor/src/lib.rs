//! Where async requests meet the synchronous use cases: a few threads, bounded queues, batches, and one deadline.
//!
//! Nothing else waits for the database. A request that finds its queue full, or passes its deadline, is answered at once,
//! and work whose caller has gone away is not started.
//!
//! [`operations`](mod@operations) declares everything that is batched; read it first. [`batched`] has the mechanism: one
//! batched operation owns its queue, its worker threads and its loop, or is done by the calling thread
//! ([`turn_batcher`]). [`threads`] starts the workers, and replaces one that hangs. [`background`] does what is to be done now
//! and then, [`replica`] decides which reads a replica serves, [`feeds`] tells those who wait for events when there are some. [`figures`] and
//! [`backlog`] are for those who watch the service. The crate knows no HTTP framework, no database and no surface.

mod aside;
mod background;
mod backlog;
pub mod batched;
#[cfg(test)]
mod batching_tests;
mod feeds;
mod figures;
mod operations;
mod queue;
mod replica;
#[cfg(test)]
mod test_callers;
pub mod threads;
mod turn_batcher;

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use roster_application::ports::StoreError;
use roster_application::{
    CursorKey, EventBacklog, OperatorError, OperatorPrincipal, OperatorRecognition, Recognition, Roster, SecretError,
};
use roster_domain::{Tenant, Timestamp};
use tokio::sync::{Mutex, oneshot, watch};

use aside::Aside;
use background::Background;
use backlog::Backlog;
use batched::{Limits, Local, Operation};
use feeds::Feeds;
use operations::{Job, LocalOperations, Operations};
use replica::Replica;
use threads::Threads;

pub use aside::MAX_ASIDE;
pub use figures::{Distribution, Figures};
pub use replica::{RequestReads, Source, replica_deadline};

/// Which threads read the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Worker threads. For a database that is reached over a connection.
    ByWorkers,
    /// The same, and all requests of a batch are of one tenant, those that write, too; batches of different tenants are served at the same
    /// time. For a database with the tenants on several servers: one that is down fails the requests of its own tenants only.
    ByWorkersOfTenants,
    /// The thread that has the request: rows in batches, pages one by one. For a database inside the process, which reads
    /// a row faster than two threads can wake each other.
    ByCallers,
}

/// How requests are executed.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Threads for all requests that wait for the database; each holds at most one connection. At least one per batched
    /// operation is started, whatever this says. Deliveries to webhooks have two more.
    pub threads: usize,
    /// Threads among them that write customers. Each tenant has one of them, so that two writers never compete for the
    /// same keys. At least one.
    pub writers: usize,
    /// Requests that may wait in one queue.
    pub queue: usize,
    /// How long a request waits for its answer, the time in the queue included.
    pub deadline: Duration,
    /// Which threads read.
    pub reads: Reads,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExecuteError {
    /// Too many requests wait already; this one was not started.
    #[error("too many requests wait for the database")]
    QueueFull,
    /// The deadline passed. What was started may still be done.
    #[error("the database did not answer in time")]
    DeadlineExceeded,
    /// The work panicked.
    #[error("a use case panicked")]
    Panicked,
}

/// The threads that run use cases.
pub struct Executor {
    shared: Arc<Shared>,
    background: Background,
    threads: Threads,
}

/// Gives each thread that has requests its [`Handle`].
#[derive(Clone)]
pub struct Handles(Arc<Shared>);

/// Calls use cases for the requests of one thread.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    operations: LocalOperations,
    /// What is read from the replica, if there is one.
    replica: Option<Rc<operations::replica::LocalOperations>>,
}

/// What all threads share.
struct Shared {
    roster: Roster,
    aside: Aside,
    settings: Settings,
    operations: Operations,
    replica: Option<Arc<Replica>>,
    feeds: Arc<Feeds>,
    backlog: Arc<Backlog>,
    /// The last result of a check of the store, and when it was there.
    last_check: Mutex<Option<(Instant, CheckResult)>>,
}

/// Whether the store answers, and takes writes.
type CheckResult = Result<Result<(), StoreError>, ExecuteError>;

/// How long the result of a check of the store is good. Checks need no credential, so they must be cheap.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);

impl Executor {
    /// Starts the threads.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn start(roster: &Roster, settings: Settings) -> io::Result<Self> {
        let limits = Limits { queue: settings.queue, deadline: settings.deadline };
        let operations = Operations::new(roster, limits, settings);
        let feeds = Arc::new(Feeds::default());
        let backlog = Arc::new(Backlog::default());
        let replica = Replica::of(roster, settings).map(Arc::new);
        let (background, jobs) = Background::of(roster, &feeds, &backlog, replica.as_ref());
        let mut workers = operations.workers();
        workers.extend(replica.iter().flat_map(|replica| replica.workers()));
        workers.extend(jobs);
        let threads = Threads::start(workers, settings.deadline)?;
        let (aside, last_check) = (Aside::default(), Mutex::default());
        let roster = roster.clone();
        let shared = Shared { roster, aside, settings, operations, replica, feeds, backlog, last_check };
        Ok(Self { shared: Arc::new(shared), background, threads })
    }

    /// Where threads get their handle.
    #[must_use]
    pub fn handles(&self) -> Handles {
        Handles(Arc::clone(&self.shared))
    }

    /// Lets the threads end once their queues are empty, and waits for that, but not longer than `patience`: a thread that
    /// hangs in the database must not keep the process alive.
    pub fn stop(self, patience: Duration) {
        self.shared.operations.close();
        self.shared.replica.iter().for_each(|replica| replica.close());
        drop(self.background);
        self.threads.join(Instant::now() + patience);
    }
}

impl Handles {
    /// The handle of the calling thread.
    #[must_use]
    pub fn handle(&self) -> Handle {
        let replica = self.0.replica.as_ref().map(|replica| replica.local());
        Handle { shared: Arc::clone(&self.0), operations: self.0.operations.local(), replica }
    }

    /// What has been counted of each operation.
    #[must_use]
    pub fn figures(&self) -> Vec<Figures> {
        let mut figures = self.0.operations.figures();
        figures.extend(self.0.replica.iter().flat_map(|replica| replica.figures()));
        figures
    }

    /// How many reads of customers have gone where. Without a replica none is counted.
    #[must_use]
    pub fn reads(&self) -> Vec<(Source, u64)> {
        let counts = self.0.replica.as_ref().map(|replica| replica.state().counts());
        counts.unwrap_or_else(|| Source::ALL.into_iter().map(|source| (source, 0)).collect())
    }

    /// What is not delivered to webhook endpoints: some seconds old. `None` if it is not known, as at the first call, from which on
    /// a background job looks it up.
    #[must_use]
    pub fn event_backlog(&self) -> Option<EventBacklog> {
        self.0.backlog.read()
    }
}

impl Handle {
    /// What is known of a credential without waiting for anything.
    #[must_use]
    pub fn recognise(&self, credential: &str) -> Recognition {
        self.shared.roster.recognise(credential)
    }

    /// The time of the service's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.roster.now()
    }

    /// The key that authenticates cursors. Only the first call of the process asks the store: `roster serve` makes it before
    /// there are requests.
    ///
    /// # Errors
    /// [`SecretError`]
    pub fn cursor_key(&self) -> Result<CursorKey, SecretError> {
        self.shared.roster.cursor_key()
    }

    /// Asks the issuer of a token for its keys.
    ///
    /// # Errors
    /// [`ExecuteError`]
    pub async fn fetch_token_keys(&self, token: &str) -> Result<(), ExecuteError> {
        let token = token.to_owned();
        self.operations.token_keys.call(Box::new(move |roster| roster.fetch_token_keys(&token))).await
    }

    /// Whether an operator was ever created.
    ///
    /// # Errors
    /// [`ExecuteError`]
    pub async fn has_operators(&self) -> Result<Result<bool, StoreError>, ExecuteError> {
        match self.shared.roster.knows_of_operators() {
            Some(known) => Ok(Ok(known)),
            None => run_as(&self.operations.operators, Roster::has_operators).await,
        }
    }

    /// The operator whose key `credential` is. A key that was valid a while ago may be accepted although the store does not answer.
    ///
    /// # Errors
    /// [`ExecuteError`]
    pub async fn authenticate_operator(
        &self,
        credential: &str,
    ) -> Result<Result<OperatorPrincipal, OperatorError>, ExecuteError> {
        let roster = &self.shared.roster;
        let digest = match roster.recognise_operator(credential) {
            OperatorRecognition::Operator(operator) => return Ok(Ok(operator)),
            OperatorRecognition::LookUp(digest) => digest,
            OperatorRecognition::Refused => return Ok(Err(OperatorError::Refused)),
        };
        let look_up = move |roster: &Roster| roster.authenticate_operator(&digest);
        let authenticated = run_as(&self.operations.operators, look_up).await;
        let is_outage = match &authenticated {
            Err(ExecuteError::QueueFull | ExecuteError::DeadlineExceeded) => true,
            Ok(Err(OperatorError::Store(error))) => error.is_outage(),
            Err(ExecuteError::Panicked) | Ok(_) => false,
        };
        let in_grace = is_outage.then(|| roster.operator_in_grace(&digest)).flatten();
        in_grace.map_or(authenticated, |operator| Ok(Ok(operator)))
    }

    /// Checks that the store answers and takes writes. All that ask at the same time, or within [`CHECK_INTERVAL`], share
    /// one look.
    ///
    /// # Errors
    /// [`ExecuteError`]
    pub async fn check_store(&self) -> CheckResult {
        let look = async {
            let mut last = self.shared.last_check.lock().await;
            if let Some((at, result)) = &*last
                && at.elapsed() < CHECK_INTERVAL
            {
                return result.clone();
            }
            let result = run_as(&self.operations.check_store, Roster::check_store).await;
            *last = Some((Instant::now(), result.clone()));
            result
        };
        let looked = tokio::time::timeout(self.shared.settings.deadline, look).await;
        looked.unwrap_or(Err(ExecuteError::DeadlineExceeded))
    }

    /// The last place of the log of a tenant, as it grows: some milliseconds late, and 0 until it was looked up.
    ///
    /// Ask for it before the log is read. It changes after every event that was not read.
    #[must_use]
    pub fn watch_feed(&self, tenant: Tenant) -> watch::Receiver<i64> {
        self.shared.feeds.watch(tenant)
    }

    /// How long a request waits for its answer.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.shared.settings.deadline
    }

    /// Begins `work` that takes long, on a thread of its own, of which there are [`MAX_ASIDE`].
    ///
    /// # Errors
    /// [`ExecuteError::QueueFull`] if as many run.
    pub fn run_aside(&self, work: impl FnOnce(&Roster) + Send + 'static) -> Result<(), ExecuteError> {
        self.shared.aside.run(&self.shared.roster, work)
    }

    /// Runs `work`, which may write, on a worker thread.
    ///
    /// # Errors
    /// [`ExecuteError`]
    pub async fn run<T, F>(&self, work: F) -> Result<T, ExecuteError>
    where
        T: Send + 'static,
        F: FnOnce(&Roster) -> T + Send + 'static,
    {
        run_as(&self.operations.jobs, work).await
    }

    /// Runs `work` on deliveries to webhooks, on threads that no request uses.
    ///
    /// # Errors
    /// [`ExecuteError`]
    pub async fn work_on_deliveries<T, F>(&self, work: F) -> Result<T, ExecuteError>
    where
        T: Send + 'static,
        F: FnOnce(&Roster) -> T + Send + 'static,
    {
        run_as(&self.operations.deliveries, work).await
    }

    /// Runs `work`, which only reads, such as a page of a list.
    ///
    /// # Errors
    /// [`ExecuteError`]
    pub async fn read<T, F>(&self, work: F) -> Result<T, ExecuteError>
    where
        T: Send + 'static,
        F: FnOnce(&Roster) -> T + Send + 'static,
    {
        match self.shared.settings.reads {
            Reads::ByWorkers | Reads::ByWorkersOfTenants => self.run(work).await,
            Reads::ByCallers => run_as(&self.operations.pages, work).await,
        }
    }
}

/// Runs `work` as a job of `operation`, and brings back what it returns.
async fn run_as<O, T, F>(operation: &Local<O>, work: F) -> Result<T, ExecuteError>
where
    O: Operation<Output = ()>,
    O::Input: From<Job>,
    T: Send + 'static,
    F: FnOnce(&Roster) -> T + Send + 'static,
{
    let (send, mut receive) = oneshot::channel();
    let job: Job = Box::new(move |roster| drop(send.send(work(roster))));
    operation.call(job.into()).await?;
    receive.try_recv().map_err(|_| ExecuteError::Panicked)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::sync::mpsc;
    use std::thread;

    use futures_util::FutureExt as _;
    use futures_util::future::{join, join_all};
    use roster_application::{ApiKeyOrder, Operation, PageSize, Scopes};
    use roster_domain::{Environment, MerchantName, Tenant};
    use roster_memory::{CountingEntropy, CountingIds, FixedClock, MemoryStore};

    use super::*;
    use crate::test_callers::block_on;

    const PATIENCE: Duration = Duration::from_secs(10);

    pub(crate) fn roster() -> Roster {
        Roster::new(
            Arc::new(MemoryStore::default()),
            Arc::new(FixedClock::default()),
            Arc::new(CountingIds::default()),
            Arc::new(CountingEntropy::default()),
        )
    }

    /// An executor with one thread for jobs.
    fn executor(queue: usize, deadline: Duration, reads: Reads) -> Executor {
        Executor::start(&roster(), Settings { threads: 1, writers: 1, queue, deadline, reads }).expect("threads")
    }

    #[test]
    fn each_caller_gets_its_own_result() {
        let settings = Settings { threads: 6, writers: 1, queue: 64, deadline: PATIENCE, reads: Reads::ByWorkers };
        let executor = Executor::start(&roster(), settings).expect("threads");
        let handle = executor.handles().handle();
        let results = block_on(join_all((0..50).map(|number| handle.run(move |_| number * 2))));
        assert_eq!(results, (0..50).map(|number| Ok(number * 2)).collect::<Vec<_>>());
        executor.stop(PATIENCE);
    }

    #[test]
    fn requests_are_answered_at_their_deadline_and_late_work_is_not_started() {
        let executor = executor(64, Duration::from_millis(20), Reads::ByWorkers);
        let handle = executor.handles().handle();
        let (release, blocked) = mpsc::channel::<()>();
        let (start, starts) = mpsc::channel();
        block_on(async {
            let hanging = handle.run(move |_| blocked.recv().is_ok());
            let waiting = handle.run(move |_| start.send(()).is_ok());
            let late = Err(ExecuteError::DeadlineExceeded);
            assert_eq!(join(hanging, waiting).await, (late, late));
        });
        // On a busy machine the thread had no turn before the deadline, and hangs nowhere.
        let _ = release.send(());
        executor.stop(PATIENCE);
        assert!(starts.recv().is_err(), "work was started that no caller waited for");
    }

    #[test]
    fn a_full_queue_refuses_requests_at_once() {
        let executor = executor(1, PATIENCE, Reads::ByWorkers);
        let handle = executor.handles().handle();
        let (release, blocked) = mpsc::channel::<()>();
        let (start, started) = mpsc::channel();
        block_on(async {
            let mut hanging = Box::pin(handle.run(move |_| start.send(()).is_ok() && blocked.recv().is_ok()));
            assert_eq!(hanging.as_mut().now_or_never(), None);
            started.recv().expect("the thread runs it");
            let mut waiting = Box::pin(handle.run(|_| true));
            assert_eq!(waiting.as_mut().now_or_never(), None);
            assert_eq!(handle.run(|_| true).await, Err(ExecuteError::QueueFull));
            release.send(()).expect("the thread hangs there");
            assert_eq!((hanging.await, waiting.await), (Ok(true), Ok(true)));
        });
        executor.stop(PATIENCE);
    }

    #[test]
    fn a_panic_ends_one_request_and_the_thread_goes_on() {
        let executor = executor(4, PATIENCE, Reads::ByWorkers);
        let handle = executor.handles().handle();
        block_on(async {
            let panics = handle.run::<(), _>(|_| panic!("on purpose"));
            let waiting = handle.run(|_| 1);
            assert_eq!(join(panics, waiting).await, (Err(ExecuteError::Panicked), Ok(1)));
        });
        executor.stop(PATIENCE);
    }

    #[test]
    fn reads_are_done_by_workers_or_by_the_calling_thread() {
        for (reads, is_caller) in [(Reads::ByWorkers, false), (Reads::ByCallers, true)] {
            let executor = executor(4, PATIENCE, reads);
            let handle = executor.handles().handle();
            block_on(async {
                let reader = handle.read(|_| thread::current().id()).await;
                assert_eq!(reader.map(|id| id == thread::current().id()), Ok(is_caller), "{reads:?}");
                let panicked: Result<(), _> = handle.read(|_| panic!("on purpose")).await;
                let next = handle.read(|_| 1).await;
                assert_eq!((panicked, next), (Err(ExecuteError::Panicked), Ok(1)), "{reads:?}");
            });
            executor.stop(PATIENCE);
        }
    }

    #[test]
    fn a_thread_that_reads_lets_other_tasks_have_their_turn_after_each_page() {
        let executor = executor(64, PATIENCE, Reads::ByCallers);
        let handle = executor.handles().handle();
        let turns_before = block_on(async {
            let turn = Arc::<AtomicUsize>::default();
            let counted = Arc::clone(&turn);
            tokio::task::spawn_local(async move {
                loop {
                    counted.fetch_add(1, Relaxed);
                    tokio::task::yield_now().await;
                }
            });
            let read = |_| {
                let turn = Arc::clone(&turn);
                handle.read(move |_| turn.load(Relaxed))
            };
            join_all((0..5).map(read)).await
        });
        // Tasks that yield together may go on in either order, so one turn may lie between two others.
        let in_turn = |(place, turn): (usize, &Result<usize, ExecuteError>)| turn.is_ok_and(|turn| turn + 1 >= place);
        assert!(turns_before.iter().enumerate().all(in_turn), "{turns_before:?}");
        executor.stop(PATIENCE);
    }

    #[test]
    fn uses_of_keys_are_written_before_the_executor_stops() {
        let roster = roster();
        let merchant = roster
            .create_merchant(MerchantName::parse("Ada & Co").expect("a name"), &Operation::COMMAND_LINE)
            .expect("a merchant");
        let tenant = Tenant { merchant: merchant.id, environment: Environment::Live };
        let order = ApiKeyOrder { tenant, name: None, scopes: Scopes::DEFAULT, expires_at: None };
        let key = roster.create_api_key(order, &Operation::COMMAND_LINE).expect("a key");
        let settings = Settings { threads: 1, writers: 1, queue: 1, deadline: PATIENCE, reads: Reads::ByWorkers };
        let executor = Executor::start(&roster, settings).expect("threads");
        let handle = executor.handles().handle();
        let Recognition::LookUp(presented) = handle.recognise(key.secret.reveal()) else { panic!("it is unknown") };
        let principal = block_on(handle.authenticate(presented)).expect("an answer").expect("a valid key");
        assert_eq!(principal.api_key, Some(key.key.id));
        executor.stop(PATIENCE);
        let keys = roster.list_api_keys(tenant, None, PageSize::DEFAULT).expect("a page").items;
        assert!(keys[0].last_used_at.is_some());
    }

    #[test]
    fn a_thread_that_hangs_does_not_keep_the_process() {
        let executor = executor(4, Duration::from_millis(5), Reads::ByWorkers);
        let handle = executor.handles().handle();
        let (_never, blocked) = mpsc::channel::<()>();
        block_on(handle.run(move |_| blocked.recv().is_ok())).expect_err("it hangs");
        executor.stop(Duration::from_millis(5));
    }
}
