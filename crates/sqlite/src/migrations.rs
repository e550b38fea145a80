use diesel::dsl::sql;
use diesel::migration::{Migration, MigrationSource as _};
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};
use roster_application::ports::{MigrationState, StoreError};

use crate::error::store_error;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// Applies the missing migrations and returns their names. The caller must hold the write lock, so that no other
/// instance migrates at the same time.
///
/// # Errors
/// [`StoreError`]
pub fn migrate(connection: &mut SqliteConnection) -> Result<Vec<String>, StoreError> {
    let applied = pending(connection)?;
    for migration in connection.pending_migrations(MIGRATIONS).map_err(StoreError::internal)? {
        connection.run_migration(&migration).map_err(StoreError::internal)?;
    }
    Ok(applied)
}

/// The names of the missing migrations. It writes nothing.
///
/// # Errors
/// [`StoreError`], also for a database that a newer program has changed.
pub fn pending(connection: &mut SqliteConnection) -> Result<Vec<String>, StoreError> {
    let known: Vec<Box<dyn Migration<Sqlite>>> = MIGRATIONS.migrations().map_err(StoreError::internal)?;
    let known = known.iter().map(|migration| migration.name().to_string()).collect();
    let read = |error| store_error(&error);
    let applied = versions(connection, "__diesel_schema_migrations").map_err(read)?;
    let harmless = versions(connection, "harmless_migrations").map_err(read)?;
    MigrationState { known, applied, harmless }.missing()
}

/// Whether any migration was applied.
pub fn is_migrated(connection: &mut SqliteConnection) -> QueryResult<bool> {
    Ok(!versions(connection, "__diesel_schema_migrations")?.is_empty())
}

/// The versions that a table lists. None if there is no such table.
fn versions(connection: &mut SqliteConnection, table: &'static str) -> QueryResult<Vec<String>> {
    let exists =
        sql::<Bool>(&format!("EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '{table}')"));
    let exists = diesel::select(exists).get_result(connection)?;
    if exists { sql::<Text>(&format!("SELECT version FROM {table}")).load(connection) } else { Ok(Vec::new()) }
}
