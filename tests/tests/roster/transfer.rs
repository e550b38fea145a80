//! `roster export` and `roster import`: all customers out, as they were at one moment, and in, each row once.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use roster_tests::app::{Merchant, create_key};
use roster_tests::client::{Surface, agent, encode};
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::process::{Finished, Process, Signal, run};
use roster_tests::program::{Program, binary, launch, roster};
use roster_tests::{App, Caller, Database, on_both_databases};
use serde_json::{Value, json};
use tempfile::TempDir;

on_both_databases! {
    an_export_has_every_customer_as_the_api_shows_it,
    what_is_exported_and_imported_is_the_same_field_by_field,
    an_import_keeps_times_and_order_and_makes_the_events_of_the_operator,
    rows_whose_identifiers_are_in_use_are_refused_skipped_or_update_the_customer,
    a_bad_row_is_reported_with_its_line_and_the_others_are_imported,
    a_file_that_was_imported_changes_nothing_again,
    a_dry_run_writes_nothing_and_finds_what_would_be_refused,
    a_dry_run_and_the_import_agree_on_rows_that_are_far_apart,
    a_killed_import_goes_on_and_makes_each_row_once,
    ctrl_c_ends_an_import_cleanly_and_the_same_command_goes_on,
    too_many_errors_end_an_import_and_it_goes_on_with_a_higher_bound,
    a_wrong_command_line_or_file_says_what_to_do,
    a_stripe_export_becomes_a_running_service_in_three_commands,
    everything_about_one_person_is_one_document,
}

/// Values that files, databases and spreadsheets read in other ways.
const HARD: [&str; 5] = ["=SUM(A1)", "'quoted'", "a,\"b\";c", "Ünal – ж", "-1"];

fn import_arguments<'a>(
    file: &'a Path,
    merchant: &'a Merchant,
    environment: &'a str,
    more: &[&'a str],
) -> Vec<&'a str> {
    let file = file.to_str().expect("UTF-8");
    let mut arguments = vec!["import", file, "--merchant", &merchant.id, "--environment", environment];
    arguments.extend(more);
    arguments
}

/// Imports into the live tenant of `ours`.
fn import(app: &App, file: &Path, more: &[&str]) -> Finished {
    roster(app.database().url(), &[], &import_arguments(file, &app.tenants().ours, "live", more))
}

/// The summary of an import, which fails if a row is refused.
fn imported(app: &App, file: &Path, more: &[&str]) -> Value {
    let finished = import(app, file, &[&["--json"], more].concat());
    let summary: Value = serde_json::from_str(&finished.out).unwrap_or_else(|error| panic!("{error}: {finished:?}"));
    assert_eq!(finished.status.success(), summary["failed"] == json!(0), "{finished:?}");
    summary
}

fn counts(summary: &Value) -> [u64; 5] {
    ["created", "updated", "unchanged", "skipped", "failed"].map(|name| summary[name].as_u64().expect("a number"))
}

fn export(app: &App, environment: &str, more: &[&str]) -> String {
    let arguments = ["export", "--merchant", &app.tenants().ours.id, "--environment", environment];
    let finished = roster(app.database().url(), &[], &[&arguments, more].concat());
    assert!(finished.status.success(), "{finished:?}");
    finished.out
}

fn exported(app: &App, environment: &str) -> Vec<Value> {
    export(app, environment, &[]).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn write(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).expect("a file");
    path
}

fn folder() -> TempDir {
    TempDir::new().expect("a temporary folder")
}

/// Customers with each field, with none, with a shared address, and an archived one.
fn create_customers(native: &Caller) {
    for (number, text) in HARD.into_iter().enumerate() {
        let body = json!({
            "email": format!("hard-{number}@example.com"), "external_id": format!("{text}/{number}"), "name": text,
            "phone": "+4930123456", "tax_id": text, "business_name": text, "tax_exempt": "reverse", "locale": "pt-BR",
            "timezone": "Europe/Paris", "currency": "EUR",
            "billing_address": {"line1": text, "line2": "", "city": text, "postal_code": text, "country": "DE"},
            "metadata": {text: {"list": [1, null, true, text, "a\nb\t\u{1}"]}, "n": null},
        });
        native.post("/customers", body).is(201);
    }
    let exact =
        r#"{"allow_missing_email":true,"metadata":{"big":123456789012345678901234567890.10,"e":1e-400,"zero":-0}}"#;
    native.request("POST", "/customers").header("Content-Type", "application/json").bytes(exact.into()).send().is(201);
    for name in ["first", "second"] {
        let body = json!({"email": "shared@example.com", "allow_duplicate_email": true, "name": name});
        native.post("/customers", body).is(201);
    }
    let archived = native.post("/customers", json!({"email": "archived@example.com"})).expect(201).text_at("/id");
    native.patch(&format!("/customers/{archived}"), json!({"status": "archived"})).is(200);
    let deleted = native.post("/customers", json!({"email": "deleted@example.com"})).expect(201).text_at("/id");
    native.delete(&format!("/customers/{deleted}")).is(204);
}

/// More than a page of the export.
fn many(rows: usize) -> String {
    let mut file = "external_id,email,name,created_at\n".to_owned();
    for row in 0..rows {
        // Writing to a text cannot fail.
        let _ = writeln!(file, "many_{row},many-{row}@example.com,Many {row},2020-01-01T00:00:00Z");
    }
    file
}

fn an_export_has_every_customer_as_the_api_shows_it(database: Database) {
    let app = App::start(database);
    assert_eq!(export(&app, "live", &[]), "");
    create_customers(&app.native());
    let folder = folder();
    assert_eq!(counts(&imported(&app, &write(&folder, "many.csv", &many(1100)), &[])), [1100, 0, 0, 0, 0]);

    let lines = exported(&app, "live");
    assert_eq!(lines.len(), 9 + 1100);
    let ids: Vec<&str> = lines.iter().map(|line| line["id"].as_str().expect("an id")).collect();
    assert!(ids.is_sorted_by(|one, next| one < next), "in the order of registration");
    for line in lines.iter().step_by(200).chain(&lines[..9]) {
        let mut shown =
            app.native().get(&format!("/customers/{}", line["id"].as_str().expect("an id"))).expect(200).json();
        if line["email"] == json!("shared@example.com") {
            shown["allow_duplicate_email"] = json!(true);
        }
        assert_eq!(*line, shown);
    }
    assert!(
        export(&app, "live", &[])
            .contains(r#""metadata":{"big":123456789012345678901234567890.10,"e":1e-400,"zero":-0}"#)
    );
    let archived: Vec<Value> = export(&app, "live", &["--status", "archived"])
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(archived.len(), 1);
    assert_eq!(archived[0]["email"], json!("archived@example.com"));
    assert_eq!(export(&app, "sandbox", &[]), "", "another environment");

    let csv = export(&app, "live", &["--format", "csv"]);
    assert!(csv.starts_with("id,external_id,email,allow_duplicate_email,name,"), "{csv}");
    assert!(csv.contains(",'=SUM(A1),") && csv.contains(",''quoted',") && csv.contains(",'+4930123456,"), "{csv}");
}

/// What an import keeps of a line of an export.
fn kept(mut line: Value) -> Value {
    for name in ["id", "customer_id", "environment", "updated_at", "version"] {
        line.as_object_mut().expect("an object").remove(name).expect("a field");
    }
    line
}

fn what_is_exported_and_imported_is_the_same_field_by_field(database: Database) {
    let app = App::start(database);
    create_customers(&app.native());
    let folder = folder();
    let before: Vec<Value> = exported(&app, "live").into_iter().map(kept).collect();
    for (format, merchant) in [("ndjson", "To"), ("csv", "Fro")] {
        let merchant = Merchant::create(app.database().url(), merchant);
        let file = write(&folder, format, &export(&app, "live", &["--format", format]));
        let imported = roster(app.database().url(), &[], &import_arguments(&file, &merchant, "live", &[]));
        assert!(imported.status.success(), "{imported:?}");
        let arguments = ["export", "--merchant", &merchant.id, "--environment", "live"];
        let after = roster(app.database().url(), &[], &arguments).out;
        let kept_after: Vec<Value> =
            after.lines().map(|line| kept(serde_json::from_str(line).expect("JSON"))).collect();
        let ours = before.iter().cloned().map(|mut line| {
            line["org_id"] = json!(merchant.id);
            line
        });
        assert_eq!(kept_after, ours.collect::<Vec<_>>(), "{format}");
        // The digits, which a JSON library may round.
        assert!(after.contains(r#""metadata":{"big":123456789012345678901234567890.10,"e":1e-400,"zero":-0}"#));
    }
    // From one tenant into another without a file between.
    let script = format!(
        "'{roster}' export --merchant {ours} --environment live | '{roster}' import - --merchant {ours} --environment sandbox",
        roster = binary().display(),
        ours = app.tenants().ours.id
    );
    let piped = run(Command::new("sh").args(["-c", &script]).env("DATABASE_URL", app.database().url()));
    assert!(piped.status.success() && piped.out.contains("9 rows: 9 created"), "{piped:?}");
    assert_eq!(exported(&app, "sandbox").into_iter().map(kept).collect::<Vec<_>>(), before);
}

fn an_import_keeps_times_and_order_and_makes_the_events_of_the_operator(database: Database) {
    let app = App::start(database);
    let folder = folder();
    let file = "id,Email,Created (UTC)\ncus_3,c@example.com,2021-03-01 10:00\ncus_1,a@example.com,2019-01-01 00:00\n\
                cus_2,b@example.com,2020-02-02 02:02\n";
    let summary = imported(&app, &write(&folder, "stripe.csv", file), &["--from", "stripe"]);
    let lines = exported(&app, "live");
    let shown: Vec<_> = lines.iter().map(|line| (line["external_id"].clone(), line["created_at"].clone())).collect();
    assert_eq!(
        shown,
        [
            ("cus_3", "2021-03-01T10:00:00.000Z"),
            ("cus_1", "2019-01-01T00:00:00.000Z"),
            ("cus_2", "2020-02-02T02:02:00.000Z")
        ]
        .map(|(id, time)| (json!(id), json!(time)))
    );
    let listed = app.native().get("/customers?created_after=2020-01-01T00:00:00Z&order=asc").expect(200).json();
    let by_creation: Vec<&Value> =
        listed["data"].as_array().expect("a list").iter().map(|one| &one["external_id"]).collect();
    assert_eq!(by_creation, [&json!("cus_2"), &json!("cus_3")]);

    let events = app.native().get("/events?order=asc").expect(200).json();
    let events = events["data"].as_array().expect("a list");
    assert_eq!(events.len(), 3);
    for (event, line) in events.iter().zip(&lines) {
        assert_eq!((&event["type"], &event["customer_id"]), (&json!("customer.created"), &line["id"]));
        assert_eq!((&event["actor"]["type"], &event["request_id"]), (&json!("operator"), &summary["id"]));
        assert_eq!(event["created_at"], line["updated_at"], "the time of the import");
    }
    // An import is found by the same searches as any other customer.
    assert_eq!(app.native().get("/customers?email=A@example.com").json()["data"][0]["external_id"], json!("cus_1"));
}

fn rows_whose_identifiers_are_in_use_are_refused_skipped_or_update_the_customer(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let ada = json!({"email": "ada@example.com", "external_id": "u1", "name": "Ada", "phone": "+4930123456", "metadata": {"a": 1, "b": 2}});
    let ada = native.post("/customers", ada).expect(201).text_at("/id");
    let eda = native.post("/customers", json!({"email": "eda@example.com", "name": "Eda"})).expect(201).text_at("/id");
    let folder = folder();
    let text = "external_id,email,name,metadata,status\n\
                u1,ada@example.com,Countess,\"{\"\"c\"\":3}\",archived\n\
                ,EDA@example.com,Eda II,,\n\
                u2,eda@example.com,Other,,\n\
                u3,new@example.com,New,,\n\
                u3,,Newer,,\n\
                ,new@example.com,Newest,,\n";
    let file = write(&folder, "rows.csv", text);
    let errors = folder.path().join("errors.ndjson");
    let errors = errors.to_str().expect("UTF-8");

    assert_eq!(counts(&imported(&app, &file, &["--errors", errors])), [1, 0, 0, 0, 5]);
    let codes: Vec<String> = fs::read_to_string(errors).expect("a file").lines().map(code_of).collect();
    let (id, email) = ("external_id_taken", "email_taken");
    assert_eq!(codes, [id, email, email, id, email]);
    let skip = ["--on-conflict", "skip", "--again"];
    assert_eq!(counts(&imported(&app, &file, &skip)), [0, 0, 0, 6, 0]);

    let new = native.get("/customers/external/u3").expect(200).text_at("/id");
    let update = ["--on-conflict", "update", "--again", "--errors", errors];
    assert_eq!(counts(&imported(&app, &file, &update)), [0, 4, 1, 0, 1]);
    let codes: Vec<String> = fs::read_to_string(errors).expect("a file").lines().map(code_of).collect();
    assert_eq!(codes, [email], "u2 is another customer than the one with its address");
    let shown = |id: &str| native.get(&format!("/customers/{id}")).expect(200).json();
    let of_ada = shown(&ada);
    assert_eq!((&of_ada["name"], &of_ada["status"]), (&json!("Countess"), &json!("archived")));
    assert_eq!(
        (&of_ada["phone"], &of_ada["metadata"]),
        (&json!("+4930123456"), &json!({"c": 3})),
        "what the row lacks is kept"
    );
    assert_eq!((&shown(&eda)["name"], &shown(&eda)["email"]), (&json!("Eda II"), &json!("EDA@example.com")));
    assert_eq!(shown(&new)["name"], json!("Newest"), "rows of one customer are done in their order");
    assert_eq!(counts(&imported(&app, &file, &update)), [0, 3, 2, 0, 1], "New, Newer and Newest again");

    let share = ["--allow-duplicate-emails", "--again"];
    assert_eq!(counts(&imported(&app, &file, &share)), [3, 0, 0, 0, 3]);
    let sharing = native.get("/customers?email=eda@example.com").json();
    assert_eq!(sharing["data"].as_array().map(Vec::len), Some(3));
}

fn code_of(line: &str) -> String {
    let error: Value = serde_json::from_str(line).expect("JSON");
    error["code"].as_str().expect("a code").to_owned()
}

fn a_bad_row_is_reported_with_its_line_and_the_others_are_imported(database: Database) {
    let app = App::start(database);
    let folder = folder();
    let text = "Email,Name,Currency\r\nada@example.com,\"Ada\",usd\r\nnone,,doll\r\neda@example.com,Eda\r\nida@example.com,Ida,\r\n";
    let file = write(&folder, "stripe.csv", text);
    let finished = import(&app, &file, &["--from", "stripe"]);
    assert_eq!(finished.status.code(), Some(1));
    assert!(finished.out.contains("4 rows: 2 created, 0 updated, 0 unchanged, 0 skipped, 2 refused"), "{finished:?}");
    for line in [
        "line 3, Email: must contain exactly one @ (invalid_email); correct the cell",
        "line 3, Currency: must be an active ISO 4217 currency code, such as USD (invalid_currency); correct the cell",
        "line 4: must have 3 cells like the header, has 2 (wrong_number_of_cells); quote cells that have a comma, a quote or a line break in them",
        "roster: 2 rows were refused",
    ] {
        assert!(finished.err.lines().any(|printed| printed == line), "{line}: {}", finished.err);
    }
    let errors = folder.path().join("errors.ndjson");
    import(
        &app,
        &file,
        &["--from", "stripe", "--again", "--on-conflict", "skip", "--errors", errors.to_str().expect("UTF-8")],
    );
    let first = fs::read_to_string(&errors)
        .expect("a file")
        .lines()
        .next()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    assert_eq!(
        first,
        Some(
            json!({"row": 2, "line": 3, "column": "Email", "code": "invalid_email", "rule": "must contain exactly one @", "remedy": "correct the cell"})
        )
    );
    assert_eq!(exported(&app, "live").len(), 2);
}

fn a_file_that_was_imported_changes_nothing_again(database: Database) {
    let app = App::start(database);
    let folder = folder();
    // Without identifiers, nothing but the import itself keeps a row from being done twice.
    let file = write(&folder, "names.csv", "name\nAda\nEda\n");
    let first = imported(&app, &file, &[]);
    assert_eq!((counts(&first), &first["was_complete"]), ([2, 0, 0, 0, 0], &json!(false)));
    let second = imported(&app, &write(&folder, "copy.csv", "name\nAda\nEda\n"), &["--on-conflict", "skip"]);
    assert_eq!((&second["id"], &second["was_complete"]), (&first["id"], &json!(true)));
    assert_eq!(exported(&app, "live").len(), 2);
    let other = imported(&app, &write(&folder, "names.csv", "name\nAda\nEda\nIda\n"), &[]);
    assert_eq!(counts(&other), [3, 0, 0, 0, 0]);
    assert_eq!(counts(&imported(&app, &file, &["--again"])), [3, 0, 0, 0, 0]);
    assert_eq!(exported(&app, "live").len(), 8);
    // Another tenant has imported nothing.
    let theirs = roster(app.database().url(), &[], &import_arguments(&file, &app.tenants().theirs, "live", &[]));
    assert!(theirs.out.contains("3 created"), "{theirs:?}");
}

fn a_dry_run_writes_nothing_and_finds_what_would_be_refused(database: Database) {
    let app = App::start(database);
    app.native().post("/customers", json!({"email": "ada@example.com"})).is(201);
    let folder = folder();
    let file = write(&folder, "rows.csv", "email\nada@example.com\nnone\neda@example.com\n");
    let before = (exported(&app, "live"), app.native().get("/events").expect(200).json());
    for _ in 0..2 {
        let summary = imported(&app, &file, &["--dry-run"]);
        assert_eq!(
            (counts(&summary), &summary["id"], &summary["is_dry_run"]),
            ([1, 0, 0, 0, 2], &Value::Null, &json!(true))
        );
    }
    assert_eq!((exported(&app, "live"), app.native().get("/events").expect(200).json()), before);
    assert_eq!(counts(&imported(&app, &file, &[])), [1, 0, 0, 0, 2], "it was not imported before");
}

fn a_dry_run_and_the_import_agree_on_rows_that_are_far_apart(database: Database) {
    let app = App::start(database);
    let folder = folder();
    for (conflict, expected) in
        [("fail", [1501, 0, 0, 0, 3]), ("skip", [1501, 0, 0, 3, 0]), ("update", [1500, 2, 0, 0, 2])]
    {
        let mut text = "external_id,email\n".to_owned();
        for row in 0..1500 {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{conflict}-{row},{conflict}-{row}@example.com");
        }
        let _ = writeln!(text, "{conflict}-0,{conflict}-new@example.com\n{conflict}-other,{conflict}-1@EXAMPLE.com");
        let _ = writeln!(text, ",{conflict}-2@example.com\n{conflict}-last,{conflict}-new@example.com");
        let file = write(&folder, &format!("{conflict}.csv"), &text);
        let options = ["--on-conflict", conflict];
        let rehearsed = imported(&app, &file, &[&options[..], &["--dry-run"]].concat());
        let sum = |[created, updated, unchanged, skipped, failed]: [u64; 5]| {
            [created, updated + unchanged, 0, skipped, failed]
        };
        assert_eq!(sum(counts(&rehearsed)), expected, "{conflict}, dry");
        assert_eq!(sum(counts(&imported(&app, &file, &options))), expected, "{conflict}");
    }
}

/// Rows of which each hundredth is refused, and none but those with an address has an identifier.
fn rows_with_errors(rows: usize) -> String {
    let mut file = "name,email\n".to_owned();
    for row in 0..rows {
        let email = if row % 100 == 0 {
            "none".to_owned()
        } else if row % 2 == 0 {
            format!("r{row}@example.com")
        } else {
            String::new()
        };
        let _ = writeln!(file, "Row {row},{email}");
    }
    file
}

/// Checks that each row that is not refused has made one customer, and one event, and that each error is reported once.
fn assert_each_row_once(app: &App, rows: usize, errors: &Path) {
    let lines = exported(app, "live");
    let names: Vec<&str> = lines.iter().map(|line| line["name"].as_str().expect("a name")).collect();
    let expected: Vec<String> = (0..rows).filter(|row| row % 100 > 0).map(|row| format!("Row {row}")).collect();
    assert_eq!(names.len(), expected.len());
    assert!(names == expected, "not in the order of the file: {names:?}");
    let reported: Vec<u64> = fs::read_to_string(errors)
        .expect("a file")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["row"].as_u64().expect("a number"))
        .collect();
    assert_eq!(reported, (1..=rows as u64).step_by(100).collect::<Vec<_>>());
    let last = app.native().get("/events?limit=1").expect(200).json();
    let (mut seen, mut path) = (BTreeSet::new(), "/events?order=asc&limit=100".to_owned());
    loop {
        let page = app.native().get(&path).expect(200).json();
        for event in page["data"].as_array().expect("events") {
            assert!(seen.insert(event["customer_id"].to_string()), "two events of one row");
        }
        if page["data"].as_array().and_then(|events| events.last())
            == last["data"].as_array().and_then(|one| one.first())
        {
            break;
        }
        path = format!("/events?order=asc&limit=100&after={}", encode(page["next_cursor"].as_str().expect("a cursor")));
    }
    assert_eq!(seen.len(), expected.len());
}

/// Starts an import, and waits until it has reported at least `errors` errors, or has ended.
fn start_until(app: &App, file: &Path, errors_file: &Path, errors: usize) -> Process {
    let errors_path = errors_file.to_str().expect("UTF-8");
    let arguments = import_arguments(file, &app.tenants().ours, "live", &["--errors", errors_path]);
    let mut process = launch(app.database().url(), &[], &arguments);
    until("the import goes on", TIMEOUT, || {
        let reported = fs::read_to_string(errors_file).map_or(0, |text| text.lines().count());
        (reported >= errors || process.ended().is_some()).then_some(())
    });
    process
}

fn a_killed_import_goes_on_and_makes_each_row_once(database: Database) {
    const ROWS: usize = 16_000;
    let app = App::start(database);
    let folder = folder();
    let (file, errors) = (write(&folder, "rows.csv", &rows_with_errors(ROWS)), folder.path().join("errors.ndjson"));
    let mut interrupted = 0;
    for round in 0..5 {
        let mut process = start_until(&app, &file, &errors, 10 + 20 * round);
        if process.ended().is_none() {
            process.signal(Signal::Kill);
            interrupted += usize::from(!process.wait(TIMEOUT).success());
        }
    }
    assert!(interrupted >= 3, "hardly any import was interrupted: {interrupted}");
    let finished = import(&app, &file, &["--errors", errors.to_str().expect("UTF-8")]);
    assert!(finished.err.contains(" goes on behind row "), "{finished:?}");
    assert!(
        finished.out.contains("16,000 rows: 15,840 created, 0 updated, 0 unchanged, 0 skipped, 160 refused"),
        "{finished:?}"
    );
    assert_each_row_once(&app, ROWS, &errors);
}

fn ctrl_c_ends_an_import_cleanly_and_the_same_command_goes_on(database: Database) {
    const ROWS: usize = 16_000;
    let app = App::start(database);
    let folder = folder();
    let (file, errors) = (write(&folder, "rows.csv", &rows_with_errors(ROWS)), folder.path().join("errors.ndjson"));
    let mut process = start_until(&app, &file, &errors, 10);
    process.signal(Signal::Interrupt);
    let status = process.wait(TIMEOUT);
    let printed = process.lines().all().join("\n");
    assert_eq!(status.code(), Some(1), "{printed}");
    assert!(printed.contains("the same command goes on from there: stopped by a signal"), "{printed}");
    let stopped = exported(&app, "live").len();
    assert!(stopped > 0 && stopped < ROWS * 99 / 100, "{stopped}");
    // Other options would treat the rest in another way.
    let other = import(&app, &file, &["--on-conflict", "skip"]);
    assert!(
        other.err.contains("has not come to its end, and has other options: --from roster --on-conflict fail"),
        "{other:?}"
    );
    let finished = import(&app, &file, &["--errors", errors.to_str().expect("UTF-8")]);
    assert!(finished.err.contains("roster: 160 rows were refused"), "{finished:?}");
    assert_each_row_once(&app, ROWS, &errors);
}

fn too_many_errors_end_an_import_and_it_goes_on_with_a_higher_bound(database: Database) {
    let app = App::start(database);
    let folder = folder();
    let mut text = "email\n".to_owned();
    for row in 0..3000 {
        let _ = writeln!(text, "{}", if row < 1200 { "none".to_owned() } else { format!("r{row}@example.com") });
    }
    let file = write(&folder, "rows.csv", &text);
    let finished = import(&app, &file, &["--max-errors", "10"]);
    assert_eq!(finished.status.code(), Some(1));
    assert!(finished.err.contains("is imported up to row 1,000; the same command goes on from there"), "{finished:?}");
    assert!(finished.err.contains("1,000 rows were refused, more than --max-errors 10 allows"), "{finished:?}");
    assert_eq!(finished.err.matches("(invalid_email)").count(), 20, "the others are not shown");
    assert_eq!(counts(&imported(&app, &file, &["--max-errors", "2000"])), [1800, 0, 0, 0, 1200]);
}

fn a_wrong_command_line_or_file_says_what_to_do(database: Database) {
    let app = App::start(database);
    let folder = folder();
    let refused = |text: &[u8], more: &[&str]| {
        let file = folder.path().join("file");
        fs::write(&file, text).expect("a file");
        let finished = import(&app, &file, more);
        assert!(!finished.status.success() && finished.out.is_empty(), "{finished:?}");
        finished.err
    };
    for (text, more, message) in [
        (&b""[..], &[][..], "it is empty"),
        (b"a,b\n1,2\n", &[], "none of its columns is a field of a customer: a, b"),
        (b"email,shoe\na@example.com,39\n", &[], "these columns have no place: shoe; name them in a mapping"),
        (b"\xfe\xff\0e", &[], "it is in UTF-16 (it begins with the bytes 0xfe 0xff): save it as UTF-8"),
        (b"email,Stra\xdfe\n", &[], "byte 0xdf of the column 2"),
        (
            b"email\na@example.com\n",
            &["--from", "sage"],
            "--from sage is none of roster, stripe, lago, lava, billingio, lumen",
        ),
        (b"email\na@example.com\n", &["--on-conflict", "merge"], "[possible values: fail, skip, update]"),
    ] {
        let printed = refused(text, more);
        assert!(printed.contains(message), "{message}: {printed}");
    }
    let missing = import(&app, &folder.path().join("none"), &[]);
    assert!(missing.err.contains("none cannot be read: No such file"), "{missing:?}");
    let stranger = "org_01kasf9sgre5psvqpgk4v6y7z0";
    for command in [&["export"][..], &["import", folder.path().join("file").to_str().expect("UTF-8")]] {
        let arguments = [command, &["--merchant", stranger, "--environment", "live"]].concat();
        let finished = roster(app.database().url(), &[], &arguments);
        assert!(finished.err.contains(&format!("there is no merchant {stranger}")), "{finished:?}");
        assert_eq!(finished.out, "");
    }
    // A mapping of one's own.
    let mapping = write(&folder, "mapping.toml", "[columns]\nMail = \"email\"\nShoe = \"metadata.shoe_size\"\n");
    let file = write(&folder, "own.csv", "Shoe;Mail\n39;ada@example.com\n");
    assert_eq!(counts(&imported(&app, &file, &["--from", mapping.to_str().expect("UTF-8")])), [1, 0, 0, 0, 0]);
    assert_eq!(exported(&app, "live")[0]["metadata"], json!({"shoe_size": "39"}));
}

fn a_stripe_export_becomes_a_running_service_in_three_commands(database: Database) {
    let database = database.into_empty();
    let folder = folder();
    let text =
        "id,Email,Name,Created (UTC),Card ID,tier (metadata)\ncus_N1,ada@example.com,Ada,2021-12-10 09:30,card_1,pro\n";
    let file = write(&folder, "customers.csv", text);
    let made = format!(
        "'{roster}' migrate >&2 && '{roster}' merchants create Acme --json | grep -o 'org_[0-9a-z]*'",
        roster = binary().display()
    );
    let made = run(Command::new("sh").args(["-c", &made]).env("DATABASE_URL", database.url()));
    let merchant = made.out.trim();
    let arguments =
        ["import", file.to_str().expect("UTF-8"), "--merchant", merchant, "--environment", "live", "--from", "stripe"];
    let imported = roster(database.url(), &[], &arguments);
    assert!(imported.status.success(), "{made:?} {imported:?}");
    let service = Program::serve(database.url(), &[]);
    let key = create_key(database.url(), merchant, "live", &[]).key;
    let native = Caller::new(agent(), service.address(), Surface::Native.base()).with_key(&key);
    let ada = native.get("/customers/external/cus_N1").expect(200).json();
    assert_eq!((&ada["email"], &ada["metadata"]), (&json!("ada@example.com"), &json!({"tier": "pro"})));
    assert_eq!(ada["created_at"], json!("2021-12-10T09:30:00.000Z"));
}

fn everything_about_one_person_is_one_document(database: Database) {
    let app = App::start_with(database, &[("ROSTER__WEBHOOKS__ALLOW_PRIVATE", "true")]);
    let native = app.native();
    let create = native.request("POST", "/customers").header("Idempotency-Key", "k1");
    let created = create.json(json!({"email": "ada@example.com", "external_id": "u1"})).send().expect(201);
    let id = created.text_at("/id");
    native.put(&format!("/customers/{id}/subscriptions/s1"), json!({"status": "active"})).is(201);
    native.patch(&format!("/customers/{id}"), json!({"name": "Ada"})).is(200);
    native.post("/customers", json!({"email": "eda@example.com", "name": "Secret"})).is(201);
    let hook = native.post("/webhooks", json!({"url": "http://127.0.0.1:1/hooks", "events": ["*"]})).expect(201);
    let items = json!([
        {"op": "update", "id": id, "body": {"phone": "+14155552671"}},
        {"op": "create", "body": {"email": "grace@example.com", "name": "Secret"}},
    ]);
    let batch = native.request("POST", "/customers/batch").header("Idempotency-Key", "k2");
    batch.json(json!({"atomic": true, "items": items})).send().is(200);
    let attempts = format!("/webhooks/{}/attempts", hook.text_at("/id"));
    let attempt = until("an attempt for each customer is logged", TIMEOUT, || {
        let page = native.get(&attempts).expect(200).json();
        let attempts = page["data"].as_array().filter(|attempts| attempts.len() >= 2)?;
        attempts.iter().find(|attempt| attempt["customer_id"] == json!(id)).cloned()
    });
    let export = |customer: &str, environment: &str| {
        let tenant = ["--merchant", &app.tenants().ours.id, "--environment", environment];
        roster(app.database().url(), &[], &[&["subjects", "export", customer], &tenant[..]].concat())
    };
    let document = |customer: &str| -> Value {
        let finished = export(customer, "live");
        for foreign in ["eda@example.com", "grace@example.com", "Secret"] {
            assert!(!finished.out.contains(foreign), "{finished:?}");
        }
        serde_json::from_str(&finished.out).unwrap_or_else(|error| panic!("{error}: {finished:?}"))
    };
    let by_id = document(&id);
    assert_eq!(by_id["customer"], native.get(&format!("/customers/{id}")).json());
    assert_eq!(by_id["subscriptions"], native.get(&format!("/customers/{id}/subscriptions")).json()["data"]);
    let types: Vec<&Value> = by_id["events"].as_array().expect("events").iter().map(|event| &event["type"]).collect();
    let [created, reported, updated] =
        ["customer.created", "subscription.created", "customer.updated"].map(Value::from);
    assert_eq!(types, [&created, &reported, &updated, &updated]);
    let replies = by_id["saved_replies"].as_array().expect("replies");
    assert_eq!(replies.len(), 2, "{replies:?}");
    assert!(replies.iter().all(|reply| reply.to_string().contains("ada@example.com")), "{replies:?}");
    assert_eq!(by_id["deleted_at"], Value::Null);
    let logged = by_id["webhook_attempts"].as_array().expect("attempts");
    assert!(logged.iter().any(|one| one["event_id"] == attempt["event_id"]), "{logged:?} has not {attempt}");
    // Only the attempts may have become more.
    let by_name = document("u1");
    for part in ["customer", "subscriptions", "events", "saved_replies"] {
        assert_eq!(by_name[part], by_id[part], "{part}");
    }

    native.delete(&format!("/customers/{id}")).is(204);
    let deleted = document(&id);
    assert!(deleted["deleted_at"].is_string(), "{deleted}");
    assert_eq!(deleted["events"].as_array().map(Vec::len), Some(5));
    for (customer, environment) in
        [("u1", "live"), (id.as_str(), "sandbox"), ("cus_01kasf9sgre5psvqpgk4v6y7z0", "live")]
    {
        let unknown = export(customer, environment);
        assert_eq!((unknown.status.code(), unknown.out.as_str()), (Some(1), ""), "{customer}");
        assert!(unknown.err.contains("there is no such customer"), "{unknown:?}");
    }
}
