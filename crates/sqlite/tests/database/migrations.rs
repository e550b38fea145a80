//! Migrations apply once, however many instances start at once, and can be undone.

use std::fs;
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Text;
use roster_application::ports::{Store, StoreError};
use roster_sqlite::{Options, SqliteStore};

use crate::samples::{open, open_migrated, options, raw};

/// The names of all migrations, oldest first.
/// The names of all migrations, in order.
fn all() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/sqlite");
    let entries = fs::read_dir(folder).expect("the migrations");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort_unstable();
    names
}

/// What undoes each migration, the last one first.
fn undo() -> impl Iterator<Item = String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/sqlite");
    all().into_iter().rev().map(move |name| fs::read_to_string(folder.join(name).join("down.sql")).expect("a file"))
}

fn tables(connection: &mut SqliteConnection) -> Vec<String> {
    let names = sql::<Text>("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name");
    names.load(connection).expect("the schema")
}

#[test]
fn a_database_of_a_newer_program_is_refused_unless_its_migration_is_harmless() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("roster.db");
    let store = open_migrated(&path);
    let mut connection = raw(&path);
    connection.batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('99')").expect("a version");
    for refused in [store.migrate(), store.pending_migrations()] {
        let Err(StoreError::Internal { source }) = refused else { panic!("{refused:?}") };
        assert!(source.to_string().contains("the migration 99"), "{source}");
    }
    connection.batch_execute("INSERT INTO harmless_migrations (version) VALUES ('99')").expect("a version");
    assert_eq!(store.migrate().expect("it may be used"), [""; 0]);
}

#[test]
fn instances_that_start_at_once_apply_each_migration_once() {
    const INSTANCES: usize = 6;
    // Repeated: three different instances may create the file, put it into WAL mode, and migrate it.
    for _ in 0..10 {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("roster.db");
        let start = Barrier::new(INSTANCES);
        let applied: Vec<String> = thread::scope(|scope| {
            let migrate = || {
                start.wait();
                open(&path).migrate().expect("one does it, the others find it done")
            };
            let threads: Vec<_> = (0..INSTANCES).map(|_| scope.spawn(migrate)).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
        });
        assert_eq!(applied, all());
        assert_eq!(open(&path).pending_migrations().expect("an answer"), [""; 0]);
    }
}

#[test]
fn migrating_waits_for_another_writer_longer_than_a_caller() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("roster.db");
    let impatient = Options { wait: Duration::from_millis(50), ..options(&path) };
    let store = SqliteStore::open(&impatient).expect("a new file");
    let mut other = raw(&path);
    other.batch_execute("BEGIN IMMEDIATE").expect("no other writer");
    thread::scope(|scope| {
        let migrates = scope.spawn(|| store.migrate());
        let port: &dyn Store = &store;
        let refused = port.transaction(|_| Ok::<_, StoreError>(())).expect_err("another instance writes");
        assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused:?}");
        other.batch_execute("COMMIT").expect("a transaction");
        assert_eq!(migrates.join().expect("no panic").expect("it has waited"), all());
    });
}

#[test]
fn listing_pending_migrations_writes_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("roster.db");
    let store = open(&path);
    assert_eq!(store.pending_migrations().expect("an answer"), all());
    assert_eq!(tables(&mut raw(&path)), [""; 0]);
    assert_eq!(store.migrate().expect("an empty database"), all());
    assert_eq!(store.pending_migrations().expect("an answer"), [""; 0]);
    assert_eq!(store.migrate().expect("nothing to do"), [""; 0]);
}

#[test]
fn applied_migrations_can_be_undone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("roster.db");
    drop(open_migrated(&path));
    let mut connection = raw(&path);
    for down in undo() {
        connection.batch_execute(&down).expect("it is undone");
    }
    assert_eq!(tables(&mut connection), ["__diesel_schema_migrations"]);
}

#[test]
fn subscriptions_of_before_their_details_are_kept_and_new_statuses_are_undone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("roster.db");
    let store = open_migrated(&path);
    let mut connection = raw(&path);
    let later = |name: &String| name.as_str() >= "00000000000011";
    let undo_later =
        all().iter().rev().filter(|name| later(name)).zip(undo()).map(|(_, down)| down).collect::<String>()
            + "DELETE FROM __diesel_schema_migrations WHERE version >= '00000000000011';";
    let rows = |connection: &mut SqliteConnection, columns: &str| -> Vec<String> {
        sql::<Text>(&format!("SELECT {columns} FROM subscriptions ORDER BY id")).load(connection).expect("rows")
    };
    let old = "concat_ws(' ', hex(merchant_id), environment, hex(customer_id), id, plan_id, name, status, started_at, \
               cancelled_at, created_at, updated_at, version)";
    connection.batch_execute(&undo_later).expect("it is undone");
    connection
        .batch_execute(
            "INSERT INTO merchants VALUES (zeroblob(16), 'M', 0);
             INSERT INTO customers (merchant_id, environment, id, email_exclusive, metadata, version, created_at, updated_at)
                 VALUES (zeroblob(16), 'live', zeroblob(16), 0, '{}', 1, 0, 0);
             INSERT INTO subscriptions VALUES
                 (zeroblob(16), 'live', zeroblob(16), 'a', 'plan', 'Plan', 'active', 1, NULL, 2, 3, 7),
                 (zeroblob(16), 'live', zeroblob(16), 'b', NULL, NULL, 'cancelled', 4, 5, 6, 8, 1);",
        )
        .expect("rows of an older program");
    let before = rows(&mut connection, old);
    assert_eq!(store.migrate().expect("it applies"), all().into_iter().filter(later).collect::<Vec<_>>());
    assert_eq!(rows(&mut connection, old), before);
    assert_eq!(rows(&mut connection, "ifnull(details, 'none')"), ["none", "none"]);
    for refused in ["status = 'unknown'", "details = '[]'", "details = '{'"] {
        assert!(connection.batch_execute(&format!("UPDATE subscriptions SET {refused}")).is_err(), "{refused}");
    }
    connection
        .batch_execute("UPDATE subscriptions SET status = 'trialing', details = '{}' WHERE id = 'a'")
        .expect("a trial");
    connection.batch_execute("UPDATE subscriptions SET status = 'paused' WHERE id = 'b'").expect("a pause");
    connection.batch_execute(&undo_later).expect("it is undone");
    assert_eq!(rows(&mut connection, old), before);
}
