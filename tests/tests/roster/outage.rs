//! PostgreSQL goes away, and comes back.

use std::thread;
use std::time::{Duration, Instant};

use roster_test_postgres::Cluster;
use roster_tests::client::Surface;
use roster_tests::deadline::until;
use roster_tests::{Answer, App, Database};
use serde_json::json;

use crate::routes::{Route, Target, assert_error};

/// What the service is told, and how much longer an answer may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(1);
const SLACK: Duration = Duration::from_millis(500);

/// How soon all must be well once the database is.
const RECOVERY: Duration = Duration::from_secs(1);

#[test]
fn a_server_that_was_stopped() {
    outage(Cluster::stop, Cluster::start);
}

#[test]
fn a_server_that_was_killed() {
    outage(Cluster::crash, Cluster::start);
}

#[test]
fn a_server_that_was_frozen() {
    outage(Cluster::freeze, Cluster::thaw);
}

/// Calls the service before, during and after an outage, twice, without restarting it.
fn outage(strike: fn(&Cluster), mend: fn(&Cluster)) {
    let Some((database, cluster)) = Database::on_own_server() else { return };
    let app = App::start_with(database, &[("ROSTER__DATABASE__DEADLINE_MS", "1000")]);
    let target = Target::create(&app.native(), "con_live_", "target");
    // A write that is answered 503 may have happened all the same, so it is tried on another customer.
    let victim = Target::create(&app.native(), "con_live_", "victim");
    for round in 0..2 {
        ready(&app).is(200);
        strike(&cluster);
        everything_is_503_in_time(&app, &victim);
        mend(&cluster);
        recovers(&app);
        nothing_trickles(&app, &target, round);
    }
    let logs = app.logs();
    assert!(logs.len() > Route::of_customers().count(), "no logs to search: {logs:#?}");
    assert!(logs.iter().all(|line| !line.contains("example.com")), "{logs:#?}");
}

fn everything_is_503_in_time(app: &App, victim: &Target) {
    // At once from many threads: waiting requests must not add up behind the first.
    thread::scope(|scope| {
        for route in Route::of_customers() {
            scope.spawn(move || {
                let started = Instant::now();
                let answer = route.call(&app.surface(route.surface), victim);
                let took = started.elapsed();
                assert_error(route.surface, &answer, 503);
                let retry_after: Option<u32> = answer.header("retry-after").and_then(|value| value.parse().ok());
                assert!(retry_after.is_some_and(|seconds| seconds > 0), "{answer:?}");
                assert!(took < DEADLINE + SLACK, "{route:?}: {took:?}");
            });
        }
    });
    let started = Instant::now();
    let not_ready = ready(app);
    assert_eq!(not_ready.status, 503, "{not_ready:?}");
    assert!(started.elapsed() < DEADLINE + SLACK, "{:?}", started.elapsed());
    let started = Instant::now();
    app.root().get("/livez").is(200);
    assert!(started.elapsed() < SLACK, "{:?}", started.elapsed());
}

fn ready(app: &App) -> Answer {
    app.root().get("/readyz")
}

fn recovers(app: &App) {
    until("the service recovers", RECOVERY, || {
        let well = ready(app).status == 200 && app.native().get("/customers?limit=1").status == 200;
        well.then_some(())
    });
}

/// After the first success there is no failure more, on whatever connection a request is served.
fn nothing_trickles(app: &App, target: &Target, round: usize) {
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
