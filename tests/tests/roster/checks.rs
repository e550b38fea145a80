//! `roster check` finds what is damaged, and nothing else; a backup of a busy service passes it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use diesel::connection::SimpleConnection as _;
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::process::Signal;
use roster_tests::program::roster;
use roster_tests::{App, Database, Kind, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    a_check_finds_each_kind_of_damage_and_nothing_else,
    a_check_refuses_a_schema_that_is_behind,
}

/// Statements that damage a database, and those that repair it.
struct Damage {
    /// What is found.
    invariant: &'static str,
    sqlite: [&'static str; 2],
    /// `None`: there is none of this kind.
    postgres: Option<[&'static str; 2]>,
}

const fn same(invariant: &'static str, damage: &'static str, repair: &'static str) -> Damage {
    Damage { invariant, sqlite: [damage, repair], postgres: Some([damage, repair]) }
}

/// The customers `a` (in its second version, with a subscription) and `b`, and a webhook endpoint.
const DAMAGES: [Damage; 13] = [
    same("log", "UPDATE events SET seq = 1002 WHERE seq = 2", "UPDATE events SET seq = 2 WHERE seq = 1002"),
    same("log", "UPDATE feed_heads SET seq = seq + 1", "UPDATE feed_heads SET seq = seq - 1"),
    same(
        "log",
        "INSERT INTO feed_floors (merchant_id, environment, seq) SELECT merchant_id, environment, 1 FROM feed_heads",
        "DELETE FROM feed_floors",
    ),
    same(
        "version",
        "UPDATE customers SET version = 7 WHERE external_id = 'a'",
        "UPDATE customers SET version = 2 WHERE external_id = 'a'",
    ),
    same(
        "email_key",
        "UPDATE customers SET email_key = 'x' || email_key WHERE external_id = 'a'",
        "UPDATE customers SET email_key = substr(email_key, 2) WHERE external_id = 'a'",
    ),
    same(
        "uniqueness",
        "DROP INDEX customers_external_id; UPDATE customers SET external_id = 'a' WHERE external_id = 'b'",
        "UPDATE customers SET external_id = 'b' WHERE email = 'b@example.com'",
    ),
    same(
        "uniqueness",
        "DROP INDEX customers_email_exclusive; UPDATE customers SET email_key = 'a@example.com' WHERE external_id = 'b'",
        "UPDATE customers SET email_key = 'b@example.com' WHERE external_id = 'b'",
    ),
    Damage {
        invariant: "search_index",
        sqlite: [
            "UPDATE customers SET name = 'Somebody Else' WHERE external_id = 'a'",
            "UPDATE customers SET name = 'Ada' WHERE external_id = 'a'",
        ],
        postgres: Some([
            "UPDATE customers SET search_hashes = array_append(search_hashes, 1) WHERE external_id = 'a'",
            "UPDATE customers SET search_hashes = trim_array(search_hashes, 1) WHERE external_id = 'a'",
        ]),
    },
    Damage {
        invariant: "references",
        sqlite: [
            "INSERT INTO customers_search (rowid, hashes) VALUES (999999, 'ffffffff')",
            "DELETE FROM customers_search WHERE rowid = 999999",
        ],
        postgres: None,
    },
    Damage {
        invariant: "references",
        sqlite: [
            "PRAGMA foreign_keys = OFF;
             INSERT INTO subscriptions (merchant_id, environment, customer_id, id, status, started_at, created_at, updated_at)
             SELECT merchant_id, environment, zeroblob(16), 'lost', 'active', 0, 0, 0 FROM customers LIMIT 1",
            "DELETE FROM subscriptions WHERE id = 'lost'",
        ],
        postgres: Some([
            "ALTER TABLE subscriptions DROP CONSTRAINT subscriptions_merchant_id_environment_customer_id_fkey;
             INSERT INTO subscriptions (merchant_id, environment, customer_id, id, status, started_at, created_at, updated_at)
             SELECT merchant_id, environment, '00000000-0000-0000-0000-000000000000', 'lost', 'active', now(), now(), now()
             FROM customers LIMIT 1",
            "DELETE FROM subscriptions WHERE id = 'lost';
             ALTER TABLE subscriptions
                 ADD CONSTRAINT subscriptions_merchant_id_environment_customer_id_fkey
                 FOREIGN KEY (merchant_id, environment, customer_id)
                 REFERENCES customers (merchant_id, environment, id)",
        ]),
    },
    Damage {
        invariant: "references",
        sqlite: [
            "UPDATE events SET customer_id = zeroblob(16) WHERE seq = 1",
            "UPDATE events SET customer_id = (SELECT id FROM customers WHERE external_id = 'a') WHERE seq = 1",
        ],
        postgres: Some([
            "UPDATE events SET customer_id = '00000000-0000-0000-0000-000000000000' WHERE seq = 1",
            "UPDATE events SET customer_id = customers.id FROM customers
             WHERE events.merchant_id = customers.merchant_id AND events.environment = customers.environment
             AND customers.external_id = 'a' AND events.seq = 1",
        ]),
    },
    same(
        "cursor",
        "UPDATE webhook_endpoints SET cursor_seq = cursor_seq + 100",
        "UPDATE webhook_endpoints SET cursor_seq = cursor_seq - 100",
    ),
    same(
        "rows",
        "UPDATE customers SET tax_exempt = 'perhaps' WHERE external_id = 'a'",
        "UPDATE customers SET tax_exempt = NULL WHERE external_id = 'a'",
    ),
];

/// The report of a check, which ends with 1 if there are findings.
fn check(database: &Database) -> Value {
    let finished = roster(database.url(), &[], &["check", "--json"]);
    let report: Value = serde_json::from_str(&finished.out).unwrap_or_else(|error| panic!("{error}: {finished:?}"));
    let has_findings = report["findings"] != json!([]);
    assert_eq!(finished.status.code(), Some(i32::from(has_findings)), "{finished:?}");
    report
}

fn run(database: &Database, statements: &str) {
    match database.kind() {
        Kind::Sqlite => database.open_file().batch_execute(statements),
        // One by one: a command that Citus distributes cannot be part of several.
        Kind::Postgres => {
            let mut administrator = database.administrator();
            statements.split(';').try_for_each(|statement| administrator.batch_execute(statement))
        }
    }
    .unwrap_or_else(|error| panic!("{statements}: {error}"));
}

fn a_check_finds_each_kind_of_damage_and_nothing_else(database: Database) {
    let mut app = App::start(database);
    let native = app.native();
    let customer = |id: &str| json!({"external_id": id, "email": format!("{id}@example.com"), "name": "Ada"});
    let a = native.post("/customers", customer("a")).expect(201).text_at("/id");
    native.post("/customers", customer("b")).is(201);
    native.patch(&format!("/customers/{a}"), json!({"tax_id": "DE1"})).is(200);
    let subscription = json!({"plan_id": "p", "name": "P", "status": "active", "started_at": "2026-01-01T00:00:00Z"});
    native.put(&format!("/customers/{a}/subscriptions/s"), subscription).is(201);
    app.signal(Signal::Terminate);
    app.wait(TIMEOUT);
    let merchant = app.tenants().ours.id.clone();
    let database = app.database();
    let create =
        ["webhooks", "create", "--merchant", &merchant, "--environment", "live", "https://example.com/", "--json"];
    assert!(roster(database.url(), &[], &create).status.success());
    let healthy = check(database);
    assert_eq!((&healthy["findings"], &healthy["customers"], &healthy["events"]), (&json!([]), &json!(2), &json!(4)));
    for Damage { invariant, sqlite, postgres } in &DAMAGES {
        let statements = if database.kind() == Kind::Sqlite { Some(sqlite) } else { postgres.as_ref() };
        let Some([damage, repair]) = statements else { continue };
        run(database, damage);
        let report = check(database);
        assert!(report["counts"][*invariant].as_u64() > Some(0), "{damage}: {report}");
        let found = report["findings"].as_array().expect("a list");
        assert!(found.iter().any(|finding| finding["invariant"] == *invariant), "{damage}: {report}");
        // What is printed may be kept in logs.
        assert!(!report.to_string().contains("example.com"), "{report}");
        run(database, repair);
        assert_eq!(check(database), healthy, "{repair}");
    }
    if database.kind() == Kind::Sqlite {
        run(
            database,
            "PRAGMA ignore_check_constraints = ON; UPDATE customers SET tax_id = 7, version = 0 WHERE external_id = 'b'",
        );
        let report = check(database);
        assert!(report["counts"]["database"].as_u64() > Some(0), "{report}");
    }
}

fn a_check_refuses_a_schema_that_is_behind(database: Database) {
    let empty = database.into_empty();
    if empty.kind() == Kind::Sqlite {
        std::fs::write(empty.file(), "").expect("a file without tables");
    }
    let finished = roster(empty.url(), &[], &["check"]);
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    assert!(finished.err.contains("the schema is behind: run `roster migrate`"), "{finished:?}");
}

/// Ends the callers when it is dropped.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_backup_of_a_busy_service_is_of_one_moment() {
    let app = App::start(Database::prepared(Kind::Sqlite).expect("a file"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (is_done, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        // Also when something fails: the scope waits for the callers.
        let _end = End(&is_done);
        for caller in 0..4 {
            let (lumen, is_done, acknowledged) = (app.lumen(), &is_done, &acknowledged);
            scope.spawn(move || {
                for number in 0.. {
                    if is_done.load(Ordering::SeqCst) {
                        return;
                    }
                    let user = format!("user-{caller}-{number}");
                    lumen.post("/customers", json!({"userId": user, "email": format!("{user}@example.com")})).is(201);
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for round in 0..3 {
            let before = acknowledged.load(Ordering::SeqCst);
            until("requests", TIMEOUT, || (acknowledged.load(Ordering::SeqCst) > before + 20).then_some(()));
            let known = acknowledged.load(Ordering::SeqCst);
            let file = folder.path().join(format!("{round}.db"));
            let backup = roster(app.database().url(), &[], &["backup", &file.to_string_lossy()]);
            let later = acknowledged.load(Ordering::SeqCst) + 4;
            let checked = roster(&format!("sqlite://{}", file.display()), &[], &["check", "--json"]);
            assert!(backup.status.success(), "{backup:?}");
            assert!(checked.status.success(), "{checked:?}");
            let report: Value = serde_json::from_str(&checked.out).expect("JSON");
            let customers = report["customers"].as_u64().expect("a number");
            assert!((known..=later).contains(&customers), "{known}, {customers}, {later}");
        }
    });
}
