//! A migration that must wait for a lock lets all others go on.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use roster_tests::client::agent;
use roster_tests::deadline::{Stopwatch, TIMEOUT, until};
use roster_tests::program::{Program, launch, roster};
use roster_tests::{Caller, Database, Kind};

use crate::traffic::Over;

/// The longest that a reader or a writer may wait while a migration wants its table: a second of its own, and half of one
/// for the rest.
const LONGEST: Duration = Duration::from_millis(1500);

/// What `pg_dump` does first, and keeps until its end.
const DUMP: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;
    LOCK TABLE merchants, api_keys, customers, subscriptions IN ACCESS SHARE MODE; SELECT count(*) FROM customers";

const READ: &str = "SELECT count(*) FROM customers WHERE environment = 'live'";

const WRITE: &str = "UPDATE customers SET version = version + 1 WHERE environment = 'live'";

#[test]
#[ignore = "slow: make faults"]
fn a_migration_beside_a_dump_blocks_neither_readers_nor_writers() {
    let Some(database) = Database::empty(Kind::Postgres) else { return };
    migrate_to_the_second(&database);
    let mut dump = database.administrator();
    dump.batch_execute(DUMP).expect("a transaction");
    let over = AtomicBool::new(false);
    let (longest_read, longest_write) = thread::scope(|scope| {
        let reader = scope.spawn(|| longest(&database, READ, &over));
        let writer = scope.spawn(|| longest(&database, WRITE, &over));
        let stop = Over::when_dropped(&over);
        let mut migrate = launch(database.url(), &[], &["migrate"]);
        let mut serve = Program::launch(database.url(), &[]);
        until("both have connected", TIMEOUT, || (connections(&database) >= 2).then_some(()));
        Stopwatch::start().wait_for(Duration::from_secs(6));
        let ended = (migrate.ended(), serve.ended());
        dump.batch_execute("COMMIT").expect("the end of the dump");
        if ended == (None, None) {
            let status = migrate.wait(TIMEOUT);
            assert!(status.success(), "roster migrate: {status}: {:#?}", migrate.lines().all());
            let serve = Program::listening(serve);
            Caller::new(agent(), serve.address(), "").get("/readyz").is(200);
        }
        assert_eq!(ended, (None, None), "a process gave up while the dump ran: {:#?}", migrate.lines().all());
        drop(stop);
        (reader.join().expect("a reader"), writer.join().expect("a writer"))
    });
    assert!(longest_read <= LONGEST, "a read waited {longest_read:?} for the migration");
    assert!(longest_write <= LONGEST, "a write waited {longest_write:?} for the migration");
    let again = roster(database.url(), &[("ROSTER__DATABASE__MIGRATE_ON_START", "false")], &["merchants", "list"]);
    assert!(again.status.success(), "the schema is not up to date: {again:?}");
}

/// Applies the first two migrations, as an older program did, and adds a customer.
pub(crate) fn migrate_to_the_second(database: &Database) {
    const LIST: &str = "CREATE TABLE __diesel_schema_migrations (
        version varchar(50) PRIMARY KEY, run_on timestamp NOT NULL DEFAULT current_timestamp)";
    const CUSTOMER: &str = "
        INSERT INTO merchants VALUES ('00000000-0000-0000-0000-000000000001', 'M', now());
        INSERT INTO customers (merchant_id, environment, id, email_exclusive, metadata, version, created_at, updated_at)
        VALUES ('00000000-0000-0000-0000-000000000001', 'live', gen_random_uuid(), true, '{}', 1, now(), now())";
    let mut administrator = database.administrator();
    administrator.batch_execute(LIST).expect("diesel's list of migrations");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations/postgres");
    for name in ["00000000000001_initial", "00000000000002_key_scopes"] {
        let up = fs::read_to_string(folder.join(name).join("up.sql")).expect("a migration");
        administrator.batch_execute(&up).expect("the migration applies");
        let (version, _) = name.split_once('_').expect("a version");
        let insert = format!("INSERT INTO __diesel_schema_migrations (version) VALUES ('{version}')");
        administrator.batch_execute(&insert).expect("a version");
    }
    administrator.batch_execute(CUSTOMER).expect("a customer");
}

/// The number of connections of the program.
fn connections(database: &Database) -> i64 {
    let ours = "FROM pg_stat_activity WHERE application_name = 'roster' AND datname = current_database()";
    let count = sql::<BigInt>(&format!("SELECT count(*) {ours}"));
    count.get_result(&mut database.administrator()).expect("a number")
}

/// Runs a statement again and again, and returns the longest time that it took. It is never waited for longer than 10 s.
fn longest(database: &Database, statement: &str, over: &AtomicBool) -> Duration {
    let mut connection = database.administrator();
    connection.batch_execute("SET statement_timeout = '10s'").expect("a setting");
    let mut longest = Duration::ZERO;
    while !over.load(Ordering::SeqCst) {
        let watch = Stopwatch::start();
        // The timeout is an error, and the longest time.
        let _ = connection.batch_execute(statement);
        longest = longest.max(watch.elapsed());
        thread::sleep(Duration::from_millis(5));
    }
    longest
}
