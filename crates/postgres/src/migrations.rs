use std::error::Error;

use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::migration::{Migration, MigrationSource as _};
use diesel::pg::{Pg, PgConnection};
use diesel::prelude::*;
use diesel::r2d2::R2D2Connection as _;
use diesel::sql_types::{Bool, Text};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};
use roster_application::ports::StoreError;

use crate::error::store_error;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

diesel::table! {
    /// diesel's list of the applied migrations.
    __diesel_schema_migrations (version) {
        version -> Text,
    }
}

/// Takes the lock for migrations, and sets the timeouts of the connection.
///
/// A migration has no timeout. Waiting for another instance, or for a lock on a table, is limited to 60 s.
///
/// The advisory lock is released when the connection closes, and the connection is used for nothing else. The lock's
/// number is arbitrary; no other program on the same database may use it.
const LOCK: &str = "
    SET statement_timeout = 0;
    SET lock_timeout = '60s';
    SET idle_in_transaction_session_timeout = 0;
    SELECT pg_advisory_lock(7305808869229538675);
";

/// Applies the missing migrations and returns their names. A lock lets one instance migrate at a time.
///
/// # Errors
/// [`StoreError`]
pub fn migrate(connection: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    check_encoding(connection)?;
    connection.batch_execute(LOCK).map_err(|error| store_error(&error))?;
    let mut applied = Vec::new();
    for migration in connection.pending_migrations(MIGRATIONS).map_err(StoreError::internal)? {
        connection.run_migration(&migration).map_err(|error| migration_error(connection, error))?;
        applied.push(migration.name().to_string());
    }
    Ok(applied)
}

/// The names of the missing migrations. It writes nothing, because the role may lack the permission.
///
/// # Errors
/// [`StoreError`]
pub fn pending(connection: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    let applied = applied_versions(connection).map_err(|error| store_error(&error))?;
    let mut embedded: Vec<Box<dyn Migration<Pg>>> = MIGRATIONS.migrations().map_err(StoreError::internal)?;
    embedded.sort_unstable_by(|one, other| one.name().version().cmp(&other.name().version()));
    let missing = embedded.iter().filter(|migration| !applied.contains(&migration.name().version().to_string()));
    Ok(missing.map(|migration| migration.name().to_string()).collect())
}

fn applied_versions(connection: &mut PgConnection) -> QueryResult<Vec<String>> {
    let has_list = sql::<Bool>("to_regclass('__diesel_schema_migrations') IS NOT NULL");
    if !diesel::select(has_list).get_result(connection)? {
        return Ok(Vec::new());
    }
    __diesel_schema_migrations::table.select(__diesel_schema_migrations::version).load(connection)
}

/// Refuses a database that is not UTF-8: in any other encoding some texts could not be stored.
fn check_encoding(connection: &mut PgConnection) -> Result<(), StoreError> {
    let encoding = diesel::select(sql::<Text>("current_setting('server_encoding')")).get_result::<String>(connection);
    match encoding.map_err(|error| store_error(&error))?.as_str() {
        "UTF8" => Ok(()),
        other => Err(StoreError::internal(format!("the database must have the encoding UTF8, not {other}"))),
    }
}

/// The port's error for a failed migration.
///
/// diesel hides the kind of the database error, so a ping decides whether the database is still available. The error
/// contains the database's message only, which names tables and indexes, not values of rows.
fn migration_error(connection: &mut PgConnection, error: Box<dyn Error + Send + Sync>) -> StoreError {
    if connection.ping().is_ok() { StoreError::internal(error) } else { StoreError::unavailable(error) }
}
