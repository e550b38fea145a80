//! Migrations apply once, however many instances start at once, and can be undone.

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
const ALL: [&str; 3] = ["00000000000001_initial", "00000000000002_key_scopes", "00000000000003_shared_addresses"];

fn tables(connection: &mut SqliteConnection) -> Vec<String> {
    let names = sql::<Text>("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name");
    names.load(connection).expect("the schema")
}

#[test]
fn instances_that_start_at_once_apply_each_migration_once() {
    const INSTANCES: usize = 6;
    // Several times: who makes the file, who puts it into WAL mode and who migrates may be three different ones.
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
        assert_eq!(applied, ALL);
        assert_eq!(open(&path).pending_migrations().expect("an answer"), [""; 0]);
    }
}

#[test]
fn migrating_waits_for_another_instance_longer_than_a_caller_would() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("roster.db");
    let impatient = Options { wait: Duration::from_millis(50), ..options(&path) };
    let store = SqliteStore::open(&impatient).expect("a new file");
    let mut other = raw(&path);
    other.batch_execute("BEGIN IMMEDIATE").expect("nobody writes");
    thread::scope(|scope| {
        let migrates = scope.spawn(|| store.migrate());
        let port: &dyn Store = &store;
        let refused = port.transaction(|_| Ok::<_, StoreError>(())).expect_err("another instance writes");
        assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused:?}");
        other.batch_execute("COMMIT").expect("a transaction");
        assert_eq!(migrates.join().expect("no panic").expect("it has waited"), ALL);
    });
}

#[test]
fn asking_what_is_missing_writes_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("roster.db");
    let store = open(&path);
    assert_eq!(store.pending_migrations().expect("an answer"), ALL);
    assert_eq!(tables(&mut raw(&path)), [""; 0]);
    assert_eq!(store.migrate().expect("an empty database"), ALL);
    assert_eq!(store.pending_migrations().expect("an answer"), [""; 0]);
    assert_eq!(store.migrate().expect("nothing to do"), [""; 0]);
}

#[test]
fn what_was_applied_can_be_undone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("roster.db");
    drop(open_migrated(&path));
    let mut connection = raw(&path);
    for down in [
        include_str!("../../../../migrations/sqlite/00000000000003_shared_addresses/down.sql"),
        include_str!("../../../../migrations/sqlite/00000000000002_key_scopes/down.sql"),
        include_str!("../../../../migrations/sqlite/00000000000001_initial/down.sql"),
    ] {
        connection.batch_execute(down).expect("it is undone");
    }
    assert_eq!(tables(&mut connection), ["__diesel_schema_migrations"]);
}
