//! PostgreSQL becomes unavailable and comes back.

use std::thread;
use std::time::Duration;

use roster_test_postgres::Cluster;
use roster_tests::client::Surface;
use roster_tests::deadline::{Stopwatch, TIMEOUT, until};
use roster_tests::{App, Database, Response};
use serde_json::json;

use crate::routes::{Route, Target, assert_error};

/// The deadline of the service, in milliseconds: a busy machine does not exceed it while PostgreSQL is available.
const DEADLINE_MS: &str = "5000";

/// The longest time to a response: twice the deadline.
const LATEST: Duration = Duration::from_secs(10);

/// How often each route is called at the same time. If each request waited until the one before it had failed, the last
/// response would come later than [`LATEST`]: there are 13 requests for each connection to the database.
const COPIES: usize = 4;

#[test]
fn the_service_survives_that_postgresql_is_stopped() {
    outage(Cluster::stop, Cluster::start);
}

#[test]
fn the_service_survives_that_postgresql_is_killed() {
    outage(Cluster::crash, Cluster::start);
}

#[test]
fn the_service_survives_that_postgresql_is_frozen() {
    outage(Cluster::freeze, Cluster::thaw);
}

/// Calls the service before, during and after an outage, twice, without restarting it.
fn outage(begin: fn(&Cluster), end: fn(&Cluster)) {
    let Some((database, cluster)) = Database::on_own_server() else { return };
    let app = App::start_with(database, &[("ROSTER__DATABASE__DEADLINE_MS", DEADLINE_MS)]);
    let target = Target::create(&app.native(), "con_live_", "target");
    // Another customer than `target`: a write may be executed although its response is 503.
    let victim = Target::create(&app.native(), "con_live_", "victim");
    for round in 0..2 {
        ready(&app).is(200);
        begin(&cluster);
        every_request_is_503_in_time(&app, &victim);
        end(&cluster);
        recovers(&app);
        every_request_succeeds(&app, &target, round);
    }
    let logs = app.logs();
    assert!(logs.len() > COPIES * Route::of_customers().count(), "log lines are missing: {logs:#?}");
    assert!(logs.iter().all(|line| !line.contains("example.com")), "{logs:#?}");
}

fn every_request_is_503_in_time(app: &App, victim: &Target) {
    thread::scope(|scope| {
        for _ in 0..COPIES {
            for route in Route::of_customers() {
                scope.spawn(move || {
                    let response = in_time(|| route.call(&route.caller(app), victim));
                    assert_error(route.surface, &response, 503);
                    let retry_after: Option<u32> = response.header("retry-after").and_then(|value| value.parse().ok());
                    assert!(retry_after.is_some_and(|seconds| seconds > 0), "{response:?}");
                });
            }
        }
        // A look at the database is good for a moment.
        scope.spawn(|| until("/readyz is 503", LATEST, || (in_time(|| ready(app)).status == 503).then_some(())));
        // This route does not use the database.
        scope.spawn(|| app.root().get("/livez").is(200));
    });
}

fn in_time(call: impl FnOnce() -> Response) -> Response {
    let start = Stopwatch::start();
    let response = call();
    let elapsed = start.elapsed();
    assert!(elapsed < LATEST, "{elapsed:?}: {response:?}");
    response
}

fn ready(app: &App) -> Response {
    app.root().get("/readyz")
}

fn recovers(app: &App) {
    until("the service recovers", TIMEOUT, || {
        let recovered = ready(app).status == 200 && app.native().get("/customers?limit=1").status == 200;
        recovered.then_some(())
    });
}

/// After the first success every request succeeds, on every connection to the database.
fn every_request_succeeds(app: &App, target: &Target, round: usize) {
    thread::scope(|scope| {
        for caller in 0..8 {
            scope.spawn(move || {
                for number in 0..25 {
                    let path = format!("/customers/{}", target.id(Surface::Native));
                    app.native().get(&path).is(200);
                    let email = format!("after-{round}-{caller}-{number}@example.com");
                    app.lumen().post("/customers", json!({"email": email})).is(201);
                    ready(app).is(200);
                }
            });
        }
    });
}
