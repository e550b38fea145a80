//! Connections: some that read, one that writes, and transactions on either.

use std::time::Duration;

use diesel::connection::{AnsiTransactionManager, TransactionManager as _};
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, NopErrorHandler, PooledConnection};
use roster_application::ports::{StoreError, Verdict};

use crate::error::store_error;
use crate::file::{DatabaseFile, Settings};

/// How long all connections may take to be made when the store is opened: more than a caller waits for one.
const OPENING: Duration = Duration::from_secs(10);

/// Begins a transaction that sees one state.
pub const READ: &str = "BEGIN";

/// Begins a transaction that writes. It takes the write lock at once: one that took it later could find that what it
/// has read is no longer so, and would have to begin again.
pub const WRITE: &str = "BEGIN IMMEDIATE";

/// The connections of one process to one file.
pub struct Pool {
    readers: Connections,
    /// One, so that waiting for it is waiting for one's turn to write. SQLite itself knows no line: whoever finds the
    /// file locked sleeps and looks again.
    writer: Connections,
    wait: Duration,
}

/// A connection that a caller has for itself.
pub type Borrowed = PooledConnection<ConnectionManager<SqliteConnection>>;

type Connections = diesel::r2d2::Pool<ConnectionManager<SqliteConnection>>;

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
        // One by itself, before the pools: a pool tries again until the time is over, whatever the reason.
        let _first = file.connect(Settings::writing(wait))?;
        let writer = connections(file, 1, Settings::writing(wait))?;
        Ok(Self { readers: connections(file, readers, Settings::reading(wait))?, writer, wait })
    }

    /// Takes a connection that reads.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if none is to be had in time.
    pub fn reader(&self) -> Result<Borrowed, StoreError> {
        self.readers.get_timeout(self.wait).map_err(|error| StoreError::unavailable(format!("to read: {error}")))
    }

    /// Takes the connection that writes.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it is not to be had in time.
    pub fn writer(&self) -> Result<Borrowed, StoreError> {
        self.writer.get_timeout(self.wait).map_err(|error| StoreError::unavailable(format!("to write: {error}")))
    }
}

/// All connections of a pool are made at once and kept: there is nothing to save by closing one.
fn connections(file: &DatabaseFile, count: u32, settings: Settings) -> Result<Connections, StoreError> {
    diesel::r2d2::Pool::builder()
        .max_size(count)
        .connection_timeout(OPENING)
        .max_lifetime(None)
        .idle_timeout(None)
        // A file in use does not go away by itself, and asking whether it is still there would double what a read costs.
        .test_on_check_out(false)
        // Whoever waits for the connection is told.
        .error_handler(Box::new(NopErrorHandler))
        .connection_customizer(Box::new(settings))
        .build(ConnectionManager::new(file.url()))
        .map_err(|error| StoreError::unavailable(error.to_string()))
}

/// Runs `work` in a transaction that `begin` begins, and commits or undoes it as `work` says.
///
/// A connection that does not even roll back is not put back into its pool.
///
/// # Errors
/// What `work`, the beginning or the commit met. Nothing has been written then, unless the disk failed at the commit.
pub fn in_transaction<T>(
    begin: &str,
    connection: &mut SqliteConnection,
    work: impl FnOnce(&mut SqliteConnection) -> Result<(Verdict, T), StoreError>,
) -> Result<T, StoreError> {
    AnsiTransactionManager::begin_transaction_sql(connection, begin).map_err(|error| store_error(&error))?;
    match work(connection) {
        Ok((Verdict::Commit, value)) => {
            AnsiTransactionManager::commit_transaction(connection).map_err(|error| store_error(&error))?;
            Ok(value)
        }
        Ok((Verdict::Rollback, value)) => {
            roll_back(connection);
            Ok(value)
        }
        Err(error) => {
            roll_back(connection);
            Err(error)
        }
    }
}

/// Undoes a transaction, which SQLite may have done by itself: a full disk makes it.
fn roll_back(connection: &mut SqliteConnection) {
    let _ = AnsiTransactionManager::rollback_transaction(connection);
}

#[cfg(test)]
mod tests {
    use super::*;
    use diesel::connection::SimpleConnection as _;
    use diesel::dsl::sql;
    use diesel::sql_types::{BigInt, Text};
    use roster_application::ports::Retry;
    use std::time::Instant;
    use tempfile::TempDir;

    const SHORT: Duration = Duration::from_millis(100);
    const LONG: Duration = Duration::from_secs(30);

    fn pool(readers: u32, wait: Duration) -> (Pool, TempDir) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = DatabaseFile::provide(&folder.path().join("roster.db")).expect("a new file");
        (Pool::open(&file, readers, wait).expect("an empty database"), folder)
    }

    fn number(connection: &mut SqliteConnection, statement: &str) -> i64 {
        sql::<BigInt>(statement).get_result(connection).expect("a number")
    }

    fn assert_settings(connection: &mut SqliteConnection, cache: i64, query_only: bool) {
        let mode: String = sql::<Text>("PRAGMA journal_mode").get_result(connection).expect("a mode");
        assert_eq!(mode, "wal");
        for (name, value) in [
            ("busy_timeout", 30_000),
            ("synchronous", 2),
            ("foreign_keys", 1),
            ("trusted_schema", 0),
            ("cache_size", cache),
            ("wal_autocheckpoint", 4000),
            ("journal_size_limit", 67_108_864),
            ("query_only", i64::from(query_only)),
        ] {
            assert_eq!(number(connection, &format!("PRAGMA {name}")), value, "{name}");
        }
    }

    #[test]
    fn every_connection_has_the_settings() {
        let (pool, _folder) = pool(3, LONG);
        let mut readers: Vec<Borrowed> = (0..3).map(|_| pool.reader().expect("a connection")).collect();
        for reader in &mut readers {
            assert_settings(reader, -4096, true);
        }
        assert_settings(&mut pool.writer().expect("the connection"), -16_384, false);
    }

    #[test]
    fn a_connection_in_the_place_of_a_broken_one_has_the_settings() {
        let (pool, _folder) = pool(1, LONG);
        for _ in 0..3 {
            let mut writer = pool.writer().expect("the connection");
            writer.batch_execute("CREATE TEMP TABLE mark (a)").expect("a table of this connection alone");
            AnsiTransactionManager::begin_transaction_sql(&mut *writer, WRITE).expect("nobody else writes");
            // Dropped in the middle of a transaction, as by work that panics.
            drop(writer);
            let mut next = pool.writer().expect("another connection");
            let marks = "SELECT count(*) FROM sqlite_temp_schema";
            assert_eq!(number(&mut next, marks), 0, "the broken connection was used again");
            assert_settings(&mut next, -16_384, false);
        }
    }

    #[test]
    fn waiting_for_a_turn_to_write_has_an_end_and_keeps_nobody_from_reading() {
        let (pool, _folder) = pool(1, SHORT);
        let mut writer = pool.writer().expect("the connection");
        AnsiTransactionManager::begin_transaction_sql(&mut *writer, WRITE).expect("nobody else writes");
        let start = Instant::now();
        let refused = pool.writer().map(drop).expect_err("one writer at a time");
        assert!(matches!(refused, StoreError::Unavailable { retry: Retry::Later, .. }), "{refused:?}");
        assert!(start.elapsed() >= SHORT);
        assert_eq!(number(&mut pool.reader().expect("a connection"), "PRAGMA user_version"), 0);
    }

    #[test]
    fn waiting_for_a_connection_that_reads_has_an_end() {
        let (pool, _folder) = pool(2, SHORT);
        let _both = (pool.reader().expect("a connection"), pool.reader().expect("a connection"));
        let refused = pool.reader().map(drop).expect_err("two readers at a time");
        assert!(matches!(refused, StoreError::Unavailable { retry: Retry::Later, .. }), "{refused:?}");
        assert!(pool.writer().is_ok());
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

    #[test]
    fn a_transaction_that_fails_leaves_no_trace_and_a_connection_as_good_as_before() {
        let (pool, _folder) = pool(1, LONG);
        let mut writer = pool.writer().expect("the connection");
        let failed: Result<(), _> = in_transaction(WRITE, &mut writer, |connection| {
            connection.batch_execute("CREATE TABLE t (a)").map_err(|error| store_error(&error))?;
            Err(StoreError::spent())
        });
        assert!(failed.is_err());
        let done = in_transaction(WRITE, &mut writer, |connection| {
            Ok((Verdict::Commit, number(connection, "SELECT count(*) FROM sqlite_schema")))
        });
        assert_eq!(done.ok(), Some(0));
    }

    #[test]
    fn an_error_is_told_even_if_sqlite_has_rolled_back_by_itself() {
        let (pool, _folder) = pool(1, LONG);
        let mut writer = pool.writer().expect("the connection");
        let failed: Result<(), _> = in_transaction(WRITE, &mut writer, |connection| {
            connection.batch_execute("ROLLBACK").map_err(|error| store_error(&error))?;
            Err(StoreError::unavailable("the disk is full"))
        });
        assert!(matches!(failed, Err(StoreError::Unavailable { .. })), "{failed:?}");
        drop(writer);
        assert!(
            in_transaction(WRITE, &mut pool.writer().expect("a connection"), |_| Ok((Verdict::Commit, ()))).is_ok()
        );
    }
}
