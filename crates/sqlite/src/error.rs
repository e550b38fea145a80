//! What the errors of SQLite mean, and what may be told of them.

use diesel::ConnectionError;
use diesel::result::{DatabaseErrorKind, Error};
use roster_application::ports::StoreError;

/// What a call of the unit of work can meet.
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

/// What is told of an error. SQLite's own messages name tables, columns and constraints, never the values of rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
struct Said(String);

/// What the port says of a failed statement.
pub fn store_error(error: &Error) -> StoreError {
    match error {
        Error::DatabaseError(DatabaseErrorKind::UniqueViolation, information) => {
            StoreError::Duplicate { index: index(information.message()) }
        }
        Error::DatabaseError(_, information) if is_passing(information.message()) => {
            StoreError::unavailable(said(error))
        }
        Error::BrokenTransactionManager => StoreError::unavailable(said(error)),
        Error::RollbackErrorOnCommit { commit_error, .. } => store_error(commit_error),
        _ => StoreError::internal(said(error)),
    }
}

/// What the port says when a connection cannot be made.
pub fn connection_error(error: &ConnectionError) -> StoreError {
    match error {
        ConnectionError::CouldntSetupConfiguration(error) => store_error(error),
        other => StoreError::unavailable(Said(other.to_string())),
    }
}

/// Whether somebody else has the file for the moment (`SQLITE_BUSY`).
pub fn is_locked(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(_, information) if information.message() == "database is locked")
}

/// Whether it may be gone later. diesel tells no result codes of these, so they are known by the fixed text that SQLite
/// has for each.
fn is_passing(message: &str) -> bool {
    const PASSING: [&str; 9] = [
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
    PASSING.iter().any(|text| message.starts_with(text))
}

/// SQLite names the columns of a unique index, not the index.
fn index(message: &str) -> String {
    message.strip_prefix("UNIQUE constraint failed: ").unwrap_or(message).to_owned()
}

fn said(error: &Error) -> Said {
    Said(match error {
        // Whatever could not be written or read may be in the text of the error.
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

    /// What the port says of the last of `statements` on a database in memory.
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
    fn a_broken_rule_is_a_defect_that_is_told_without_values() {
        for (statements, told) in [
            ("INSERT INTO t VALUES ('c', 2)", "CHECK constraint failed: a <> 'c'"),
            ("INSERT INTO t VALUES ('secret', 'secret')", "cannot store TEXT value in INTEGER column t.b"),
            ("INSERT INTO nowhere VALUES (1)", "no such table: nowhere"),
        ] {
            let error = error_of(statements);
            assert!(matches!(error, StoreError::Internal { .. }), "{error:?}");
            assert_eq!(error.source().map(ToString::to_string).as_deref(), Some(told));
        }
    }

    #[test]
    fn a_full_database_may_have_room_later() {
        let error = error_of(
            "PRAGMA max_page_count = 3;
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
             INSERT INTO t SELECT 'text ' || i, i FROM n;",
        );
        assert!(matches!(error, StoreError::Unavailable { retry: Retry::Later, .. }), "{error:?}");
    }

    #[test]
    fn a_database_that_only_reads_may_be_written_later() {
        let error = error_of("PRAGMA query_only = ON; INSERT INTO t VALUES ('b', 2);");
        assert!(matches!(error, StoreError::Unavailable { retry: Retry::Later, .. }), "{error:?}");
    }

    #[test]
    fn a_file_that_cannot_be_opened_may_be_there_later() {
        let error = SqliteConnection::establish("/no/such/folder/file.db").map(drop).expect_err("no folder");
        let error = connection_error(&error);
        assert!(matches!(error, StoreError::Unavailable { retry: Retry::Later, .. }), "{error:?}");
    }
}
