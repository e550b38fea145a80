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
        native.post("/customers", body)
    };
    let (locked, other) = (create("locked").text_at("/id"), create("other").text_at("/id"));
    let (locked, other) = (format!("/customers/{locked}"), format!("/customers/{other}"));
    let mut holder = app.database().administrator();
    for round in 0..2 {
        let lock = "BEGIN; SELECT FROM customers WHERE external_id = 'locked' FOR UPDATE";
        holder.batch_execute(lock).expect("a lock");
        let mut denied = Vec::new();
        thread::scope(|scope| {
            let change = || {
                let watch = Stopwatch::start();
                (native.patch(&locked, json!({"name": "Late"})), watch.elapsed())
            };
            let change = scope.spawn(change);
            until("the change waits for the lock", TIMEOUT, || waits(app.database()).then_some(()));
            let beside = |number| {
                [
                    ("a create", create(&format!("new-{round}-{number}")), 201),
                    ("a get", native.get(&other), 200),
                    ("a list", native.get("/customers"), 200),
                    ("/readyz", app.root().get("/readyz"), 200),
                ]
            };
            let callers: Vec<_> = (0..4).map(|number| scope.spawn(move || beside(number))).collect();
            let answers = callers.into_iter().flat_map(|caller| caller.join().expect("answers"));
            denied.extend(answers.filter(|(_, response, expected)| response.status != *expected));
            let (response, elapsed) = change.join().expect("an answer");
            assert_eq!(response.status, 503, "the change of a locked customer: {response:?}");
            assert!(elapsed <= 2 * DEADLINE, "the change of a locked customer was answered after {elapsed:?}");
        });
        let what: Vec<_> = denied.iter().map(|(what, response, _)| (what, response.status)).collect();
        assert!(what.is_empty(), "denied beside the locked customer: {what:?}, such as {:?}", denied[0].1);
        holder.batch_execute("COMMIT").expect("the end of the lock");
        native.patch(&locked, json!({"name": format!("Round {round}")})).is(200);
        create(&format!("after-{round}")).is(201);
    }
}

/// Whether a statement of the service waits for a lock.
fn waits(database: &Database) -> bool {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'roster' \
                   AND datname = current_database() AND wait_event_type = 'Lock'";
    let waiting: i64 = sql::<BigInt>(waiting).get_result(&mut database.administrator()).expect("a number");
    waiting > 0
}
