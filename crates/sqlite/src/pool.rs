//! The connections: several that read, one that writes, and transactions over them.

use std::sync::Arc;
use std::time::Duration;

use diesel::connection::{AnsiTransactionManager, TransactionManager as _};
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, NopErrorHandler, PooledConnection};
use roster_application::ports::{Connections, StoreError};

use crate::error::store_error;
use crate::file::{DatabaseFile, Settings};
use crate::identity::OpenFile;
use crate::writer::Writer;

/// The timeout for opening all connections when the store is opened: longer than a caller waits for one.
const OPENING: Duration = Duration::from_secs(10);

/// Begins a transaction that reads: all its statements see the same snapshot.
pub const READ: &str = "BEGIN";

/// Begins a transaction that writes.
///
/// It takes the write lock at once. If it took the lock after its first read, another writer could have changed the
/// rows in between, and the transaction would fail and have to run again.
pub const WRITE: &str = "BEGIN IMMEDIATE";

/// The connections of one process to one file.
pub struct Pool {
    readers: diesel::r2d2::Pool<ConnectionManager<SqliteConnection>>,
    /// The only connection that writes: writers wait here for their turn.
    writer: Writer,
    wait: Duration,
}

/// A connection for reading that one caller has taken from the pool.
pub type Reader = PooledConnection<ConnectionManager<SqliteConnection>>;

impl Pool {
    /// Opens `file` with `readers` connections that read.
    ///
    /// A caller waits at most `wait` for one of them or for its turn to write, and at most `wait` again for another
    /// process that writes.
    ///
    /// # Errors
    /// [`StoreError`] if `readers` or `wait` is zero, or if the file is no database that can be written.
    pub fn open(file: &DatabaseFile, readers: u32, wait: Duration) -> Result<Self, StoreError> {
        if readers == 0 || wait.is_zero() {
            return Err(StoreError::internal("a pool needs a connection, and time to get one"));
        }
        // Opened before the readers, whose pool repeats any error until its timeout: a broken file is refused at once.
        let writer = Writer::open(file.clone(), wait)?;
        let readers = diesel::r2d2::Pool::builder()
            // All are opened now and kept: closing an idle one would save nothing.
            .max_size(readers)
            .connection_timeout(OPENING)
            .max_lifetime(None)
            .idle_timeout(None)
            // A file stays open even if it is deleted, and a test for each read would double the cost of the read.
            .test_on_check_out(false)
            // The caller that waits for the connection gets the error.
            .error_handler(Box::new(NopErrorHandler))
            .connection_customizer(Box::new(Opening { settings: Settings::reading(wait), file: writer.open_file() }))
            .build(ConnectionManager::new(file.url()))
            .map_err(|error| StoreError::unavailable(error.to_string()))?;
        Ok(Self { readers, writer, wait })
    }

    /// Takes a connection that reads.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if none is free in time.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        self.readers.get_timeout(self.wait).map_err(|error| StoreError::unavailable(format!("to read: {error}")))
    }

    /// The connections that read.
    pub fn usage(&self) -> Connections {
        let state = self.readers.state();
        let in_use = state.connections.saturating_sub(state.idle_connections);
        Connections { in_use: in_use.into(), most: self.readers.max_size().into() }
    }

    /// Checks that the file that is open is still at its path.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it is not.
    pub fn check_file(&self) -> Result<(), StoreError> {
        self.writer.open_file().check()
    }

    /// The connection that writes.
    pub fn writer(&self) -> &Writer {
        &self.writer
    }
}

/// Reads the file. `SELECT 1` would not.
///
/// # Errors
/// [`StoreError`] if it cannot be read.
pub fn read(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let statement = diesel::sql_query("SELECT count(*) FROM sqlite_schema");
    statement.execute(connection).map(drop).map_err(|error| store_error(&error))
}

/// Sets up a connection that reads, also one that takes the place of a broken one later.
#[derive(Debug)]
struct Opening {
    settings: Settings,
    file: Arc<OpenFile>,
}

impl CustomizeConnection<SqliteConnection, diesel::r2d2::Error> for Opening {
    fn on_acquire(&self, connection: &mut SqliteConnection) -> Result<(), diesel::r2d2::Error> {
        // Before it reads: the file may be the one that has come into the place of the one that the others have open, and
        // their WAL would be replayed into it.
        let gone = |error: StoreError| diesel::result::Error::QueryBuilderError(Box::new(error));
        self.file.check().map_err(gone).map_err(diesel::r2d2::Error::QueryError)?;
        self.settings.on_acquire(connection)
    }
}

/// Runs `work` in a transaction that the statement `begin` begins. An error of `work` rolls it back.
///
/// # Errors
/// The error of `begin`, of `work` or of the commit.
pub fn in_transaction<T>(
    begin: &str,
    connection: &mut SqliteConnection,
    work: impl FnOnce(&mut SqliteConnection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    AnsiTransactionManager::begin_transaction_sql(connection, begin).map_err(|error| store_error(&error))?;
    match work(connection) {
        Ok(value) => {
            AnsiTransactionManager::commit_transaction(connection).map_err(|error| store_error(&error))?;
            Ok(value)
        }
        Err(error) => {
            // Fails if SQLite has rolled back by itself, as after some errors.
            let _ = AnsiTransactionManager::rollback_transaction(connection);
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::tests::assert_settings;
    use diesel::connection::SimpleConnection as _;
    use roster_application::ports::{Retry, Verdict};
    use tempfile::TempDir;

    const SHORT: Duration = Duration::from_millis(100);
    const LONG: Duration = Duration::from_secs(30);

    fn pool(readers: u32, wait: Duration) -> (Pool, TempDir) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = DatabaseFile::provide(&folder.path().join("roster.db"), true).expect("a new file");
        (Pool::open(&file, readers, wait).expect("an empty database"), folder)
    }

    #[test]
    fn every_reader_has_the_settings() {
        let (pool, _folder) = pool(3, LONG);
        let mut readers: Vec<Reader> = (0..3).map(|_| pool.reader().expect("a connection")).collect();
        for reader in &mut readers {
            assert_settings(reader, -1024, true);
        }
    }

    #[test]
    fn waiting_for_a_reader_times_out() {
        let (pool, _folder) = pool(2, SHORT);
        let _both = (pool.reader().expect("a connection"), pool.reader().expect("a connection"));
        let refused = pool.reader().map(drop).expect_err("two readers at a time");
        assert!(matches!(refused, StoreError::Unavailable { retry: Retry::Later, .. }), "{refused:?}");
        pool.writer().run(|_| Ok((Verdict::Commit, ()))).expect("no other writer");
    }

    #[test]
    fn a_reader_cannot_write() {
        let (pool, _folder) = pool(1, LONG);
        assert!(pool.reader().expect("a connection").batch_execute("CREATE TABLE t (a)").is_err());
    }

    #[test]
    fn a_pool_without_connections_or_time_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = DatabaseFile::provide(&folder.path().join("roster.db"), true).expect("a new file");
        for (readers, wait) in [(0, LONG), (1, Duration::ZERO)] {
            let error = Pool::open(&file, readers, wait).map(drop).expect_err("nothing");
            assert!(matches!(error, StoreError::Internal { .. }), "{error:?}");
        }
    }

    #[test]
    fn a_deleted_file_is_not_created_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("roster.db");
        let file = DatabaseFile::provide(&path, true).expect("a new file");
        std::fs::remove_file(path).expect("a file");
        let error = Pool::open(&file, 1, SHORT).map(drop).expect_err("no file");
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        assert_eq!(folder.path().read_dir().expect("a folder").count(), 0);
    }
}
