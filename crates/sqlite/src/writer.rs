//! The one connection that writes, and how writers take turns with it.
//!
//! SQLite lets one transaction write at a time, and has no queue: a writer that finds the file locked sleeps and tries
//! again. Within the process writers therefore wait for this connection. They share a commit all the same: the
//! customers that are written at the same time are one batch, which is one transaction here.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use diesel::connection::{AnsiTransactionManager, TransactionManager as _};
use diesel::prelude::*;
use diesel::sql_types::Integer;
use roster_application::ports::{StoreError, Verdict};

use crate::error::store_error;
use crate::file::{DatabaseFile, Settings};
use crate::identity::OpenFile;
use crate::pool::{WRITE, read};

/// The connection that writes.
pub struct Writer {
    file: DatabaseFile,
    /// The file that is open, which need not be at its path any more.
    open_file: Arc<OpenFile>,
    wait: Duration,
    state: Mutex<State>,
    freed: Condvar,
}

enum State {
    /// No writer has its turn. No connection: the last one broke it.
    Free(Option<SqliteConnection>),
    /// A writer has its turn.
    Taken,
}

impl Writer {
    /// Opens a file. A writer waits at most `wait` for its turn, and as long again for another process.
    ///
    /// Open a connection that reads, too, and keep it: if this one breaks and is the only one, SQLite deletes the WAL.
    ///
    /// # Errors
    /// [`StoreError`] if the file is no database that can be written.
    pub fn open(file: DatabaseFile, wait: Duration) -> Result<Self, StoreError> {
        let mut connection = file.connect(Settings::writing(wait))?;
        read(&mut connection)?;
        let open_file = Arc::new(file.remember()?);
        let state = Mutex::new(State::Free(Some(connection)));
        Ok(Self { file, open_file, wait, state, freed: Condvar::new() })
    }

    /// The file that is open.
    pub fn open_file(&self) -> Arc<OpenFile> {
        Arc::clone(&self.open_file)
    }

    /// Runs `work` in a transaction, and commits or undoes what it wrote as it says.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if its turn did not come in time, or if the file is not at its path any more; what
    /// `work`, the beginning or the commit met. Nothing is written then, unless the disk failed, or the file was deleted or
    /// replaced, during the commit.
    pub fn run<T>(
        &self,
        work: impl FnOnce(&mut SqliteConnection) -> Result<(Verdict, T), StoreError>,
    ) -> Result<T, StoreError> {
        let mut turn = self.take_turn()?;
        self.open_file.check()?;
        // Out of its place, so that a panic, or a transaction that cannot be ended, closes it, which undoes it.
        let mut connection = match turn.connection.take() {
            Some(connection) => connection,
            None => self.file.connect(Settings::writing(self.wait))?,
        };
        if let Err(error) = AnsiTransactionManager::begin_transaction_sql(&mut connection, WRITE) {
            turn.connection = Some(connection);
            return Err(store_error(&error));
        }
        let result = work(&mut connection);
        let ended = match result {
            Ok((Verdict::Commit, _)) => AnsiTransactionManager::commit_transaction(&mut connection),
            // SQLite may have undone all of it by itself: a full disk makes it.
            Ok((Verdict::Rollback, _)) | Err(_) => AnsiTransactionManager::rollback_transaction(&mut connection),
        };
        if ended.is_ok() {
            turn.connection = Some(connection);
        }
        let (_, value) = result?;
        ended.map_err(|error| store_error(&error))?;
        // Again: what was committed to a file that had gone is not acknowledged.
        self.open_file.check()?;
        Ok(value)
    }

    /// Copies the WAL into the file that is open, and empties it.
    ///
    /// For a file that is not at its path any more. It is complete then wherever it went, and its WAL, which stayed, is not
    /// replayed into the file that has come into its place.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if its turn did not come in time, or if a reader needs the WAL.
    pub fn empty_wal(&self) -> Result<(), StoreError> {
        let mut turn = self.take_turn()?;
        let Some(connection) = &mut turn.connection else { return Err(StoreError::unavailable("no connection")) };
        let checkpoint = diesel::sql_query("PRAGMA wal_checkpoint(TRUNCATE)");
        let result: Checkpoint = checkpoint.get_result(connection).map_err(|error| store_error(&error))?;
        if result.busy == 0 { Ok(()) } else { Err(StoreError::unavailable("a reader needs the WAL")) }
    }

    fn take_turn(&self) -> Result<Turn<'_>, StoreError> {
        let is_taken = |state: &mut State| matches!(state, State::Taken);
        let waited = self.freed.wait_timeout_while(self.lock(), self.wait, is_taken);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *state, State::Taken) {
            State::Free(connection) => Ok(Turn { writer: self, connection }),
            State::Taken => Err(StoreError::unavailable("the turn to write did not come in time")),
        }
    }

    /// Ignores lock poisoning: nothing that can panic is done under the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The result of a checkpoint.
#[derive(QueryableByName)]
struct Checkpoint {
    /// Not 0 if another connection kept it from being complete.
    #[diesel(sql_type = Integer)]
    busy: i32,
}

/// A writer's time with the connection. Dropping it ends the turn, also in a panic.
struct Turn<'a> {
    writer: &'a Writer,
    /// Given back at the end of the turn. `None`: it is broken, and the next writer connects anew.
    connection: Option<SqliteConnection>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.writer.lock() = State::Free(self.connection.take());
        self.writer.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::tests::assert_settings;
    use diesel::connection::SimpleConnection as _;
    use diesel::dsl::sql;
    use diesel::sql_types::BigInt;
    use roster_application::ports::Retry;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::sync::mpsc;
    use std::thread;
    use std::time::Instant;
    use tempfile::TempDir;

    const SHORT: Duration = Duration::from_millis(100);
    const LONG: Duration = Duration::from_secs(30);

    /// A writer of a file with a table of unique numbers. A row whose `parent` is missing breaks a rule that is checked at
    /// the commit.
    struct Numbers {
        writer: Writer,
        _reader: Mutex<SqliteConnection>,
        _folder: TempDir,
    }

    impl Numbers {
        fn new(wait: Duration) -> Self {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let file = DatabaseFile::provide(&folder.path().join("roster.db"), true).expect("a new file");
            let writer = Writer::open(file.clone(), wait).expect("an empty database");
            let reader = file.connect(Settings::reading(wait)).expect("a file");
            let numbers = Self { writer, _reader: Mutex::new(reader), _folder: folder };
            numbers
                .write(
                    "CREATE TABLE numbers (
                        number INTEGER PRIMARY KEY,
                        parent INTEGER REFERENCES numbers DEFERRABLE INITIALLY DEFERRED
                     );",
                )
                .expect("an empty database");
            numbers
        }

        fn write(&self, statements: &str) -> Result<(), StoreError> {
            self.writer.run(|connection| Ok((Verdict::Commit, execute(connection, statements)?)))
        }

        fn add(&self, number: i64) -> Result<(), StoreError> {
            self.write(&insert(number))
        }

        /// What another connection sees.
        fn seen(&self) -> Vec<i64> {
            let mut reader = self.writer.file.connect(Settings::reading(LONG)).expect("a file");
            all(&mut reader)
        }
    }

    fn insert(number: i64) -> String {
        format!("INSERT INTO numbers VALUES ({number}, NULL)")
    }

    fn execute(connection: &mut SqliteConnection, statements: &str) -> Result<(), StoreError> {
        connection.batch_execute(statements).map_err(|error| store_error(&error))
    }

    fn all(connection: &mut SqliteConnection) -> Vec<i64> {
        sql::<BigInt>("SELECT number FROM numbers ORDER BY number").load(connection).expect("a table")
    }

    #[test]
    fn the_connection_has_the_settings() {
        let numbers = Numbers::new(LONG);
        let check = |connection: &mut SqliteConnection| {
            assert_settings(connection, -16384, false);
            Ok((Verdict::Commit, ()))
        };
        numbers.writer.run(check).expect("no other writer");
    }

    #[test]
    fn what_is_kept_is_committed_and_the_rest_leaves_no_trace() {
        let numbers = Numbers::new(LONG);
        numbers.add(1).expect("no other writer");
        let undone = |connection: &mut SqliteConnection| {
            execute(connection, &insert(2))?;
            Ok((Verdict::Rollback, all(connection)))
        };
        assert_eq!(numbers.writer.run(undone).ok(), Some(vec![1, 2]));
        let failed: Result<(), _> = numbers.writer.run(|connection| {
            execute(connection, &insert(3))?;
            Err(StoreError::spent())
        });
        assert!(matches!(failed, Err(StoreError::Internal { .. })), "{failed:?}");
        assert_eq!(numbers.seen(), [1]);
        numbers.add(2).expect("a connection as good as before");
        assert_eq!(numbers.seen(), [1, 2]);
    }

    #[test]
    fn waiting_for_a_turn_ends() {
        let numbers = Numbers::new(SHORT);
        let (open, gate) = mpsc::channel::<()>();
        let writer = &numbers.writer;
        thread::scope(|scope| {
            let hanging = scope.spawn(move || writer.run(|_| Ok((Verdict::Commit, gate.recv().is_ok()))));
            while !matches!(*numbers.writer.lock(), State::Taken) {
                thread::yield_now();
            }
            let start = Instant::now();
            let refused = numbers.add(1).expect_err("one at a time");
            assert!(matches!(refused, StoreError::Unavailable { retry: Retry::Later, .. }), "{refused:?}");
            assert!(start.elapsed() >= SHORT);
            assert!(numbers.seen().is_empty(), "a reader does not wait");
            open.send(()).expect("it hangs there");
            assert_eq!(hanging.join().expect("no panic").ok(), Some(true));
        });
    }

    #[test]
    fn every_writer_has_its_turn() {
        let numbers = Numbers::new(LONG);
        thread::scope(|scope| {
            let writers: Vec<_> = (0..20)
                .map(|number| {
                    scope.spawn({
                        let numbers = &numbers;
                        move || numbers.add(number)
                    })
                })
                .collect();
            for writer in writers {
                writer.join().expect("no panic").expect("a turn in time");
            }
        });
        assert_eq!(numbers.seen(), (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn a_commit_that_fails_writes_nothing() {
        let numbers = Numbers::new(LONG);
        let failed = numbers.write("INSERT INTO numbers VALUES (1, 77)");
        assert!(matches!(failed, Err(StoreError::Internal { .. })), "{failed:?}");
        assert!(numbers.seen().is_empty());
        numbers.add(3).expect("a connection as good as before");
        assert_eq!(numbers.seen(), [3]);
    }

    #[test]
    fn a_transaction_that_sqlite_ends_by_itself_is_reported() {
        let numbers = Numbers::new(LONG);
        let result: Result<(), _> = numbers.writer.run(|connection| {
            execute(connection, "ROLLBACK")?;
            Err(StoreError::unavailable("the disk is full"))
        });
        assert!(matches!(result, Err(StoreError::Unavailable { retry: Retry::Later, .. })), "{result:?}");
        numbers.add(3).expect("a connection as good as before");
        assert_eq!(numbers.seen(), [3]);
    }

    #[test]
    fn a_connection_in_the_place_of_a_broken_one_has_the_settings() {
        let numbers = Numbers::new(LONG);
        for _ in 0..3 {
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                numbers.write("CREATE TEMP TABLE mark (a)").expect("a table of this connection alone");
                // Without the panic hook, which would print a fault that is none.
                let _: Result<(), _> = numbers.writer.run(|connection| {
                    execute(connection, &insert(1))?;
                    resume_unwind(Box::new("on purpose"))
                });
            }));
            assert!(panicked.is_err());
            let check = |connection: &mut SqliteConnection| {
                let marks = sql::<BigInt>("SELECT count(*) FROM sqlite_temp_schema").get_result::<i64>(connection);
                assert_eq!(marks, Ok(0), "the broken connection was used again");
                assert_settings(connection, -16384, false);
                Ok((Verdict::Commit, ()))
            };
            numbers.writer.run(check).expect("another connection");
            assert!(numbers.seen().is_empty());
        }
    }
}
