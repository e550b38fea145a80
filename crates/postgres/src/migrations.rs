//! Applies migrations without standing in the way of those who use the database meanwhile.
//!
//! A statement that waits for an exclusive lock makes every later statement on its table wait behind it. So a migration
//! waits for its locks for a moment only, and tries again. What can be done `CONCURRENTLY` is a migration of one
//! statement that runs outside a transaction (`run_in_transaction = false` in its `metadata.toml`).
//!
//! All settings end with their transaction, and so does the lock that keeps other instances waiting: behind a pooler, a
//! connection to the server is used by others afterwards.

use std::any::Any;
use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::{AnsiTransactionManager, BoxableConnection, SimpleConnection, TransactionManager as _};
use diesel::dsl::sql;
use diesel::migration::{Migration, MigrationSource as _};
use diesel::pg::{Pg, PgConnection};
use diesel::prelude::*;
use diesel::r2d2::R2D2Connection as _;
use diesel::sql_types::{Bool, Text};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};
use roster_application::ports::{MigrationState, StoreError};
use tracing::{info, warn};

use crate::citus::{self, Layout};
use crate::error::store_error;
use crate::pooler;
use crate::session::Connector;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// How long to try in vain to get a lock, of another instance that migrates or of a table that is in use.
const PATIENCE: Duration = Duration::from_mins(10);

/// The pause between two tries. It is long beside the wait for a lock, during which others wait too.
const PAUSE: Duration = Duration::from_secs(1);

/// The settings of a transaction that migrates: it may take as long as it needs, but waits for a lock for a moment only.
const TRANSACTION: &str = "
    SET LOCAL statement_timeout = 0;
    SET LOCAL idle_in_transaction_session_timeout = 0;
    SET LOCAL lock_timeout = '100ms';
";

/// Changes tables that Citus distributes shard by shard: their foreign keys to other tables would have connections to the same server wait
/// for each other.
const SHARD_BY_SHARD: &str = "SET LOCAL citus.multi_shard_modify_mode = 'sequential'";

/// Lifts the timeouts that the role may have: a statement that builds an index `CONCURRENTLY` takes as long as it needs, and
/// waits for the end of older transactions. It runs outside a transaction, so the settings are those of the session.
const LIFT_TIMEOUTS: &str = "SET statement_timeout = 0; SET lock_timeout = 0;";

/// Whether the role has one of these timeouts.
const HAS_TIMEOUTS: &str = "current_setting('statement_timeout') <> '0' OR current_setting('lock_timeout') <> '0'";

/// Lets one instance migrate at a time. The number is arbitrary; no other program on the database may use it.
const TAKE_TURN: &str = "pg_try_advisory_xact_lock(7305808869229538675)";

/// Indexes that were left half-built, and are not being built now. PostgreSQL keeps them up to date and never uses them.
const INVALID_INDEXES: &str = "
    SELECT indexrelid::regclass::text FROM pg_index
    JOIN pg_class ON pg_class.oid = indexrelid
    WHERE NOT indisvalid AND relnamespace = current_schema()::regnamespace
        AND indexrelid NOT IN (SELECT index_relid FROM pg_stat_progress_create_index WHERE index_relid IS NOT NULL)";

/// Applies the missing migrations and returns their names. One instance does so at a time.
///
/// If none is missing, nothing is locked or written: the server may be a standby, or the role may lack the permission.
///
/// # Errors
/// [`StoreError`]
pub fn migrate(connector: &Connector) -> Result<Vec<String>, StoreError> {
    let mut connection = connector.connect().map_err(StoreError::unavailable)?;
    check_encoding(&mut connection)?;
    if pending(&mut connection)?.is_empty() {
        return Ok(Vec::new());
    }
    let end = Instant::now() + PATIENCE;
    // Of a connection of its own, because some statements cannot run in the transaction that holds it.
    let mut turn = connector.connect().map_err(StoreError::unavailable)?;
    wait_for_turn(&mut turn, end)?;
    lift_timeouts(connector, &mut connection)?;
    // Looked for again: another instance may have applied them meanwhile.
    let applied = pending(&mut connection)?;
    for migration in connection.pending_migrations(MIGRATIONS).map_err(StoreError::internal)? {
        apply(&mut connection, migration.as_ref(), end)?;
        info!(migration = %migration.name(), "applied");
    }
    if Layout::read(&mut connection).map_err(|error| store_error(&error))? == Layout::Citus {
        // Those that the migrations have made.
        citus::distribute_rest(&mut connection).map_err(|error| store_error(&error))?;
    }
    // The server would notice a moment later only that the connection is closed. If this fails, the connection is lost, and
    // the lock with it.
    AnsiTransactionManager::rollback_transaction(&mut turn).unwrap_or_default();
    Ok(applied)
}

/// The names of the missing migrations. It writes nothing, because the role may lack the permission.
///
/// # Errors
/// [`StoreError`], also for a database that a newer program has changed.
pub fn pending(connection: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    let known: Vec<Box<dyn Migration<Pg>>> = MIGRATIONS.migrations().map_err(StoreError::internal)?;
    let known = known.iter().map(|migration| migration.name().to_string()).collect();
    let read = |error| store_error(&error);
    let applied = versions(connection, "__diesel_schema_migrations").map_err(read)?;
    let harmless = versions(connection, "harmless_migrations").map_err(read)?;
    MigrationState { known, applied, harmless }.missing()
}

/// The versions that a table lists. None if there is no such table.
fn versions(connection: &mut PgConnection, table: &'static str) -> QueryResult<Vec<String>> {
    let exists = diesel::select(sql::<Bool>(&format!("to_regclass('{table}') IS NOT NULL"))).get_result(connection)?;
    if exists { sql::<Text>(&format!("SELECT version FROM {table}")).load(connection) } else { Ok(Vec::new()) }
}

/// Lifts the timeouts of the role, except behind a pooler in transaction mode, where another client would get these settings.
/// A migration that runs into the timeout there fails, and succeeds on a connection to the server itself.
fn lift_timeouts(connector: &Connector, connection: &mut PgConnection) -> Result<(), StoreError> {
    let has_timeouts = diesel::select(sql::<Bool>(HAS_TIMEOUTS)).get_result(connection);
    if has_timeouts.map_err(|error| store_error(&error))? && !pooler::is_in_transaction_mode(connector)? {
        connection.batch_execute(LIFT_TIMEOUTS).map_err(|error| store_error(&error))?;
    }
    Ok(())
}

/// Refuses a database that is not UTF-8: in any other encoding some texts could not be stored.
fn check_encoding(connection: &mut PgConnection) -> Result<(), StoreError> {
    let encoding = diesel::select(sql::<Text>("current_setting('server_encoding')")).get_result::<String>(connection);
    match encoding.map_err(|error| store_error(&error))?.as_str() {
        "UTF8" => Ok(()),
        other => Err(StoreError::internal(format!("the database must have the encoding UTF8, not {other}"))),
    }
}

/// Begins a transaction that holds the lock for migrations until it ends, as with the end of the connection.
///
/// It has no snapshot while it waits, or while another connection migrates: `CREATE INDEX CONCURRENTLY` waits for the end of
/// each older snapshot. So it asks again and again instead of waiting in the server.
fn wait_for_turn(connection: &mut PgConnection, end: Instant) -> Result<(), StoreError> {
    while !try_to_take_turn(connection).map_err(|error| store_error(&error))? {
        if Instant::now() >= end {
            return Err(StoreError::unavailable("another instance migrates the database for too long"));
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}

fn try_to_take_turn(connection: &mut PgConnection) -> QueryResult<bool> {
    AnsiTransactionManager::begin_transaction(connection)?;
    connection.batch_execute(TRANSACTION)?;
    let is_taken = diesel::select(sql::<Bool>(TAKE_TURN)).get_result(connection)?;
    if is_taken {
        // Ends the snapshot of the statement before, which would last until the next statement otherwise.
        connection.batch_execute("SELECT 1")?;
    } else {
        AnsiTransactionManager::rollback_transaction(connection)?;
    }
    Ok(is_taken)
}

/// Applies a migration, and tries again while it waits for a lock in vain.
fn apply(connection: &mut PgConnection, migration: &dyn Migration<Pg>, end: Instant) -> Result<(), StoreError> {
    let mut has_warned = false;
    loop {
        match try_to_apply(connection, migration) {
            Err(error) if is_lock_timeout(error.as_ref()) && Instant::now() < end => {
                if !has_warned {
                    warn!(migration = %migration.name(), "a table is in use, as by a dump; trying again until it is free");
                    has_warned = true;
                }
                thread::sleep(PAUSE);
            }
            result => return result.map_err(|error| migration_error(connection, error)),
        }
    }
}

fn try_to_apply(
    connection: &mut PgConnection,
    migration: &dyn Migration<Pg>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    if !migration.metadata().run_in_transaction() {
        drop_invalid_indexes(connection)?;
        connection.run_migration(migration)?;
        return Ok(());
    }
    let layout = Layout::read(connection)?;
    connection.transaction(|connection| {
        connection.batch_execute(TRANSACTION)?;
        if layout == Layout::Citus {
            return run_one_by_one(connection, migration);
        }
        // diesel opens a savepoint inside.
        connection.run_migration(migration).map(drop)
    })
}

/// Applies a migration to tables that Citus distributes. Citus sends the text that it was sent to the servers, so that each statement must
/// come by itself.
fn run_one_by_one(
    connection: &mut PgConnection,
    migration: &dyn Migration<Pg>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut text = SqlText::default();
    migration.run(&mut text)?;
    connection.batch_execute(SHARD_BY_SHARD)?;
    statements(&text.0).try_for_each(|statement| connection.batch_execute(&statement))?;
    let version = migration.name().version().to_string();
    diesel::sql_query("INSERT INTO __diesel_schema_migrations (version) VALUES ($1)")
        .bind::<Text, _>(version)
        .execute(connection)?;
    Ok(())
}

/// The statements of a migration. None has a semicolon or two hyphens in a string.
fn statements(text: &str) -> impl Iterator<Item = String> {
    let lines = text.lines().map(|line| line.split("--").next().unwrap_or_default());
    let text = lines.collect::<Vec<_>>().join("\n");
    let statements: Vec<String> = text.split(';').map(str::trim).map(str::to_owned).collect();
    statements.into_iter().filter(|statement| !statement.is_empty())
}

/// In the place of a connection, the text that a migration would run: diesel shows it in no other way.
#[derive(Default)]
struct SqlText(String);

impl SimpleConnection for SqlText {
    fn batch_execute(&mut self, query: &str) -> QueryResult<()> {
        self.0.push_str(query);
        Ok(())
    }
}

impl BoxableConnection<Pg> for SqlText {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// Removes what an earlier try to build an index `CONCURRENTLY` has left.
fn drop_invalid_indexes(connection: &mut PgConnection) -> QueryResult<()> {
    let indexes: Vec<String> = sql::<Text>(INVALID_INDEXES).load(connection)?;
    indexes.iter().try_for_each(|index| connection.batch_execute(&format!("DROP INDEX CONCURRENTLY IF EXISTS {index}")))
}

/// diesel hides the kind of this error, so it is recognised by its text.
fn is_lock_timeout(error: &(dyn Error + Send + Sync + 'static)) -> bool {
    error.to_string().contains("due to lock timeout")
}

/// The port's error for a failed migration.
///
/// diesel hides the kind of the database error, so a ping decides whether the database is still available. The error
/// contains the database's message only, which names tables and indexes, not values of rows.
fn migration_error(connection: &mut PgConnection, error: Box<dyn Error + Send + Sync>) -> StoreError {
    if connection.ping().is_ok() { StoreError::internal(error) } else { StoreError::unavailable(error) }
}
