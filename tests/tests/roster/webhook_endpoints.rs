//! Webhook endpoints over the native API: what they show, how they are managed, and what is refused. What is sent to them is tested
//! in [`webhooks`](crate::webhooks).

use std::collections::BTreeSet;

use roster_tests::client::{Surface, encode};
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::receiver::Receiver;
use roster_tests::{App, Caller, Database, Response, on_both_databases};
use serde_json::{Value, json};

use crate::routes::assert_error;

on_both_databases! {
    a_new_endpoint_shows_its_fields_and_its_secret_once,
    endpoints_are_listed_page_by_page_in_the_order_of_their_creation,
    an_endpoint_is_changed_field_by_field,
    a_disabled_endpoint_says_why_and_is_enabled_again,
    a_deleted_endpoint_is_gone_with_its_attempts,
    a_rotation_makes_another_secret_and_says_until_when_the_old_one_signs,
    attempts_are_listed_page_by_page_the_newest_first,
    a_test_that_is_not_answered_says_so,
    every_wrong_field_of_an_endpoint_is_named,
    wrong_fields_of_a_rotation_and_of_a_replay_are_named,
    an_endpoint_of_another_tenant_is_404,
    a_malformed_id_is_404,
    a_cursor_is_good_for_its_list_only,
    the_fifty_first_endpoint_is_a_409,
    the_hundred_and_first_event_to_be_sent_again_is_a_409,
    neither_the_url_nor_the_secret_is_logged,
}

/// Nothing listens at this port.
const NOWHERE: &str = "http://127.0.0.1:1/hooks";

/// Starts a service that may send to this machine.
fn start(database: Database) -> App {
    App::start_with(
        database,
        &[("ROSTER__WEBHOOKS__ALLOW_PRIVATE", "true"), ("ROSTER__WEBHOOKS__RETRY_SECONDS", "0,60")],
    )
}

fn create(native: &Caller) -> Value {
    native.post("/webhooks", json!({"url": NOWHERE, "events": ["*"]})).expect(201).json()
}

fn path(endpoint: &Value) -> String {
    format!("/webhooks/{}", endpoint["id"].as_str().expect("an id"))
}

fn send(caller: &Caller, method: &str, path: &str, body: Option<&Value>) -> Response {
    let request = caller.request(method, path);
    match body {
        Some(body) => request.json(body.clone()).send(),
        None => request.send(),
    }
}

fn without(endpoint: &Value, field: &str) -> Value {
    let mut rest = endpoint.clone();
    assert!(rest.as_object_mut().expect("an object").remove(field).is_some(), "no {field} in {endpoint}");
    rest
}

/// All items of a list, in pages of two.
fn pages(native: &Caller, path: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let mut next = format!("{path}?limit=2");
    loop {
        let page = native.get(&next).expect(200).json();
        let data = page["data"].as_array().expect("a list");
        assert!(data.len() <= 2, "{page}");
        items.extend(data.iter().cloned());
        let Some(cursor) = page["next_cursor"].as_str() else {
            assert_eq!(page["has_more"], false, "{page}");
            return items;
        };
        assert_eq!(page["has_more"], true, "{page}");
        next = format!("{path}?limit=2&cursor={}", encode(cursor));
    }
}

fn assert_code(response: &Response, status: u16, code: &str) {
    assert_error(Surface::Native, response, status);
    assert_eq!(response.json()["code"], code, "{response:?}");
}

/// The places and the codes of all faults.
fn faults(response: &Response) -> BTreeSet<(String, String)> {
    let listed = response.json()["errors"].as_array().cloned().unwrap_or_default();
    let text = |fault: &Value, field: &str| fault[field].as_str().unwrap_or_else(|| panic!("{fault}")).to_owned();
    listed.iter().map(|fault| (text(fault, "pointer"), text(fault, "code"))).collect()
}

fn assert_faults(response: &Response, expected: &[(&str, &str)]) {
    assert_code(response, 422, "invalid_request");
    let expected = expected.iter().map(|(place, code)| ((*place).to_owned(), (*code).to_owned())).collect();
    assert_eq!(faults(response), expected, "{response:?}");
}

fn a_new_endpoint_shows_its_fields_and_its_secret_once(database: Database) {
    let app = start(database);
    let native = app.native();
    let body = json!({
        "url": "https://example.com/hooks?key=a%20b",
        // In another order, and one of them twice.
        "events": ["customer.deleted", "customer.created", "customer.deleted"],
        "description": "Invoices",
        "payload": "with_customer",
    });
    let response = native.post("/webhooks", body).expect(201);
    let made = response.json();
    assert_eq!(response.header("location"), Some(format!("/v1{}", path(&made)).as_str()));
    let expected = json!({
        "id": made["id"],
        "webhook_id": made["id"],
        "org_id": app.tenants().ours.id,
        "environment": "live",
        "url": "https://example.com/hooks?key=a%20b",
        "events": ["customer.created", "customer.deleted"],
        "description": "Invoices",
        "payload": "with_customer",
        "status": "active",
        "disabled_at": null,
        "disabled_reason": null,
        "failing_since": null,
        "former_secret_until": null,
        "created_at": made["created_at"],
        "updated_at": made["created_at"],
        "secret": made["secret"],
    });
    assert_eq!(made, expected);
    let id = made["id"].as_str().expect("an id");
    assert!(id.len() == 29 && id.starts_with("we_"), "{id}");
    let secret = made["secret"].as_str().expect("a secret");
    assert!(secret.len() == 50 && secret.starts_with("whsec_"), "{secret}");

    let shown = native.get(&path(&made)).expect(200);
    assert_eq!(without(&shown.json(), "backlog"), without(&made, "secret"));
    assert_eq!(shown.json()["backlog"], json!({"events": 0, "oldest_seconds": 0}));
    let listed = native.get("/webhooks").expect(200);
    assert_eq!(listed.json(), json!({"data": [without(&made, "secret")], "has_more": false, "next_cursor": null}));
    let changed = native.patch(&path(&made), json!({"description": "Bills"})).expect(200);
    assert!([shown, listed, changed].iter().all(|later| !later.text().contains("whsec_")));

    // What is left out, or null.
    let body = json!({"url": "https://example.com", "events": ["*"], "description": null});
    let plain = native.post("/webhooks", body).expect(201).json();
    let fields = ["events", "description", "payload"].map(|field| plain[field].clone());
    assert_eq!(fields, [json!(["*"]), Value::Null, json!("thin")]);
    assert_ne!(plain["secret"], made["secret"]);
}

fn endpoints_are_listed_page_by_page_in_the_order_of_their_creation(database: Database) {
    let app = start(database);
    let native = app.native();
    assert_eq!(native.get("/webhooks").expect(200).text(), r#"{"data":[],"has_more":false,"next_cursor":null}"#);
    let made: Vec<_> = (0..5).map(|_| without(&create(&native), "secret")).collect();
    assert_eq!(pages(&native, "/webhooks"), made);
    for limit in ["0", "101", "ten"] {
        assert_error(Surface::Native, &native.get(&format!("/webhooks?limit={limit}")), 422);
    }
}

fn an_endpoint_is_changed_field_by_field(database: Database) {
    let app = start(database);
    let native = app.native();
    let mut expected = without(&create(&native), "secret");
    for (field, value) in [
        ("url", json!("https://example.org/new")),
        ("events", json!(["subscription.created"])),
        ("events", json!(["*"])),
        ("description", json!("Invoices")),
        ("description", Value::Null),
        ("payload", json!("with_customer")),
        ("payload", json!("thin")),
    ] {
        let changed = native.patch(&path(&expected), json!({ field: value })).expect(200).json();
        expected[field] = value;
        assert!(changed["updated_at"].as_str() >= expected["updated_at"].as_str(), "{changed}");
        expected["updated_at"] = changed["updated_at"].clone();
        assert_eq!(changed, expected);
        assert_eq!(without(&native.get(&path(&expected)).expect(200).json(), "backlog"), expected);
    }
    let unchanged = native.patch(&path(&expected), json!({})).expect(200).json();
    assert_eq!(without(&unchanged, "updated_at"), without(&expected, "updated_at"));
}

fn a_disabled_endpoint_says_why_and_is_enabled_again(database: Database) {
    let app = start(database);
    let native = app.native();
    let receiver = Receiver::start();
    let made = native.post("/webhooks", json!({"url": receiver.url(), "events": ["*"]})).expect(201).json();
    let disabled = native.patch(&path(&made), json!({"status": "disabled"})).expect(200).json();
    assert_eq!((&disabled["status"], &disabled["disabled_reason"]), (&json!("disabled"), &json!("requested")));
    assert_eq!(disabled["disabled_at"], disabled["updated_at"]);
    // It stays disabled since then.
    let again = native.patch(&path(&made), json!({"status": "disabled"})).expect(200).json();
    assert_eq!(again["disabled_at"], disabled["disabled_at"]);
    for name in ["ada", "eda"] {
        native.post("/customers", json!({"email": format!("{name}@example.com")})).is(201);
    }
    assert_eq!(native.get(&path(&made)).expect(200).json()["backlog"]["events"], 2);
    until("the oldest event is a second old", TIMEOUT, || {
        let seconds = native.get(&path(&made)).expect(200).json()["backlog"]["oldest_seconds"].as_u64();
        (1..60).contains(&seconds.expect("seconds")).then_some(())
    });
    assert!(receiver.received().is_empty());
    let enabled = native.patch(&path(&made), json!({"status": "active"})).expect(200).json();
    let shown = ["status", "disabled_at", "disabled_reason"].map(|field| enabled[field].clone());
    assert_eq!(shown, [json!("active"), Value::Null, Value::Null]);
    assert_eq!(receiver.wait_for(2).len(), 2);
}

fn a_deleted_endpoint_is_gone_with_its_attempts(database: Database) {
    let app = start(database);
    let native = app.native();
    let [made, other] = [(); 2].map(|()| create(&native));
    native.post(&format!("{}/test", path(&made)), json!({})).is(200);
    native.delete(&path(&made)).is(204);
    for response in [
        native.get(&path(&made)),
        native.patch(&path(&made), json!({"description": "Changed"})),
        native.delete(&path(&made)),
        native.get(&format!("{}/attempts", path(&made))),
        native.post(&format!("{}/test", path(&made)), json!({})),
        native.post(&format!("{}/rotate_secret", path(&made)), json!({})),
        native.post(&format!("{}/replay", path(&made)), json!({"from_seq": 1})),
    ] {
        assert_code(&response, 404, "webhook_not_found");
    }
    assert_eq!(native.get("/webhooks").expect(200).json()["data"], json!([without(&other, "secret")]));
}

fn a_rotation_makes_another_secret_and_says_until_when_the_old_one_signs(database: Database) {
    let app = start(database);
    let native = app.native();
    let made = create(&native);
    let rotate = format!("{}/rotate_secret", path(&made));
    let mut secrets = BTreeSet::from([made["secret"].to_string()]);
    for (body, seconds) in [
        (None, 86_400),
        (Some(json!({})), 86_400),
        (Some(json!({"overlap_seconds": null})), 86_400),
        (Some(json!({"overlap_seconds": 60})), 60),
        (Some(json!({"overlap_seconds": 604_800})), 604_800),
    ] {
        let rotated = send(&native, "POST", &rotate, body.as_ref()).expect(200).json();
        assert!(secrets.insert(rotated["secret"].to_string()), "the secret is new");
        assert_eq!(seconds_between(&rotated["updated_at"], &rotated["former_secret_until"]), seconds, "{rotated}");
        assert_eq!(without(&native.get(&path(&made)).expect(200).json(), "backlog"), without(&rotated, "secret"));
    }
    let rotated = native.post(&rotate, json!({"overlap_seconds": 0})).expect(200).json();
    assert_eq!(rotated["former_secret_until"], Value::Null);
}

/// The seconds between two times that are shown.
fn seconds_between(from: &Value, until: &Value) -> i64 {
    seconds(until.as_str().expect("a time")) - seconds(from.as_str().expect("a time"))
}

/// The seconds from some day on to a time such as `2026-11-23T12:00:02.000Z`.
fn seconds(time: &str) -> i64 {
    let part = |place: std::ops::Range<usize>| time[place].parse::<i64>().expect("digits");
    // The year begins in March, so that the day that it may have more is its last.
    let months = 12 * part(0..4) + part(5..7) - 3;
    let (year, month) = (months / 12, months % 12);
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + part(8..10);
    86_400 * days + 3600 * part(11..13) + 60 * part(14..16) + part(17..19)
}

fn attempts_are_listed_page_by_page_the_newest_first(database: Database) {
    let app = start(database);
    let native = app.native();
    let receiver = Receiver::start();
    let made = native.post("/webhooks", json!({"url": receiver.url(), "events": ["*"]})).expect(201).json();
    let attempts = format!("{}/attempts", path(&made));
    assert_eq!(native.get(&attempts).expect(200).text(), r#"{"data":[],"has_more":false,"next_cursor":null}"#);
    let test = || native.post(&format!("{}/test", path(&made)), json!({})).expect(200).json();
    let mut sent: Vec<_> = (0..5).map(|_| test()).collect();
    sent.reverse();
    assert_eq!(pages(&native, &attempts), sent);
    let expected = json!({
        "id": sent[0]["id"],
        "webhook_id": made["id"],
        "event_id": receiver.received()[4].event()["id"],
        "customer_id": null,
        "number": 1,
        "outcome": "delivered",
        "status": 200,
        "duration_ms": sent[0]["duration_ms"],
        "answer": "ok",
        "error": null,
        "created_at": sent[0]["created_at"],
    });
    assert_eq!(sent[0], expected);
    let other = create(&native);
    assert_eq!(pages(&native, &format!("{}/attempts", path(&other))), Vec::<Value>::new());
}

fn a_test_that_is_not_answered_says_so(database: Database) {
    let app = start(database);
    let native = app.native();
    let made = create(&native);
    // A disabled one is tested, too, and stays as it is.
    native.patch(&path(&made), json!({"status": "disabled"})).is(200);
    let before = native.get(&path(&made)).expect(200).json();
    let attempt = native.request("POST", &format!("{}/test", path(&made))).send().expect(200).json();
    assert_eq!((&attempt["status"], &attempt["answer"]), (&Value::Null, &Value::Null));
    assert!(attempt["error"].as_str().is_some_and(|error| !error.is_empty()), "{attempt}");
    assert_eq!(attempt["outcome"], "failed");
    assert_eq!(native.get(&path(&made)).expect(200).json(), before);
}

fn every_wrong_field_of_an_endpoint_is_named(database: Database) {
    // Without private addresses.
    let app = App::start(database);
    let native = app.native();
    assert_faults(&native.post("/webhooks", json!({})), &[("/url", "required"), ("/events", "required")]);
    let wrong = json!({
        "url": 7,
        "events": "customer.created",
        "description": ["Invoices"],
        "payload": "fat",
        "secret": "whsec_mine",
        "status": "disabled",
    });
    assert_faults(
        &native.post("/webhooks", wrong),
        &[
            ("/url", "wrong_type"),
            ("/events", "wrong_type"),
            ("/description", "wrong_type"),
            ("/payload", "invalid_payload"),
            ("/secret", "unknown_field"),
            ("/status", "unknown_field"),
        ],
    );
    let good = native.post("/webhooks", json!({"url": "https://example.com", "events": ["*"]})).expect(201).json();
    for (field, value, place, code) in [
        ("url", json!(null), "/url", "required"),
        ("url", json!(""), "/url", "empty"),
        ("url", json!("http://example.com"), "/url", "not_https"),
        ("url", json!("https://10.0.0.1/hooks"), "/url", "not_public"),
        ("url", json!("https://localhost"), "/url", "not_public"),
        ("url", json!("https://ada:secret@example.com"), "/url", "invalid_url"),
        ("url", json!(format!("https://example.com/{}", "a".repeat(2048))), "/url", "too_long"),
        ("events", json!(null), "/events", "required"),
        ("events", json!([]), "/events", "empty"),
        ("events", json!(["*", "customer.created"]), "/events", "all_and_others"),
        ("events", json!(["customer.created", "checkout.completed"]), "/events/1", "invalid_event_type"),
        ("events", json!(["webhook.test"]), "/events/0", "invalid_event_type"),
        ("events", json!([7]), "/events/0", "wrong_type"),
        ("description", json!("a".repeat(257)), "/description", "too_long"),
        ("payload", json!(null), "/payload", "required"),
        ("payload", json!("Thin"), "/payload", "invalid_payload"),
    ] {
        let mut body = json!({"url": "https://example.com", "events": ["*"]});
        body[field] = value.clone();
        assert_faults(&native.post("/webhooks", body), &[(place, code)]);
        assert_faults(&native.patch(&path(&good), json!({ field: value })), &[(place, code)]);
    }
    for (value, code) in [(json!("gone"), "invalid_status"), (json!(null), "required"), (json!(true), "wrong_type")] {
        assert_faults(&native.patch(&path(&good), json!({ "status": value })), &[("/status", code)]);
    }
    for field in ["id", "webhook_id", "org_id", "secret", "disabled_reason"] {
        assert_faults(
            &native.patch(&path(&good), json!({ field: "x" })),
            &[(format!("/{field}").as_str(), "unknown_field")],
        );
    }
    assert_eq!(native.get("/webhooks").expect(200).json()["data"], json!([without(&good, "secret")]));
}

fn wrong_fields_of_a_rotation_and_of_a_replay_are_named(database: Database) {
    let app = start(database);
    let native = app.native();
    let made = create(&native);
    let rotate = |body: Value| native.post(&format!("{}/rotate_secret", path(&made)), body);
    for value in [json!(-1), json!(604_801), json!(1.5)] {
        assert_faults(&rotate(json!({ "overlap_seconds": value })), &[("/overlap_seconds", "out_of_range")]);
    }
    assert_faults(&rotate(json!({"overlap_seconds": "60"})), &[("/overlap_seconds", "wrong_type")]);
    assert_faults(&rotate(json!({"secret": "whsec_mine"})), &[("/secret", "unknown_field")]);
    assert_faults(
        &native.post(&format!("{}/test", path(&made)), json!({"type": "customer.created"})),
        &[("/type", "unknown_field")],
    );

    native.post("/customers", json!({"email": "ada@example.com"})).is(201);
    let event = native.get("/events").expect(200).text_at("/data/0/id");
    let replay = |body: Value| native.post(&format!("{}/replay", path(&made)), body);
    for body in [json!({}), json!({"from_seq": null}), json!({"from_seq": 1, "event_id": event})] {
        assert_faults(&replay(body), &[("/from_seq", "required")]);
    }
    for value in [json!(0), json!(-1), json!(9_223_372_036_854_775_808_u64)] {
        assert_faults(&replay(json!({ "from_seq": value })), &[("/from_seq", "out_of_range")]);
    }
    assert_faults(&replay(json!({"event_id": "evt_none"})), &[("/event_id", "invalid_id")]);
    let unknown = format!("{}{}", &event[..event.len() - 1], if event.ends_with('0') { '2' } else { '0' });
    assert_faults(&replay(json!({"event_id": unknown})), &[("/event_id", "unknown_event")]);
    // A place that the log has not reached yet is no fault.
    replay(json!({"from_seq": 1000})).is(202);
    replay(json!({"event_id": event})).is(202);
}

fn an_endpoint_of_another_tenant_is_404(database: Database) {
    let app = start(database);
    let native = app.native();
    let made = create(&native);
    native.post(&format!("{}/test", path(&made)), json!({})).is(200);
    native.post("/customers", json!({"email": "ada@example.com"})).is(201);
    let event = native.get("/events").expect(200).text_at("/data/0/id");
    let before = native.get(&path(&made)).expect(200).json();
    let tenants = app.tenants();
    for key in [&tenants.ours.sandbox, &tenants.theirs.live, &tenants.theirs.sandbox] {
        let stranger = native.with_key(key);
        let missing = "/webhooks/we_01h2xcejqtf2nbrexx3vqjhp41";
        for (method, rest, body) in [
            ("GET", "", None),
            ("PATCH", "", Some(json!({"url": "https://example.com/theirs"}))),
            ("DELETE", "", None),
            ("GET", "/attempts", None),
            ("POST", "/test", None),
            ("POST", "/rotate_secret", None),
            ("POST", "/replay", Some(json!({"from_seq": 1}))),
        ] {
            let [refused, unknown] = [path(&made).as_str(), missing]
                .map(|endpoint| send(&stranger, method, &format!("{endpoint}{rest}"), body.as_ref()));
            assert_code(&refused, 404, "webhook_not_found");
            assert_eq!(refused.json(), unknown.json(), "another tenant's endpoint is answered as one that never was");
        }
        assert_eq!(stranger.get("/webhooks").expect(200).json()["data"], json!([]));
        // An endpoint of the stranger is not sent our event.
        let theirs = create(&stranger);
        let replay = stranger.post(&format!("{}/replay", path(&theirs)), json!({ "event_id": event }));
        assert_faults(&replay, &[("/event_id", "unknown_event")]);
    }
    // Its deliveries fail meanwhile.
    let after = native.get(&path(&made)).expect(200).json();
    assert_eq!(
        without(&without(&after, "backlog"), "failing_since"),
        without(&without(&before, "backlog"), "failing_since")
    );
}

fn a_malformed_id_is_404(database: Database) {
    let app = start(database);
    let native = app.native();
    let id = create(&native)["id"].as_str().expect("an id").to_owned();
    for id in ["we_", "we_x", "cus_01h2xcejqtf2nbrexx3vqjhp41", &id[3..], &format!("{id}0"), "%00", "%FF", "null"] {
        assert_code(&native.get(&format!("/webhooks/{id}")), 404, "webhook_not_found");
        assert_code(&native.get(&format!("/webhooks/{id}/attempts")), 404, "webhook_not_found");
    }
}

fn a_cursor_is_good_for_its_list_only(database: Database) {
    let app = start(database);
    let native = app.native();
    let [first, second] = [(); 2].map(|()| create(&native));
    for _ in 0..2 {
        native.post(&format!("{}/test", path(&first)), json!({})).is(200);
    }
    let cursor = |path: &str| native.get(&format!("{path}?limit=1")).expect(200).text_at("/next_cursor");
    let attempts = |endpoint: &Value| format!("{}/attempts", path(endpoint));
    let [of_endpoints, of_attempts] = [cursor("/webhooks"), cursor(&attempts(&first))];
    let theirs = native.with_key(&app.tenants().theirs.live);
    for (caller, path, cursor) in [
        (&native, "/webhooks", &of_attempts),
        (&native, "/customers", &of_endpoints),
        (&native, &attempts(&first), &of_endpoints),
        (&native, &attempts(&second), &of_attempts),
        (&theirs, "/webhooks", &of_endpoints),
    ] {
        let refused = caller.get(&format!("{path}?cursor={}", encode(cursor)));
        assert_code(&refused, 400, "invalid_cursor");
    }
    native.get(&format!("/webhooks?cursor={}", encode(&of_endpoints))).is(200);
    native.get(&format!("{}?cursor={}", attempts(&first), encode(&of_attempts))).is(200);
}

fn the_fifty_first_endpoint_is_a_409(database: Database) {
    let app = start(database);
    let native = app.native();
    let made: Vec<_> = (0..50).map(|_| create(&native)).collect();
    let another = || native.post("/webhooks", json!({"url": NOWHERE, "events": ["*"]}));
    assert_code(&another(), 409, "too_many_webhooks");
    create(&native.with_key(&app.tenants().ours.sandbox));
    native.delete(&path(&made[7])).is(204);
    another().is(201);
    assert_code(&another(), 409, "too_many_webhooks");
}

fn the_hundred_and_first_event_to_be_sent_again_is_a_409(database: Database) {
    let app = start(database);
    let native = app.native();
    let made = create(&native);
    // So none of them is sent.
    native.patch(&path(&made), json!({"status": "disabled"})).is(200);
    let items: Vec<_> =
        (0..101).map(|n| json!({"op": "create", "body": {"email": format!("{n}@example.com")}})).collect();
    for items in items.chunks(100) {
        native.post("/customers/batch", json!({ "items": items })).is(200);
    }
    let events = native.get("/events?order=asc&limit=1000").expect(200).json();
    let ids: Vec<_> = events["data"].as_array().expect("a list").iter().map(|event| event["id"].clone()).collect();
    let replay = |id: &Value| native.post(&format!("{}/replay", path(&made)), json!({ "event_id": id }));
    ids[..100].iter().for_each(|id| replay(id).is(202));
    assert_code(&replay(&ids[100]), 409, "too_many_replays");
    // One that waits already is no further one.
    replay(&ids[50]).is(202);
}

fn neither_the_url_nor_the_secret_is_logged(database: Database) {
    let app = start(database);
    let native = app.native();
    let url = "http://127.0.0.1:1/hooks/c2VjcmV0";
    let made = native.post("/webhooks", json!({"url": url, "events": ["*"]})).expect(201).json();
    let rotated = native.post(&format!("{}/rotate_secret", path(&made)), json!({})).expect(200).json();
    native.post(&format!("{}/test", path(&made)), json!({})).is(200);
    native.post("/webhooks", json!({"url": "ftp://127.0.0.1/c2VjcmV0", "events": ["*"]})).is(422);
    native.post("/customers", json!({"email": "ada@example.com"})).is(201);
    until("a delivery has failed", TIMEOUT, || {
        (native.get(&path(&made)).expect(200).json()["failing_since"] != Value::Null).then_some(())
    });
    let logs = app.logs().concat();
    for secret in ["c2VjcmV0", made["secret"].as_str().expect("it"), rotated["secret"].as_str().expect("it")] {
        assert!(!logs.contains(secret), "{logs}");
    }
}
