//! A client of the database that keeps the writes of the service waiting.

use diesel::connection::SimpleConnection as _;
use diesel::{PgConnection, SqliteConnection};

use crate::database::{Database, Kind};

/// Holds a lock until it is dropped.
pub enum Lock {
    /// On the file.
    Sqlite(SqliteConnection),
    /// On the table of customers.
    Postgres(PgConnection),
}

impl Lock {
    /// Keeps all writes of customers waiting.
    ///
    /// # Panics
    /// If the database refuses.
    #[must_use]
    pub fn take(database: &Database) -> Self {
        match database.kind() {
            Kind::Sqlite => {
                let mut connection = database.open_file();
                connection.batch_execute("BEGIN IMMEDIATE").expect("a lock");
                Self::Sqlite(connection)
            }
            Kind::Postgres => {
                let mut connection = database.administrator();
                connection.batch_execute("BEGIN; LOCK TABLE customers IN EXCLUSIVE MODE").expect("a lock");
                Self::Postgres(connection)
            }
        }
    }
}
