use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use diesel::prelude::*;
use roster_application::ports::{Store, StoreError, Work, rerun_lost_races};

use crate::error::store_error;
use crate::file::{DatabaseFile, Settings};
use crate::migrations;
use crate::pool::{Pool, READ, WRITE, in_transaction};
use crate::unit_of_work::SqliteUnitOfWork;

/// Which file, and how to use it.
#[derive(Debug, Clone)]
pub struct Options {
    /// The file. If it is missing, it is created with its folder, and only its owner may access it.
    pub path: PathBuf,
    /// How many connections read, at least one. One more connection writes.
    pub connections: u32,
    /// How long to wait for a connection, and as long again for another process that writes. More than zero.
    pub wait: Duration,
}

/// A SQLite file.
///
/// Dropping it closes its connections. The last connection of all processes copies the WAL into the file and deletes
/// it.
pub struct SqliteStore {
    pool: Pool,
    /// Opens connections outside the pool, for migrations.
    file: DatabaseFile,
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
        let Options { path, connections, wait } = options;
        let file = DatabaseFile::provide(path).map_err(|error| about(path, error))?;
        let pool = Pool::open(&file, *connections, *wait).map_err(|error| about(path, error))?;
        Ok(Self { pool, file })
    }
}

impl Store for SqliteStore {
    fn run_transaction(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        rerun_lost_races(|| {
            self.pool.writer().run(|connection| Ok((SqliteUnitOfWork::run_in_transaction(connection, work)?, ())))
        })
    }

    fn run_direct(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        SqliteUnitOfWork::run_direct(&self.pool, work)
    }

    fn ping(&self) -> Result<(), StoreError> {
        // `SELECT 1` would not read the file; this does.
        let statement = diesel::sql_query("SELECT count(*) FROM sqlite_schema");
        statement.execute(&mut *self.pool.reader()?).map_err(|error| store_error(&error))?;
        Ok(())
    }

    fn migrate(&self) -> Result<Vec<String>, StoreError> {
        if self.pending_migrations()?.is_empty() {
            return Ok(Vec::new());
        }
        in_transaction(WRITE, &mut self.file.connect(Settings::writing(MIGRATION))?, migrations::migrate)
    }

    fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        in_transaction(READ, &mut *self.pool.reader()?, migrations::pending)
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
