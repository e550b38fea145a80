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
    /// The file. It is made if it is missing, and so is its folder; nobody but its owner may read it then.
    pub path: PathBuf,
    /// Connections that read, at least one. One more writes.
    pub connections: u32,
    /// How long to wait for a connection, and as long again for another process that writes. More than nothing.
    pub wait: Duration,
}

/// A SQLite file.
///
/// Dropping it closes its connections, and the last one to close a file copies the WAL into it and removes it.
pub struct SqliteStore {
    pool: Pool,
    /// For work that has a connection, and time, of its own.
    file: DatabaseFile,
}

/// How long to wait for another instance that migrates, which may take its time.
const MIGRATION: Duration = Duration::from_mins(1);

impl SqliteStore {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// [`StoreError`], whose source names the file and says why, if it is not, and cannot become, a database that can be
    /// written.
    pub fn open(options: &Options) -> Result<Self, StoreError> {
        let Options { path, connections, wait } = options;
        let file = DatabaseFile::provide(path).map_err(|error| about(path, error))?;
        let pool = Pool::open(&file, *connections, *wait).map_err(|error| about(path, error))?;
        Ok(Self { pool, file })
    }

    /// Applies the migrations that are missing, in order, and returns their names. Any number of instances may do so
    /// at the same time: one does it, the others wait and find it done.
    ///
    /// # Errors
    /// [`StoreError`]; none has been applied then.
    pub fn migrate(&self) -> Result<Vec<String>, StoreError> {
        in_transaction(WRITE, &mut self.file.connect(Settings::writing(MIGRATION))?, migrations::migrate)
    }

    /// The names of the migrations that are missing, in order.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        in_transaction(READ, &mut *self.pool.reader()?, migrations::pending)
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
        // Reads the file, which SELECT 1 by itself would not.
        let statement = diesel::sql_query("SELECT count(*) FROM sqlite_schema");
        statement.execute(&mut *self.pool.reader()?).map_err(|error| store_error(&error))?;
        Ok(())
    }
}

/// What went wrong with a file, beginning with its name.
fn about(path: &Path, error: StoreError) -> StoreError {
    let told = |source: Arc<dyn Error + Send + Sync>| format!("{}: {source}", path.display());
    match error {
        StoreError::Unavailable { source, .. } => StoreError::unavailable(told(source)),
        StoreError::Internal { source } => StoreError::internal(told(source)),
        other => other,
    }
}
