//! Reads of requests: from the replica where a request allows it, and from the primary otherwise.
//!
//! A request is never answered with less than it wants, and none waits for a replica that is known not to serve it: a replica that
//! fails is not read until a background job has looked at it again.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use roster_application::ports::{CustomerKey, CustomerQuery, Position, StoreError};
use roster_application::{Consistency, CustomerPage, ListError, ReplicaError, ReplicaRead, Roster};
use roster_domain::{Customer, CustomerId, Subscription, Tenant};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::batched::Limits;
use crate::operations::replica::{Attempt, LocalOperations, Operations};
use crate::operations::{WantedPage, Work};
use crate::threads::Worker;
use crate::{ExecuteError, Figures, Handle, Reads, Settings};

/// How long a request waits for the replica to include what it wants.
const PATIENCE: Duration = Duration::from_millis(100);

/// The first pause until the replica is asked again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(2);

/// How long an answer waits for the position that it shows. Without one it shows a position that no replica includes.
const POSITION_PATIENCE: Duration = Duration::from_millis(100);

/// How often a background job looks at the replica.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The same after a read has failed.
const DOUBT_INTERVAL: Duration = Duration::from_millis(100);

/// How long a read from the replica may take, where one of the store may take `deadline`: the primary is read after it.
#[must_use]
pub fn replica_deadline(deadline: Duration) -> Duration {
    deadline / 4
}

/// The replica as all threads share it.
pub(crate) struct Replica {
    operations: Operations,
    state: State,
}

/// Whether the replica is read, and what was.
#[derive(Default)]
pub(crate) struct State {
    is_used: AtomicBool,
    /// Whether a read has failed since the replica was looked at last.
    is_in_doubt: AtomicBool,
    /// The newest position that was seen.
    seen: Mutex<Option<Position>>,
    counts: [AtomicU64; Source::ALL.len()],
}

/// Where a read went, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The replica: it included the position that was wanted.
    ReplicaAtPosition,
    /// The replica: any state would do.
    ReplicaEventual,
    /// The primary: its latest state was wanted.
    PrimaryLatest,
    /// The primary: the replica did not include the wanted position in time.
    PrimaryBehind,
    /// The primary: the position is of another history than the replica's, as after a failover.
    PrimaryOtherHistory,
    /// The primary: the replica is not used, because it failed a moment ago, was promoted, or is no replica of this database.
    PrimaryUnused,
    /// The primary: the replica failed, or was too slow.
    PrimaryFailed,
    /// The primary, because an earlier read of the same request went there.
    PrimaryAgain,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::ReplicaAtPosition,
        Self::ReplicaEventual,
        Self::PrimaryLatest,
        Self::PrimaryBehind,
        Self::PrimaryOtherHistory,
        Self::PrimaryUnused,
        Self::PrimaryFailed,
        Self::PrimaryAgain,
    ];

    /// The place and the reason.
    #[must_use]
    pub const fn as_strs(self) -> (&'static str, &'static str) {
        match self {
            Self::ReplicaAtPosition => ("replica", "position"),
            Self::ReplicaEventual => ("replica", "eventual"),
            Self::PrimaryLatest => ("primary", "latest"),
            Self::PrimaryBehind => ("primary", "behind"),
            Self::PrimaryOtherHistory => ("primary", "other_history"),
            Self::PrimaryUnused => ("primary", "unused"),
            Self::PrimaryFailed => ("primary", "failed"),
            Self::PrimaryAgain => ("primary", "again"),
        }
    }
}

impl Replica {
    /// The replica of `roster`, if it has one. Its threads have not been started.
    pub(crate) fn of(roster: &Roster, settings: Settings) -> Option<Self> {
        let limits = Limits { queue: settings.queue, deadline: replica_deadline(settings.deadline) };
        roster
            .has_replica()
            .then(|| Self { operations: Operations::new(roster, limits, settings), state: State::default() })
    }

    pub(crate) fn workers(&self) -> Vec<Worker> {
        self.operations.workers()
    }

    pub(crate) fn figures(&self) -> Vec<Figures> {
        self.operations.figures()
    }

    pub(crate) fn close(&self) {
        self.operations.close();
    }

    pub(crate) fn local(&self) -> Rc<LocalOperations> {
        Rc::new(self.operations.local())
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }
}

impl State {
    /// Whether the replica is read.
    pub(crate) fn is_used(&self) -> bool {
        self.is_used.load(Relaxed)
    }

    /// How many reads have gone where.
    pub(crate) fn counts(&self) -> Vec<(Source, u64)> {
        Source::ALL.into_iter().zip(self.counts.iter().map(|count| count.load(Relaxed))).collect()
    }

    fn count(&self, source: Source) {
        self.counts[source as usize].fetch_add(1, Relaxed);
    }

    /// Stops reading the replica until it was looked at again.
    fn doubt(&self, error: &dyn std::fmt::Display) {
        if self.is_used.swap(false, Relaxed) {
            tracing::debug!(%error, "a read from the replica failed");
        }
        self.is_in_doubt.store(true, Relaxed);
    }

    fn note(&self, position: Position) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(position);
    }

    /// Whether the replica may include `wanted`, now or soon.
    fn may_include(&self, wanted: Position) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.is_none_or(|seen| seen.is_comparable_to(wanted))
    }

    fn look(&self, roster: &Roster, log: &mut Log) {
        self.is_in_doubt.store(false, Relaxed);
        let checked = roster.check_replica();
        log.note(checked.as_ref().err());
        match checked {
            Ok(position) => {
                self.note(position);
                // A read may have failed meanwhile: then the next look decides.
                self.is_used.store(!self.is_in_doubt.load(Relaxed), Relaxed);
            }
            Err(_) => self.is_used.store(false, Relaxed),
        }
    }
}

/// Logs when the replica is read no longer, and when it is read again.
#[derive(Default)]
struct Log {
    failure: Option<String>,
}

impl Log {
    fn note(&mut self, error: Option<&ReplicaError>) {
        let failure = error.map(ToString::to_string);
        if failure != self.failure {
            if let Some(reason) = &failure {
                tracing::warn!(reason, "the replica is not read");
            } else {
                tracing::info!("the replica is read again");
            }
        }
        self.failure = failure;
    }
}

/// The job that looks at the replica: each step returns the time until the next.
pub(crate) fn looks(replica: Arc<Replica>, roster: Roster) -> impl FnMut() -> Duration {
    let (mut log, mut last) = (Log::default(), None::<Instant>);
    move || {
        let is_due = last.is_none_or(|last| last.elapsed() >= LOOK_INTERVAL);
        if is_due || replica.state.is_in_doubt.load(Relaxed) {
            replica.state.look(&roster, &mut log);
            last = Some(Instant::now());
        }
        DOUBT_INTERVAL
    }
}

/// The reads of one request: what they must show, and what they have shown.
#[derive(Debug, Default)]
pub struct RequestReads {
    consistency: Consistency,
    /// When the request stops waiting for the replica.
    until: Cell<Option<Instant>>,
    /// Whether the primary was read: what is read later must not be older.
    is_on_primary: Cell<bool>,
    /// Includes what was read from the replica.
    shown: Cell<Option<Position>>,
}

impl RequestReads {
    /// Reads that must show what `consistency` says.
    #[must_use]
    pub fn new(consistency: Consistency) -> Self {
        Self { consistency, ..Self::default() }
    }

    fn note(&self, position: Position) {
        let shown = self.shown.get().filter(|shown| shown.includes(position));
        self.shown.set(Some(shown.unwrap_or(position)));
    }
}

impl Handle {
    /// Whether there is a replica and it is read at present. `None`: there is none.
    #[must_use]
    pub fn uses_replica(&self) -> Option<bool> {
        self.shared.replica.as_ref().map(|replica| replica.state.is_used())
    }

    /// A position that includes all that was committed before. `None`: it is not known.
    ///
    /// It is asked for only where there is a replica, and is not waited for longer than a tenth of a second.
    pub async fn position(&self) -> Option<Position> {
        let replica = self.replica.as_ref()?;
        timeout(POSITION_PATIENCE, replica.position.call(())).await.ok()?.ok()?.ok()?
    }

    /// A position that includes all that `reads` have shown, for reads that may be served by a replica. `None`: it is not known.
    pub async fn position_of(&self, reads: &RequestReads) -> Option<Position> {
        match reads.shown.get() {
            Some(shown) if !reads.is_on_primary.get() => Some(shown),
            _ => self.position().await,
        }
    }

    /// Finds a live customer.
    ///
    /// # Errors
    /// [`ExecuteError`]
    pub async fn find_customer(
        &self,
        reads: &RequestReads,
        key: CustomerKey,
    ) -> Result<Result<Option<Customer>, StoreError>, ExecuteError> {
        let find = async |replica: &LocalOperations, wanted| replica.find_on_replica.call((wanted, key.clone())).await;
        match self.try_replica(reads, find).await {
            Some(found) => Ok(Ok(found)),
            None => self.operations.find_customer.call(key).await,
        }
    }

    /// Finds the active or trialing subscription of a customer that started last.
    ///
    /// # Errors
    /// [`ExecuteError`]
    pub async fn current_subscription(
        &self,
        reads: &RequestReads,
        tenant: Tenant,
        customer: CustomerId,
    ) -> Result<Result<Option<Subscription>, StoreError>, ExecuteError> {
        let of = (tenant, customer);
        let find = async |replica: &LocalOperations, wanted| replica.current_on_replica.call((wanted, of)).await;
        match self.try_replica(reads, find).await {
            Some(found) => Ok(Ok(found)),
            None => self.operations.current_subscription.call(of).await,
        }
    }

    /// Runs `work`, which only reads, such as a page of a list. It is run again on the primary if the replica fails.
    ///
    /// # Errors
    /// [`ExecuteError`]
    pub async fn read_for<T, E, F>(&self, reads: &RequestReads, work: F) -> Result<Result<T, E>, ExecuteError>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: FnOnce(&Roster) -> Result<T, E> + Clone + Send + 'static,
    {
        match self.read_replica(reads, &work).await {
            Some(found) => Ok(found),
            None => self.read(work).await,
        }
    }

    /// A page of customers as `then` makes it of what was read, on the thread that has read it; `with_total`: with the number of all
    /// customers of the list. [Plain](CustomerQuery::is_plain) pages that wait at the same time are read together, unless the
    /// calling thread reads.
    ///
    /// # Errors
    /// [`ExecuteError`]
    pub async fn list_customers<T, F>(
        &self,
        reads: &RequestReads,
        query: CustomerQuery,
        with_total: bool,
        then: F,
    ) -> Result<Result<T, ListError>, ExecuteError>
    where
        T: Send + 'static,
        F: FnOnce(&Roster, CustomerPage) -> Result<T, ListError> + Clone + Send + 'static,
    {
        let is_together = query.is_plain() && !with_total && self.shared.settings.reads != Reads::ByCallers;
        let (wanted, make) = (query.clone(), then.clone());
        let alone = move |roster: &Roster| make(roster, roster.list_customers(&wanted, with_total)?);
        match self.read_replica(reads, &alone).await {
            Some(found) => Ok(found),
            None if is_together => self.read_together(query, then).await,
            None => self.read(alone).await,
        }
    }

    async fn read_together<T, F>(&self, query: CustomerQuery, then: F) -> Result<Result<T, ListError>, ExecuteError>
    where
        T: Send + 'static,
        F: FnOnce(&Roster, CustomerPage) -> Result<T, ListError> + Send + 'static,
    {
        let (send, mut receive) = oneshot::channel();
        let then = move |roster: &Roster, page: Result<CustomerPage, ListError>| {
            drop(send.send(page.and_then(|page| then(roster, page))));
        };
        let page = WantedPage { query, then: Box::new(then) };
        self.operations.jobs.call(Work::Page(Box::new(page))).await?;
        receive.try_recv().map_err(|_| ExecuteError::Panicked)
    }

    /// What `work` reads from the replica. `None`: the primary is to be read.
    async fn read_replica<T, E, F>(&self, reads: &RequestReads, work: &F) -> Option<Result<T, E>>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: FnOnce(&Roster) -> Result<T, E> + Clone + Send + 'static,
    {
        let read = async |replica: &LocalOperations, wanted: Option<Position>| {
            let work = work.clone();
            let (send, mut receive) = oneshot::channel();
            let job = move |roster: &Roster| {
                let attempt = match roster.read_replica(&[wanted], work) {
                    ReplicaRead::Shown(value, shown) if shown.includes(wanted) => Attempt::Read(value, shown.most),
                    ReplicaRead::Shown(..) | ReplicaRead::Behind => Attempt::Behind,
                    ReplicaRead::Failed(error) => Attempt::Failed(error),
                };
                drop(send.send(attempt));
            };
            replica.pages_on_replica.call(Box::new(job)).await?;
            receive.try_recv().map_err(|_| ExecuteError::Panicked)
        };
        self.try_replica(reads, read).await
    }

    /// What `attempt` reads from the replica. `None`: the primary is to be read.
    async fn try_replica<T>(
        &self,
        reads: &RequestReads,
        attempt: impl AsyncFn(&LocalOperations, Option<Position>) -> Result<Attempt<T>, ExecuteError>,
    ) -> Option<T> {
        let (replica, operations) = (self.shared.replica.as_ref()?, self.replica.as_ref()?);
        let state = replica.state();
        let source = match reads.consistency {
            Consistency::Latest => Source::PrimaryLatest,
            _ if reads.is_on_primary.get() => Source::PrimaryAgain,
            _ if !state.is_used() => Source::PrimaryUnused,
            Consistency::AtLeast(wanted) if !state.may_include(wanted) => Source::PrimaryOtherHistory,
            Consistency::AtLeast(wanted) => {
                match state.wait_for(reads, async || attempt(operations, Some(wanted)).await).await {
                    Ok(value) => {
                        state.count(Source::ReplicaAtPosition);
                        return Some(value);
                    }
                    Err(source) => source,
                }
            }
            Consistency::Eventual => match state.wait_for(reads, async || attempt(operations, None).await).await {
                Ok(value) => {
                    state.count(Source::ReplicaEventual);
                    return Some(value);
                }
                Err(source) => source,
            },
        };
        state.count(source);
        reads.is_on_primary.set(true);
        None
    }
}

impl State {
    /// Attempts to read while the replica is behind and the request is patient. Otherwise, says why the primary is to be read.
    async fn wait_for<T>(
        &self,
        reads: &RequestReads,
        attempt: impl AsyncFn() -> Result<Attempt<T>, ExecuteError>,
    ) -> Result<T, Source> {
        let until = reads.until.get().unwrap_or_else(|| Instant::now() + PATIENCE);
        reads.until.set(Some(until));
        let mut pause = FIRST_PAUSE;
        loop {
            match attempt().await {
                Ok(Attempt::Read(value, position)) => {
                    reads.note(position);
                    return Ok(value);
                }
                Ok(Attempt::Behind) if Instant::now() + pause < until => {
                    sleep(pause).await;
                    pause *= 2;
                }
                Ok(Attempt::Behind) => return Err(Source::PrimaryBehind),
                Ok(Attempt::Failed(error)) => {
                    // A read that a standby cancels in favour of what it applies says nothing of the next one, nor does a row.
                    if !error.is_lost_race() && !matches!(error, StoreError::Corrupt { .. }) {
                        self.doubt(&error);
                    }
                    return Err(Source::PrimaryFailed);
                }
                Err(error) => {
                    if error == ExecuteError::DeadlineExceeded {
                        self.doubt(&error);
                    }
                    return Err(Source::PrimaryFailed);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_callers::block_on;

    const fn position(timeline: u32, place: u64) -> Position {
        Position { database: 7, timeline, place }
    }

    /// Attempts to read from a replica that is behind for the first `behind` of them.
    fn read(state: &State, reads: &RequestReads, behind: u32) -> (Result<u64, Source>, u32) {
        let attempts = Cell::new(0);
        let attempt = async || {
            attempts.set(attempts.get() + 1);
            let is_behind = attempts.get() <= behind;
            Ok(if is_behind { Attempt::Behind } else { Attempt::Read(42, position(1, 100)) })
        };
        let read = block_on(state.wait_for(reads, attempt));
        (read, attempts.get())
    }

    #[test]
    fn a_read_waits_until_the_replica_has_what_it_wants() {
        let (state, reads) = (State::default(), RequestReads::default());
        assert_eq!(read(&state, &reads, 3), (Ok(42), 4));
        assert_eq!(reads.shown.get(), Some(position(1, 100)));
    }

    #[test]
    fn a_request_is_patient_once_and_not_for_each_of_its_reads() {
        let (state, reads) = (State::default(), RequestReads::default());
        let (first, attempts) = read(&state, &reads, u32::MAX);
        assert!(first == Err(Source::PrimaryBehind) && attempts > 1, "{first:?} {attempts}");
        assert!(reads.until.get().is_some());
        reads.until.set(Some(Instant::now()));
        assert_eq!(read(&state, &reads, u32::MAX), (Err(Source::PrimaryBehind), 1));
    }

    #[test]
    fn a_replica_that_fails_is_in_doubt_but_not_for_a_row_or_a_lost_race() {
        let corrupt = StoreError::Corrupt { table: "customers", column: "name", id: uuid::Uuid::nil() };
        for (error, is_in_doubt) in [
            (StoreError::unavailable("gone"), true),
            (StoreError::internal("no such column"), true),
            (StoreError::lost_race("a conflict with recovery"), false),
            (corrupt, false),
        ] {
            let state = State::default();
            state.is_used.store(true, Relaxed);
            let attempt = async || Ok(Attempt::<()>::Failed(error.clone()));
            let read = block_on(state.wait_for(&RequestReads::default(), attempt));
            assert_eq!(read, Err(Source::PrimaryFailed));
            assert_eq!((state.is_used(), state.is_in_doubt.load(Relaxed)), (!is_in_doubt, is_in_doubt), "{error}");
        }
    }

    #[test]
    fn what_was_shown_is_the_newest_of_one_history() {
        let reads = RequestReads::default();
        for (noted, shown) in [
            (position(1, 5), position(1, 5)),
            (position(1, 7), position(1, 7)),
            (position(1, 6), position(1, 7)),
            (position(2, 1), position(2, 1)),
        ] {
            reads.note(noted);
            assert_eq!(reads.shown.get(), Some(shown));
        }
    }

    #[test]
    fn a_position_of_another_history_is_not_waited_for() {
        let state = State::default();
        assert!(state.may_include(position(1, 5)), "nothing was seen yet");
        state.note(position(2, 1));
        assert!(state.may_include(position(2, 5)) && !state.may_include(position(1, 1)));
    }

    #[test]
    fn each_source_has_a_count_of_its_own() {
        let state = State::default();
        for (place, source) in Source::ALL.into_iter().enumerate() {
            assert_eq!(source as usize, place);
            state.count(source);
        }
        assert!(state.counts().iter().all(|(_, count)| *count == 1));
    }
}
