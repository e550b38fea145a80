use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use uuid::Uuid;

use super::{
    ApiKeyRepository, CustomerRepository, EventRepository, Fact, ImportRepository, MerchantRepository,
    OperatorRepository, Position, ReplyRepository, SecretRepository, SubscriptionRepository, UploadRepository, Usage,
    WebhookRepository,
};

/// The database, or its replacement in tests.
///
/// Work is a closure over a [`UnitOfWork`]. It may run again after a lost race, so it takes times and identifiers from
/// outside and only calls the unit of work. Use cases call `transaction` and `direct`, which return the closure's
/// result; adapters implement `run_transaction` and `run_direct`.
///
/// If the database answers, every call returns in bounded time. If it does not, the caller must apply its own deadline.
///
/// No method has a default: a store around another store, such as the one that counts calls, would take the default in the place of the
/// other store's method, and nothing would say so.
pub trait Store: Send + Sync {
    /// Runs `work` in one transaction, which is committed if `work` returns [`Verdict::Commit`] and rolled back
    /// otherwise.
    ///
    /// Each call reads rows that were committed before that call, or that the transaction itself wrote (read
    /// committed). After a lost race `work` runs again, at most [`TRIES`] times in all.
    ///
    /// # Errors
    /// The first [`StoreError`] of a call of the unit of work, even if `work` ignores it, or the error of the commit.
    fn run_transaction(&self, work: &mut Work<'_>) -> Result<(), StoreError>;

    /// Runs `work` without a transaction, for reads and for a single write.
    ///
    /// Every call of the unit of work is atomic by itself: what one call wrote stays if the next call fails.
    ///
    /// # Errors
    /// The first [`StoreError`] of a call of the unit of work, even if `work` ignores it.
    fn run_direct(&self, work: &mut Work<'_>) -> Result<(), StoreError>;

    /// Runs `work` on the rows as they are at its beginning: all its calls see these, whatever others write meanwhile. It only
    /// reads; what it writes is refused or undone.
    ///
    /// It has a connection of its own, so that requests do not wait for it, and may take `age`, at most
    /// [`MAX_SNAPSHOT_AGE`]: while it runs, a database keeps old versions of all rows. It is never run again.
    ///
    /// # Errors
    /// The first [`StoreError`] of a call of the unit of work, even if `work` ignores it; [`StoreError::Unavailable`] if
    /// there is no connection for it, or if it takes too long.
    fn run_snapshot(&self, age: Duration, work: &mut Work<'_>) -> Result<(), StoreError>;

    /// Checks that the database answers and takes writes. It waits behind no other call.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it does not answer, [`StoreError::ReadOnly`] if it takes no writes.
    fn ping(&self) -> Result<(), StoreError>;

    /// A position that includes all that was committed before the call, by any process, and all that was read before. It waits
    /// behind no other call. `None` if the store has no replicas that could be compared with it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    fn position(&self) -> Result<Option<Position>, StoreError>;

    /// Does the work that writes have left for an index for searches, so that no write has to do it for many. Returns whether
    /// there was any.
    ///
    /// # Errors
    /// [`StoreError`]
    fn flush_search_index(&self) -> Result<bool, StoreError>;

    /// Calls `visit` with all that a check compares, as it is at one moment. It writes nothing, reads without a deadline, and needs a
    /// schema that is up to date. A store whose data only this process has reached has nothing to be checked.
    ///
    /// # Errors
    /// [`StoreError`] if not all could be read. A row that does not decode is a [`Fact`], and no error.
    fn inspect(&self, visit: &mut dyn FnMut(Fact)) -> Result<(), StoreError>;

    /// Finds what would make calls fail at random later, although the database answers: what is between this program and the
    /// database does not keep what calls rely on. Called once, at the start.
    ///
    /// # Errors
    /// [`StoreError`], whose source says what to do.
    fn check_connections(&self) -> Result<(), StoreError>;

    /// How much of the database this process uses now. It waits for nothing.
    fn usage(&self) -> Usage;

    /// Applies the missing migrations in order, and returns their names.
    ///
    /// Any number of instances may call this at the same time: one applies them, the others wait and find nothing
    /// missing. A store without a schema has no migrations.
    ///
    /// # Errors
    /// [`StoreError`]
    fn migrate(&self) -> Result<Vec<String>, StoreError>;

    /// The names of the missing migrations, in order.
    ///
    /// # Errors
    /// [`StoreError`]
    fn pending_migrations(&self) -> Result<Vec<String>, StoreError>;

    /// Whether the tenants are on several servers. Then a call that is about one of them asks one server, and fails only if that one is
    /// down.
    ///
    /// # Errors
    /// [`StoreError`]
    fn is_distributed(&self) -> Result<bool, StoreError>;

    /// Distributes the tenants, with what they have, over several servers. Returns the names of the tables; none if that is done already.
    ///
    /// # Errors
    /// [`StoreError::Internal`] if the database cannot be distributed, [`StoreError`]
    fn distribute(&self) -> Result<Vec<String>, StoreError>;
}

/// The closure that a store runs.
pub type Work<'a> = dyn FnMut(&mut dyn UnitOfWork) -> Verdict + 'a;

/// How a transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Its writes are kept.
    Commit,
    /// Its writes are undone.
    Rollback,
}

/// All repositories, in one transaction or without one.
///
/// After a [`StoreError`] it is spent: every further call fails, and a transaction is rolled back.
pub trait UnitOfWork {
    /// The customers.
    fn customers(&mut self) -> &mut dyn CustomerRepository;
    /// The subscriptions that a billing engine reported.
    fn subscriptions(&mut self) -> &mut dyn SubscriptionRepository;
    /// The merchants.
    fn merchants(&mut self) -> &mut dyn MerchantRepository;
    /// The API keys.
    fn api_keys(&mut self) -> &mut dyn ApiKeyRepository;
    /// The operators, and the log of what they did.
    fn operators(&mut self) -> &mut dyn OperatorRepository;
    /// The replies to requests with idempotency keys.
    fn replies(&mut self) -> &mut dyn ReplyRepository;
    /// The logs of what happened.
    fn events(&mut self) -> &mut dyn EventRepository;
    /// The secrets that all instances share.
    fn secrets(&mut self) -> &mut dyn SecretRepository;
    /// The webhook endpoints, their deliveries and the log of attempts.
    fn webhooks(&mut self) -> &mut dyn WebhookRepository;
    /// The imports of files.
    fn imports(&mut self) -> &mut dyn ImportRepository;
    /// The files that were sent to be imported.
    fn uploads(&mut self) -> &mut dyn UploadRepository;
}

/// A type that is every repository is a unit of work.
impl<T> UnitOfWork for T
where
    T: CustomerRepository
        + SubscriptionRepository
        + MerchantRepository
        + ApiKeyRepository
        + OperatorRepository
        + ReplyRepository
        + EventRepository
        + SecretRepository
        + WebhookRepository
        + ImportRepository
        + UploadRepository,
{
    fn customers(&mut self) -> &mut dyn CustomerRepository {
        self
    }

    fn subscriptions(&mut self) -> &mut dyn SubscriptionRepository {
        self
    }

    fn merchants(&mut self) -> &mut dyn MerchantRepository {
        self
    }

    fn api_keys(&mut self) -> &mut dyn ApiKeyRepository {
        self
    }

    fn operators(&mut self) -> &mut dyn OperatorRepository {
        self
    }

    fn replies(&mut self) -> &mut dyn ReplyRepository {
        self
    }

    fn events(&mut self) -> &mut dyn EventRepository {
        self
    }

    fn secrets(&mut self) -> &mut dyn SecretRepository {
        self
    }

    fn webhooks(&mut self) -> &mut dyn WebhookRepository {
        self
    }

    fn imports(&mut self) -> &mut dyn ImportRepository {
        self
    }

    fn uploads(&mut self) -> &mut dyn UploadRepository {
        self
    }
}

/// The first error of a unit of work, after which each of its calls fails.
///
/// Adapters use it to implement [`UnitOfWork`]: outside a transaction most databases would run further statements after an
/// error.
#[derive(Debug, Default)]
pub struct FirstError(Option<StoreError>);

impl FirstError {
    /// Runs `call`, one call of a repository, unless an earlier one has failed.
    ///
    /// # Errors
    /// That of `call`, or that the unit of work is spent.
    pub fn guard<T>(&mut self, call: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        if self.0.is_some() {
            return Err(StoreError::spent());
        }
        let result = call();
        self.0 = result.as_ref().err().cloned();
        result
    }

    /// How the unit of work ends.
    ///
    /// # Errors
    /// The first error, if there was one.
    pub fn into_result(self) -> Result<(), StoreError> {
        self.0.map_or(Ok(()), Err)
    }
}

impl dyn Store + '_ {
    /// Runs `work` in one transaction, which `Ok` commits and `Err` rolls back.
    ///
    /// # Errors
    /// What `work` returned, or the [`StoreError`] of [`Store::run_transaction`].
    pub fn transaction<T, E, F>(&self, work: F) -> Result<T, E>
    where
        E: From<StoreError>,
        F: FnMut(&mut dyn UnitOfWork) -> Result<T, E>,
    {
        carry(|run| self.run_transaction(run), work)
    }

    /// Runs `work` without a transaction.
    ///
    /// # Errors
    /// What `work` returned, or the [`StoreError`] of [`Store::run_direct`].
    pub fn direct<T, E, F>(&self, work: F) -> Result<T, E>
    where
        E: From<StoreError>,
        F: FnMut(&mut dyn UnitOfWork) -> Result<T, E>,
    {
        carry(|run| self.run_direct(run), work)
    }

    /// Runs `work` on the rows as they are at its beginning, for at most `age`.
    ///
    /// # Errors
    /// What `work` returned, or the [`StoreError`] of [`Store::run_snapshot`].
    pub fn snapshot<T, E, F>(&self, age: Duration, work: F) -> Result<T, E>
    where
        E: From<StoreError>,
        F: FnMut(&mut dyn UnitOfWork) -> Result<T, E>,
    {
        carry(|run| self.run_snapshot(age, run), work)
    }
}

/// The longest that a snapshot may be kept: an hour.
pub const MAX_SNAPSHOT_AGE: Duration = Duration::from_hours(1);

/// Returns the result of `work` from `run`, which passes on verdicts only.
fn carry<T, E, F>(run: impl FnOnce(&mut Work<'_>) -> Result<(), StoreError>, mut work: F) -> Result<T, E>
where
    E: From<StoreError>,
    F: FnMut(&mut dyn UnitOfWork) -> Result<T, E>,
{
    let mut outcome = None;
    run(&mut |uow| {
        let result = work(uow);
        let verdict = if result.is_ok() { Verdict::Commit } else { Verdict::Rollback };
        outcome = Some(result);
        verdict
    })?;
    outcome.unwrap_or_else(|| Err(StoreError::internal("the store did not run the work").into()))
}

/// The most attempts of a unit of work that loses races; after the last one, the lost race is an error.
pub const TRIES: usize = 3;

/// The pauses before further attempts.
///
/// Without a pause, the loser of a deadlock could take the lock again before the winner, which waits for that lock, has
/// woken up, and both would deadlock again.
const PAUSES: [Duration; TRIES - 1] = [Duration::from_millis(1), Duration::from_millis(20)];

/// Runs `attempt` again while it loses races, at most [`TRIES`] times in all, with a short pause before each
/// repetition.
///
/// Adapters use it to implement [`Store::run_transaction`].
///
/// # Errors
/// The error of the last attempt.
pub fn rerun_lost_races(mut attempt: impl FnMut() -> Result<(), StoreError>) -> Result<(), StoreError> {
    for pause in PAUSES {
        match attempt() {
            Err(error) if error.is_lost_race() => thread::sleep(pause),
            done => return done,
        }
    }
    attempt()
}

/// The cause of an error, for logs only.
type Source = Arc<dyn Error + Send + Sync>;

/// Why a call of a store failed.
#[derive(Debug, Clone)]
pub enum StoreError {
    /// A unique index refused a row, because another writer has stored the same value.
    Duplicate {
        /// The name of the index, or its table and columns.
        index: String,
    },
    /// The database could not be reached, or gave up. Trying again may help.
    Unavailable {
        /// When to try again.
        retry: Retry,
        /// The cause.
        source: Source,
    },
    /// Another program holds a lock on a row for too long. Other rows can be read and written.
    Locked {
        /// The cause.
        source: Source,
    },
    /// The database answers, but takes no writes at present: it is a standby, or was set to read-only.
    ReadOnly,
    /// A stored row breaks a rule that every written row has kept.
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's own identifier.
        id: Uuid,
    },
    /// A defect of this program or of the database.
    Internal {
        /// The cause.
        source: Source,
    },
}

/// When a failed unit of work may succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// At once: it lost a race (PostgreSQL: 40001, 40P01, or a row that changed in between).
    Now,
    /// When the database is available again.
    Later,
}

impl StoreError {
    /// An error of a database that could not be reached, or that gave up.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable { retry: Retry::Later, source: Arc::from(source.into()) }
    }

    /// An error of a unit of work that waited too long for a lock on a row.
    pub fn locked(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Locked { source: Arc::from(source.into()) }
    }

    /// An error of a unit of work that lost a race against another writer and may run again at once.
    pub fn lost_race(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable { retry: Retry::Now, source: Arc::from(source.into()) }
    }

    /// An error that is a defect.
    pub fn internal(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Internal { source: Arc::from(source.into()) }
    }

    /// The error of every call of a unit of work after its first error.
    #[must_use]
    pub fn spent() -> Self {
        Self::internal("the unit of work met an error before and is spent")
    }

    /// Whether the database is unavailable to all callers for some time.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Unavailable { retry: Retry::Later, .. } | Self::ReadOnly)
    }

    /// Whether running the unit of work again may succeed at once.
    #[must_use]
    pub fn is_lost_race(&self) -> bool {
        matches!(self, Self::Duplicate { .. } | Self::Unavailable { retry: Retry::Now, .. })
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate { index } => write!(f, "the unique index {index} refused a row"),
            Self::Unavailable { retry: Retry::Now, .. } => f.write_str("another writer was faster"),
            Self::Unavailable { retry: Retry::Later, .. } => f.write_str("the database is not available"),
            Self::Locked { .. } => f.write_str("another program has locked a row"),
            Self::ReadOnly => f.write_str("the database takes no writes at present"),
            Self::Corrupt { table, column, id } => write!(f, "column {column} of {table} {id} does not decode"),
            Self::Internal { .. } => f.write_str("the store failed"),
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Duplicate { .. } | Self::ReadOnly | Self::Corrupt { .. } => None,
            Self::Unavailable { source, .. } | Self::Locked { source } | Self::Internal { source } => {
                Some(source.as_ref())
            }
        }
    }
}
