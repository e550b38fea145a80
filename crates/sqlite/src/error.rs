//! What the errors of SQLite mean, and which parts of them may be logged.

use diesel::ConnectionError;
use diesel::result::{DatabaseErrorKind, Error};
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

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Query(error) => store_error(&error),
            Fault::Store(error) => error,
        }
    }
}

/// The message of an error, safe to log: SQLite's messages name tables, columns and constraints, never values of rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
struct ErrorMessage(String);

/// The port's error for a failed statement.
pub fn store_error(error: &Error) -> StoreError {
    match error {
        Error::DatabaseError(DatabaseErrorKind::UniqueViolation, information) => {
            StoreError::Duplicate { index: index(information.message()) }
        }
        Error::DatabaseError(_, information) if is_transient(information.message()) => {
            StoreError::unavailable(message_of(error))
        }
        Error::BrokenTransactionManager => StoreError::unavailable(message_of(error)),
        Error::RollbackErrorOnCommit { commit_error, .. } => store_error(commit_error),
        _ => StoreError::internal(message_of(error)),
    }
}

/// The port's error for a connection that cannot be opened.
pub fn connection_error(error: &ConnectionError) -> StoreError {
    match error {
        ConnectionError::CouldntSetupConfiguration(error) => store_error(error),
        other => StoreError::unavailable(ErrorMessage(other.to_string())),
    }
}

/// Whether another connection has locked the file (`SQLITE_BUSY`).
pub fn is_locked(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(_, information) if information.message() == "database is locked")
}

/// Whether the error may go away by itself. diesel does not expose the result codes of these errors, so they are
/// recognised by SQLite's fixed text for each.
fn is_transient(message: &str) -> bool {
    const TRANSIENT: [&str; 9] = [
        "database is locked",                   // SQLITE_BUSY
        "database table is locked",             // SQLITE_LOCKED
        "database schema is locked",            // SQLITE_LOCKED
        "locking protocol",                     // SQLITE_PROTOCOL
        "database or disk is full",             // SQLITE_FULL
        "disk I/O error",                       // SQLITE_IOERR
        "unable to open database file",         // SQLITE_CANTOPEN
        "attempt to write a readonly database", // SQLITE_READONLY
        "out of memory",                        // SQLITE_NOMEM
    ];
    TRANSIENT.iter().any(|text| message.starts_with(text))
}

/// SQLite names the columns of a unique index, not the index.
fn index(message: &str) -> String {
    message.strip_prefix("UNIQUE constraint failed: ").unwrap_or(message).to_owned()
}

fn message_of(error: &Error) -> ErrorMessage {
    ErrorMessage(match error {
        // These errors may contain the value that could not be written or read.
        Error::SerializationError(_) => "a value could not be written".to_owned(),
        Error::DeserializationError(_) => "a value could not be read".to_owned(),
        Error::InvalidCString(_) => "a text has a NUL".to_owned(),
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use diesel::connection::SimpleConnection as _;
    use diesel::prelude::*;
    use roster_application::ports::Retry;
    use std::error::Error as _;

    /// The port's error for the last of `statements`, on a database in memory.
    fn error_of(statements: &str) -> StoreError {
        let mut connection = SqliteConnection::establish(":memory:").expect("a database in memory");
        connection
            .batch_execute(
                "CREATE TABLE t (a TEXT UNIQUE CHECK (a <> 'c'), b INTEGER) STRICT; INSERT INTO t VALUES ('a', 1);",
            )
            .expect("a table");
        store_error(&connection.batch_execute(statements).expect_err("it fails"))
    }

    #[test]
    fn a_unique_index_names_its_columns_and_no_value() {
        match error_of("INSERT INTO t VALUES ('a', 2)") {
            StoreError::Duplicate { index } => assert_eq!(index, "t.a"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_broken_constraint_is_a_defect_reported_without_values() {
        for (statements, message) in [
            ("INSERT INTO t VALUES ('c', 2)", "CHECK constraint failed: a <> 'c'"),
            ("INSERT INTO t VALUES ('secret', 'secret')", "cannot store TEXT value in INTEGER column t.b"),
            ("INSERT INTO nowhere VALUES (1)", "no such table: nowhere"),
        ] {
            let error = error_of(statements);
            assert!(matches!(error, StoreError::Internal { .. }), "{error:?}");
            assert_eq!(error.source().map(ToString::to_string).as_deref(), Some(message));
        }
    }

    #[test]
    fn a_full_database_is_unavailable_for_now() {
        let error = error_of(
            "PRAGMA max_page_count = 3;
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
             INSERT INTO t SELECT 'text ' || i, i FROM n;",
        );
        assert!(matches!(error, StoreError::Unavailable { retry: Retry::Later, .. }), "{error:?}");
    }

    #[test]
    fn a_read_only_database_is_unavailable_for_now() {
        let error = error_of("PRAGMA query_only = ON; INSERT INTO t VALUES ('b', 2);");
        assert!(matches!(error, StoreError::Unavailable { retry: Retry::Later, .. }), "{error:?}");
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_unavailable_for_now() {
        let error = SqliteConnection::establish("/no/such/folder/file.db").map(drop).expect_err("no folder");
        let error = connection_error(&error);
        assert!(matches!(error, StoreError::Unavailable { retry: Retry::Later, .. }), "{error:?}");
    }
}
