//! What the client libraries of billing.io read and send besides what the seed shows.

use roster_tests::{App, Database, Response, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    the_id_has_a_second_name,
    every_error_has_an_error_object,
    health_needs_no_key,
    a_change_in_plain_json_replaces_the_metadata,
}

fn the_id_has_a_second_name(database: Database) {
    let app = App::start(database);
    let created = app.native().post("/customers", json!({"email": "ada@example.com"})).expect(201);
    assert_eq!(created.text_at("/customer_id"), created.text_at("/id"));
    let listed = app.native().get("/customers").expect(200);
    assert_eq!(listed.text_at("/data/0/customer_id"), created.text_at("/id"));
}

fn every_error_has_an_error_object(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let ada = native.post("/customers", json!({"email": "ada@example.com", "external_id": "ada"})).expect(201);
    let path = path(&ada);
    let too_large = json!({"email": "b@example.com", "metadata": {"k": "x".repeat(70_000)}});
    let taken_id = json!({"email": "b@example.com", "external_id": "ada"});
    for (response, status, kind, code, param) in [
        (native.without_key().get(&path), 401, "authentication_error", "unauthorized", None),
        (native.get("/api_keys"), 403, "authentication_error", "missing_scope", None),
        (native.get("/customers/cus_x"), 404, "not_found", "customer_not_found", None),
        (native.get("/checkouts"), 404, "not_found", "unknown_path", None),
        (native.post(&path, json!({})), 405, "invalid_request", "method_not_allowed", None),
        (native.post("/customers", "{"), 400, "invalid_request", "invalid_json", None),
        (native.post("/customers", too_large), 413, "invalid_request", "body_too_large", None),
        (native.post("/customers", "[]"), 422, "invalid_request", "wrong_type", None),
        (native.post("/customers", json!({"name": "x"})), 422, "invalid_request", "required", Some("email")),
        (
            native.patch(&path, json!({"billing_address": {"country": "XX"}})),
            422,
            "invalid_request",
            "invalid_country",
            Some("billing_address/country"),
        ),
        (native.get("/customers?limit=0"), 422, "invalid_request", "invalid_parameter", Some("limit")),
        (native.get("/customers?x=0"), 422, "invalid_request", "unknown_parameter", Some("x")),
        (
            native.post("/customers", json!({"email": "ada@example.com"})),
            409,
            "invalid_request",
            "email_taken",
            Some("email"),
        ),
        (native.post("/customers", taken_id), 409, "invalid_request", "external_id_taken", Some("external_id")),
    ] {
        assert_eq!(response.status, status, "{response:?}");
        let error = &response.json()["error"];
        assert_eq!(error["type"], kind, "{response:?}");
        assert_eq!(error["code"], code, "{response:?}");
        assert_eq!(error["param"], param.map_or(Value::Null, Value::from), "{response:?}");
        assert!(error["message"].as_str().is_some_and(|text| text.len() > 8), "{response:?}");
    }
}

fn health_needs_no_key(database: Database) {
    let app = App::start(database);
    let wrong = app.native().with_key("sk_live_wrong");
    for caller in [app.native(), app.native().without_key(), wrong] {
        let health = caller.get("/health").expect(200);
        assert_eq!(health.text(), format!(r#"{{"status":"healthy","version":"{}"}}"#, env!("CARGO_PKG_VERSION")));
    }
}

fn a_change_in_plain_json_replaces_the_metadata(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let body = json!({"email": "ada@example.com", "metadata": {"a": 1, "b": {"c": 2}}});
    let created = native.post("/customers", body).expect(201);
    let change = |content_type: &str, body: Value| {
        let request = native.request("PATCH", &path(&created)).json(body).header("content-type", content_type);
        request.send().expect(200).json()["metadata"].clone()
    };
    let new = json!({"b": {"d": null}, "e": null});
    assert_eq!(change("application/json", json!({"metadata": new})), new);
    assert_eq!(change("Application/JSON; charset=utf-8", json!({"metadata": {"a": 1}})), json!({"a": 1}));
    assert_eq!(change("application/json", json!({"name": "Ada"})), json!({"a": 1}));
    assert_eq!(
        change("application/merge-patch+json; charset=utf-8", json!({"metadata": {"a": null, "b": 2}})),
        json!({"b": 2})
    );
    assert_eq!(change("application/json", json!({"metadata": {}})), json!({}));
    // A refused change writes nothing.
    let before = native.get(&path(&created)).body;
    let nested = format!(r#"{{"name":"x","metadata":{}}}"#, "{\"k\":".repeat(9) + "1" + &"}".repeat(9));
    assert_eq!(native.patch(&path(&created), nested).expect(422).text_at("/error/param"), "metadata");
    assert_eq!(native.get(&path(&created)).body, before);
}

fn path(created: &Response) -> String {
    format!("/customers/{}", created.text_at("/id"))
}
