//! The one connection that writes, and how those who write take turns with it.
//!
//! A commit waits for the disk, which takes longer than all that comes before it. Whoever is done while others wait for
//! their turn therefore leaves the transaction open to the next of them, and the last commits for all: a crowd shares one
//! sync of the disk, a lone writer has its own, and nobody waits for a group to fill.
//!
//! Each works as if alone. Whoever is not the first works behind a savepoint, to which a failure goes back. All of a group
//! are answered once it is committed, also those who have written nothing: what they have read stands in it.

use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use diesel::connection::{AnsiTransactionManager, TransactionManager as _};
use diesel::prelude::*;
use roster_application::ports::{StoreError, Verdict};

use crate::error::store_error;
use crate::file::{DatabaseFile, Settings};
use crate::pool::WRITE;

/// The most that one commit is for, so that the first of them need not wait for many others.
const MAX_GROUP: usize = 64;

/// The connection that writes.
pub struct Writer {
    file: DatabaseFile,
    wait: Duration,
    state: Mutex<State>,
    freed: Condvar,
}

struct State {
    /// How many wait for their turn. Where a transaction is left open, it is at least one, who will go on with it.
    waiting: usize,
    /// None while somebody has their turn.
    free: Option<Held>,
}

/// What whoever has their turn holds.
#[derive(Default)]
struct Held {
    /// None if the last one broke it.
    connection: Option<SqliteConnection>,
    /// Those whose work stands in the transaction that the connection is in. None if it is in none.
    group: Option<Group>,
}

/// Those for whom one commit is.
#[derive(Default)]
struct Group {
    members: usize,
    end: Arc<End>,
}

/// How the transaction of a group has ended.
#[derive(Default)]
struct End {
    outcome: Mutex<Option<Result<(), StoreError>>>,
    known: Condvar,
}

impl Writer {
    /// Opens a file. Whoever writes waits at most `wait` for their turn, and as long again for another process.
    ///
    /// # Errors
    /// [`StoreError`] if the file is no database that can be written.
    pub fn open(file: DatabaseFile, wait: Duration) -> Result<Self, StoreError> {
        let connection = Some(file.connect(Settings::writing(wait))?);
        let state = State { waiting: 0, free: Some(Held { connection, group: None }) };
        Ok(Self { file, wait, state: Mutex::new(state), freed: Condvar::new() })
    }

    /// Runs `work` in a transaction, and keeps or undoes what it wrote as it says. What it returns is told once the
    /// transaction is committed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if its turn did not come in time; what `work`, the beginning or the commit met; or a
    /// lost race if somebody else broke the transaction that both were in. Nothing has been written then, unless the disk
    /// failed at the commit.
    pub fn run<T>(
        &self,
        work: impl FnOnce(&mut SqliteConnection) -> Result<(Verdict, T), StoreError>,
    ) -> Result<T, StoreError> {
        let mut turn = self.turn()?;
        let result = turn.run(work);
        let committed = turn.end();
        let value = result?;
        committed?;
        Ok(value)
    }

    fn turn(&self) -> Result<Turn<'_>, StoreError> {
        let mut state = self.lock();
        state.waiting += 1;
        let is_taken = |state: &mut State| state.free.is_none();
        let (mut state, _) =
            self.freed.wait_timeout_while(state, self.wait, is_taken).unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        // What is free is taken even if it is late: it may be an open transaction, and nobody else there to go on with it.
        let held = state.free.take();
        let held = held.ok_or_else(|| StoreError::unavailable("to write: one's turn did not come in time"))?;
        Ok(Turn { writer: self, held, is_over: false })
    }

    fn free(&self, held: Held) {
        self.lock().free = Some(held);
        self.freed.notify_one();
    }

    /// Nothing that can panic is done under the lock, so it cannot be poisoned.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody's time with the connection.
struct Turn<'a> {
    writer: &'a Writer,
    held: Held,
    is_over: bool,
}

impl Turn<'_> {
    /// Does `work` and undoes what is not to be kept. What is to be kept is not committed yet.
    fn run<T>(
        &mut self,
        work: impl FnOnce(&mut SqliteConnection) -> Result<(Verdict, T), StoreError>,
    ) -> Result<T, StoreError> {
        // Out of its place, so that a panic, or what is not undone, closes it, which ends its transaction.
        let mut connection = match self.held.connection.take() {
            Some(connection) => connection,
            None => self.writer.file.connect(Settings::writing(self.writer.wait))?,
        };
        let begun = match self.held.group {
            None => AnsiTransactionManager::begin_transaction_sql(&mut connection, WRITE),
            Some(_) => AnsiTransactionManager::begin_transaction(&mut connection),
        };
        if let Err(error) = begun {
            if self.held.group.is_none() {
                self.held.connection = Some(connection);
            }
            return Err(store_error(&error));
        }
        let result = work(&mut connection);
        let is_kept = matches!(result, Ok((Verdict::Commit, _)));
        let done = match (is_kept, &mut self.held.group) {
            (true, None) => {
                self.held.group = Some(Group::default());
                Ok(())
            }
            (true, Some(_)) => AnsiTransactionManager::commit_transaction(&mut connection),
            // SQLite may have undone all of it by itself: a full disk makes it.
            (false, _) => AnsiTransactionManager::rollback_transaction(&mut connection),
        };
        if done.is_ok() {
            if let Some(group) = &mut self.held.group {
                group.members += 1;
            }
            self.held.connection = Some(connection);
        }
        let (_, value) = result?;
        done.map_err(|error| store_error(&error))?;
        Ok(value)
    }

    /// Leaves what is to be kept to the next, or commits it, and waits until it is committed.
    fn end(mut self) -> Result<(), StoreError> {
        self.finish()
    }

    fn finish(&mut self) -> Result<(), StoreError> {
        self.is_over = true;
        let Held { connection, group } = mem::take(&mut self.held);
        let Some(group) = group else {
            self.writer.free(Held { connection, group: None });
            return Ok(());
        };
        let end = Arc::clone(&group.end);
        let Some(mut connection) = connection else {
            self.writer.free(Held::default());
            return end.tell(Err(StoreError::lost_race("somebody else broke the transaction")));
        };
        let mut state = self.writer.lock();
        if state.waiting > 0 && group.members < MAX_GROUP {
            state.free = Some(Held { connection: Some(connection), group: Some(group) });
            drop(state);
            self.writer.freed.notify_one();
            return end.wait();
        }
        drop(state);
        let outcome = AnsiTransactionManager::commit_transaction(&mut connection).map_err(|error| store_error(&error));
        let connection = outcome.is_ok().then_some(connection);
        self.writer.free(Held { connection, group: None });
        end.tell(outcome)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            // The work panicked.
            let _lost = self.finish();
        }
    }
}

impl End {
    /// Tells all members, and gives back what they are told.
    fn tell(&self, outcome: Result<(), StoreError>) -> Result<(), StoreError> {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome.clone());
        self.known.notify_all();
        outcome
    }

    /// Waits as long as the others of the group and the disk take.
    fn wait(&self) -> Result<(), StoreError> {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(outcome) = &*outcome {
                return outcome.clone();
            }
            outcome = self.known.wait(outcome).unwrap_or_else(PoisonError::into_inner);
        }
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

    /// A writer of a file with a table of numbers, no two of which are the same. Those that have no `parent` break a rule
    /// that is looked at when they are committed.
    struct Numbers {
        writer: Writer,
        _folder: TempDir,
    }

    impl Numbers {
        fn new(wait: Duration) -> Self {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let file = DatabaseFile::provide(&folder.path().join("roster.db")).expect("a new file");
            let writer = Writer::open(file, wait).expect("an empty database");
            let numbers = Self { writer, _folder: folder };
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
            self.writer.run(|connection| add(connection, number))
        }

        /// What anybody else sees.
        fn seen(&self) -> Vec<i64> {
            let mut reader = self.writer.file.connect(Settings::reading(LONG)).expect("a file");
            all(&mut reader)
        }

        /// Has `first` work while all of `others` wait for their turn.
        fn crowd<'scope, T: Send + 'scope>(
            &'scope self,
            scope: &'scope thread::Scope<'scope, '_>,
            first: impl FnOnce(&mut SqliteConnection) -> Result<(Verdict, T), StoreError> + Send + 'scope,
            others: Vec<Box<dyn FnOnce() -> Result<T, StoreError> + Send + 'scope>>,
        ) -> Vec<thread::Result<Result<T, StoreError>>> {
            let (open, gate) = mpsc::channel();
            let first = scope.spawn(move || {
                self.writer.run(|connection| {
                    gate.recv().expect("the test opens it");
                    first(connection)
                })
            });
            let mut all = vec![first];
            while self.writer.lock().free.is_some() {
                thread::yield_now();
            }
            for (before, other) in others.into_iter().enumerate() {
                all.push(scope.spawn(other));
                while self.writer.lock().waiting <= before {
                    thread::yield_now();
                }
            }
            open.send(()).expect("the first waits for it");
            all.into_iter().map(thread::ScopedJoinHandle::join).collect()
        }
    }

    fn insert(number: i64) -> String {
        format!("INSERT INTO numbers VALUES ({number}, NULL)")
    }

    fn execute(connection: &mut SqliteConnection, statements: &str) -> Result<(), StoreError> {
        connection.batch_execute(statements).map_err(|error| store_error(&error))
    }

    fn add(connection: &mut SqliteConnection, number: i64) -> Result<(Verdict, ()), StoreError> {
        Ok((Verdict::Commit, execute(connection, &insert(number))?))
    }

    fn fail(connection: &mut SqliteConnection) -> Result<(Verdict, ()), StoreError> {
        execute(connection, &insert(5))?;
        Err(StoreError::spent())
    }

    /// As SQLite does when the disk is full.
    fn breaks(connection: &mut SqliteConnection) -> Result<(Verdict, ()), StoreError> {
        execute(connection, "ROLLBACK")?;
        Err(StoreError::unavailable("the disk is full"))
    }

    fn undo(connection: &mut SqliteConnection) -> Result<(Verdict, ()), StoreError> {
        Ok((Verdict::Rollback, execute(connection, &insert(6))?))
    }

    fn all(connection: &mut SqliteConnection) -> Vec<i64> {
        sql::<BigInt>("SELECT number FROM numbers ORDER BY number").load(connection).expect("a table")
    }

    fn is_lost_race(result: &Result<(), StoreError>) -> bool {
        matches!(result, Err(StoreError::Unavailable { retry: Retry::Now, .. }))
    }

    #[test]
    fn the_connection_has_the_settings() {
        let numbers = Numbers::new(LONG);
        let check = |connection: &mut SqliteConnection| {
            assert_settings(connection, -4096, false);
            Ok((Verdict::Commit, ()))
        };
        // Before a transaction begins there is no way to the connection, and within one all can be read.
        numbers.writer.run(check).expect("nobody else writes");
    }

    #[test]
    fn what_is_kept_is_committed_and_what_is_not_leaves_no_trace() {
        let numbers = Numbers::new(LONG);
        numbers.add(1).expect("nobody else writes");
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
    fn waiting_for_a_turn_has_an_end() {
        let numbers = Numbers::new(SHORT);
        let (open, gate) = mpsc::channel::<()>();
        let writer = &numbers.writer;
        thread::scope(|scope| {
            let hanging = scope.spawn(move || writer.run(|_| Ok((Verdict::Commit, gate.recv().is_ok()))));
            while numbers.writer.lock().free.is_some() {
                thread::yield_now();
            }
            let start = Instant::now();
            let refused = numbers.add(1).expect_err("one at a time");
            assert!(matches!(refused, StoreError::Unavailable { retry: Retry::Later, .. }), "{refused:?}");
            assert!(start.elapsed() >= SHORT);
            assert!(numbers.seen().is_empty(), "who reads does not wait");
            open.send(()).expect("it hangs there");
            assert_eq!(hanging.join().expect("no panic").ok(), Some(true));
        });
    }

    #[test]
    fn who_waits_meanwhile_shares_a_commit() {
        let numbers = Numbers::new(LONG);
        thread::scope(|scope| {
            let second = || {
                numbers.writer.run(|connection| {
                    let added = add(connection, 2)?;
                    // The first is done, and not committed yet.
                    assert_eq!((all(connection), numbers.seen()), (vec![1, 2], vec![]));
                    Ok(added)
                })
            };
            let results = numbers.crowd(scope, |connection| add(connection, 1), vec![Box::new(second)]);
            assert!(results.iter().all(|result| matches!(result, Ok(Ok(())))), "{results:?}");
        });
        assert_eq!(numbers.seen(), [1, 2]);
    }

    #[test]
    fn the_failure_of_one_is_not_the_failure_of_those_who_share_its_commit() {
        let numbers = Numbers::new(LONG);
        thread::scope(|scope| {
            let others: Vec<Box<dyn FnOnce() -> Result<(), StoreError> + Send>> = vec![
                Box::new(|| numbers.writer.run(fail)),
                Box::new(|| numbers.writer.run(undo)),
                Box::new(|| numbers.add(1)),
                Box::new(|| numbers.add(2)),
            ];
            let results = numbers.crowd(scope, |connection| add(connection, 1), others);
            let [Ok(Ok(())), Ok(Err(failed)), Ok(Ok(())), Ok(Err(duplicate)), Ok(Ok(()))] = &results[..] else {
                panic!("{results:?}")
            };
            assert!(matches!(failed, StoreError::Internal { .. }), "{failed:?}");
            assert!(matches!(duplicate, StoreError::Duplicate { .. }), "{duplicate:?}");
        });
        assert_eq!(numbers.seen(), [1, 2]);
        thread::scope(|scope| {
            let results = numbers.crowd(scope, fail, vec![Box::new(|| numbers.add(3))]);
            let [Ok(Err(StoreError::Internal { .. })), Ok(Ok(()))] = &results[..] else { panic!("{results:?}") };
        });
        assert_eq!(numbers.seen(), [1, 2, 3]);
    }

    #[test]
    fn a_commit_that_fails_fails_for_all_and_nothing_is_written() {
        let numbers = Numbers::new(LONG);
        thread::scope(|scope| {
            let orphan = |connection: &mut SqliteConnection| {
                Ok((Verdict::Commit, execute(connection, "INSERT INTO numbers VALUES (1, 77)")?))
            };
            let results = numbers.crowd(scope, orphan, vec![Box::new(|| numbers.add(2))]);
            let failed = |result: &thread::Result<_>| matches!(result, Ok(Err(StoreError::Internal { .. })));
            assert!(results.iter().all(failed), "{results:?}");
        });
        assert!(numbers.seen().is_empty());
        numbers.add(3).expect("a connection as good as before");
        assert_eq!(numbers.seen(), [3]);
    }

    #[test]
    fn a_panic_loses_the_race_for_those_who_share_its_commit() {
        let numbers = Numbers::new(LONG);
        thread::scope(|scope| {
            let panics = || {
                // As a panic does, but without a word on standard error.
                numbers.writer.run(|connection| {
                    execute(connection, &insert(2))?;
                    resume_unwind(Box::new("on purpose"))
                })
            };
            let results = numbers.crowd(scope, |connection| add(connection, 1), vec![Box::new(panics)]);
            let [Ok(lost), Err(_)] = &results[..] else { panic!("{results:?}") };
            assert!(is_lost_race(lost), "{lost:?}");
        });
        numbers.add(3).expect("a connection as good as before");
        assert_eq!(numbers.seen(), [3]);
    }

    #[test]
    fn a_transaction_that_sqlite_ends_by_itself_loses_the_race_for_those_who_share_it() {
        let numbers = Numbers::new(LONG);
        thread::scope(|scope| {
            let results =
                numbers.crowd(scope, |connection| add(connection, 1), vec![Box::new(|| numbers.writer.run(breaks))]);
            let [Ok(lost), Ok(Err(told))] = &results[..] else { panic!("{results:?}") };
            assert!(is_lost_race(lost), "{lost:?}");
            assert!(matches!(told, StoreError::Unavailable { retry: Retry::Later, .. }), "{told:?}");
        });
        // Whoever is alone is told as well.
        let told = numbers.writer.run(breaks);
        assert!(matches!(told, Err(StoreError::Unavailable { retry: Retry::Later, .. })), "{told:?}");
        numbers.add(3).expect("a connection as good as before");
        assert_eq!(numbers.seen(), [3]);
    }

    #[test]
    fn a_connection_in_the_place_of_a_broken_one_has_the_settings() {
        let numbers = Numbers::new(LONG);
        for _ in 0..3 {
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                numbers.write("CREATE TEMP TABLE mark (a)").expect("a table of this connection alone");
                let _: Result<(), _> = numbers.writer.run(|_| resume_unwind(Box::new("on purpose")));
            }));
            assert!(panicked.is_err());
            let check = |connection: &mut SqliteConnection| {
                let marks = sql::<BigInt>("SELECT count(*) FROM sqlite_temp_schema").get_result::<i64>(connection);
                assert_eq!(marks, Ok(0), "the broken connection was used again");
                assert_settings(connection, -4096, false);
                Ok((Verdict::Commit, ()))
            };
            numbers.writer.run(check).expect("another connection");
        }
    }

    #[test]
    fn a_commit_is_for_no_more_than_the_bound() {
        let numbers = Numbers::new(LONG);
        thread::scope(|scope| {
            let last = i64::try_from(MAX_GROUP).expect("a small number");
            let another = |number| -> Box<dyn FnOnce() -> Result<(), StoreError> + Send + '_> {
                let numbers = &numbers;
                Box::new(move || {
                    numbers.writer.run(|connection| {
                        // Whoever finds a group that is full has it committed before.
                        let (within, seen) = (all(connection).len(), numbers.seen().len());
                        assert!(within - seen < MAX_GROUP, "{within} in one transaction");
                        add(connection, number)
                    })
                })
            };
            let results = numbers.crowd(scope, |connection| add(connection, 0), (1..=last).map(another).collect());
            assert!(results.iter().all(|result| matches!(result, Ok(Ok(())))), "{results:?}");
        });
        assert_eq!(numbers.seen().len(), MAX_GROUP + 1);
    }
}
