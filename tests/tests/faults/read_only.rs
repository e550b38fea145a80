//! A server that refuses writes, as one does that is no longer the primary or whose disk is full.

use std::thread;
use std::time::Instant;

use diesel::connection::SimpleConnection as _;
use roster_test_postgres::Cluster;
use roster_tests::client::Surface;
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::{App, Database};
use serde_json::json;

use crate::traffic::{SETTINGS, Traffic, assert_refused, refusal};

/// Writes that the server refuses: ten times as many as there may be new connections in a second.
const WRITES: usize = 400;

/// Callers at a time.
const CALLERS: usize = 8;

#[test]
#[ignore = "slow: make faults"]
fn a_read_only_server_goes_on_answering_reads_on_the_same_connections() {
    let Some((database, cluster)) = Database::on_own_server() else { return };
    let app = App::start_with(database, &SETTINGS);
    set(app.database(), "log_connections", "on");
    let traffic = Traffic::start(&app);
    set(app.database(), "default_transaction_read_only", "on");
    // Each process of the server reads the setting when it gets its signal.
    until("/readyz is 503 with the code database_read_only", TIMEOUT, || {
        let ready = app.root().get("/readyz");
        (refusal(&ready) == (503, "database_read_only".to_owned())).then_some(())
    });

    let (before, begun) = (connections(&cluster), Instant::now());
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            let app = &app;
            scope.spawn(move || (0..WRITES / CALLERS).for_each(|number| write_and_read(app, caller, number)));
        }
    });
    // Connections of a pool may be made anew once a second.
    let allowed = CALLERS * (2 + usize::try_from(begun.elapsed().as_secs()).expect("a short test"));
    let made = connections(&cluster) - before;
    assert!(made <= allowed, "{made} connections were made during {WRITES} refused writes, and {allowed} are allowed");

    set(app.database(), "default_transaction_read_only", "off");
    until("the service is ready", TIMEOUT, || (app.root().get("/readyz").status == 200).then_some(()));
    traffic.all_succeed("after the server accepts writes again");
}

/// Sends a write that is refused, and a read that is not.
fn write_and_read(app: &App, caller: usize, number: usize) {
    let body = json!({"email": format!("refused-{caller}-{number}@example.com")});
    match number % 4 {
        0 => app.surface(Surface::Lumen).post("/customers", body).is(503),
        _ => assert_refused(&app.native().post("/customers", body), "database_read_only"),
    }
    app.native().get("/customers?limit=5").is(200);
    if number.is_multiple_of(10) {
        assert_refused(&app.root().get("/readyz"), "database_read_only");
    }
}

/// Changes a setting of the whole server.
fn set(database: &Database, name: &str, value: &str) {
    let mut administrator = database.administrator();
    administrator.batch_execute("SET default_transaction_read_only = off").expect("a session that writes");
    // One by one: `ALTER SYSTEM` runs in no transaction with others.
    for statement in [format!("ALTER SYSTEM SET {name} = {value}"), "SELECT pg_reload_conf()".to_owned()] {
        administrator.batch_execute(&statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

/// The connections that the service has made since `log_connections` is on.
fn connections(cluster: &Cluster) -> usize {
    let log = cluster.log();
    log.lines()
        .filter(|line| line.contains("connection authorized") && line.contains("application_name=roster"))
        .count()
}
