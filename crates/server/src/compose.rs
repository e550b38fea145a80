//! The only place where adapters meet ports.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use roster_application::Roster;
use roster_application::ports::{Store, StoreError};
use roster_http::Reads;
use roster_jwt::Tokens;

use crate::clock::SystemClock;
use crate::config;
use crate::database_url::DatabaseUrl;
use crate::entropy::SystemEntropy;
use crate::ids::UuidV7;

#[cfg(feature = "sqlite")]
use roster_sqlite::SqliteStore;
#[cfg(feature = "postgres")]
use {crate::layers::Faults, roster_postgres::PostgresStore, std::error::Error as _};

/// The longest that the store itself waits for a connection or a lock. A request's own deadline is over it.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The store that a URL names, whichever it is.
pub enum Database {
    /// A SQLite file.
    #[cfg(feature = "sqlite")]
    Sqlite(Arc<SqliteStore>),
    /// A PostgreSQL server.
    #[cfg(feature = "postgres")]
    Postgres(Arc<PostgresStore>),
}

#[cfg(not(any(feature = "sqlite", feature = "postgres")))]
compile_error!("a service without a database: build with the feature sqlite, postgres, or both");

impl Database {
    /// Opens the store. A SQLite file and its folder are made when they are missing; PostgreSQL is first asked by what
    /// comes next.
    ///
    /// A file is read by those who answer requests, and each of these `workers` has a connection, so that none waits for one
    /// (see [`Database::reads`]). Whoever else reads shares one more.
    #[cfg_attr(not(feature = "sqlite"), expect(unused_variables, reason = "only a file is read by workers"))]
    pub fn open(config: &config::Database, workers: usize) -> anyhow::Result<Self> {
        let config::Database { url, deadline, .. } = config;
        let wait = (*deadline).min(LONGEST_WAIT);
        match url {
            #[cfg(feature = "sqlite")]
            DatabaseUrl::Sqlite(path) => {
                let connections = u32::try_from(workers).unwrap_or(u32::MAX).saturating_add(1);
                let options = roster_sqlite::Options { path: path.clone(), connections, wait };
                let store = SqliteStore::open(&options).with_context(|| format!("{url} cannot be opened"))?;
                Ok(Self::Sqlite(Arc::new(store)))
            }
            #[cfg(feature = "postgres")]
            DatabaseUrl::Postgres(url) => {
                let options =
                    roster_postgres::Options { url: url.clone(), connections: config.connections.into(), wait };
                // No connection is made yet, so what can be wrong is the URL.
                let store = PostgresStore::connect(&options)
                    .map_err(|error| Faults::of("database.url", error.source().unwrap_or(&error)))?;
                Ok(Self::Postgres(Arc::new(store)))
            }
            #[cfg(not(all(feature = "sqlite", feature = "postgres")))]
            url => bail!(url.check_built_in().err().unwrap_or_default()),
        }
    }

    /// The migrations that the schema lacks, in order.
    pub fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(store) => store.pending_migrations(),
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => store.pending_migrations(),
        }
    }

    /// Brings the schema up to date, and names what was applied.
    pub fn migrate(&self) -> Result<Vec<String>, StoreError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(store) => store.migrate(),
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => store.migrate(),
        }
    }

    /// The store behind its port.
    pub fn store(&self) -> Arc<dyn Store> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(store) => Arc::clone(store) as Arc<dyn Store>,
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => Arc::clone(store) as Arc<dyn Store>,
        }
    }

    /// Where the service reads this store.
    pub fn reads(&self) -> Reads {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => Reads::Here,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Reads::ByThreads,
        }
    }

    /// The service over this store, with the system's clock and randomness, as the command line uses it.
    pub fn roster(&self) -> Roster {
        Roster::new(self.store(), Arc::new(SystemClock), Arc::new(UuidV7::default()), Arc::new(SystemEntropy))
    }
}

/// The service, and it takes the tokens of those issuers that are configured, if there are any.
pub fn taking_tokens(roster: Roster, auth: &config::Auth) -> anyhow::Result<Roster> {
    if auth.issuers.is_empty() {
        return Ok(roster);
    }
    let tokens = Tokens::start(auth.issuers.clone()).context("tokens cannot be checked")?;
    Ok(roster.with_tokens(Arc::new(tokens)))
}

/// As [`Database::open`], with the schema up to date: brings it there if `database.migrate_on_start` says so, and refuses
/// otherwise.
pub fn open_up_to_date(config: &config::Database, workers: usize) -> anyhow::Result<Database> {
    let database = Database::open(config, workers)?;
    if config.migrate_on_start {
        database.migrate().context("the schema cannot be brought up to date")?;
        return Ok(database);
    }
    let pending = database.pending_migrations().context("the state of the schema cannot be read")?;
    if !pending.is_empty() {
        bail!("the schema is behind: run `roster migrate` (it lacks {})", pending.join(", "));
    }
    Ok(database)
}
