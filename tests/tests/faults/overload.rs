//! A caller learns whether the service has too much to do or its database does not answer.

use std::collections::BTreeMap;
use std::thread;

use roster_test_postgres::Cluster;
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::{App, Database};
use serde_json::json;

use crate::traffic::refusal;

/// One request may wait for each kind of work, and one is worked on.
const SMALL: [(&str, &str); 4] = [
    ("ROSTER__DATABASE__QUEUE", "1"),
    ("ROSTER__DATABASE__CONNECTIONS", "1"),
    ("ROSTER__DATABASE__DEADLINE_MS", "2000"),
    // Keys are looked up before the fault, and not again.
    ("ROSTER__AUTH__KEY_CACHE_MS", "60000"),
];

/// Requests at a time: far more than are worked on or wait.
const CROWD: usize = 40;

#[test]
fn a_full_queue_and_a_database_that_does_not_answer_have_different_codes() {
    let Some((database, cluster)) = Database::on_own_server() else { return };
    let app = App::start_with(database, &SMALL);
    let created = app.native().post("/customers", json!({"email": "ada@example.com"})).expect(201);
    let path = format!("/customers/{}", created.text_at("/id"));
    cluster.freeze();
    let codes = codes_of_a_crowd(&app, &path);
    cluster.thaw();
    let (full, silent) = ((503, "overloaded".to_owned()), (503, "database_unavailable".to_owned()));
    let others: Vec<_> = codes.keys().filter(|code| ![&full, &silent].contains(code)).collect();
    assert!(others.is_empty(), "expected {full:?} and {silent:?} alone: {codes:?}");
    // The first one finds the queue empty.
    assert!(codes.contains_key(&silent), "the requests that waited: {codes:?}");
    assert!(codes.contains_key(&full), "the requests that found the queue full: {codes:?}");
}

/// The number of responses by status and code.
fn codes_of_a_crowd(app: &App, path: &str) -> BTreeMap<(u16, String), usize> {
    let mut codes = BTreeMap::new();
    let responses: Vec<_> = thread::scope(|scope| {
        let callers: Vec<_> = (0..CROWD).map(|_| scope.spawn(|| app.native().get(path))).collect();
        callers.into_iter().map(|caller| caller.join().expect("a response")).collect()
    });
    for response in responses {
        *codes.entry(refusal(&response)).or_default() += 1;
    }
    codes
}

#[test]
fn a_server_that_is_stopped_has_the_code_of_a_database_that_does_not_answer() {
    let Some((database, cluster)) = Database::on_own_server() else { return };
    let app = App::start_with(database, &SMALL);
    app.native().get("/customers").is(200);
    for outage in [Cluster::stop, Cluster::crash] {
        outage(&cluster);
        for (what, response) in [
            ("a list", app.native().get("/customers")),
            ("a create", app.native().post("/customers", json!({"email": "eda@example.com"}))),
            ("/readyz", app.root().get("/readyz")),
        ] {
            assert_eq!(refusal(&response), (503, "database_unavailable".to_owned()), "{what}: {response:?}");
        }
        cluster.start();
        until("the service is ready", TIMEOUT, || (app.root().get("/readyz").status == 200).then_some(()));
    }
}
