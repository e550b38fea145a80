//! Everything that is batched, declared once.
//!
//! To add an operation, add it to `operations!` below: its name, what one request asks for and gets, the use case that
//! serves a batch, and which threads run it.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use roster_application::ports::{CustomerKey, CustomerQuery, StoreError};
use roster_application::{
    Answer, AuthenticateError, CustomerPage, ListError, Presented, Principal, Roster, WriteRequest,
};
use roster_domain::{Customer, CustomerId, Subscription, Tenant};

use crate::batched::{Batched, Limits, Local, Operation, Workers};
use crate::figures::Figures;
use crate::threads::Worker;
use crate::{ExecuteError, Handle, Reads, Settings};

/// The most commands of a list that are one entry of a queue. They take a writer some milliseconds, for which single
/// requests wait.
pub(crate) const PART: usize = 100;

/// Work that is not batched.
pub(crate) type Job = Box<dyn FnOnce(&Roster) + Send>;

/// What the threads do that serve everything else.
pub(crate) enum Work {
    /// Anything, by itself.
    Job(Job),
    /// A [plain](CustomerQuery::is_plain) page, which is read together with others.
    Page(Box<WantedPage>),
}

/// A page of customers, and what is done with it on the thread that has read it.
pub(crate) struct WantedPage {
    pub(crate) query: CustomerQuery,
    pub(crate) then: Box<Then>,
}

type Then = dyn FnOnce(&Roster, Result<CustomerPage, ListError>) + Send;

impl From<Job> for Work {
    fn from(job: Job) -> Self {
        Self::Job(job)
    }
}

impl Work {
    fn weight(&self) -> usize {
        match self {
            Self::Job(_) => 1,
            Self::Page(page) => page.query.limit,
        }
    }
}

/// Declares operations: `name: Type(input) -> output, at most n in a batch, run by workers, { use case }`, and perhaps
/// `weighing` for how many of the n an input counts.
macro_rules! operations {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident: $operation:ident($input:ty) -> $output:ty, at most $max:literal, by $workers:expr, $run:expr
        $(, weighing $weight:expr)?;
    )+) => {
        $(
            $(#[doc = $doc])+
            pub(crate) struct $operation;

            impl Operation for $operation {
                const NAME: &str = stringify!($name);
                const MAX_BATCH: usize = $max;
                type Service = Roster;
                type Input = $input;
                type Output = $output;

                $(fn weight(input: &$input) -> usize {
                    let weight: fn(&$input) -> usize = $weight;
                    weight(input)
                })?

                fn run(roster: &Roster, inputs: Vec<$input>) -> Vec<$output> {
                    let run: fn(&Roster, Vec<$input>) -> Vec<$output> = $run;
                    run(roster, inputs)
                }
            }
        )+

        /// The operations, as all threads share them.
        pub(crate) struct Operations {
            $($name: Batched<$operation>,)+
        }

        /// The operations, as one thread calls them.
        #[derive(Clone)]
        pub(crate) struct LocalOperations {
            $(pub(crate) $name: Local<$operation>,)+
        }

        impl Operations {
            pub(crate) fn new(roster: &Roster, limits: Limits, settings: Settings) -> Self {
                $(
                    let workers: fn(Settings) -> Workers<$input> = $workers;
                    let $name = Batched::new(roster.clone(), limits, workers(settings));
                )+
                Self { $($name,)+ }
            }

            /// The worker threads, each of which works until it is closed.
            pub(crate) fn workers(&self) -> Vec<Worker> {
                let mut workers = Vec::new();
                $(workers.extend(self.$name.workers());)+
                workers
            }

            /// What has been counted of each operation.
            pub(crate) fn figures(&self) -> Vec<Figures> {
                vec![$(self.$name.figures(),)+]
            }

            /// The operations for the calling thread.
            pub(crate) fn local(&self) -> LocalOperations {
                LocalOperations { $($name: self.$name.local(),)+ }
            }

            /// Refuses further requests; workers end once their queue is empty.
            pub(crate) fn close(&self) {
                $(self.$name.close();)+
            }
        }
    };
}

pub(crate) mod replica;

operations! {
    /// [`Roster::authenticate`]
    authenticate: Authenticate(Presented) -> Result<Principal, AuthenticateError>,
        at most 128, by reader, |roster, presented| roster.authenticate(&presented);
    /// The same, for credentials that are likely valid. On a thread of its own: those that anyone can make up, however
    /// many, must not keep them waiting.
    authenticate_again: AuthenticateAgain(Presented) -> Result<Principal, AuthenticateError>,
        at most 128, by reader, |roster, presented| roster.authenticate(&presented);
    /// [`Roster::find_customers`]
    find_customer: FindCustomer(CustomerKey) -> Result<Option<Customer>, StoreError>,
        at most 128, by readers, |roster, keys| roster.find_customers(&keys);
    /// [`Roster::current_subscriptions`]
    current_subscription: CurrentSubscription((Tenant, CustomerId)) -> Result<Option<Subscription>, StoreError>,
        at most 128, by readers, |roster, customers| roster.current_subscriptions(&customers);
    /// [`Roster::write_customers`]
    write_customers: WriteCustomers(Vec<WriteRequest>) -> Vec<Answer>,
        at most 128, by writers, write_lists, weighing Vec::len;
    /// Pages of lists, where the calling thread reads. One at a time: after each page, requests for rows have their turn.
    pages: ReadPage(Job) -> (), at most 1, by reader_of_pages, run_jobs;
    /// Work that is not read by the calling thread: plain pages together, all else by itself.
    jobs: RunJob(Work) -> (), at most 256, by the_other_threads, work, weighing Work::weight;
    /// Work on deliveries to webhooks. On threads of its own: deliveries, however many, must not keep requests waiting.
    deliveries: WorkOnDeliveries(Job) -> (), at most 1, by two_threads, run_jobs;
    /// [`Roster::check_store`]. On a thread of its own: requests that fill the other queues must not make the service look
    /// dead.
    check_store: CheckStore(Job) -> (), at most 1, by one_thread, run_jobs;
    /// Requests to issuers of tokens, which may be slow and must not keep others waiting.
    token_keys: FetchTokenKeys(Job) -> (), at most 1, by one_patient_thread, run_jobs;
    /// [`Roster::authenticate_operator`] and [`Roster::has_operators`]. On a thread of its own: keys of operators that anyone can
    /// make up, however many, must not keep other requests waiting.
    operators: LookUpOperator(Job) -> (), at most 1, by one_thread, run_jobs;
}

fn run_jobs(roster: &Roster, jobs: Vec<Job>) -> Vec<()> {
    jobs.into_iter().map(|job| job(roster)).collect()
}

/// Does one job, or reads pages together.
fn work(roster: &Roster, work: Vec<Work>) -> Vec<()> {
    let count = work.len();
    let (mut queries, mut all_then) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for work in work {
        match work {
            Work::Job(job) => job(roster),
            Work::Page(page) => {
                let WantedPage { query, then } = *page;
                queries.push(query);
                all_then.push(then);
            }
        }
    }
    for (then, page) in all_then.into_iter().zip(roster.list_customers_together(&queries)) {
        // A panic fails this page: its caller gets nothing.
        let _panicked = catch_unwind(AssertUnwindSafe(|| then(roster, page)));
    }
    vec![(); count]
}

/// Runs several lists of requests as one.
fn write_lists(roster: &Roster, lists: Vec<Vec<WriteRequest>>) -> Vec<Vec<Answer>> {
    let lengths: Vec<usize> = lists.iter().map(Vec::len).collect();
    let requests: Vec<WriteRequest> = lists.into_iter().flatten().collect();
    let mut answers = roster.write_customers(requests).into_iter();
    lengths.into_iter().map(|length| answers.by_ref().take(length).collect()).collect()
}

/// One thread, or the calling one. Two threads would share fewer batches, and keep two processes of the database busy
/// with what one does faster.
fn reader<I>(settings: Settings) -> Workers<I> {
    match settings.reads {
        Reads::ByWorkers | Reads::ByWorkersOfTenants => Workers::threads(1),
        Reads::ByCallers => Workers::Callers,
    }
}

/// As [`reader`]. Where tenants are on several servers, several threads, each with the requests of one tenant, which has one batch at a
/// time: so its batches are large however many threads there are, and a server that does not answer keeps one for each of its tenants.
fn readers<I: OfTenant>(settings: Settings) -> Workers<I> {
    match settings.reads {
        Reads::ByWorkersOfTenants => {
            let threads = threads_for_tenants(settings);
            Workers::Threads {
                queues: 1,
                threads,
                queue_of: |_, _| 0,
                group_of: group_of_tenant,
                at_once: Some(at_once(threads)),
                are_watched: true,
            }
        }
        Reads::ByWorkers | Reads::ByCallers => reader(settings),
    }
}

/// How many batches of different tenants are served at a time: half of the threads read, the others write.
fn threads_for_tenants(settings: Settings) -> usize {
    (settings.threads / 2).max(1)
}

/// How many batches so many threads serve at a time unless they take long: the other threads are there for the tenants of a server
/// that answers, while another does not.
fn at_once(threads: usize) -> usize {
    (threads / 2).max(1)
}

/// A request that may be of one tenant.
trait OfTenant {
    fn tenant(&self) -> Option<Tenant>;
}

impl OfTenant for CustomerKey {
    fn tenant(&self) -> Option<Tenant> {
        Some(self.tenant)
    }
}

impl OfTenant for (Tenant, CustomerId) {
    fn tenant(&self) -> Option<Tenant> {
        Some(self.0)
    }
}

impl OfTenant for Work {
    fn tenant(&self) -> Option<Tenant> {
        match self {
            Self::Job(_) => None,
            Self::Page(page) => Some(page.query.tenant),
        }
    }
}

impl OfTenant for Vec<WriteRequest> {
    fn tenant(&self) -> Option<Tenant> {
        self.first().map(|request| request.command.tenant())
    }
}

/// A number of the tenant of a request. That two tenants have one is rare, and harmless: a store serves a batch of both.
fn group_of_tenant<I: OfTenant>(request: &I) -> Option<u64> {
    request.tenant().map(hash_of)
}

fn hash_of(tenant: Tenant) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(tenant)
}

fn reader_of_pages<I>(settings: Settings) -> Workers<I> {
    match settings.reads {
        // The other threads read pages.
        Reads::ByWorkers | Reads::ByWorkersOfTenants => Workers::threads(0),
        Reads::ByCallers => Workers::Callers,
    }
}

fn writers(settings: Settings) -> Workers<Vec<WriteRequest>> {
    let (queues, group_of): (usize, fn(&_) -> _) = match settings.reads {
        Reads::ByWorkersOfTenants => (settings.writers.max(threads_for_tenants(settings)), group_of_tenant),
        Reads::ByWorkers | Reads::ByCallers => (settings.writers.max(1), |_| Some(0)),
    };
    Workers::Threads {
        queues,
        threads: 1,
        queue_of: |requests, queues| requests.tenant().map_or(0, |tenant| shard(tenant, queues)),
        group_of,
        at_once: None,
        are_watched: true,
    }
}

/// The writer of a tenant: always the same, so that the writes of one customer keep their order.
fn shard(tenant: Tenant, shards: usize) -> usize {
    usize::try_from(hash_of(tenant) % (shards as u64)).unwrap_or(0)
}

/// As many as the batched operations leave of [`Settings::threads`], at least one. Where tenants are on several servers, pages of one
/// tenant are read together, one batch at a time: see [`readers`].
fn the_other_threads(settings: Settings) -> Workers<Work> {
    const BATCHED_READS: usize = 3;
    let threads = settings.threads.saturating_sub(BATCHED_READS + settings.writers).max(1);
    let (group_of, at_once): (fn(&Work) -> _, _) = match settings.reads {
        Reads::ByWorkersOfTenants => (group_of_tenant, Some(at_once(threads))),
        Reads::ByWorkers | Reads::ByCallers => (|work| work.tenant().map(|_| 0), None),
    };
    Workers::Threads { queues: 1, threads, queue_of: |_, _| 0, group_of, at_once, are_watched: true }
}

fn one_thread<I>(_: Settings) -> Workers<I> {
    Workers::threads(1)
}

fn two_threads<I>(_: Settings) -> Workers<I> {
    Workers::threads(2)
}

/// One thread for calls with deadlines of their own, which may be longer than the database's.
fn one_patient_thread<I>(_: Settings) -> Workers<I> {
    Workers::Threads {
        queues: 1,
        threads: 1,
        queue_of: |_, _| 0,
        group_of: |_| None,
        at_once: None,
        are_watched: false,
    }
}

impl Handle {
    /// Finds out who presents a credential. A key that was valid a while ago may be accepted although the store does not
    /// answer.
    ///
    /// # Errors
    /// [`ExecuteError`]
    pub async fn authenticate(
        &self,
        presented: Presented,
    ) -> Result<Result<Principal, AuthenticateError>, ExecuteError> {
        let roster = &self.shared.roster;
        let authenticated = if roster.is_likely_valid(&presented) {
            self.operations.authenticate_again.call(presented.clone()).await
        } else {
            self.operations.authenticate.call(presented.clone()).await
        };
        let is_outage = match &authenticated {
            Err(ExecuteError::QueueFull | ExecuteError::DeadlineExceeded) => true,
            Ok(Err(AuthenticateError::Store(error))) => error.is_outage(),
            Err(ExecuteError::Panicked) | Ok(_) => false,
        };
        let in_grace = is_outage.then(|| roster.principal_in_grace(&presented)).flatten();
        in_grace.map_or(authenticated, |principal| Ok(Ok(principal)))
    }

    /// Writes to a customer, after all that was asked for its tenant before.
    ///
    /// # Errors
    /// [`ExecuteError`]
    pub async fn write_customer(&self, request: impl Into<WriteRequest>) -> Result<Answer, ExecuteError> {
        let mut answers = self.operations.write_customers.call(vec![request.into()]).await?;
        answers.pop().ok_or(ExecuteError::Panicked)
    }

    /// Does what several commands of one tenant say, in their order, [`PART`] at a time: requests that have come meanwhile
    /// have their turn between two parts. Once the deadline has passed, or a part has no results, no further part is
    /// started: its commands get [`ExecuteError::QueueFull`].
    pub async fn write_customers(&self, mut requests: Vec<WriteRequest>) -> Vec<Result<Answer, ExecuteError>> {
        let until = Instant::now() + self.shared.settings.deadline;
        let mut results = Vec::with_capacity(requests.len());
        while !requests.is_empty() {
            let rest = requests.split_off(PART.min(requests.len()));
            let part = std::mem::replace(&mut requests, rest);
            let count = part.len();
            let done = self.operations.write_customers.call(part).await;
            let goes_on = done.is_ok() && Instant::now() < until;
            match done {
                Ok(done) => results.extend(done.into_iter().map(Ok)),
                Err(error) => results.extend((0..count).map(|_| Err(error))),
            }
            if !goes_on {
                results.extend(requests.drain(..).map(|_| Err(ExecuteError::QueueFull)));
            }
        }
        results
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::tests::roster;

    #[test]
    fn as_many_threads_wait_for_the_database_as_the_settings_say() {
        let (queue, deadline) = (1, Duration::from_secs(1));
        let settings = Settings { threads: 9, writers: 2, queue, deadline, reads: Reads::ByWorkers };
        let workers = Operations::new(&roster(), Limits { queue, deadline }, settings).workers();
        let beside = [
            FetchTokenKeys::NAME,
            CheckStore::NAME,
            AuthenticateAgain::NAME,
            WorkOnDeliveries::NAME,
            LookUpOperator::NAME,
        ];
        let is_beside = |name: &String| beside.iter().any(|of| name.starts_with(of));
        let names: Vec<String> =
            workers.into_iter().map(|worker| worker.name).filter(|name| !is_beside(name)).collect();
        assert_eq!(names.len(), settings.threads, "{names:?}");
    }
}
