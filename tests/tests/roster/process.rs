//! The life of the process: how it starts, what it says, how it ends.

use std::time::Duration;

use roster_tests::client::{Surface, agent};
use roster_tests::deadline::{GENEROUS, until};
use roster_tests::process::Signal;
use roster_tests::program::{Program, roster, roster_json};
use roster_tests::raw::{self, Connection};
use roster_tests::{App, Caller, Database, Kind, on_both_databases};
use serde_json::{Value, json};

use crate::routes::Target;

on_both_databases! {
    sigterm_finishes_what_is_in_flight_and_ends_well,
    sigint_finishes_what_is_in_flight_and_ends_well,
    a_second_signal_ends_the_process_at_once,
    a_second_start_finds_the_data_again,
    it_is_alive_and_ready,
    every_request_is_one_line_of_json_that_names_nobody,
    two_instances_may_start_at_once_on_a_fresh_database,
    a_schema_that_is_behind_is_refused_when_it_may_not_be_migrated,
    merchants_and_keys_are_made_and_listed_by_command,
}

fn sigterm_finishes_what_is_in_flight_and_ends_well(database: Database) {
    ends_gracefully(database, Signal::Terminate);
}

fn sigint_finishes_what_is_in_flight_and_ends_well(database: Database) {
    ends_gracefully(database, Signal::Interrupt);
}

fn a_second_signal_ends_the_process_at_once(database: Database) {
    let mut app = App::start(database);
    let _in_flight = begin_create(&app);
    app.signal(Signal::Terminate);
    refuses_connections(&app);
    app.signal(Signal::Interrupt);
    // Far less than requests in flight are given to finish.
    app.wait(Duration::from_secs(2));
}

fn a_second_start_finds_the_data_again(database: Database) {
    let mut app = App::start(database);
    let created = app.native().post("/customers", json!({"email": "ada@example.com"})).expect(201);
    app.signal(Signal::Terminate);
    assert!(app.wait(GENEROUS).success());
    app.restart();
    let path = format!("/customers/{}", created.text_at("/id"));
    assert_eq!(app.native().get(&path).expect(200).body, created.body);
}

fn it_is_alive_and_ready(database: Database) {
    let app = App::start(database);
    app.root().get("/livez").is(200);
    app.root().get("/readyz").is(200);
    let answer = app.root().request("POST", "/livez").send().expect(405);
    assert!(answer.header("allow").is_some_and(|allow| allow.contains("GET")), "{answer:?}");
}

fn every_request_is_one_line_of_json_that_names_nobody(database: Database) {
    let app = App::start(database);
    let target = Target::create(&app.native(), "con_live_", "secret-external-id");
    let path = format!("/customers/{}", target.id(Surface::Native));
    for (number, request, method, route, status) in [
        (0, app.native().request("GET", &path), "GET", "/v1/customers/{id}", 200),
        (
            1,
            app.native().request("GET", "/customers/external/secret-external-id"),
            "GET",
            "/v1/customers/external/{external_id}",
            200,
        ),
        (2, app.lumen().request("GET", "/customers?secret-query=1"), "GET", "/api/customers", 200),
        (
            3,
            app.lava().request("DELETE", "/customers/secret-external-id"),
            "DELETE",
            "/lava/v1/customers/{customer_id}",
            200,
        ),
        (
            4,
            app.lava().request("DELETE", "/customers/secret-external-id"),
            "DELETE",
            "/lava/v1/customers/{customer_id}",
            404,
        ),
    ] {
        let id = format!("logged-{number}");
        request.header("x-request-id", &id).send().is(status);
        let line = app.find_in_logs(GENEROUS, |line| log_of(line, &id)).expect("a line about the request");
        assert_eq!(field(&line, "method"), method, "{line}");
        assert_eq!(field(&line, "route"), route, "{line}");
        assert_eq!(field(&line, "status"), status, "{line}");
        assert_eq!(field(&line, "merchant"), app.tenants().ours.id, "{line}");
        assert_eq!(field(&line, "environment"), "live", "{line}");
        assert!(field(&line, "api_key").as_str().is_some_and(|id| id.starts_with("key_")), "{line}");
        assert!(field(&line, "duration_us").is_u64(), "{line}");
    }
    let unauthorized = app.native().without_key();
    unauthorized.request("GET", "/customers").header("x-request-id", "logged-5").send().is(401);
    let line = app.find_in_logs(GENEROUS, |line| log_of(line, "logged-5")).expect("a line about the request");
    assert_eq!(field(&line, "merchant"), Value::Null, "{line}");

    let logs = app.logs();
    for id in (0..=5).map(|number| format!("logged-{number}")) {
        let lines = logs.iter().filter_map(|line| log_of(line, &id)).count();
        assert_eq!(lines, 1, "{logs:#?}");
    }
    for line in &logs {
        assert!(!line.contains("secret"), "{line}");
        assert!(serde_json::from_str::<Value>(line).is_ok_and(|line| line.is_object()), "{line}");
    }
}

fn two_instances_may_start_at_once_on_a_fresh_database(database: Database) {
    let empty = database.into_empty();
    let launched: Vec<_> = (0..2).map(|_| Program::launch(empty.url(), &[])).collect();
    let programs: Vec<_> = launched.into_iter().map(Program::listening).collect();
    let merchant = roster_tests::app::Merchant::create(empty.url(), "Acme");
    let callers: Vec<_> = programs
        .iter()
        .map(|program| Caller::new(agent(), program.address(), Surface::Native.base()).with_key(&merchant.live))
        .collect();
    let created = callers[0].post("/customers", json!({"email": "ada@example.com"})).expect(201);
    let path = format!("/customers/{}", created.text_at("/id"));
    assert_eq!(callers[1].get(&path).expect(200).body, created.body);
    callers[1].post("/customers", json!({"email": "ADA@example.com"})).is(409);
}

fn a_schema_that_is_behind_is_refused_when_it_may_not_be_migrated(database: Database) {
    let empty = database.into_empty();
    let settings = [("ROSTER__DATABASE__MIGRATE_ON_START", "false")];
    let refused = roster(empty.url(), &settings, &["serve"]);
    assert!(!refused.status.success(), "{refused:?}");
    assert!(format!("{}{}", refused.out, refused.err).contains("roster migrate"), "{refused:?}");
    let migrated = roster(empty.url(), &settings, &["migrate"]);
    assert!(migrated.status.success(), "{migrated:?}");
    assert!(roster(empty.url(), &settings, &["migrate"]).status.success(), "a second time");
    let program = Program::serve(empty.url(), &settings);
    Caller::new(agent(), program.address(), "").get("/readyz").is(200);
}

fn merchants_and_keys_are_made_and_listed_by_command(database: Database) {
    let app = App::start(database);
    let url = app.database().url();
    let merchant = roster_json(url, &["merchants", "create", "Acme Ltd", "--json"]);
    let id = merchant["id"].as_str().expect("an id");
    let listed = roster(url, &[], &["merchants", "list"]);
    assert!(listed.status.success() && listed.out.contains(id) && listed.out.contains("Acme Ltd"), "{listed:?}");
    let arguments = ["keys", "create", "--merchant", id, "--environment", "sandbox", "--name", "laptop", "--json"];
    let key = roster_json(url, &arguments);
    let secret = key["key"].as_str().expect("a key");
    assert!(secret.starts_with("sk_test_") && secret.len() == 44, "{key}");
    app.native().with_key(secret).get("/customers").is(200);
    let listed = roster(url, &[], &["keys", "list", "--merchant", id]);
    assert!(listed.status.success(), "{listed:?}");
    assert!(listed.out.contains(key["id"].as_str().expect("an id")), "{listed:?}");
    assert!(!listed.out.contains(secret), "{listed:?}");
}

#[test]
fn a_wrong_setting_names_its_key_and_ends_with_2() {
    let database = Database::empty(Kind::Sqlite).expect("a file");
    for (name, value, key) in [
        ("ROSTER__HTTP__BIND", "nowhere", "http.bind"),
        ("ROSTER__DATABASE__DEADLINE_MS", "soon", "database.deadline_ms"),
        ("ROSTER__LOG__FORMAT", "xml", "log.format"),
    ] {
        let refused = roster(database.url(), &[(name, value)], &["serve"]);
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        assert!(refused.err.contains(key) && refused.err.contains(value), "{refused:?}");
    }
    let refused = roster("mysql://localhost/roster", &[], &["serve"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(refused.err.contains("database.url") && refused.err.contains("postgres://"), "{refused:?}");
}

// One limit at a time: the other must not cut off a test that a busy machine holds up.

#[test]
fn whoever_dawdles_over_a_head_is_answered_or_cut_off() {
    let database = Database::prepared(Kind::Sqlite).expect("a file");
    let app = App::start_with(database, &[("ROSTER__HTTP__HEAD_TIMEOUT_MS", "300")]);
    let mut head = Connection::open(app.address()).expect("a service that listens");
    head.send(b"POST /api/customers HTT").expect("a service that reads");
    let answer = head.answer().expect("an end before the deadline");
    assert!(answer.is_none_or(|answer| answer.status == 408));
}

#[test]
fn whoever_dawdles_over_a_body_is_answered() {
    let database = Database::prepared(Kind::Sqlite).expect("a file");
    let app = App::start_with(database, &[("ROSTER__HTTP__BODY_TIMEOUT_MS", "2000")]);
    let mut body = begin_create(&app);
    let answer = body.answer().expect("an end before the deadline").expect("an answer");
    assert_eq!(answer.status, 408, "{answer:?}");
}

fn ends_gracefully(database: Database, signal: Signal) {
    let mut app = App::start(database);
    let mut in_flight = begin_create(&app);
    app.signal(signal);
    refuses_connections(&app);
    in_flight.send(&CREATE[HALF..]).expect("the connection is still served");
    let answer = in_flight.answer().expect("an answer").expect("an answer");
    assert_eq!(answer.status, 201, "{answer:?}");
    let status = app.wait(GENEROUS);
    assert_eq!(status.code(), Some(0), "{:#?}", app.logs());

    app.restart();
    let id = answer.text_at("/customer/id");
    app.lumen().get(&format!("/customers/{id}")).is(200);
}

const CREATE: &[u8] = br#"{"email":"in-flight@example.com"}"#;
const HALF: usize = 10;

/// Sends a request to create a customer up to the middle of its body, and returns once the service works on it.
fn begin_create(app: &App) -> Connection {
    let authorization = format!("Bearer {}", app.tenants().ours.live);
    let headers =
        [("authorization", authorization.as_str()), ("content-type", "application/json"), ("expect", "100-continue")];
    let request = raw::request("POST", "/api/customers", &headers, CREATE);
    let head = request.len() - CREATE.len();
    let mut connection = Connection::open(app.address()).expect("a service that listens");
    connection.send(&request[..head]).expect("a service that reads");
    let interim = connection.answer().expect("an answer").expect("an answer");
    assert_eq!(interim.status, 100, "{interim:?}");
    connection.send(&CREATE[..HALF]).expect("a service that reads");
    connection
}

fn refuses_connections(app: &App) {
    until("the service accepts no more", GENEROUS, || Connection::open(app.address()).is_err().then_some(()));
}

/// The line as JSON if it is the one about the request with that identifier.
fn log_of(line: &str, request_id: &str) -> Option<Value> {
    let line: Value = serde_json::from_str(line).ok()?;
    (field(&line, "request_id") == request_id && !field(&line, "status").is_null()).then_some(line)
}

/// A field of a log line, whether it stands at its top or among its fields.
fn field(line: &Value, name: &str) -> Value {
    line.get(name).or_else(|| line.pointer(&format!("/fields/{name}"))).cloned().unwrap_or(Value::Null)
}
