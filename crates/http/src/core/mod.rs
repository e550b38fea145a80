//! Where async requests meet the synchronous service: a few threads, bounded queues, and a deadline.
//!
//! A request waits here for the database and nowhere else. Beyond the bound or the deadline it is answered at once,
//! and work whose caller has gone away is not begun. What crowds ask for stands in [lines](mod@line) of its own, whose
//! threads serve [many with one call](batch), or is [gathered](gathering) and read where it is asked for.

mod batch;
#[cfg(test)]
mod callers;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod crowds;
mod gathering;
mod jobs;
mod line;

use std::convert::Infallible;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use roster_application::ports::{CustomerKey, StoreError};
use roster_application::{AuthenticateError, Presented, Principal, Recognition, RegisterError, Registration, Roster};
use roster_domain::{Customer, CustomerId, Subscription, Tenant};
use tokio::sync::oneshot;

use batch::{Batch, Waiting};
use gathering::Gathering;
use jobs::{Job, Jobs};
use line::{Full, Line};

/// Where a database is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// By threads of their own. For a database that is reached over a connection.
    ByThreads,
    /// By the thread that has the requests: rows for a crowd together, pages one by one. For a database in the process,
    /// which reads a row faster than two threads can tell each other of it, and lets no reader wait for long.
    Here,
}

/// Why work was not done in time. It may still be done later, unless it was [`NotDone::Busy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotDone {
    /// Too many requests wait already.
    #[error("too many requests wait for the database")]
    Busy,
    /// The deadline passed.
    #[error("the database did not answer in time")]
    Late,
    /// The work panicked.
    #[error("a use case panicked")]
    Panicked,
}

impl From<Full> for NotDone {
    fn from(_: Full) -> Self {
        Self::Busy
    }
}

/// The threads that run use cases.
pub(crate) struct Core {
    shared: Arc<Shared>,
    /// Nothing is sent here: the end of it is the end of the thread that writes the uses of keys.
    uses: mpsc::Sender<Infallible>,
    threads: Vec<JoinHandle<()>>,
}

/// Where each thread that has requests gets its [`Handle`].
#[derive(Clone)]
pub(crate) struct Entrance(Arc<Shared>);

/// The way to the service, for the requests of one thread.
#[derive(Clone)]
pub(crate) struct Handle {
    shared: Arc<Shared>,
    here: Rc<Here>,
}

/// What the requests of one thread ask for and get [here](Reads::Here).
struct Here {
    credentials: Rc<Gathering<Authenticate>>,
    finds: Rc<Gathering<FindCustomers>>,
    subscriptions: Rc<Gathering<CurrentSubscriptions>>,
    others: Rc<Gathering<ReadAlone>>,
}

/// What requests and threads share.
struct Shared {
    roster: Roster,
    queue: usize,
    deadline: Duration,
    reads: Reads,
    jobs: Jobs,
    credentials: Line<Waiting<Authenticate>>,
    finds: Line<Waiting<FindCustomers>>,
    subscriptions: Line<Waiting<CurrentSubscriptions>>,
    registrations: Line<Waiting<RegisterCustomers>>,
    /// Those who wait for keys of an issuer of tokens, which keeps nobody else waiting.
    fetches: Jobs,
}

/// How long uses of keys may wait to be written.
const USES_PAUSE: Duration = Duration::from_secs(1);

/// How many threads the lines have together, beside those for everything else. Where reads are done [here](Reads::Here)
/// their lines have none, and leave nobody more.
///
/// One for each: two that found would share less, and keep two processes of the database busy with what one does faster;
/// two that wrote at the same time would wait for each other's locks besides.
const LINE_THREADS: usize = 4;

impl Core {
    /// Starts about `threads` threads, at least one for each line, for each of which at most `queue` requests wait,
    /// each at most until its `deadline`.
    pub(crate) fn start(
        roster: &Roster,
        threads: usize,
        queue: usize,
        deadline: Duration,
        reads: Reads,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            roster: roster.clone(),
            queue,
            deadline,
            reads,
            jobs: Jobs::new(queue),
            credentials: Line::new(queue),
            finds: Line::new(queue),
            subscriptions: Line::new(queue),
            registrations: Line::new(queue),
            fetches: Jobs::new(queue),
        });
        let (uses, end) = mpsc::channel();
        let mut core = Self { shared, uses, threads: Vec::new() };
        for number in 0..threads.saturating_sub(LINE_THREADS).max(1) {
            core.spawn(&format!("core-{number}"), |shared| shared.jobs.serve(&shared.roster))?;
        }
        if reads == Reads::ByThreads {
            core.spawn("credentials", |shared| batch::serve::<Authenticate>(&shared.roster, &shared.credentials))?;
            core.spawn("finds", |shared| batch::serve::<FindCustomers>(&shared.roster, &shared.finds))?;
            core.spawn("subscriptions", |shared| {
                batch::serve::<CurrentSubscriptions>(&shared.roster, &shared.subscriptions);
            })?;
        }
        core.spawn("registrations", |shared| {
            batch::serve::<RegisterCustomers>(&shared.roster, &shared.registrations);
        })?;
        core.spawn("token-keys", |shared| shared.fetches.serve(&shared.roster))?;
        core.spawn("key-uses", move |shared| record_uses(&shared.roster, &end))?;
        Ok(core)
    }

    /// Starts a thread that does `work`.
    fn spawn(&mut self, name: &str, work: impl FnOnce(&Shared) + Send + 'static) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new().name(name.to_owned());
        self.threads.push(thread.spawn(move || work(&shared))?);
        Ok(())
    }

    /// Where threads get the way to the service.
    pub(crate) fn entrance(&self) -> Entrance {
        Entrance(Arc::clone(&self.shared))
    }

    /// Lets the threads end once nobody waits for them any more, and waits for that, but not longer than `patience`: a
    /// thread that hangs in the database must not keep the process alive.
    pub(crate) fn stop(self, patience: Duration) {
        self.shared.close();
        drop(self.uses);
        let until = Instant::now() + patience;
        for thread in self.threads {
            while !thread.is_finished() && Instant::now() < until {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

impl Shared {
    fn close(&self) {
        self.jobs.close();
        self.credentials.close();
        self.finds.close();
        self.subscriptions.close();
        self.registrations.close();
        self.fetches.close();
    }
}

/// Waits for an answer until the deadline.
async fn wait<T>(deadline: Duration, answered: oneshot::Receiver<Result<T, NotDone>>) -> Result<T, NotDone> {
    match tokio::time::timeout(deadline, answered).await {
        Ok(Ok(result)) => result,
        // It was not begun, because its turn came too late.
        Ok(Err(_)) | Err(_) => Err(NotDone::Late),
    }
}

/// Writes the uses of keys now and then, and once more at the end.
fn record_uses(roster: &Roster, end: &mpsc::Receiver<Infallible>) {
    loop {
        let ended = end.recv_timeout(USES_PAUSE) == Err(RecvTimeoutError::Disconnected);
        if let Err(error) = roster.record_api_key_uses() {
            tracing::warn!(%error, "when keys were last used is not written");
        }
        if ended {
            return;
        }
    }
}

impl Entrance {
    /// The way to the service for the calling thread.
    pub(crate) fn handle(&self) -> Handle {
        let Shared { roster, queue, .. } = &*self.0;
        let here = Here {
            credentials: Gathering::new(roster.clone(), *queue),
            finds: Gathering::new(roster.clone(), *queue),
            subscriptions: Gathering::new(roster.clone(), *queue),
            others: Gathering::new(roster.clone(), *queue),
        };
        Handle { shared: Arc::clone(&self.0), here: Rc::new(here) }
    }
}

impl Handle {
    /// Runs `work` on one of the threads and waits for its result.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T, NotDone>
    where
        T: Send + 'static,
        F: FnOnce(&Roster) -> T + Send + 'static,
    {
        self.run_in(&self.shared.jobs, None, work).await
    }

    /// Runs `work`, which writes to a customer, after all that was asked for that customer before.
    pub(crate) async fn run_in_order<T, F>(&self, customer: CustomerKey, work: F) -> Result<T, NotDone>
    where
        T: Send + 'static,
        F: FnOnce(&Roster, &CustomerKey) -> T + Send + 'static,
    {
        let key = customer.clone();
        self.run_in(&self.shared.jobs, Some(customer), move |roster| work(roster, &key)).await
    }

    async fn run_in<T, F>(&self, jobs: &Jobs, customer: Option<CustomerKey>, work: F) -> Result<T, NotDone>
    where
        T: Send + 'static,
        F: FnOnce(&Roster) -> T + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let work = Box::new(move |roster: &Roster| {
            if answer.is_closed() {
                return;
            }
            // A panic ends one request, not the thread that others wait for. The service keeps no state that it could
            // leave half-changed: a transaction is undone when its connection unwinds.
            let result = catch_unwind(AssertUnwindSafe(|| work(roster))).map_err(|_| NotDone::Panicked);
            // Whoever waited may have left meanwhile; what was done is done all the same.
            let _gone = answer.send(result);
        });
        jobs.join(Job { work, until: Instant::now() + self.shared.deadline, customer })?;
        wait(self.shared.deadline, answered).await
    }

    /// Does a read that has nothing to share with others, such as of a page, and waits for its result.
    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T, NotDone>
    where
        T: Send + 'static,
        F: FnOnce(&Roster) -> T + Send + 'static,
    {
        match self.shared.reads {
            Reads::ByThreads => self.run(work).await,
            Reads::Here => {
                let (answer, mut answered) = oneshot::channel();
                let read = Box::new(move |roster: &Roster| drop(answer.send(work(roster))));
                self.here.others.run(self.shared.deadline, read).await?;
                answered.try_recv().map_err(|_| NotDone::Panicked)
            }
        }
    }

    /// Reads a row together with others.
    async fn read_row<B: Batch<Service = Roster>>(
        &self,
        line: &Line<Waiting<B>>,
        here: &Rc<Gathering<B>>,
        input: B::Input,
    ) -> Result<B::Output, NotDone> {
        match self.shared.reads {
            Reads::ByThreads => batch::run(line, self.shared.deadline, input).await,
            Reads::Here => here.run(self.shared.deadline, input).await,
        }
    }

    /// Says what is known of a credential, at once.
    pub(crate) fn recognise(&self, credential: &str) -> Recognition {
        self.shared.roster.recognise(credential)
    }

    /// Has the issuer of a token asked for its keys.
    pub(crate) async fn fetch_token_keys(&self, token: &str) -> Result<(), NotDone> {
        let token = token.to_owned();
        self.run_in(&self.shared.fetches, None, move |roster| roster.fetch_token_keys(&token)).await
    }

    /// Finds out who calls.
    pub(crate) async fn authenticate(
        &self,
        presented: Presented,
    ) -> Result<Result<Principal, AuthenticateError>, NotDone> {
        self.read_row(&self.shared.credentials, &self.here.credentials, presented).await
    }

    /// Finds a live customer.
    pub(crate) async fn find_customer(
        &self,
        key: CustomerKey,
    ) -> Result<Result<Option<Customer>, StoreError>, NotDone> {
        self.read_row(&self.shared.finds, &self.here.finds, key).await
    }

    /// Finds the active subscription of a customer that started last.
    pub(crate) async fn current_subscription(
        &self,
        tenant: Tenant,
        customer: CustomerId,
    ) -> Result<Result<Option<Subscription>, StoreError>, NotDone> {
        self.read_row(&self.shared.subscriptions, &self.here.subscriptions, (tenant, customer)).await
    }

    /// Registers a customer.
    pub(crate) async fn register_customer(
        &self,
        registration: Registration,
    ) -> Result<Result<Customer, RegisterError>, NotDone> {
        batch::run(&self.shared.registrations, self.shared.deadline, registration).await
    }
}

/// [`Roster::authenticate`]
struct Authenticate;

impl Batch for Authenticate {
    type Service = Roster;
    type Input = Presented;
    type Output = Result<Principal, AuthenticateError>;

    fn run(roster: &Roster, presented: Vec<Presented>) -> Vec<Self::Output> {
        roster.authenticate(&presented)
    }
}

/// [`Roster::find_customers`]
struct FindCustomers;

impl Batch for FindCustomers {
    type Service = Roster;
    type Input = CustomerKey;
    type Output = Result<Option<Customer>, StoreError>;

    fn run(roster: &Roster, keys: Vec<CustomerKey>) -> Vec<Self::Output> {
        roster.find_customers(&keys)
    }
}

/// [`Roster::current_subscriptions`]
struct CurrentSubscriptions;

impl Batch for CurrentSubscriptions {
    type Service = Roster;
    type Input = (Tenant, CustomerId);
    type Output = Result<Option<Subscription>, StoreError>;

    fn run(roster: &Roster, customers: Vec<(Tenant, CustomerId)>) -> Vec<Self::Output> {
        roster.current_subscriptions(&customers)
    }
}

/// A read by itself: while others of its kind wait, whoever asks for rows has a turn after each.
struct ReadAlone;

impl Batch for ReadAlone {
    const MAX_BATCH: usize = 1;
    type Service = Roster;
    type Input = Box<dyn FnOnce(&Roster) + Send>;
    type Output = ();

    fn run(roster: &Roster, reads: Vec<Self::Input>) -> Vec<()> {
        reads.into_iter().map(|read| read(roster)).collect()
    }
}

/// [`Roster::register_customers`]
struct RegisterCustomers;

impl Batch for RegisterCustomers {
    type Service = Roster;
    type Input = Registration;
    type Output = Result<Customer, RegisterError>;

    fn run(roster: &Roster, registrations: Vec<Registration>) -> Vec<Self::Output> {
        roster.register_customers(registrations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::sync::mpsc;

    use futures_util::FutureExt as _;
    use roster_application::ports::CustomerRef;
    use roster_domain::{Environment, MerchantId};
    use roster_memory::{CountingEntropy, CountingIds, FixedClock, MemoryStore};
    use uuid::Uuid;

    fn core(threads: usize, queue: usize, deadline: Duration) -> Core {
        start(threads, queue, deadline, Reads::ByThreads)
    }

    fn start(threads: usize, queue: usize, deadline: Duration, reads: Reads) -> Core {
        let roster = Roster::new(
            Arc::new(MemoryStore::default()),
            Arc::new(FixedClock::default()),
            Arc::new(CountingIds::default()),
            Arc::new(CountingEntropy::default()),
        );
        Core::start(&roster, threads, queue, deadline, reads).expect("threads")
    }

    fn customer(number: u128) -> CustomerKey {
        let tenant = Tenant { merchant: MerchantId::new(Uuid::nil()), environment: Environment::Live };
        CustomerKey { tenant, customer: CustomerRef::Id(CustomerId::new(Uuid::from_u128(number))) }
    }

    fn wait_for<T>(future: impl Future<Output = T>) -> T {
        actix_web::rt::System::new().block_on(future)
    }

    #[test]
    fn a_result_comes_back_to_whoever_asked() {
        let core = core(2, 64, Duration::from_secs(10));
        let handle = core.entrance().handle();
        let results = wait_for(async move {
            let all = (0..50).map(|number| handle.run(move |_| number * 2));
            futures_util::future::join_all(all).await
        });
        assert_eq!(results, (0..50).map(|number| Ok(number * 2)).collect::<Vec<_>>());
        core.stop(Duration::from_secs(10));
    }

    #[test]
    fn beyond_the_deadline_nobody_waits_and_work_that_waited_too_long_is_not_begun() {
        let core = core(1, 64, Duration::from_millis(20));
        let handle = core.entrance().handle();
        let (release, blocked) = mpsc::channel::<()>();
        let (begun, beginnings) = mpsc::channel();
        wait_for(async move {
            let hanging = handle.run(move |_| blocked.recv().is_ok());
            let behind = handle.run(move |_| begun.send(()).is_ok());
            let (hanging, behind) = futures_util::future::join(hanging, behind).await;
            assert_eq!((hanging, behind), (Err(NotDone::Late), Err(NotDone::Late)));
        });
        release.send(()).expect("the thread hangs there");
        core.stop(Duration::from_secs(10));
        assert!(beginnings.recv().is_err(), "work was begun that nobody waited for");
    }

    #[test]
    fn beyond_the_bound_of_the_queue_requests_are_refused_at_once() {
        let core = core(1, 1, Duration::from_secs(10));
        let handle = core.entrance().handle();
        let (release, blocked) = mpsc::channel::<()>();
        let (running, started) = mpsc::channel();
        wait_for(async move {
            let hanging = handle.run(move |_| running.send(()).is_ok() && blocked.recv().is_ok());
            let mut hanging = Box::pin(hanging);
            assert_eq!(hanging.as_mut().now_or_never(), None);
            started.recv().expect("the thread runs it");
            let mut waiting = Box::pin(handle.run(|_| true));
            assert_eq!(waiting.as_mut().now_or_never(), None);
            assert_eq!(handle.run(|_| true).await, Err(NotDone::Busy));
            release.send(()).expect("the thread hangs there");
            assert_eq!((hanging.await, waiting.await), (Ok(true), Ok(true)));
        });
        core.stop(Duration::from_secs(10));
    }

    #[test]
    fn a_panic_ends_one_request_and_the_thread_goes_on() {
        let core = core(1, 4, Duration::from_secs(10));
        let handle = core.entrance().handle();
        wait_for(async move {
            let panicked: Result<(), _> = handle.run(|_| panic!("on purpose")).await;
            assert_eq!(panicked, Err(NotDone::Panicked));
            assert_eq!(handle.run(|_| 1).await, Ok(1));
        });
        core.stop(Duration::from_secs(10));
    }

    #[test]
    fn reads_are_done_by_other_threads_or_by_the_one_that_asks() {
        for (reads, is_here) in [(Reads::ByThreads, false), (Reads::Here, true)] {
            let core = start(1, 4, Duration::from_secs(10), reads);
            let handle = core.entrance().handle();
            wait_for(async move {
                let reader = handle.read(|_| thread::current().id()).await;
                assert_eq!(reader.map(|id| id == thread::current().id()), Ok(is_here), "{reads:?}");
                let panicked: Result<(), _> = handle.read(|_| panic!("on purpose")).await;
                assert_eq!((panicked, handle.read(|_| 1).await), (Err(NotDone::Panicked), Ok(1)), "{reads:?}");
            });
            core.stop(Duration::from_secs(10));
        }
    }

    #[test]
    fn whoever_reads_here_lets_others_have_their_turn_after_each() {
        let core = start(1, 64, Duration::from_secs(10), Reads::Here);
        let handle = core.entrance().handle();
        let turns_before = wait_for(async move {
            let turn = Arc::<AtomicUsize>::default();
            let counted = Arc::clone(&turn);
            actix_web::rt::spawn(async move {
                loop {
                    counted.fetch_add(1, Relaxed);
                    tokio::task::yield_now().await;
                }
            });
            let read = |_| {
                let turn = Arc::clone(&turn);
                handle.read(move |_| turn.load(Relaxed))
            };
            futures_util::future::join_all((0..5).map(read)).await
        });
        // Who gives way together may go on in either order, so one turn may lie between two others.
        let in_turn = |(place, turn): (usize, &Result<usize, NotDone>)| turn.is_ok_and(|turn| turn + 1 >= place);
        assert!(turns_before.iter().enumerate().all(in_turn), "{turns_before:?}");
        core.stop(Duration::from_secs(10));
    }

    #[test]
    fn what_is_asked_for_one_customer_is_done_in_the_order_in_which_it_came_however_many_threads_there_are() {
        let core = core(LINE_THREADS + 3, 64, Duration::from_secs(50));
        let handle = core.entrance().handle();
        let (release, blocked) = mpsc::channel::<()>();
        let (begun, beginnings) = mpsc::channel();
        let write = |customer, number| {
            let begun = begun.clone();
            handle.run_in_order(customer, move |_, _| begun.send(number).is_ok())
        };
        wait_for(async {
            let hanging = handle.run_in_order(customer(1), move |_, _| blocked.recv().is_ok());
            let waiting = (2..6).map(|number| write(customer(1), number));
            let mut waiting: Vec<_> = waiting.map(Box::pin).collect();
            let mut hanging = Box::pin(hanging);
            assert_eq!(hanging.as_mut().now_or_never(), None);
            for write in &mut waiting {
                assert_eq!(write.as_mut().now_or_never(), None);
            }
            // A thread that is free does this, and would have begun what came before it.
            assert_eq!(write(customer(2), 1).await, Ok(true));
            release.send(()).expect("a thread hangs there");
            assert_eq!(hanging.await, Ok(true));
            assert_eq!(futures_util::future::join_all(waiting).await, [Ok(true); 4]);
            // Nobody stands there any more, so that the next one stands in line again.
            assert_eq!(write(customer(1), 6).await, Ok(true));
        });
        assert_eq!(beginnings.try_iter().collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
        core.stop(Duration::from_secs(10));
    }

    #[test]
    fn who_writes_to_one_customer_again_and_again_lets_others_have_their_turn() {
        let core = core(1, 64, Duration::from_secs(50));
        let handle = core.entrance().handle();
        let (release, blocked) = mpsc::channel::<()>();
        let (begun, beginnings) = mpsc::channel();
        let write = |customer, name| {
            let begun = begun.clone();
            Box::pin(handle.run_in_order(customer, move |_, _| begun.send(name).is_ok()))
        };
        wait_for(async {
            let mut hanging = Box::pin(handle.run_in_order(customer(1), move |_, _| blocked.recv().is_ok()));
            assert_eq!(hanging.as_mut().now_or_never(), None);
            let mut waiting = [
                write(customer(1), "second"),
                write(customer(1), "third"),
                write(customer(2), "another's first"),
                write(customer(2), "another's second"),
            ];
            for write in &mut waiting {
                assert_eq!(write.as_mut().now_or_never(), None);
            }
            release.send(()).expect("a thread hangs there");
            assert_eq!(hanging.await, Ok(true));
            assert_eq!(futures_util::future::join_all(waiting).await, [Ok(true); 4]);
        });
        let order: Vec<_> = beginnings.try_iter().collect();
        assert_eq!(order, ["another's first", "second", "another's second", "third"]);
        core.stop(Duration::from_secs(10));
    }

    #[test]
    fn no_more_wait_behind_one_for_the_same_customer_than_wait_in_line() {
        let core = core(1, 2, Duration::from_secs(10));
        let handle = core.entrance().handle();
        let (release, blocked) = mpsc::channel::<()>();
        wait_for(async {
            let mut hanging = Box::pin(handle.run_in_order(customer(1), move |_, _| blocked.recv().is_ok()));
            assert_eq!(hanging.as_mut().now_or_never(), None);
            let mut waiting: Vec<_> = (0..2).map(|_| Box::pin(handle.run_in_order(customer(1), |_, _| true))).collect();
            for write in &mut waiting {
                assert_eq!(write.as_mut().now_or_never(), None);
            }
            assert_eq!(handle.run_in_order(customer(1), |_, _| true).await, Err(NotDone::Busy));
            release.send(()).expect("a thread hangs there");
            assert_eq!(hanging.await, Ok(true));
            assert_eq!(futures_util::future::join_all(waiting).await, [Ok(true); 2]);
        });
        core.stop(Duration::from_secs(10));
    }

    #[test]
    fn a_panic_keeps_nobody_behind_it_from_being_served() {
        let core = core(1, 4, Duration::from_secs(10));
        let handle = core.entrance().handle();
        wait_for(async {
            let panics = handle.run_in_order::<(), _>(customer(1), |_, _| panic!("on purpose"));
            let behind = handle.run_in_order(customer(1), |_, _| true);
            let (panicked, behind) = futures_util::future::join(panics, behind).await;
            assert_eq!((panicked, behind), (Err(NotDone::Panicked), Ok(true)));
        });
        core.stop(Duration::from_secs(10));
    }

    #[test]
    fn a_thread_that_hangs_does_not_keep_the_process() {
        let core = core(1, 4, Duration::from_millis(5));
        let handle = core.entrance().handle();
        let (_never, blocked) = mpsc::channel::<()>();
        wait_for(async move { handle.run(move |_| blocked.recv().is_ok()).await }).expect_err("it hangs");
        core.stop(Duration::from_millis(5));
    }
}
