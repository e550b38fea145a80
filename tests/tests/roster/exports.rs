//! `GET /v1/customers/export`: all customers of a list in one answer, as they are at one moment.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use roster_tests::app::create_key;
use roster_tests::client::encode;
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::program::roster;
use roster_tests::raw::{self, Connection};
use roster_tests::{App, Database, Response, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    the_formats_have_the_same_customers_as_the_command,
    an_export_has_what_the_filters_include,
    a_wrong_query_names_its_parameter,
    an_export_shows_one_moment_and_the_feed_goes_on_from_there,
    an_export_of_200_000_customers_takes_at_most_48_mebibytes,
    an_export_ends_when_its_key_is_revoked,
    a_client_that_does_not_read_loses_its_export_and_the_next_can_begin,
}

const CUSTOMERS: usize = 200_000;
const MEMORY: u64 = 48 << 20;

/// No connection ends because a test does not read while it does something else.
const LONG_WRITE_TIMEOUT: (&str, &str) = ("ROSTER__HTTP__WRITE_TIMEOUT_MS", "300000");

fn export(app: &App, query: &str) -> Response {
    app.native().get(&format!("/customers/export{query}")).expect(200)
}

fn lines(answer: &Response) -> Vec<Value> {
    answer.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn the_formats_have_the_same_customers_as_the_command(database: Database) {
    let app = App::start(database);
    let native = app.native();
    assert_eq!((export(&app, "").body, export(&app, "?format=json").json()), (vec![], json!({"data": []})));
    for number in 0..120 {
        let body = json!({"email": format!("c{number}@example.com"), "name": "=1+1", "metadata": {"n": number}});
        native.post("/customers", body).is(201);
    }
    let by_command = |format: &str| {
        let arguments = ["export", "--merchant", &app.tenants().ours.id, "--environment", "live", "--format", format];
        roster(app.database().url(), &[], &arguments).out
    };
    let ndjson = export(&app, "");
    assert_eq!(ndjson.text(), by_command("ndjson"));
    assert_eq!(ndjson.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(ndjson.header("content-disposition"), Some("attachment; filename=\"customers.ndjson\""));
    assert_eq!(ndjson.header("x-feed-cursor"), None);
    let csv = export(&app, "?format=csv");
    assert_eq!(csv.text(), by_command("csv"));
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(export(&app, "?format=json").json(), json!({"data": lines(&ndjson)}));
    for format in ["ndjson", "csv", "json"] {
        let packed = export(&app, &format!("?format={format}&gzip=1"));
        assert_eq!(packed.header("content-encoding"), Some("gzip"));
        let mut text = String::new();
        flate2::read::GzDecoder::new(packed.body.as_slice()).read_to_string(&mut text).expect("a complete archive");
        assert_eq!(text, export(&app, &format!("?format={format}&gzip=0")).text());
    }
    let theirs = native.with_key(&app.tenants().theirs.live).get("/customers/export").expect(200);
    assert_eq!(theirs.body, b"");
}

fn an_export_has_what_the_filters_include(database: Database) {
    let app = App::start(database);
    let native = app.native();
    for number in 0..4 {
        let tier = if number % 2 == 0 { "gold" } else { "silver" };
        let body = json!({"email": format!("c{number}@example.com"), "external_id": format!("u{number}"), "metadata": {"tier": tier}});
        native.post("/customers", body).is(201);
    }
    let id = native.get("/customers/external/u3").text_at("/id");
    native.patch(&format!("/customers/{id}"), json!({"status": "archived"})).is(200);
    let found = |query: &str| -> Vec<String> {
        let external_id = |line: &Value| line["external_id"].as_str().expect("an identifier").to_owned();
        lines(&export(&app, query)).iter().map(external_id).collect()
    };
    assert_eq!(found(""), ["u0", "u1", "u2", "u3"], "in the order of registration");
    assert_eq!(found("?status=archived"), ["u3"]);
    assert_eq!(found("?status=active"), ["u0", "u1", "u2"]);
    assert_eq!(found("?metadata[tier]=gold"), ["u0", "u2"]);
    assert_eq!(found("?email=C1@example.com"), ["u1"]);
    assert_eq!(found("?external_id=u2"), ["u2"]);
    assert_eq!(found("?search=c2%40ex"), ["u2"]);
    assert_eq!(found("?created_after=2020-01-01T00:00:00Z&metadata[tier]=silver"), ["u1", "u3"]);
    assert_eq!(found("?created_before=2020-01-01T00:00:00Z"), [""; 0]);
}

fn a_wrong_query_names_its_parameter(database: Database) {
    let app = App::start(database);
    for (query, parameter) in [
        ("format=xml", "format"),
        ("format=csv&format=json", "format"),
        ("gzip=yes", "gzip"),
        ("follow=1", "follow"),
        ("limit=5", "limit"),
        ("order=asc", "order"),
        ("cursor=x", "cursor"),
        ("include=total", "include"),
        ("email=nobody", "email"),
    ] {
        let refused = app.native().get(&format!("/customers/export?{query}")).expect(422).json();
        assert_eq!(refused["errors"][0]["parameter"], json!(parameter), "{query}: {refused}");
    }
}

/// The customers that were created behind a cursor of the log.
fn created_behind(app: &App, cursor: &str) -> Vec<String> {
    let (mut created, mut cursor) = (Vec::new(), cursor.to_owned());
    loop {
        let path = format!("/events?order=asc&limit=100&type=customer.created&after={}", encode(&cursor));
        let page = app.native().get(&path).expect(200).json();
        let events = page["data"].as_array().expect("events");
        created.extend(events.iter().map(|event| event["customer_id"].as_str().expect("an id").to_owned()));
        page["next_cursor"].as_str().expect("a cursor").clone_into(&mut cursor);
        if page["has_more"] == json!(false) {
            return created;
        }
    }
}

fn an_export_shows_one_moment_and_the_feed_goes_on_from_there(database: Database) {
    roster_tests::bulk::load_customers(&database, 3_000);
    let app = App::start(database);
    let (is_done, made) = (AtomicBool::new(false), AtomicUsize::new(0));
    let exports: Vec<(Vec<String>, String)> = thread::scope(|scope| {
        for writer in 0..3 {
            let (native, is_done, made) = (app.native(), &is_done, &made);
            scope.spawn(move || {
                for number in 0.. {
                    if is_done.load(Ordering::SeqCst) {
                        break;
                    }
                    native.post("/customers", json!({"email": format!("w{writer}-{number}@example.com")})).is(201);
                    made.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let exported = (0..10).map(|round| {
            until("others write", TIMEOUT, || (made.load(Ordering::SeqCst) > 10 * round).then_some(()));
            let answer = export(&app, "?follow=true");
            let cursor = answer.header("x-feed-cursor").expect("a cursor").to_owned();
            let id = |line: &Value| line["id"].as_str().expect("an id").to_owned();
            (lines(&answer).iter().map(id).collect(), cursor)
        });
        let exported = exported.collect();
        is_done.store(true, Ordering::SeqCst);
        exported
    });
    let all: BTreeSet<String> =
        lines(&export(&app, "")).iter().map(|line| line["id"].as_str().expect("an id").to_owned()).collect();
    assert_eq!(all.len(), 3_000 + made.load(Ordering::SeqCst));
    let mut later = 0;
    for (exported, cursor) in exports {
        let behind = created_behind(&app, &cursor);
        later += behind.len();
        let mut seen = BTreeSet::new();
        assert!(
            exported.into_iter().chain(behind).all(|id| seen.insert(id)),
            "a customer is in the export and behind it"
        );
        assert!(seen == all, "a customer is neither in the export nor behind it");
    }
    assert!(later > 0, "nothing was written behind any export");
}

/// Requests an export and reads the head of the answer.
fn open_export(app: &App, key: &str) -> Connection {
    let authorization = format!("Bearer {key}");
    let mut connection = Connection::open(app.address()).expect("a service that listens");
    let request = raw::request("GET", "/v1/customers/export", &[("authorization", &authorization)], b"");
    connection.send(&request).expect("a service that reads");
    connection.head().expect("a response").expect("a response").is(200);
    connection
}

fn an_export_of_200_000_customers_takes_at_most_48_mebibytes(database: Database) {
    roster_tests::bulk::load_customers(&database, CUSTOMERS);
    let app = App::start_with(database, &[LONG_WRITE_TIMEOUT]);
    // The memory that any first request needs does not count.
    app.native().with_key(&app.tenants().theirs.live).get("/customers/export").is(200);
    let before = app.memory().resident();
    app.memory().reset_peak();
    let mut export = open_export(&app, &app.tenants().ours.live);
    let mut lines = 0;
    while let Some(chunk) = export.chunk().expect("the export goes on") {
        lines += chunk.split(|byte| *byte == b'\n').count() - 1;
    }
    assert_eq!(lines, CUSTOMERS);
    let grown = app.memory().peak().saturating_sub(before);
    assert!(grown < MEMORY, "the service grew by {grown} bytes");
}

fn an_export_ends_when_its_key_is_revoked(database: Database) {
    // Far more than all buffers between the service and its client can hold.
    roster_tests::bulk::load_customers(&database, 60_000);
    let app = App::start_with(database, &[("ROSTER__AUTH__KEY_CACHE_MS", "0"), LONG_WRITE_TIMEOUT]);
    let (url, merchant) = (app.database().url(), &app.tenants().ours.id);
    let key = create_key(url, merchant, "live", &[]);
    let mut export = open_export(&app, &key.key);
    export.chunk().expect("the export begins").expect("a first chunk");
    let revoked = roster(url, &[], &["keys", "revoke", &key.id]);
    assert!(revoked.status.success(), "{revoked:?}");
    let error = std::iter::from_fn(|| export.chunk().transpose()).find_map(Result::err);
    assert!(error.is_some(), "the export went on to its end");
}

/// A file that ends too early must not look complete.
#[test]
fn an_export_is_broken_off_when_postgresql_is_killed() {
    let Some((database, cluster)) = Database::on_own_server() else { return };
    roster_tests::bulk::load_customers(&database, 60_000);
    let app = App::start_with(database, &[LONG_WRITE_TIMEOUT]);
    let mut export = open_export(&app, &app.tenants().ours.live);
    export.chunk().expect("the export begins").expect("a first chunk");
    cluster.crash();
    let error = std::iter::from_fn(|| export.chunk().transpose()).find_map(Result::err);
    assert!(error.is_some(), "the export went on to its end");
    cluster.start();
    until("an export can begin", TIMEOUT, || {
        (app.native().get("/customers/export?external_id=bulk-1").status == 200).then_some(())
    });
}

/// An export keeps a moment for as long as `http.export_timeout_s` says, and there are four at a time.
fn a_client_that_does_not_read_loses_its_export_and_the_next_can_begin(database: Database) {
    roster_tests::bulk::load_customers(&database, 60_000);
    let app = App::start_with(database, &[("ROSTER__HTTP__EXPORT_TIMEOUT_S", "2"), LONG_WRITE_TIMEOUT]);
    let mut slow: Vec<_> = (0..4).map(|_| open_export(&app, &app.tenants().ours.live)).collect();
    let refused = app.native().get("/customers/export").expect(503);
    assert_eq!(refused.json()["code"], json!("overloaded"));
    assert!(refused.header("retry-after").is_some());
    // Other requests are served meanwhile.
    app.native().post("/customers", json!({"email": "ada@example.com"})).is(201);
    until("an export can begin", TIMEOUT, || {
        (app.native().get("/customers/export?external_id=bulk-1").status == 200).then_some(())
    });
    for export in &mut slow {
        let error = std::iter::from_fn(|| export.chunk().transpose()).find_map(Result::err);
        assert!(error.is_some(), "the export went on to its end");
    }
    // A client that disconnects gives its place back, too.
    slow.clear();
    let readers: Vec<_> = (0..4).map(|_| open_export(&app, &app.tenants().ours.live)).collect();
    drop(readers);
    until("an export can begin", TIMEOUT, || {
        (app.native().get("/customers/export?external_id=bulk-1").status == 200).then_some(())
    });
}
