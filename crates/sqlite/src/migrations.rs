use diesel::dsl::sql;
use diesel::migration::{Migration, MigrationSource as _};
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};
use roster_application::ports::StoreError;

use crate::error::store_error;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

diesel::table! {
    /// diesel's list of the applied migrations.
    __diesel_schema_migrations (version) {
        version -> Text,
    }
}

/// Applies the missing migrations and returns their names. The caller must hold the write lock, so that no other
/// instance migrates at the same time.
///
/// # Errors
/// [`StoreError`]
pub fn migrate(connection: &mut SqliteConnection) -> Result<Vec<String>, StoreError> {
    let mut applied = Vec::new();
    for migration in connection.pending_migrations(MIGRATIONS).map_err(StoreError::internal)? {
        connection.run_migration(&migration).map_err(StoreError::internal)?;
        applied.push(migration.name().to_string());
    }
    Ok(applied)
}

/// The names of the missing migrations. It writes nothing.
///
/// # Errors
/// [`StoreError`]
pub fn pending(connection: &mut SqliteConnection) -> Result<Vec<String>, StoreError> {
    let applied = applied_versions(connection).map_err(|error| store_error(&error))?;
    let mut embedded: Vec<Box<dyn Migration<Sqlite>>> = MIGRATIONS.migrations().map_err(StoreError::internal)?;
    embedded.sort_unstable_by(|one, other| one.name().version().cmp(&other.name().version()));
    let missing = embedded.iter().filter(|migration| !applied.contains(&migration.name().version().to_string()));
    Ok(missing.map(|migration| migration.name().to_string()).collect())
}

fn applied_versions(connection: &mut SqliteConnection) -> QueryResult<Vec<String>> {
    let has_list = sql::<Bool>("EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '__diesel_schema_migrations')");
    if !diesel::select(has_list).get_result(connection)? {
        return Ok(Vec::new());
    }
    __diesel_schema_migrations::table.select(__diesel_schema_migrations::version).load(connection)
}
