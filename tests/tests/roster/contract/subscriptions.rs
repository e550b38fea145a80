//! The subscriptions that the billing engine reports, and where they are shown.

use roster_tests::client::{Json, Surface, encode};
use roster_tests::{App, Caller, Database, Response, on_both_databases};
use serde_json::{Value, json};

use crate::routes::assert_error;

on_both_databases! {
    a_report_is_201_when_new_and_200_when_it_replaces,
    subscriptions_are_listed_in_pages_newest_first,
    a_subscription_id_may_be_any_text_that_can_be_encoded,
    lava_shows_the_active_subscription_that_started_last,
    every_status_is_kept_and_lava_shows_those_in_use_as_active,
    details_are_kept_as_reported_and_replaced_with_their_report,
    lava_shows_the_details_that_it_has_and_null_for_the_others,
    lava_shows_details_of_any_kind,
    a_wrong_field_of_a_report_is_named,
}

fn a_report_is_201_when_new_and_200_when_it_replaces(database: Database) {
    let app = App::start(database);
    let customer = Customer::create(&app, "ada@example.com");
    let report = json!({
        "plan_id": "pro", "name": "Pro", "status": "active", "started_at": "2025-01-15T13:00:00.5+01:00",
    });
    let first = customer.report("sub_1", report).expect(201).json();
    assert_eq!(first["id"], "sub_1");
    assert_eq!(first["plan_id"], "pro");
    assert_eq!(first["name"], "Pro");
    assert_eq!(first["status"], "active");
    assert_eq!(first["started_at"], "2025-01-15T12:00:00.500Z");
    assert_eq!(first["cancelled_at"], Value::Null);
    let end = json!({"status": "cancelled", "cancelled_at": "2025-02-15T12:00:00Z"});
    let second = customer.report("sub_1", end).expect(200).json();
    assert_eq!(second["status"], "cancelled");
    assert_eq!(second["cancelled_at"], "2025-02-15T12:00:00.000Z");
    assert_eq!(customer.list("").json()["data"], json!([second]));
}

fn subscriptions_are_listed_in_pages_newest_first(database: Database) {
    let app = App::start(database);
    let customer = Customer::create(&app, "ada@example.com");
    for number in [3, 1, 5, 2, 4] {
        let started = format!("2025-01-0{number}T00:00:00Z");
        customer.report(&format!("sub_{number}"), json!({"status": "active", "started_at": started})).is(201);
    }
    let ids = |response: &Response| -> Vec<String> {
        let list = response.json()["data"].as_array().cloned().expect("a list");
        list.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!(ids(&customer.list("")), ["sub_5", "sub_4", "sub_3", "sub_2", "sub_1"]);
    let mut listed = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let page = customer.list(&query).expect(200);
        listed.extend(ids(&page));
        assert!(listed.len() <= 5, "the pages do not end: {page:?}");
        let Some(cursor) = page.json()["next_cursor"].as_str().map(encode) else { break };
        query = format!("?limit=2&cursor={cursor}");
    }
    assert_eq!(listed, ["sub_5", "sub_4", "sub_3", "sub_2", "sub_1"]);
}

fn a_subscription_id_may_be_any_text_that_can_be_encoded(database: Database) {
    let app = App::start(database);
    let customer = Customer::create(&app, "ada@example.com");
    for id in ["a/b", "100%", "x:y", "подписка", "sub 1"] {
        let response = customer.report(&encode(id), json!({"status": "active"})).expect(201);
        assert_eq!(response.text_at("/id"), id);
        customer.report(&encode(id), json!({"status": "active"})).is(200);
    }
}

fn lava_shows_the_active_subscription_that_started_last(database: Database) {
    let app = App::start(database);
    let customer = Customer::create(&app, "ada@example.com");
    assert_eq!(customer.on_lava(), Value::Null);
    customer
        .report(
            "old",
            json!({"plan_id": "p1", "name": "Old", "status": "active", "started_at": "2024-01-01T00:00:00Z"}),
        )
        .is(201);
    customer
        .report(
            "new",
            json!({"plan_id": "p2", "name": "New", "status": "active", "started_at": "2025-01-01T00:00:00Z"}),
        )
        .is(201);
    customer
        .report("ended", json!({"plan_id": "p3", "status": "cancelled", "started_at": "2026-01-01T00:00:00Z"}))
        .is(201);
    let shown = customer.on_lava();
    for (field, value) in [
        ("subscription_id", json!("new")),
        ("plan_id", json!("p2")),
        ("name", json!("New")),
        ("status", json!("active")),
        ("started_at", json!("2025-01-01T00:00:00.000Z")),
        ("cancelled_at", Value::Null),
    ] {
        assert_eq!(shown[field], value, "{field}");
    }
    customer.report("new", json!({"status": "cancelled"})).is(200);
    assert_eq!(customer.on_lava()["subscription_id"], "old");
    customer.report("old", json!({"status": "cancelled"})).is(200);
    assert_eq!(customer.on_lava(), Value::Null);
}

fn every_status_is_kept_and_lava_shows_those_in_use_as_active(database: Database) {
    let app = App::start(database);
    let customer = Customer::create(&app, "ada@example.com");
    for (status, on_lava) in [
        ("trialing", json!("active")),
        ("past_due", Value::Null),
        ("active", json!("active")),
        ("paused", Value::Null),
        ("expired", Value::Null),
        ("cancelled", Value::Null),
    ] {
        let reported = customer.report("sub_1", json!({"status": status}));
        assert_eq!(reported.text_at("/status"), status);
        assert_eq!(customer.list("").json()["data"], json!([reported.json()]));
        assert_eq!(customer.on_lava()["status"], on_lava, "{status}");
    }
}

fn details_are_kept_as_reported_and_replaced_with_their_report(database: Database) {
    let app = App::start(database);
    let customer = Customer::create(&app, "ada@example.com");
    let bare = customer.report("sub_1", json!({"status": "active"})).expect(201).json();
    assert_eq!(bare.get("details"), Some(&Value::Null));
    let text = r#"{"z":1.10,"a":{"n":9007199254740993},"plan":null,"$":[{}]}"#;
    let reported = customer.report("sub_1", format!(r#"{{"status":"active","details":{text}}}"#)).expect(200);
    let listed = customer.list("").expect(200);
    for response in [&reported, &listed] {
        assert!(response.text().contains(&format!(r#""details":{text}"#)), "{response:?}");
    }
    for without in [json!({"status": "active"}), json!({"status": "active", "details": null})] {
        assert_eq!(customer.report("sub_1", without).expect(200).json()["details"], Value::Null);
    }
    let empty = customer.report("sub_1", json!({"status": "active", "details": {}})).expect(200).json();
    assert_eq!(empty["details"], json!({}));
    let frame = r#"{"k":""}"#.len();
    let largest = json!({"k": "x".repeat(16_384 - frame)});
    let kept = customer.report("sub_1", json!({"status": "active", "details": largest})).expect(200).json();
    assert_eq!(kept["details"], largest);
    let too_large =
        customer.report("sub_1", json!({"status": "cancelled", "details": {"k": "x".repeat(16_385 - frame)}}));
    assert_error(Surface::Native, &too_large, 422);
    assert_eq!(too_large.text_at("/errors/0/code"), "too_large");
    assert_eq!(customer.list("").json()["data"], json!([kept]));
}

fn lava_shows_the_details_that_it_has_and_null_for_the_others(database: Database) {
    let app = App::start(database);
    let customer = Customer::create(&app, "ada@example.com");
    let started = json!({"plan_id": "pro", "name": "Pro", "status": "active", "started_at": "2025-01-01T00:00:00Z"});
    let with = |details: Value| {
        let mut report = started.clone();
        report["details"] = details;
        report
    };
    customer.report("sub_1", started.clone()).is(201);
    let bare = json!({
        "subscription_id": "sub_1", "plan_id": "pro", "name": "Pro", "status": "active",
        "started_at": "2025-01-01T00:00:00.000Z", "cancelled_at": null, "cycle_start_at": null, "cycle_end_at": null,
        "auto_top_up_bundle_id": null, "pending_change": null,
        "plan": {
            "name": "Pro", "period_amount": null, "included_credit": null, "billing_interval": null,
            "rollover_type": null, "bundle_rollover_type": null,
        },
        "credits": {"total_remaining": null, "cycle_remaining": null, "bundle_remaining": null},
    });
    assert_eq!(customer.on_lava(), bare);
    let whole = json!({
        "cycle_start_at": "2025-01-01T00:00:00Z", "cycle_end_at": "2025-02-01T00:00:00Z",
        "auto_top_up_bundle_id": "bundle_1",
        "pending_change": {"type": "downgrade", "effective_at": null, "plan_id": "basic", "name": "Basic"},
        "plan": {
            "name": "Professional", "period_amount": "29.00", "included_credit": "10.00", "billing_interval": "month",
            "rollover_type": "none", "bundle_rollover_type": "full",
        },
        "credits": {"total_remaining": "12.50", "cycle_remaining": "2.50", "bundle_remaining": "10.00"},
    });
    let mut shown = bare.clone();
    for (field, value) in whole.as_object().expect("an object") {
        shown[field] = value.clone();
    }
    customer.report("sub_1", with(whole)).is(200);
    assert_eq!(customer.on_lava(), shown);
    // Only what is named is shown, and no field of a subscription is taken from its details.
    let others =
        json!({"status": "cancelled", "note": "ours", "plan": {"period_amount": "9.00", "seats": 5, "name": null}});
    customer.report("sub_1", with(others)).is(200);
    let mut shown = bare.clone();
    shown["plan"]["period_amount"] = json!("9.00");
    assert_eq!(customer.on_lava(), shown);
    customer.report("sub_1", started).is(200);
    assert_eq!(customer.on_lava(), bare);
}

fn lava_shows_details_of_any_kind(database: Database) {
    let app = App::start(database);
    let customer = Customer::create(&app, "ada@example.com");
    customer.report("sub_1", json!({"status": "active"})).is(201);
    for details in [
        r#"{"plan":"Pro","credits":[1],"pending_change":7,"cycle_end_at":{"a":1E-999}}"#,
        r#"{"plan":[],"credits":null,"$serde_json::private::RawValue":"1"}"#,
        r#"{"plan":{"$serde_json::private::RawValue":"1","name":{}},"credits":{"total_remaining":1e999}}"#,
        r#"{"credits":{"total_remaining":123456789012345678901234567890.10}}"#,
    ] {
        customer.report("sub_1", format!(r#"{{"status":"active","details":{details}}}"#)).is(200);
        let path = format!("/customers/con_live_{}/subscription", customer.suffix);
        let shown = app.lava().get(&path).expect(200).text();
        assert!(shown.contains(r#""rollover_type":null,"bundle_rollover_type":null},"credits":{"total_remaining":"#));
    }
    assert_eq!(customer.on_lava()["plan"]["name"], Value::Null);
    let exact = r#""total_remaining":123456789012345678901234567890.10"#;
    let path = format!("/customers/con_live_{}", customer.suffix);
    assert!(app.lava().get(&path).expect(200).text().contains(exact));
}

fn a_wrong_field_of_a_report_is_named(database: Database) {
    let app = App::start(database);
    let customer = Customer::create(&app, "ada@example.com");
    for (report, pointer) in [
        (json!({}), "/status"),
        (json!({"status": "Active"}), "/status"),
        (json!({"status": "past due"}), "/status"),
        (json!({"status": "active", "details": []}), "/details"),
        (json!({"status": "active", "details": "{}"}), "/details"),
        (json!({"status": "active", "details": {"a\u{1}": 1}}), "/details"),
        (
            json!({"status": "active", "details": {"1": {"2": {"3": {"4": {"5": {"6": {"7": {"8": {}}}}}}}}}}),
            "/details",
        ),
        (json!({"status": "active", "started_at": "yesterday"}), "/started_at"),
        (json!({"status": "active", "cancelled_at": 1}), "/cancelled_at"),
        (json!({"status": "active", "plan_id": ""}), "/plan_id"),
        (json!({"status": "active", "name": "n".repeat(257)}), "/name"),
        (json!({"status": "active", "price": 1}), "/price"),
    ] {
        let response = customer.report("sub_1", report);
        assert_error(Surface::Native, &response, 422);
        assert_eq!(response.text_at("/errors/0/pointer"), pointer, "{response:?}");
    }
    assert_eq!(customer.list("").json()["data"], json!([]));
}

/// A customer and the callers that read and write its subscriptions.
struct Customer {
    native: Caller,
    lava: Caller,
    suffix: String,
}

impl Customer {
    fn create(app: &App, email: &str) -> Self {
        let id = app.native().post("/customers", json!({"email": email})).expect(201).text_at("/id");
        let suffix = id.strip_prefix("cus_").expect("an id").to_owned();
        Self { native: app.native(), lava: app.lava(), suffix }
    }

    fn report(&self, id: &str, report: impl Json) -> Response {
        self.native.put(&format!("/customers/cus_{}/subscriptions/{id}", self.suffix), report)
    }

    fn list(&self, query: &str) -> Response {
        self.native.get(&format!("/customers/cus_{}/subscriptions{query}", self.suffix))
    }

    /// The subscription that Lava shows. It is the same in three responses.
    fn on_lava(&self) -> Value {
        let path = format!("/customers/con_live_{}", self.suffix);
        let alone = self.lava.get(&format!("{path}/subscription")).expect(200).json()["subscription"].clone();
        let within = self.lava.get(&path).expect(200).json()["subscription"].clone();
        let listed = self.lava.get("/customers").expect(200).json()["data"][0]["subscription"].clone();
        assert_eq!((&within, &listed), (&alone, &alone));
        alone
    }
}
