//! The process: how it starts, what it logs, how it ends.

use std::io::ErrorKind;

use roster_tests::client::{Surface, agent};
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::process::Signal;
use roster_tests::program::{Program, roster, roster_json};
use roster_tests::raw::{self, Connection};
use roster_tests::{App, Caller, Database, Kind, on_both_databases};
use serde_json::{Value, json};

use crate::routes::Target;

on_both_databases! {
    sigterm_finishes_requests_in_flight_and_exits_with_0,
    sigint_finishes_requests_in_flight_and_exits_with_0,
    a_second_signal_ends_the_process_at_once,
    data_is_kept_over_a_restart,
    livez_and_readyz_are_200,
    every_request_is_one_line_of_json_without_personal_data,
    two_instances_may_start_at_once_on_a_fresh_database,
    an_outdated_schema_is_refused_if_it_may_not_be_migrated,
    commands_create_and_list_merchants_and_keys,
}

fn sigterm_finishes_requests_in_flight_and_exits_with_0(database: Database) {
    ends_gracefully(database, Signal::Terminate);
}

fn sigint_finishes_requests_in_flight_and_exits_with_0(database: Database) {
    ends_gracefully(database, Signal::Interrupt);
}

/// How long a request in flight may take to finish: far longer than [`TIMEOUT`].
const LONG_SHUTDOWN: [(&str, &str); 2] =
    [("ROSTER__HTTP__BODY_TIMEOUT_MS", "300000"), ("ROSTER__HTTP__SHUTDOWN_TIMEOUT_MS", "600000")];

fn a_second_signal_ends_the_process_at_once(database: Database) {
    let mut app = App::start_with(database, &LONG_SHUTDOWN);
    let _in_flight = begin_create(&app);
    app.signal(Signal::Terminate);
    refuses_connections(&app);
    app.signal(Signal::Interrupt);
    app.wait(TIMEOUT);
}

fn data_is_kept_over_a_restart(database: Database) {
    let mut app = App::start(database);
    let created = app.native().post("/customers", json!({"email": "ada@example.com"})).expect(201);
    app.signal(Signal::Terminate);
    assert!(app.wait(TIMEOUT).success());
    app.restart();
    let path = format!("/customers/{}", created.text_at("/id"));
    assert_eq!(app.native().get(&path).expect(200).body, created.body);
}

fn livez_and_readyz_are_200(database: Database) {
    let app = App::start(database);
    app.root().get("/livez").is(200);
    app.root().get("/readyz").is(200);
    let response = app.root().request("POST", "/livez").send().expect(405);
    assert!(response.header("allow").is_some_and(|allow| allow.contains("GET")), "{response:?}");
}

fn every_request_is_one_line_of_json_without_personal_data(database: Database) {
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
        (2, app.lumen().request("GET", "/customers?email=secret@example.com"), "GET", "/api/customers", 200),
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
        let line = app.find_in_logs(TIMEOUT, |line| log_of(line, &id)).expect("a log line of the request");
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
    let line = app.find_in_logs(TIMEOUT, |line| log_of(line, "logged-5")).expect("a log line of the request");
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

fn an_outdated_schema_is_refused_if_it_may_not_be_migrated(database: Database) {
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

fn commands_create_and_list_merchants_and_keys(database: Database) {
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
fn a_database_that_citus_cannot_distribute_is_refused_with_the_reason() {
    let of = |kind, reason: &str| {
        let Some(database) = Database::empty(kind) else { return };
        let refused = roster(database.url(), &[], &["migrate", "--citus"]);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(refused.err.contains("cannot be distributed") && refused.err.contains(reason), "{refused:?}");
    };
    of(Kind::Sqlite, "only PostgreSQL with the extension citus");
    of(Kind::Postgres, "CREATE EXTENSION citus");
}

#[test]
fn a_wrong_setting_is_named_and_the_exit_status_is_2() {
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

// Each test sets one timeout: on a busy machine the other could end the request first.

#[test]
fn an_unfinished_head_is_408_or_the_end_of_the_connection() {
    let database = Database::prepared(Kind::Sqlite).expect("a file");
    let app = App::start_with(database, &[("ROSTER__HTTP__HEAD_TIMEOUT_MS", "300")]);
    let mut connection = Connection::open(app.address()).expect("a service that listens");
    // On a busy machine the service may close the connection before the head arrives, which resets it.
    let _sent = connection.send(b"POST /api/customers HTT");
    match connection.response() {
        Ok(response) => assert!(response.is_none_or(|response| response.status == 408)),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
}

#[test]
fn an_unfinished_body_is_408() {
    let database = Database::prepared(Kind::Sqlite).expect("a file");
    let app = App::start_with(database, &[("ROSTER__HTTP__BODY_TIMEOUT_MS", "300")]);
    let authorization = format!("Bearer {}", app.tenants().ours.live);
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    let request = raw::request("POST", "/api/customers", &headers, CREATE);
    let mut connection = Connection::open(app.address()).expect("a service that listens");
    // In one piece: sending more after the response would reset the connection.
    connection.send(&request[..request.len() - HALF]).expect("a service that reads");
    let response = connection.response().expect("a response in time").expect("a response");
    assert_eq!(response.status, 408, "{response:?}");
}

fn ends_gracefully(database: Database, signal: Signal) {
    let mut app = App::start_with(database, &LONG_SHUTDOWN);
    let mut in_flight = begin_create(&app);
    app.signal(signal);
    refuses_connections(&app);
    in_flight.send(&CREATE[HALF..]).expect("the connection is still served");
    let response = in_flight.response().expect("a response").expect("a response");
    assert_eq!(response.status, 201, "{response:?}");
    let status = app.wait(TIMEOUT);
    assert_eq!(status.code(), Some(0), "{:#?}", app.logs());

    app.restart();
    let id = response.text_at("/customer/id");
    app.lumen().get(&format!("/customers/{id}")).is(200);
}

const CREATE: &[u8] = br#"{"email":"in-flight@example.com"}"#;
const HALF: usize = 10;

/// Sends the first half of a request that creates a customer. Returns after the service has read its head.
fn begin_create(app: &App) -> Connection {
    let authorization = format!("Bearer {}", app.tenants().ours.live);
    let headers =
        [("authorization", authorization.as_str()), ("content-type", "application/json"), ("expect", "100-continue")];
    let request = raw::request("POST", "/api/customers", &headers, CREATE);
    let head = request.len() - CREATE.len();
    let mut connection = Connection::open(app.address()).expect("a service that listens");
    connection.send(&request[..head]).expect("a service that reads");
    let interim = connection.response().expect("a response").expect("a response");
    assert_eq!(interim.status, 100, "{interim:?}");
    connection.send(&CREATE[..HALF]).expect("a service that reads");
    connection
}

fn refuses_connections(app: &App) {
    until("the service accepts no more", TIMEOUT, || Connection::open(app.address()).is_err().then_some(()));
}

/// The line as JSON if it is the access log of the request with this id.
fn log_of(line: &str, request_id: &str) -> Option<Value> {
    let line: Value = serde_json::from_str(line).ok()?;
    (field(&line, "request_id") == request_id && !field(&line, "status").is_null()).then_some(line)
}

/// A field of a log line: a member of the line itself or of its `fields`.
fn field(line: &Value, name: &str) -> Value {
    line.get(name).or_else(|| line.pointer(&format!("/fields/{name}"))).cloned().unwrap_or(Value::Null)
}
