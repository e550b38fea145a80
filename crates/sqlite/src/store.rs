use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use diesel::SqliteConnection;
use roster_application::ports::{Fact, Position, Store, StoreError, Usage, Work, rerun_lost_races};

use crate::file::{DatabaseFile, Settings};
use crate::inspection::inspect;
use crate::migrations;
use crate::pool::{Pool, READ, WRITE, in_transaction, read};
use crate::unit_of_work::SqliteUnitOfWork;
use crate::watch::Watch;

/// Which file, and how to use it.
#[derive(Debug, Clone)]
pub struct Options {
    /// The file.
    pub path: PathBuf,
    /// Whether to create it, with its folder, if it is missing. Only its owner may access it then.
    pub create: bool,
    /// How many connections read, at least one. One more connection writes.
    pub connections: u32,
    /// How long to wait for a connection, and as long again for another process that writes. More than zero.
    pub wait: Duration,
    /// Whether writes keep the index for searches up to date. Without it, searches walk the list.
    pub search_index: bool,
}

/// A SQLite file.
///
/// Dropping it closes its connections. The last connection of all processes copies the WAL into the file and deletes
/// it.
///
/// If the file is deleted or replaced meanwhile, writes and [`Store::ping`] fail, and reads still see the old file.
pub struct SqliteStore {
    pool: Arc<Pool>,
    /// Dropped first, so that no thread uses the connections any more.
    watch: Option<Watch>,
    /// Opens connections outside the pool, for migrations and snapshots.
    file: DatabaseFile,
    wait: Duration,
    search_index: bool,
}

/// How long to wait for another instance that runs migrations.
const MIGRATION: Duration = Duration::from_mins(1);

impl SqliteStore {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    /// [`StoreError`] if the file is not, or cannot become, a database that can be written. The source names the file
    /// and the reason.
    pub fn open(options: &Options) -> Result<Self, StoreError> {
        let Options { path, create, connections, wait, search_index } = options;
        let open = || {
            let file = DatabaseFile::provide(path, *create)?;
            let pool = Arc::new(Pool::open(&file, *connections, *wait)?);
            let watch = Some(Watch::start(Arc::clone(&pool))?);
            Ok(Self { pool, watch, file, wait: *wait, search_index: *search_index })
        };
        open().map_err(|error| about(path, error))
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.watch = None;
        if self.pool.check_file().is_err() {
            // SQLite deletes the WAL at the path when it closes the last connection: it would be that of another file.
            std::mem::forget(Arc::clone(&self.pool));
        }
    }
}

impl Store for SqliteStore {
    fn run_transaction(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        rerun_lost_races(|| {
            self.pool
                .writer()
                .run(|connection| Ok((SqliteUnitOfWork::run_in_transaction(connection, self.search_index, work)?, ())))
        })
    }

    fn run_direct(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        SqliteUnitOfWork::run_direct(&self.pool, self.search_index, work)
    }

    fn run_snapshot(&self, _: Duration, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.pool.check_file()?;
        // Not one of the pool: they are as many as the threads that answer requests. No time is set: SQLite ends no transaction
        // by itself, and its caller looks at the time between two calls.
        let mut connection = self.file.connect(Settings::reading(self.wait))?;
        let work = |connection: &mut SqliteConnection| {
            SqliteUnitOfWork::run_in_transaction(connection, self.search_index, work).map(drop)
        };
        in_transaction(READ, &mut connection, work)
    }

    fn ping(&self) -> Result<(), StoreError> {
        self.pool.check_file()?;
        read(&mut *self.pool.reader()?)
    }

    // Each write does its work for the index at once.
    fn flush_search_index(&self) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn inspect(&self, visit: &mut dyn FnMut(Fact)) -> Result<(), StoreError> {
        in_transaction(READ, &mut *self.pool.reader()?, |connection| Ok(inspect(connection, visit)?))
    }

    fn usage(&self) -> Usage {
        Usage { connections: Some(self.pool.usage()), wal: self.file.wal() }
    }

    fn migrate(&self) -> Result<Vec<String>, StoreError> {
        // Before another file is opened, into which the WAL of the one that is open would be replayed.
        self.pool.check_file()?;
        if self.pending_migrations()?.is_empty() {
            return Ok(Vec::new());
        }
        in_transaction(WRITE, &mut self.file.connect(Settings::writing(MIGRATION))?, migrations::migrate)
    }

    fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        in_transaction(READ, &mut *self.pool.reader()?, migrations::pending)
    }

    fn check_connections(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn position(&self) -> Result<Option<Position>, StoreError> {
        Ok(None)
    }

    fn is_distributed(&self) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn distribute(&self) -> Result<Vec<String>, StoreError> {
        Err(StoreError::internal("only PostgreSQL with the extension citus can be distributed"))
    }
}

/// Puts the file's name in front of the message of `error`.
fn about(path: &Path, error: StoreError) -> StoreError {
    let message = |source: Arc<dyn Error + Send + Sync>| format!("{}: {source}", path.display());
    match error {
        StoreError::Unavailable { source, .. } => StoreError::unavailable(message(source)),
        StoreError::Internal { source } => StoreError::internal(message(source)),
        other => other,
    }
}
