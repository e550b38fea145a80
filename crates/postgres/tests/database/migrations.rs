//! Migrations apply once, however many instances start at once, and can be undone.

use std::fs;
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use diesel::connection::{Connection as _, SimpleConnection as _};
use diesel::dsl::sql;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use roster_application::ports::{Store as _, StoreError};
use roster_postgres::PostgresStore;
use roster_test_postgres::{Cluster, ClusterOptions, database};

use crate::MIGRATED;

fn store(url: &str) -> PostgresStore {
    crate::store(url, 1, Duration::from_secs(20))
}

/// The names of all migrations, oldest first.
/// The names of all migrations, in order.
pub fn all() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/postgres");
    let entries = fs::read_dir(folder).expect("the migrations");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort_unstable();
    names
}

/// What a migration does.
pub fn up(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/postgres");
    fs::read_to_string(folder.join(name).join("up.sql")).expect("a file")
}

/// What undoes each migration, the last one first.
fn undo() -> impl Iterator<Item = String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/postgres");
    all().into_iter().rev().map(move |name| fs::read_to_string(folder.join(name).join("down.sql")).expect("a file"))
}

fn tables(url: &str) -> Vec<String> {
    let mut connection = PgConnection::establish(url).expect("a connection");
    sql::<Text>("SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
        .load(&mut connection)
        .expect("the catalogue answers")
}

#[test]
fn instances_that_start_at_once_apply_each_migration_once() {
    let Some(database) = database() else { return };
    let instances = 8;
    let start = Barrier::new(instances);
    let mut applied: Vec<String> = thread::scope(|scope| {
        let migrate = || {
            let store = store(database.url());
            start.wait();
            store.migrate().expect("the migrations apply")
        };
        let threads: Vec<_> = (0..instances).map(|_| scope.spawn(migrate)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("the thread ends")).collect()
    });
    applied.sort();
    assert_eq!(applied, all());
    assert_eq!(store(database.url()).pending_migrations().expect("an answer"), [""; 0]);
}

#[test]
fn listing_pending_migrations_writes_nothing() {
    let Some(database) = database() else { return };
    assert_eq!(store(database.url()).pending_migrations().expect("an answer"), all());
    assert_eq!(tables(database.url()), [""; 0]);
}

#[test]
fn applied_migrations_can_be_undone() {
    let Some(database) = MIGRATED.database() else { return };
    let mut connection = PgConnection::establish(database.url()).expect("a connection");
    for down in undo() {
        connection.batch_execute(&down).expect("it is undone");
    }
    assert_eq!(tables(database.url()), ["__diesel_schema_migrations"]);
}

#[test]
fn a_database_of_a_newer_program_is_refused_unless_its_migration_is_harmless() {
    let Some(database) = MIGRATED.database() else { return };
    let mut connection = PgConnection::establish(database.url()).expect("a connection");
    connection.batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('99')").expect("a version");
    for refused in [store(database.url()).migrate(), store(database.url()).pending_migrations()] {
        let Err(StoreError::Internal { source }) = refused else { panic!("{refused:?}") };
        assert!(source.to_string().contains("the migration 99"), "{source}");
    }
    connection.batch_execute("INSERT INTO harmless_migrations (version) VALUES ('99')").expect("a version");
    assert_eq!(store(database.url()).migrate().expect("it may be used"), [""; 0]);
}

#[test]
fn an_index_that_was_left_half_built_is_built_again() {
    let Some(database) = MIGRATED.database() else { return };
    let mut connection = PgConnection::establish(database.url()).expect("a connection");
    let half_built = "
        DELETE FROM __diesel_schema_migrations WHERE version = '00000000000003';
        UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'customers_email_shared'::regclass";
    connection.batch_execute(half_built).expect("a superuser");
    assert_eq!(store(database.url()).migrate().expect("it applies again"), [&*all()[2]]);
    let valid = "SELECT indisvalid::text FROM pg_index WHERE indexrelid = 'customers_email_shared'::regclass";
    let valid: String = sql::<Text>(valid).get_result(&mut connection).expect("an index");
    assert_eq!(valid, "true");
}

#[test]
fn an_index_is_built_without_the_timeouts_of_the_role() {
    const TIMEOUTS: &str = "options=-c%20statement_timeout%3D1000%20-c%20lock_timeout%3D1000";
    const LONGER: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
        AND query LIKE '%INDEX CONCURRENTLY%' AND pid <> pg_backend_pid() \
        AND clock_timestamp() - query_start > interval '1500 milliseconds'";
    let Some(database) = MIGRATED.database() else { return };
    let mut administrator = PgConnection::establish(database.url()).expect("a connection");
    let as_before_the_third = "
        DELETE FROM __diesel_schema_migrations WHERE version = '00000000000003';
        DROP INDEX customers_email_shared";
    administrator.batch_execute(as_before_the_third).expect("a superuser");
    // The index is built for as long as this transaction is open.
    let mut older = PgConnection::establish(database.url()).expect("a connection");
    older.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").expect("a snapshot");
    let separator = if database.url().contains('?') { '&' } else { '?' };
    let store = store(&format!("{}{separator}{TIMEOUTS}", database.url()));
    thread::scope(|scope| {
        let migrating = scope.spawn(|| store.migrate());
        loop {
            let waits_for_longer = sql::<BigInt>(LONGER).get_result::<i64>(&mut administrator) == Ok(1);
            if waits_for_longer || migrating.is_finished() {
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
        older.batch_execute("COMMIT").expect("the end of a transaction");
        assert_eq!(migrating.join().expect("the thread ends").expect("it applies"), [&*all()[2]]);
    });
}

#[test]
fn a_database_that_is_not_utf8_is_refused() {
    let Some(cluster) = Cluster::create(ClusterOptions::default()) else { return };
    let url = cluster.create_database();
    let mut connection = PgConnection::establish(&url).expect("a connection");
    connection
        .batch_execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        .expect("a database");
    let (_, name) = url.split_once(":///").expect("a socket");
    let name = name.split('?').next().unwrap_or_default();
    let refused = store(&url.replace(name, "latin")).migrate();
    let Err(StoreError::Internal { source }) = refused else { panic!("{refused:?}") };
    assert_eq!(source.to_string(), "the database must have the encoding UTF8, not LATIN1");
}

#[test]
fn subscriptions_of_before_their_details_are_kept_and_new_statuses_are_undone() {
    let Some(database) = MIGRATED.database() else { return };
    let mut connection = PgConnection::establish(database.url()).expect("a connection");
    let later = |name: &String| name.as_str() >= "00000000000011";
    let undo_later =
        all().iter().rev().filter(|name| later(name)).zip(undo()).map(|(_, down)| down).collect::<String>()
            + "DELETE FROM __diesel_schema_migrations WHERE version >= '00000000000011';";
    let rows = |connection: &mut PgConnection, columns: &str| -> Vec<String> {
        sql::<Text>(&format!("SELECT {columns} FROM subscriptions ORDER BY id")).load(connection).expect("rows")
    };
    let old = "concat_ws(' ', id, plan_id, name, status, started_at, cancelled_at, created_at, updated_at, version)";
    connection.batch_execute(&undo_later).expect("it is undone");
    connection
        .batch_execute(
            "INSERT INTO merchants SELECT gen_random_uuid(), 'M', now();
             INSERT INTO customers (merchant_id, environment, id, email_exclusive, metadata, version, created_at, updated_at)
                 SELECT id, 'live', id, false, '{}', 1, now(), now() FROM merchants;
             INSERT INTO subscriptions (merchant_id, environment, customer_id, id, plan_id, name, status, started_at,
                                        cancelled_at, created_at, updated_at, version)
                 SELECT id, 'live', id, 'a', 'plan', 'Plan', 'active', now(), NULL, now(), now(), 7 FROM merchants
                 UNION ALL SELECT id, 'live', id, 'b', NULL, NULL, 'cancelled', now(), now(), now(), now(), 1 FROM merchants",
        )
        .expect("rows of an older program");
    let before = rows(&mut connection, old);
    assert_eq!(
        store(database.url()).migrate().expect("it applies"),
        all().into_iter().filter(later).collect::<Vec<_>>()
    );
    assert_eq!(rows(&mut connection, old), before);
    assert_eq!(rows(&mut connection, "coalesce(details::text, 'none')"), ["none", "none"]);
    let unchecked = "SELECT conname::text FROM pg_constraint WHERE NOT convalidated";
    assert_eq!(sql::<Text>(unchecked).load::<String>(&mut connection).expect("the catalogue"), [""; 0]);
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
