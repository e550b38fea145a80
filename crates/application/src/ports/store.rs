use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use uuid::Uuid;

use super::{ApiKeyRepository, CustomerRepository, MerchantRepository, SubscriptionRepository};

/// Where everything is kept.
///
/// Work is a closure over a [`UnitOfWork`]. It may run again after a lost race, so it takes times and identifiers from
/// outside and does nothing but call the unit of work. Call `transaction` and `direct`, which carry a result; adapters
/// provide the two methods under them.
///
/// Every call returns in bounded time where the database answers; where it does not, the caller's own deadline holds.
pub trait Store: Send + Sync {
    /// Runs `work` as one transaction: everything it did happens if it says [`Verdict::Commit`], nothing otherwise.
    /// What it reads was committed before each call, or written by itself. A lost race is run again, at most
    /// [`TRIES`] times in all.
    ///
    /// # Errors
    /// The [`StoreError`] that a call of the unit of work met, whatever `work` made of it, or that the commit met.
    fn run_transaction(&self, work: &mut Work<'_>) -> Result<(), StoreError>;

    /// Runs `work` with no transaction around it: every call of the unit of work is atomic by itself, and what one
    /// wrote stays when the next fails. For reads, and for a single write.
    ///
    /// # Errors
    /// The [`StoreError`] that a call of the unit of work met, whatever `work` made of it.
    fn run_direct(&self, work: &mut Work<'_>) -> Result<(), StoreError>;

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it gives none.
    fn ping(&self) -> Result<(), StoreError>;
}

/// What a store runs.
pub type Work<'a> = dyn FnMut(&mut dyn UnitOfWork) -> Verdict + 'a;

/// What becomes of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Keep what was done.
    Commit,
    /// Undo it.
    Rollback,
}

/// All repositories, over one transaction or over none.
///
/// After a [`StoreError`] it is spent: every further call errs, and nothing is committed.
pub trait UnitOfWork {
    /// The customers.
    fn customers(&mut self) -> &mut dyn CustomerRepository;
    /// The subscriptions that a billing engine told of.
    fn subscriptions(&mut self) -> &mut dyn SubscriptionRepository;
    /// The merchants.
    fn merchants(&mut self) -> &mut dyn MerchantRepository;
    /// The API keys.
    fn api_keys(&mut self) -> &mut dyn ApiKeyRepository;
}

impl dyn Store + '_ {
    /// Runs `work` as one transaction, which `Ok` commits and `Err` undoes.
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

    /// Runs `work` with no transaction around it.
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
}

/// Carries the result of `work` out of a run that knows only verdicts.
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

/// How often a unit of work is run at most before a lost race is an error.
pub const TRIES: usize = 3;

/// How long to pause before each further attempt. Whoever lost a deadlock and came again at once could take the lock that
/// the winner was just waking up for, and lose in the same way.
const PAUSES: [Duration; TRIES - 1] = [Duration::from_millis(1), Duration::from_millis(20)];

/// Runs `attempt` again while it loses races, at most [`TRIES`] times in all and with a short pause between: the loop of
/// [`Store::run_transaction`], for adapters.
///
/// # Errors
/// What the last attempt met.
pub fn rerun_lost_races(mut attempt: impl FnMut() -> Result<(), StoreError>) -> Result<(), StoreError> {
    for pause in PAUSES {
        match attempt() {
            Err(error) if error.is_lost_race() => thread::sleep(pause),
            done => return done,
        }
    }
    attempt()
}

/// A cause that only logs look at.
type Source = Arc<dyn Error + Send + Sync>;

/// What can go wrong with a store.
#[derive(Debug, Clone)]
pub enum StoreError {
    /// A unique index refused what somebody else wrote first.
    Duplicate {
        /// The index, or the table and columns it is over.
        index: String,
    },
    /// The database could not be asked, or gave up. Trying again may help.
    Unavailable {
        /// When to try again.
        retry: Retry,
        /// What it said.
        source: Source,
    },
    /// A stored row breaks a rule that every written row kept.
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
        /// What is known about it.
        source: Source,
    },
}

/// When a failed unit of work has a chance again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// At once: it lost a race (PostgreSQL: 40001, 40P01, or a row that changed in between).
    Now,
    /// When the database is well again.
    Later,
}

impl StoreError {
    /// The database could not be asked.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable { retry: Retry::Later, source: Arc::from(source.into()) }
    }

    /// Somebody else was faster; running the unit of work again may do.
    pub fn lost_race(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable { retry: Retry::Now, source: Arc::from(source.into()) }
    }

    /// A defect.
    pub fn internal(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Internal { source: Arc::from(source.into()) }
    }

    /// What a unit of work answers that met an error before.
    #[must_use]
    pub fn spent() -> Self {
        Self::internal("the unit of work met an error before and is spent")
    }

    /// Whether the database is out of reach, for everybody and for a while.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Unavailable { retry: Retry::Later, .. })
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
            Self::Corrupt { table, column, id } => write!(f, "column {column} of {table} {id} holds what nobody wrote"),
            Self::Internal { .. } => f.write_str("the store failed"),
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Duplicate { .. } | Self::Corrupt { .. } => None,
            Self::Unavailable { source, .. } | Self::Internal { source } => Some(source.as_ref()),
        }
    }
}
