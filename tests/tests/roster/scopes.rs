//! The scopes of a key: what they permit, and what is refused without them.

use roster_tests::client::{Caller, Surface};
use roster_tests::{App, Database, Response, on_both_databases};
use serde_json::json;

use crate::routes::assert_error;

on_both_databases! {
    a_missing_scope_is_named_in_the_format_of_the_surface,
    sharing_an_address_needs_its_own_scope,
    lava_shares_an_address_if_the_key_has_the_scope,
    a_key_has_all_scopes_but_keys_manage_by_default,
}

/// A live key of `ours` with these scopes.
pub(crate) fn assert_lacks(surface: Surface, response: &Response, scope: &str) {
    assert_error(surface, response, 403);
    let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
    assert_eq!(response.header("www-authenticate"), Some(challenge.as_str()), "{response:?}");
    let json = response.json();
    match surface {
        Surface::Native => assert_eq!((&json["code"], &json["scope"]), (&json!("missing_scope"), &json!(scope))),
        Surface::Lumen | Surface::Lava => {
            assert_eq!(json, json!({ "error": format!("Forbidden: the credential lacks the scope {scope}") }));
        }
    }
}

fn with_email(surface: Surface, caller: &Caller, email: &str, allow: bool) -> Response {
    let flag = match surface {
        Surface::Native => "allow_duplicate_email",
        Surface::Lumen => "dangerouslyAllowSameEmailForDifferentCustomers",
        Surface::Lava => "none",
    };
    caller.post("/customers", json!({ "email": email, flag: allow }))
}

fn a_missing_scope_is_named_in_the_format_of_the_surface(database: Database) {
    let app = App::start(database);
    let [reader, writer] = [app.live_key(&["customers:read"]), app.live_key(&["customers:write"])];
    for surface in Surface::ALL {
        let (reader, writer) = (app.surface(surface).with_key(&reader), app.surface(surface).with_key(&writer));
        reader.get("/customers").is(200);
        assert_lacks(surface, &reader.post("/customers", json!({ "email": "ada@example.com" })), "customers:write");
        // The scope is checked before the body and the customer: the response shows nothing about them.
        assert_lacks(surface, &reader.post("/customers", "{"), "customers:write");
        assert_lacks(surface, &reader.delete("/customers/nobody"), "customers:write");
        writer.post("/customers", json!({ "email": format!("{surface:?}@example.com") })).is(201);
        assert_lacks(surface, &writer.get("/customers"), "customers:read");
        assert_lacks(surface, &writer.get("/customers/nobody"), "customers:read");
    }
    let path = "/customers/cus_01h2xcejqtf2nbrexx3vqjhp41/subscriptions/s";
    let refused = app.native().with_key(&writer).put(path, json!({ "status": "active" }));
    assert_lacks(Surface::Native, &refused, "subscriptions:write");
}

fn sharing_an_address_needs_its_own_scope(database: Database) {
    let app = App::start(database);
    let plain = app.live_key(&["customers:write"]);
    let may = app.live_key(&["customers:write", "customers:allow_duplicate_email"]);
    for surface in [Surface::Native, Surface::Lumen] {
        let email = format!("{surface:?}@example.com");
        let (plain, may) = (app.surface(surface).with_key(&plain), app.surface(surface).with_key(&may));
        let scope = "customers:allow_duplicate_email";
        // The request is refused whether another customer has the address or not.
        assert_lacks(surface, &with_email(surface, &plain, &email, true), scope);
        let first = with_email(surface, &plain, &email, false).expect(201);
        assert_lacks(surface, &with_email(surface, &plain, &email, true), scope);
        with_email(surface, &plain, &email, false).is(409);
        with_email(surface, &may, &email, true).is(201);
        let id = first.json().pointer("/id").or(first.json().pointer("/customer/id")).cloned().expect("an id");
        let path = format!("/customers/{}", id.as_str().expect("a text"));
        let body = json!({ "email": format!("{surface:?}2@example.com"), "allow_duplicate_email": true });
        let lumen = json!({ "email": "x@example.com", "dangerouslyAllowSameEmailForDifferentCustomers": true });
        let refused = match surface {
            Surface::Native => plain.patch(&path, body),
            Surface::Lumen | Surface::Lava => plain.post(&path, lumen),
        };
        assert_lacks(surface, &refused, scope);
    }
}

fn lava_shares_an_address_if_the_key_has_the_scope(database: Database) {
    let app = App::start(database);
    let scope = "customers:allow_duplicate_email";
    let may = app.lava().with_key(&app.live_key(&["customers:write", scope]));
    let plain = app.lava().with_key(&app.live_key(&["customers:write"]));
    let ada = |reference: &str| json!({ "email": "ada@example.com", "reference_id": reference });
    plain.post("/customers", ada("a")).is(201);
    assert_lacks(Surface::Lava, &plain.post("/customers", ada("b")), scope);
    may.post("/customers", ada("b")).is(201);
    // A repeated request returns the existing customer, which needs no scope.
    plain.post("/customers", ada("b")).is(200);
    plain.post("/customers", json!({ "email": "grace@example.com", "reference_id": "c" })).is(201);
    assert_lacks(Surface::Lava, &plain.patch("/customers/c", json!({ "email": "ada@example.com" })), scope);
    plain.patch("/customers/c", json!({ "email": "hopper@example.com" })).is(200);
    may.patch("/customers/c", json!({ "email": "ada@example.com" })).is(200);
}

fn a_key_has_all_scopes_but_keys_manage_by_default(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let created = native.post("/customers", json!({ "email": "a@example.com" })).expect(201);
    native.post("/customers", json!({ "email": "a@example.com", "allow_duplicate_email": true })).is(201);
    let path = format!("/customers/{}/subscriptions/s", created.text_at("/id"));
    native.put(&path, json!({ "status": "active" })).is(201);
    for path in ["/customers", "/events", "/webhooks", "/imports"] {
        native.get(path).is(200);
    }
    assert_lacks(Surface::Native, &native.get("/api_keys"), "keys:manage");
    assert_lacks(Surface::Native, &native.post("/api_keys", json!({})), "keys:manage");
}
