//! What the errors of PostgreSQL mean, and which parts of them may be logged.

use diesel::ConnectionError;
use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error};
use roster_application::ports::StoreError;

/// Why a call of the unit of work failed.
#[derive(Debug)]
pub enum Fault {
    /// A statement failed.
    Query(Error),
    /// A row could not be read, or a rule of the port was broken.
    Store(StoreError),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Query(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The message of an error, safe to log: without its detail, hint and context, which repeat the values of rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ErrorMessage(String);

/// What a failed statement means for the unit of work and for its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// A unique index refused a row.
    Duplicate,
    /// Another transaction won a race: the unit of work may run again at once (40001, 40P01).
    LostRace,
    /// Another session has held a lock for too long; the connection stays usable (55P03).
    Locked,
    /// A timeout or a lack of resources; the connection stays usable (57014, 53…).
    Busy,
    /// The connection is lost or must not be used again (57P0…, 08…).
    Disconnected,
    /// The server takes no writes: it is a standby, or was set to read-only (25006).
    ReadOnly,
    /// A defect.
    Defect,
}

/// What an error casts doubt on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// The connection may be used as before.
    None,
    /// The connection works, but may lead to a server that is no longer the primary: a new one may reach the new primary.
    Server,
    /// The connection must not be used again.
    Connection,
}

/// What this error casts doubt on.
pub fn doubt(error: &Error) -> Doubt {
    match meaning(error) {
        Meaning::Disconnected => Doubt::Connection,
        Meaning::ReadOnly => Doubt::Server,
        Meaning::Duplicate | Meaning::LostRace | Meaning::Locked | Meaning::Busy | Meaning::Defect => Doubt::None,
    }
}

/// The port's error for a failed statement.
pub fn store_error(error: &Error) -> StoreError {
    match meaning(error) {
        Meaning::Duplicate => StoreError::Duplicate { index: index(error) },
        Meaning::LostRace => StoreError::lost_race(message_of(error)),
        Meaning::Locked => StoreError::locked(message_of(error)),
        Meaning::Busy | Meaning::Disconnected => StoreError::unavailable(message_of(error)),
        Meaning::ReadOnly => StoreError::ReadOnly,
        Meaning::Defect => StoreError::internal(message_of(error)),
    }
}

/// The message of a failed attempt to connect, safe to log.
pub fn connection_message(error: &ConnectionError) -> ErrorMessage {
    match error {
        ConnectionError::CouldntSetupConfiguration(error) => message_of(error),
        other => ErrorMessage(other.to_string().trim_end().to_owned()),
    }
}

fn meaning(error: &Error) -> Meaning {
    match error {
        Error::DatabaseError(kind, information) => meaning_of_kind(*kind, information.message()),
        Error::BrokenTransactionManager => Meaning::Disconnected,
        Error::RollbackErrorOnCommit { rollback_error, commit_error } => match meaning(rollback_error) {
            Meaning::Disconnected => Meaning::Disconnected,
            _ => meaning(commit_error),
        },
        _ => Meaning::Defect,
    }
}

fn meaning_of_kind(kind: DatabaseErrorKind, message: &str) -> Meaning {
    match kind {
        _ if is_of_worker(message) => Meaning::Busy,
        DatabaseErrorKind::UniqueViolation => Meaning::Duplicate,
        DatabaseErrorKind::SerializationFailure => Meaning::LostRace,
        DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand => Meaning::Disconnected,
        DatabaseErrorKind::ReadOnlyTransaction => Meaning::ReadOnly,
        DatabaseErrorKind::Unknown => meaning_of_message(message),
        _ => Meaning::Defect,
    }
}

/// Whether a coordinator of Citus reports that a worker is not available, or that a shard is being moved: the connection to the
/// coordinator is as good as before, and so are the other workers.
fn is_of_worker(message: &str) -> bool {
    const OF_WORKER: [&str; 11] = [
        "connection to the remote node ",
        "connection establishment for node ",
        "could not establish any connections to the node ",
        "could not establish connection after ",
        "failure on connection marked as essential",
        "could not commit transaction for shard ",
        "failed to commit transaction on ",
        "failed to prepare transaction ",
        "could not find valid entry for shard ",
        "could not find any healthy placement for shard ",
        "could not find any shard placements for shardId ",
    ];
    OF_WORKER.iter().any(|text| message.starts_with(text))
}

/// diesel does not expose the SQLSTATE of these errors, so they are recognised by their text.
fn meaning_of_message(message: &str) -> Meaning {
    const LOST_RACES: [&str; 2] =
        ["deadlock detected", "canceling the transaction since it was involved in a distributed deadlock"];
    const LOCKED: [&str; 2] = ["canceling statement due to lock timeout", "could not obtain lock on"];
    const BUSY: [&str; 6] = [
        "canceling statement due to statement timeout",
        "canceling statement due to user request",
        "sorry, too many clients already",
        "out of memory",
        "out of shared memory",
        "could not extend file",
    ];
    let starts = |texts: &[&str]| texts.iter().any(|text| message.starts_with(text));
    if starts(&LOST_RACES) {
        Meaning::LostRace
    } else if starts(&LOCKED) {
        Meaning::Locked
    } else if starts(&BUSY) {
        Meaning::Busy
    } else {
        Meaning::Defect
    }
}

fn index(error: &Error) -> String {
    match error {
        Error::DatabaseError(_, information) => {
            without_shard(information.constraint_name().unwrap_or("(unnamed)")).to_owned()
        }
        _ => String::new(),
    }
}

/// The name of an index without the number of a shard, which Citus adds to the name of each part of it.
fn without_shard(index: &str) -> &str {
    const SHARDS: usize = 100_000;
    match index.rsplit_once('_') {
        Some((name, number)) if number.parse::<usize>().is_ok_and(|number| number > SHARDS) => name,
        _ => index,
    }
}

/// The message of a failed statement, safe to log.
pub fn message_of(error: &Error) -> ErrorMessage {
    ErrorMessage(match error {
        Error::DatabaseError(kind, information) => of_database(*kind, information.as_ref()),
        Error::RollbackErrorOnCommit { commit_error, .. } => message_of(commit_error).0,
        // These errors may contain the value that could not be written or read.
        Error::SerializationError(_) => "a value could not be written".to_owned(),
        Error::DeserializationError(_) => "a value could not be read".to_owned(),
        Error::InvalidCString(_) => "a text has a NUL".to_owned(),
        other => other.to_string(),
    })
}

/// The message, with the name of the constraint if there is one.
///
/// Messages about constraints quote names only. Other messages may quote values that were sent, so their quoted parts
/// are left out.
fn of_database(kind: DatabaseErrorKind, information: &dyn DatabaseErrorInformation) -> String {
    let message = information.message().trim_end();
    match kind {
        DatabaseErrorKind::Unknown => match information.constraint_name() {
            Some(constraint) => format!("{} ({constraint})", without_quotes(message)),
            None => without_quotes(message),
        },
        _ => message.to_owned(),
    }
}

fn without_quotes(message: &str) -> String {
    // Cut from the first quote to the last, as the value itself may contain quotes.
    match (message.find('"'), message.rfind('"')) {
        (Some(first), Some(last)) if first < last => format!("{}…{}", &message[..=first], &message[last..]),
        (Some(first), _) => format!("{}…", &message[..first]),
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Barrier};
    use std::thread;

    use diesel::connection::SimpleConnection as _;
    use diesel::pg::PgConnection;
    use diesel::prelude::*;
    use roster_application::ports::Retry;
    use roster_test_postgres::{Database, database};

    use super::*;

    /// A database with the table `people`, in which a row contains a secret.
    fn people() -> Option<Database> {
        let database = database()?;
        run(&mut connect(&database), PEOPLE).expect("a table");
        Some(database)
    }

    const PEOPLE: &str = "
        CREATE TABLE people (name text NOT NULL UNIQUE, age integer CONSTRAINT adult CHECK (age > 17));
        INSERT INTO people VALUES ('secret', 18), ('other', 18);";

    fn connect(database: &Database) -> PgConnection {
        PgConnection::establish(database.url()).expect("a connection")
    }

    fn run(connection: &mut PgConnection, statements: &str) -> QueryResult<()> {
        connection.batch_execute(statements)
    }

    fn fail(connection: &mut PgConnection, statements: &str) -> Error {
        run(connection, statements).expect_err("the statement fails")
    }

    fn retry(error: &Error) -> Option<Retry> {
        match store_error(error) {
            StoreError::Unavailable { retry, .. } => Some(retry),
            _ => None,
        }
    }

    /// All texts of an error that a log could show.
    fn all_text(error: &StoreError) -> String {
        let mut text = format!("{error:?} {error:#?} {error}");
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        text
    }

    #[test]
    fn a_duplicate_row_is_reported_with_its_index() {
        let Some(database) = people() else { return };
        let error = fail(&mut connect(&database), "INSERT INTO people VALUES ('secret', 20)");
        let StoreError::Duplicate { index } = store_error(&error) else { panic!("{error:?}") };
        assert_eq!(index, "people_name_key");
    }

    #[test]
    fn a_serialization_failure_is_a_lost_race() {
        let Some(database) = people() else { return };
        let (mut one, mut other) = (connect(&database), connect(&database));
        run(&mut one, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM people").expect("a snapshot");
        run(&mut other, "UPDATE people SET age = 30").expect("an update");
        let error = fail(&mut one, "UPDATE people SET age = 40");
        assert_eq!((retry(&error), doubt(&error)), (Some(Retry::Now), Doubt::None));
    }

    #[test]
    fn a_deadlock_is_a_lost_race() {
        let Some(database) = people() else { return };
        let barrier = Arc::new(Barrier::new(2));
        let threads = [("secret", "other"), ("other", "secret")].map(|(first, second)| {
            let (mut connection, barrier) = (connect(&database), Arc::clone(&barrier));
            thread::spawn(move || {
                let update = |name| format!("UPDATE people SET age = age + 1 WHERE name = '{name}'");
                run(&mut connection, &format!("BEGIN; {}", update(first))).expect("the first is free");
                barrier.wait();
                let result = run(&mut connection, &update(second));
                run(&mut connection, "ROLLBACK").expect("a rollback");
                result
            })
        });
        let results = threads.map(|thread| thread.join().expect("the thread ends"));
        let errors: Vec<&Error> = results.iter().filter_map(|result| result.as_ref().err()).collect();
        assert_eq!(errors.iter().map(|error| retry(error)).collect::<Vec<_>>(), [Some(Retry::Now)]);
        assert_eq!(doubt(errors[0]), Doubt::None);
    }

    #[test]
    fn after_a_timeout_the_same_connection_may_be_used_later() {
        let Some(database) = people() else { return };
        let mut waiter = connect(&database);
        for statement in
            ["SELECT pg_cancel_backend(pg_backend_pid())", "SET statement_timeout = '10ms'; SELECT pg_sleep(10)"]
        {
            let error = fail(&mut waiter, statement);
            assert_eq!((retry(&error), doubt(&error)), (Some(Retry::Later), Doubt::None), "{statement}: {error}");
        }
    }

    #[test]
    fn a_lock_that_is_not_released_in_time_is_no_outage() {
        let Some(database) = people() else { return };
        let (mut holder, mut waiter) = (connect(&database), connect(&database));
        run(&mut holder, "BEGIN; LOCK TABLE people").expect("a lock");
        for statement in
            ["SET lock_timeout = '10ms'; UPDATE people SET age = 30", "ROLLBACK; BEGIN; LOCK TABLE people NOWAIT"]
        {
            let error = fail(&mut waiter, statement);
            assert!(matches!(store_error(&error), StoreError::Locked { .. }), "{statement}: {error}");
            assert_eq!(doubt(&error), Doubt::None, "{statement}");
        }
    }

    #[test]
    fn a_terminated_connection_is_not_used_again() {
        let Some(database) = people() else { return };
        let error = fail(&mut connect(&database), "SELECT pg_terminate_backend(pg_backend_pid())");
        assert_eq!((retry(&error), doubt(&error)), (Some(Retry::Later), Doubt::Connection));
        // Terminated between two statements: the next statement, or one soon after it, fails.
        let mut idle = connect(&database);
        run(&mut idle, "SET idle_in_transaction_session_timeout = '10ms'; BEGIN").expect("a transaction");
        let pause = || run(&mut connect(&database), "SELECT pg_sleep(0.05)").expect("another connection");
        let next = || {
            pause();
            run(&mut idle, "SELECT 1").err()
        };
        let error = std::iter::repeat_with(next).take(100).flatten().next().expect("it is cut off");
        assert_eq!((retry(&error), doubt(&error)), (Some(Retry::Later), Doubt::Connection));
        let error = fail(&mut idle, "SELECT 1");
        assert_eq!((retry(&error), doubt(&error)), (Some(Retry::Later), Doubt::Connection));
    }

    #[test]
    fn a_read_only_server_is_told_from_one_that_does_not_answer() {
        let Some(database) = people() else { return };
        let mut connection = connect(&database);
        run(&mut connection, "SET default_transaction_read_only = on").expect("a setting");
        let error = fail(&mut connection, "DELETE FROM people");
        assert!(matches!(store_error(&error), StoreError::ReadOnly), "{error:?}");
        assert_eq!(doubt(&error), Doubt::Server);
    }

    #[test]
    fn no_error_repeats_the_values_of_rows() {
        let Some(database) = people() else { return };
        for statement in [
            "INSERT INTO people VALUES ('secret', 20)",
            "INSERT INTO people VALUES ('my secret', 7)",
            "UPDATE people SET name = NULL WHERE name = 'secret'",
            "SELECT 'secret'::uuid",
            "SELECT 'secret'::json",
            "SELECT 'my \"secret\" is'::integer",
            "SELECT name::timestamptz FROM people",
            "SELECT 'secret'::boolean FROM people",
            "SELECT nonsense('secret')",
            "CREATE UNIQUE INDEX ages ON people (age)",
        ] {
            let error = store_error(&fail(&mut connect(&database), statement));
            let text = all_text(&error);
            let message = text.replace("\\\"secret\\\"", "");
            assert!(!message.contains("secret"), "{statement}: {text}");
        }
    }

    #[test]
    fn a_defect_is_no_lost_race_and_keeps_the_connection() {
        let Some(database) = people() else { return };
        for statement in ["INSERT INTO people VALUES ('child', 7)", "SELECT 1 / 0", "SELECT * FROM nowhere"] {
            let error = fail(&mut connect(&database), statement);
            assert!(matches!(store_error(&error), StoreError::Internal { .. }), "{statement}");
            assert_eq!(doubt(&error), Doubt::None, "{statement}");
        }
    }

    #[test]
    fn an_error_of_a_worker_is_an_outage_and_keeps_the_connection() {
        for message in [
            "connection to the remote node roster@worker1:5432 failed with the following error: server closed the connection",
            "could not establish any connections to the node worker1:5432 after 1000 ms",
            "could not commit transaction for shard 102008 on any active node",
            "could not find valid entry for shard 102008",
            "failure on connection marked as essential: worker1:5432",
        ] {
            for kind in [DatabaseErrorKind::ClosedConnection, DatabaseErrorKind::Unknown] {
                let error = Error::DatabaseError(kind, Box::new(message.to_owned()));
                assert_eq!((retry(&error), doubt(&error)), (Some(Retry::Later), Doubt::None), "{message}");
            }
        }
    }

    #[test]
    fn a_deadlock_between_workers_is_a_lost_race() {
        let message = "canceling the transaction since it was involved in a distributed deadlock".to_owned();
        let error = Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message));
        assert_eq!((retry(&error), doubt(&error)), (Some(Retry::Now), Doubt::None));
    }

    #[test]
    fn the_number_of_a_shard_is_no_part_of_the_name_of_an_index() {
        assert_eq!(without_shard("customers_email_exclusive_102024"), "customers_email_exclusive");
        assert_eq!(without_shard("customers_email_exclusive"), "customers_email_exclusive");
        assert_eq!(without_shard("places_7"), "places_7");
    }

    #[test]
    fn quoted_parts_of_a_message_are_left_out() {
        assert_eq!(without_quotes(r#"invalid input for type uuid: "ada""#), r#"invalid input for type uuid: "…""#);
        assert_eq!(without_quotes(r#"value "a" b" is out of range"#), r#"value "…" is out of range"#);
        assert_eq!(without_quotes(r#"cut off: "ada"#), "cut off: …");
        assert_eq!(without_quotes("deadlock detected"), "deadlock detected");
    }
}
