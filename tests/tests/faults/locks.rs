//! Another client has locked a customer.

use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use roster_tests::deadline::{Stopwatch, TIMEOUT, until};
use roster_tests::{App, Database, Kind};
use serde_json::json;

const DEADLINE: Duration = Duration::from_secs(3);

const DEADLINE_MS: &str = "3000";

#[test]
fn a_locked_customer_delays_no_other() {
    let Some(database) = Database::prepared(Kind::Postgres) else { return };
    let app = App::start_with(database, &[("ROSTER__DATABASE__DEADLINE_MS", DEADLINE_MS)]);
    let native = app.native();
    let create = |name: &str| {
        let body = json!({"email": format!("{name}@example.com"), "external_id": name});
        native.post("/customers", body).expect(201).text_at("/id")
    };
    let (locked, other) = (create("locked"), create("other"));
    let (locked, other) = (format!("/customers/{locked}"), format!("/customers/{other}"));
    let mut holder = app.database().administrator();
    for round in 0..2 {
        let lock = "BEGIN; SELECT FROM customers WHERE external_id = 'locked' FOR UPDATE";
        holder.batch_execute(lock).expect("a lock");
        thread::scope(|scope| {
            let (watch, native) = (Stopwatch::start(), &native);
            let locked = &locked;
            let refused = scope.spawn(move || {
                let response = native.patch(locked, json!({"name": "Late"}));
                (response, watch.elapsed())
            });
            until("the change waits for the lock", TIMEOUT, || waits(app.database()).then_some(()));
            for number in 0..4 {
                scope.spawn(move || create(&format!("new-{round}-{number}")));
                scope.spawn(|| native.get(&other).is(200));
                scope.spawn(|| native.get("/customers").is(200));
                scope.spawn(|| app.root().get("/readyz").is(200));
            }
            let (response, elapsed) = refused.join().expect("a caller");
            response.is(503);
            assert!(elapsed <= 2 * DEADLINE, "it was answered after {elapsed:?}");
        });
        holder.batch_execute("COMMIT").expect("the end of the lock");
        native.patch(&locked, json!({"name": format!("Round {round}")})).is(200);
        create(&format!("after-{round}"));
    }
}

/// Whether a statement of the service waits for a lock.
fn waits(database: &Database) -> bool {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'roster' \
                   AND datname = current_database() AND wait_event_type = 'Lock'";
    let waiting: i64 = sql::<BigInt>(waiting).get_result(&mut database.administrator()).expect("a number");
    waiting > 0
}
