//! Connections: some that read, one that writes, and transactions that read.

use std::time::Duration;

use diesel::connection::{AnsiTransactionManager, TransactionManager as _};
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, NopErrorHandler, PooledConnection};
use roster_application::ports::StoreError;

use crate::error::store_error;
use crate::file::{DatabaseFile, Settings};
use crate::writer::Writer;

/// How long all connections may take to be made when the store is opened: more than a caller waits for one.
const OPENING: Duration = Duration::from_secs(10);

/// Begins a transaction that sees one state.
pub const READ: &str = "BEGIN";

/// Begins a transaction that writes. It takes the write lock at once: one that took it later could find that what it
/// has read is no longer so, and would have to begin again.
pub const WRITE: &str = "BEGIN IMMEDIATE";

/// The connections of one process to one file.
pub struct Pool {
    readers: diesel::r2d2::Pool<ConnectionManager<SqliteConnection>>,
    /// One, so that waiting for it is waiting for one's turn to write. SQLite itself knows no line: whoever finds the
    /// file locked sleeps and looks again.
    writer: Writer,
    wait: Duration,
}

/// A connection that reads, and that a caller has for itself.
pub type Reader = PooledConnection<ConnectionManager<SqliteConnection>>;

impl Pool {
    /// Opens a file with so many connections that read. A caller waits at most `wait` for one of them, or for its turn
    /// to write, and as long again for another process that writes.
    ///
    /// # Errors
    /// [`StoreError`] if there is to be no connection or no time, or if the file is no database that can be written.
    pub fn open(file: &DatabaseFile, readers: u32, wait: Duration) -> Result<Self, StoreError> {
        if readers == 0 || wait.is_zero() {
            return Err(StoreError::internal("a pool needs a connection, and time to get one"));
        }
        // Before the readers: their pool tries again until the time is over, whatever the reason.
        let writer = Writer::open(file.clone(), wait)?;
        let readers = diesel::r2d2::Pool::builder()
            // All are made at once and kept: there is nothing to save by closing one.
            .max_size(readers)
            .connection_timeout(OPENING)
            .max_lifetime(None)
            .idle_timeout(None)
            // A file in use does not go away by itself, and asking whether it is still there would double what a read
            // costs.
            .test_on_check_out(false)
            // Whoever waits for the connection is told.
            .error_handler(Box::new(NopErrorHandler))
            .connection_customizer(Box::new(Settings::reading(wait)))
            .build(ConnectionManager::new(file.url()))
            .map_err(|error| StoreError::unavailable(error.to_string()))?;
        Ok(Self { readers, writer, wait })
    }

    /// Takes a connection that reads.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if none is to be had in time.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        self.readers.get_timeout(self.wait).map_err(|error| StoreError::unavailable(format!("to read: {error}")))
    }

    /// The connection that writes.
    pub fn writer(&self) -> &Writer {
        &self.writer
    }
}

/// Runs `work` in a transaction that `begin` begins, which is undone if it errs.
///
/// # Errors
/// What `work`, the beginning or the commit met.
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
            // SQLite may have done so by itself.
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
        let file = DatabaseFile::provide(&folder.path().join("roster.db")).expect("a new file");
        (Pool::open(&file, readers, wait).expect("an empty database"), folder)
    }

    #[test]
    fn every_connection_that_reads_has_the_settings() {
        let (pool, _folder) = pool(3, LONG);
        let mut readers: Vec<Reader> = (0..3).map(|_| pool.reader().expect("a connection")).collect();
        for reader in &mut readers {
            assert_settings(reader, -1024, true);
        }
    }

    #[test]
    fn waiting_for_a_connection_that_reads_has_an_end() {
        let (pool, _folder) = pool(2, SHORT);
        let _both = (pool.reader().expect("a connection"), pool.reader().expect("a connection"));
        let refused = pool.reader().map(drop).expect_err("two readers at a time");
        assert!(matches!(refused, StoreError::Unavailable { retry: Retry::Later, .. }), "{refused:?}");
        pool.writer().run(|_| Ok((Verdict::Commit, ()))).expect("nobody writes");
    }

    #[test]
    fn a_reader_cannot_write() {
        let (pool, _folder) = pool(1, LONG);
        assert!(pool.reader().expect("a connection").batch_execute("CREATE TABLE t (a)").is_err());
    }

    #[test]
    fn a_pool_of_nothing_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = DatabaseFile::provide(&folder.path().join("roster.db")).expect("a new file");
        for (readers, wait) in [(0, LONG), (1, Duration::ZERO)] {
            let error = Pool::open(&file, readers, wait).map(drop).expect_err("nothing");
            assert!(matches!(error, StoreError::Internal { .. }), "{error:?}");
        }
    }

    #[test]
    fn a_file_is_not_made_anew_once_it_is_gone() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("roster.db");
        let file = DatabaseFile::provide(&path).expect("a new file");
        std::fs::remove_file(path).expect("a file");
        let error = Pool::open(&file, 1, SHORT).map(drop).expect_err("no file");
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        assert_eq!(folder.path().read_dir().expect("a folder").count(), 0);
    }
}
