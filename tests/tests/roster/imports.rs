//! `POST /v1/imports`: files of customers that the service reads beside its requests.

use roster_tests::app::create_key;
use roster_tests::client::{Surface, encode};
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::program::roster;
use roster_tests::raw::Connection;
use roster_tests::rows::rows_in;
use roster_tests::{App, Caller, Database, Response, on_both_databases};
use serde_json::{Value, json};

use crate::scopes::assert_lacks;

on_both_databases! {
    the_rows_of_a_file_become_customers_and_errors_are_listed,
    imports_are_listed_newest_first_in_pages,
    a_file_that_was_imported_changes_nothing_again,
    an_import_is_ended_by_delete_and_goes_on_with_the_same_file,
    an_import_ends_when_its_merchant_is_disabled_and_goes_on_with_the_same_file,
    one_import_of_a_tenant_runs_at_a_time,
    a_file_that_is_too_large_is_413_and_leaves_nothing,
    a_key_that_is_revoked_while_its_file_comes_imports_nothing,
    a_file_that_takes_too_long_to_be_sent_is_408_and_leaves_nothing,
    a_wrong_query_names_its_parameter,
    sharing_addresses_needs_its_own_scope,
    a_file_that_cannot_be_read_fails_and_says_why,
    too_many_errors_end_an_import,
    the_command_line_goes_on_with_an_import_of_the_service,
}

/// The bytes of a file that the service stores together.
const FILE_PART: usize = 256 << 10;

fn send(native: &Caller, query: &str, file: &str) -> Response {
    let request = native.request("POST", &format!("/imports{query}")).header("Content-Type", "text/csv");
    request.bytes(file.as_bytes().to_vec()).send()
}

fn import(native: &Caller, id: &str) -> Value {
    native.get(&format!("/imports/{id}")).expect(200).json()
}

/// Sends a file and waits until its import has ended.
fn imported(native: &Caller, query: &str, file: &str) -> Value {
    let id = send(native, query, file).expect(202).text_at("/id");
    until("the import ends", 4 * TIMEOUT, || Some(import(native, &id)).filter(|import| import["ended_at"].is_string()))
}

fn counts(import: &Value) -> [u64; 5] {
    ["created", "updated", "unchanged", "skipped", "failed"].map(|name| import[name].as_u64().expect("a number"))
}

fn many(rows: usize) -> String {
    let row = |row: usize| format!("many-{row},many-{row}@example.com,Many {row}\n");
    std::iter::once("external_id,email,name\n".to_owned()).chain((0..rows).map(row)).collect()
}

fn total(native: &Caller) -> Value {
    native.get("/customers?include=total&limit=1").expect(200).json()["total_count"].take()
}

fn the_rows_of_a_file_become_customers_and_errors_are_listed(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let file = "id,Email,Name,Created (UTC),tier (metadata)\n\
                cus_N1,ada@example.com,Ada Lovelace,2021-12-10 09:30,pro\n\
                cus_N2,no address,Nobody,,\n\
                cus_N3,grace@example.com,Grace Hopper,,\n";
    let import = imported(&native, "?from=stripe", file);
    assert_eq!((counts(&import), &import["rows"], &import["state"]), ([2, 0, 0, 0, 1], &json!(3), &json!("finished")));
    assert_eq!((&import["bytes"], &import["failure"]), (&json!(file.len()), &Value::Null));
    assert_eq!(import["sha256"].as_str().map(str::len), Some(64));
    let path = format!("/imports/{}/errors", import["id"].as_str().expect("an id"));
    let errors = native.get(&path).expect(200);
    assert_eq!(errors.header("content-type"), Some("application/x-ndjson"));
    let errors: Vec<Value> = errors.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((errors.len(), &errors[0]["line"], &errors[0]["column"]), (1, &json!(3), &json!("Email")));
    assert_eq!(import["errors"], json!(errors));
    let ada = native.get("/customers/external/cus_N1").expect(200).json();
    assert_eq!((&ada["metadata"], &ada["created_at"]), (&json!({"tier": "pro"}), &json!("2021-12-10T09:30:00.000Z")));
    let events = native.get("/events?order=asc").expect(200).json();
    for event in events["data"].as_array().expect("events") {
        assert_eq!((&event["actor"]["type"], &event["request_id"]), (&json!("api_key"), &import["import_id"]));
    }
    for method in ["GET", "DELETE"] {
        native.request(method, "/imports/upl_01h2xcejqtf2nbrexx3vqjhp47").send().is(404);
    }
}

fn imports_are_listed_newest_first_in_pages(database: Database) {
    let app = App::start(database);
    let native = app.native();
    assert_eq!(native.get("/imports").expect(200).json()["data"], json!([]));
    let mut all: Vec<Value> = ["", "?again=true", "?again=true&on_conflict=skip"]
        .map(|query| imported(&native, query, "email\nnone\n"))
        .into();
    for import in &mut all {
        let errors = import.as_object_mut().expect("an object").remove("errors").expect("errors");
        assert_eq!((errors.as_array().map(Vec::len), &import["failed"]), (Some(1), &json!(1)));
    }
    all.reverse();
    let first = native.get("/imports?limit=2").expect(200).json();
    assert_eq!((&first["data"], &first["has_more"]), (&json!(all[..2]), &json!(true)));
    let cursor = encode(first["next_cursor"].as_str().expect("a cursor"));
    let last = native.get(&format!("/imports?limit=2&cursor={cursor}")).expect(200).json();
    assert_eq!((&last["data"], &last["next_cursor"]), (&json!(all[2..]), &Value::Null));
    let sandbox = native.with_key(&app.tenants().ours.sandbox);
    assert_eq!(sandbox.get("/imports").expect(200).json()["data"], json!([]));
    sandbox.get(&format!("/imports?cursor={cursor}")).is(400);
    native.get("/imports?state=failed").is(422);
}

fn a_file_that_was_imported_changes_nothing_again(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let file = "email\nada@example.com\n";
    let first = imported(&native, "", file);
    let again = send(&native, "", file).expect(202).json();
    assert_eq!((&again["state"], &again["import_id"]), (&json!("finished"), &first["import_id"]));
    assert_ne!(again["id"], first["id"]);
    assert_eq!(counts(&imported(&native, "?again=true&on_conflict=skip", file)), [0, 0, 0, 1, 0]);
}

fn an_import_is_ended_by_delete_and_goes_on_with_the_same_file(database: Database) {
    const ROWS: usize = 3000;
    let app = App::start(database);
    let native = app.native();
    let file = many(ROWS);
    let id = send(&native, "", &file).expect(202).text_at("/id");
    until("some rows are imported", TIMEOUT, || import(&native, &id)["rows"].as_u64().filter(|rows| *rows > 0));
    native.delete(&format!("/imports/{id}")).is(204);
    let cancelled = import(&native, &id);
    assert_eq!(cancelled["state"], "cancelled");
    let rows = cancelled["rows"].as_u64().expect("a number");
    assert!(rows < ROWS as u64, "{cancelled}");
    native.delete(&format!("/imports/{id}")).is(204);
    let other = send(&native, "?on_conflict=skip", &file).expect(409).json();
    assert_eq!(other["code"], "import_has_other_options");
    let done = imported(&native, "", &file);
    assert_eq!((counts(&done), &done["import_id"]), ([ROWS as u64, 0, 0, 0, 0], &cancelled["import_id"]));
    assert_eq!(total(&native), json!(ROWS));
    assert_eq!(import(&native, &id)["state"], "cancelled");
}

fn an_import_ends_when_its_merchant_is_disabled_and_goes_on_with_the_same_file(database: Database) {
    const ROWS: usize = 20_000;
    let app = App::start_with(database, &[("ROSTER__AUTH__KEY_CACHE_MS", "0")]);
    let native = app.native();
    let file = many(ROWS);
    let change_merchant = |change: &str| {
        let changed = roster(app.database().url(), &[], &["merchants", change, &app.tenants().ours.id]);
        assert!(changed.status.success(), "{changed:?}");
    };
    let id = send(&native, "", &file).expect(202).text_at("/id");
    until("some rows are imported", TIMEOUT, || import(&native, &id)["rows"].as_u64().filter(|rows| *rows > 0));
    change_merchant("disable");
    // Its keys are refused, so that only the database shows it.
    until("the import ends", TIMEOUT, || {
        rows_in(app.database(), "uploads").iter().any(|upload| upload["state"] == "failed").then_some(())
    });
    native.get(&format!("/imports/{id}")).is(403);
    change_merchant("enable");
    let ended = import(&native, &id);
    let failure = ended["failure"].as_str().expect("a reason");
    assert!(failure.contains("the merchant was disabled") && ended["ended_at"].is_string(), "{ended}");
    let rows = ended["rows"].as_u64().expect("a number");
    assert!(rows < ROWS as u64, "{ended}");
    // More are not counted.
    assert_eq!(total(&native), json!(rows.min(10_000)));
    let again = send(&native, "", &file).expect(202).json();
    assert_eq!(again["import_id"], ended["import_id"]);
    let id = again["id"].as_str().expect("an id");
    until("it goes on", TIMEOUT, || import(&native, id)["rows"].as_u64().filter(|more| *more > rows));
    native.delete(&format!("/imports/{id}")).is(204);
}

fn one_import_of_a_tenant_runs_at_a_time(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let id = send(&native, "", &many(20_000)).expect(202).text_at("/id");
    let refused = send(&native, "", "email\nada@example.com\n").expect(409).json();
    assert_eq!(refused["code"], "import_running");
    assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains(&id)), "{refused}");
    // That of another environment is not in the way.
    let sandbox = native.with_key(&app.tenants().ours.sandbox);
    assert_eq!(counts(&imported(&sandbox, "", "email\nada@example.com\n")), [1, 0, 0, 0, 0]);
    assert_eq!(import(&native, &id)["ended_at"], Value::Null);
    native.delete(&format!("/imports/{id}")).is(204);
    assert_eq!(counts(&imported(&native, "", "email\nada@example.com\n")), [1, 0, 0, 0, 0]);
}

fn a_file_that_is_too_large_is_413_and_leaves_nothing(database: Database) {
    let app = App::start_with(database, &[("ROSTER__IMPORTS__MAX_MIB", "1")]);
    let native = app.native();
    let refused = send(&native, "", &many(40_000)).expect(413).json();
    assert_eq!(refused["code"], "file_too_large");
    assert_eq!(counts(&imported(&native, "", "email\nada@example.com\n")), [1, 0, 0, 0, 0]);
}

/// The head of a request that sends so many bytes of a file.
fn sends_file(key: &str, bytes: usize) -> Vec<u8> {
    let authorization = format!("authorization: Bearer {key}");
    format!("POST /v1/imports HTTP/1.1\r\nhost: roster\r\n{authorization}\r\ncontent-length: {bytes}\r\n\r\n")
        .into_bytes()
}

fn a_key_that_is_revoked_while_its_file_comes_imports_nothing(database: Database) {
    let app = App::start_with(database, &[("ROSTER__AUTH__KEY_CACHE_MS", "0")]);
    let native = app.native();
    let key = create_key(app.database().url(), &app.tenants().ours.id, "live", &[]);
    let file = many(20_000).into_bytes();
    let (first, rest) = file.split_at(FILE_PART);
    let mut connection = Connection::open(app.address()).expect("a connection");
    connection.send(&sends_file(&key.key, file.len())).expect("a head");
    connection.send(first).expect("a part");
    until("the part is stored", TIMEOUT, || {
        rows_in(app.database(), "uploads").first().filter(|upload| upload["parts"] == 1).map(drop)
    });
    let revoked = roster(app.database().url(), &[], &["keys", "revoke", &key.id]);
    assert!(revoked.status.success(), "{revoked:?}");
    // It may be refused before all of it is sent.
    let _ = connection.send(rest);
    let refused = connection.response().expect("HTTP").expect("a response");
    refused.is(401);
    assert_eq!(rows_in(app.database(), "uploads"), [Value::Null; 0]);
    assert_eq!(total(&native), json!(0));
}

fn a_file_that_takes_too_long_to_be_sent_is_408_and_leaves_nothing(database: Database) {
    let app = App::start_with(database, &[("ROSTER__IMPORTS__TIMEOUT_S", "1")]);
    let mut connection = Connection::open(app.address()).expect("a connection");
    connection.send(&sends_file(&app.tenants().ours.live, FILE_PART)).expect("a head");
    // Each byte comes long before `http.body_timeout_ms`.
    until("the file is refused", TIMEOUT, || {
        (connection.send(b"e").is_err() || connection.has_response()).then_some(())
    });
    let refused = connection.response().expect("HTTP").expect("a response").expect(408);
    assert_eq!(refused.json()["code"], "file_too_slow");
    assert_eq!(rows_in(app.database(), "uploads"), [Value::Null; 0]);
}

fn a_wrong_query_names_its_parameter(database: Database) {
    let app = App::start(database);
    for query in
        ["from=sap", "format=xml", "unknown=yes", "on_conflict=merge", "max_errors=-1", "max_errors=10001", "again=1"]
    {
        let refused = send(&app.native(), &format!("?{query}"), "email\n").expect(422).json();
        let (name, _) = query.split_once('=').expect("a name");
        assert_eq!(refused["errors"][0]["parameter"], name, "{refused}");
    }
    send(&app.native(), "?dry_run=true", "email\n").is(422);
}

fn sharing_addresses_needs_its_own_scope(database: Database) {
    let app = App::start(database);
    let key = create_key(app.database().url(), &app.tenants().ours.id, "live", &["--scope", "imports:write"]).key;
    let plain = app.native().with_key(&key);
    let file = "email\nada@example.com\nada@example.com\n";
    let refused = send(&plain, "?allow_duplicate_emails=true", file);
    assert_lacks(Surface::Native, &refused, "customers:allow_duplicate_email");
    assert_eq!(counts(&imported(&plain, "", file)), [1, 0, 0, 0, 1]);
    assert_eq!(counts(&imported(&app.native(), "?allow_duplicate_emails=true&again=true", file)), [2, 0, 0, 0, 0]);
    let list = format!("/customers?email={}", encode("ada@example.com"));
    assert_eq!(app.native().get(&list).json()["data"].as_array().map(Vec::len), Some(3));
}

fn a_file_that_cannot_be_read_fails_and_says_why(database: Database) {
    let app = App::start(database);
    for (file, why) in
        [("", "empty"), ("email,shoe size\nada@example.com,39\n", "shoe size"), ("a\n1\n", "none of its")]
    {
        let import = imported(&app.native(), "", file);
        assert_eq!(import["state"], "failed", "{import}");
        assert!(import["failure"].as_str().is_some_and(|failure| failure.contains(why)), "{import}");
    }
    assert_eq!(total(&app.native()), json!(0));
}

fn too_many_errors_end_an_import(database: Database) {
    let app = App::start(database);
    let file: String = std::iter::once("email\n").chain(std::iter::repeat_n("none\n", 1000)).collect();
    let import = imported(&app.native(), "?max_errors=10", &file);
    assert_eq!((&import["state"], &import["rows"]), (&json!("failed"), &json!(100)));
    assert_eq!(import["errors"].as_array().map(Vec::len), Some(20));
}

fn the_command_line_goes_on_with_an_import_of_the_service(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let file = many(3000);
    let id = send(&native, "", &file).expect(202).text_at("/id");
    until("some rows are imported", TIMEOUT, || import(&native, &id)["rows"].as_u64().filter(|rows| *rows > 0));
    native.delete(&format!("/imports/{id}")).is(204);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("many.csv");
    std::fs::write(&path, file).expect("a disk");
    let path = path.to_str().expect("UTF-8");
    let arguments = ["import", path, "--merchant", &app.tenants().ours.id, "--environment", "live"];
    let finished = roster(app.database().url(), &[], &arguments);
    assert!(finished.status.success(), "{finished:?}");
    assert_eq!(total(&native), json!(3000));
}
