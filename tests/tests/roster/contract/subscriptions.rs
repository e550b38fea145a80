//! The subscriptions that the billing engine reports, and where they are shown.

use roster_tests::client::{Surface, encode};
use roster_tests::{App, Caller, Database, Response, on_both_databases};
use serde_json::{Value, json};

use crate::routes::assert_error;

on_both_databases! {
    a_report_is_201_when_new_and_200_when_it_replaces,
    subscriptions_are_listed_in_pages_newest_first,
    a_subscription_id_may_be_any_text_that_can_be_encoded,
    lava_shows_the_active_subscription_that_started_last,
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
    assert_eq!(
        customer.on_lava(),
        json!({"subscription_id": "new", "plan_id": "p2", "name": "New", "status": "active"})
    );
    customer.report("new", json!({"status": "cancelled"})).is(200);
    assert_eq!(customer.on_lava()["subscription_id"], "old");
    customer.report("old", json!({"status": "cancelled"})).is(200);
    assert_eq!(customer.on_lava(), Value::Null);
}

fn a_wrong_field_of_a_report_is_named(database: Database) {
    let app = App::start(database);
    let customer = Customer::create(&app, "ada@example.com");
    for (report, pointer) in [
        (json!({}), "/status"),
        (json!({"status": "paused"}), "/status"),
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

    fn report(&self, id: &str, report: Value) -> Response {
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
