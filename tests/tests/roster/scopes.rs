//! What a key lets its holder do, and what it does not.

use roster_tests::app::create_key;
use roster_tests::client::{Caller, Surface};
use roster_tests::{Answer, App, Database, on_both_databases};
use serde_json::json;

use crate::routes::assert_error;

on_both_databases! {
    a_key_without_a_scope_is_refused_with_its_name_in_the_format_of_the_surface,
    to_share_an_address_takes_a_scope_of_its_own,
    on_lava_an_address_is_shared_unasked_by_those_who_may,
    by_default_a_key_may_do_everything_but_manage_keys,
}

/// A key of ours with these scopes and no others.
fn key(app: &App, scopes: &[&str]) -> String {
    let options: Vec<_> = scopes.iter().flat_map(|scope| ["--scope", *scope]).collect();
    create_key(app.database().url(), &app.tenants().ours.id, "live", &options).key
}

pub(crate) fn assert_lacks(surface: Surface, answer: &Answer, scope: &str) {
    assert_error(surface, answer, 403);
    let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
    assert_eq!(answer.header("www-authenticate"), Some(challenge.as_str()), "{answer:?}");
    let json = answer.json();
    match surface {
        Surface::Native => assert_eq!((&json["code"], &json["scope"]), (&json!("missing_scope"), &json!(scope))),
        Surface::Lumen | Surface::Lava => {
            assert_eq!(json, json!({ "error": format!("Forbidden: the credential lacks the scope {scope}") }));
        }
    }
}

fn with_email(surface: Surface, caller: &Caller, email: &str, allow: bool) -> Answer {
    let flag = match surface {
        Surface::Native => "allow_duplicate_email",
        Surface::Lumen => "dangerouslyAllowSameEmailForDifferentCustomers",
        Surface::Lava => "none",
    };
    caller.post("/customers", json!({ "email": email, flag: allow }))
}

fn a_key_without_a_scope_is_refused_with_its_name_in_the_format_of_the_surface(database: Database) {
    let app = App::start(database);
    let [reader, writer] = [key(&app, &["customers:read"]), key(&app, &["customers:write"])];
    for surface in Surface::ALL {
        let (reader, writer) = (app.surface(surface).with_key(&reader), app.surface(surface).with_key(&writer));
        reader.get("/customers").is(200);
        assert_lacks(surface, &reader.post("/customers", json!({ "email": "ada@example.com" })), "customers:write");
        // Nothing about the body or the customer is said to somebody who may not do it anyway.
        assert_lacks(surface, &reader.post("/customers", "{"), "customers:write");
        assert_lacks(surface, &reader.delete("/customers/nobody"), "customers:write");
        writer.post("/customers", json!({ "email": format!("{surface:?}@example.com") })).is(201);
        assert_lacks(surface, &writer.get("/customers"), "customers:read");
        assert_lacks(surface, &writer.get("/customers/nobody"), "customers:read");
    }
    let path = "/customers/cus_01h2xcejqtf2nbrexx3vqjhp41/subscriptions/s";
    let told = app.native().with_key(&writer).put(path, json!({ "status": "active" }));
    assert_lacks(Surface::Native, &told, "subscriptions:write");
}

fn to_share_an_address_takes_a_scope_of_its_own(database: Database) {
    let app = App::start(database);
    let plain = key(&app, &["customers:write"]);
    let may = key(&app, &["customers:write", "customers:allow_duplicate_email"]);
    for surface in [Surface::Native, Surface::Lumen] {
        let email = format!("{surface:?}@example.com");
        let (plain, may) = (app.surface(surface).with_key(&plain), app.surface(surface).with_key(&may));
        let scope = "customers:allow_duplicate_email";
        // Asking for it is refused, whether anybody has the address or not.
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

fn on_lava_an_address_is_shared_unasked_by_those_who_may(database: Database) {
    let app = App::start(database);
    let scope = "customers:allow_duplicate_email";
    let may = app.lava().with_key(&key(&app, &["customers:write", scope]));
    let plain = app.lava().with_key(&key(&app, &["customers:write"]));
    let ada = |reference: &str| json!({ "email": "ada@example.com", "reference_id": reference });
    plain.post("/customers", ada("a")).is(201);
    assert_lacks(Surface::Lava, &plain.post("/customers", ada("b")), scope);
    may.post("/customers", ada("b")).is(201);
    // Whoever repeats itself finds its customer all the same.
    plain.post("/customers", ada("b")).is(200);
    plain.post("/customers", json!({ "email": "grace@example.com", "reference_id": "c" })).is(201);
    assert_lacks(Surface::Lava, &plain.patch("/customers/c", json!({ "email": "ada@example.com" })), scope);
    plain.patch("/customers/c", json!({ "email": "hopper@example.com" })).is(200);
    may.patch("/customers/c", json!({ "email": "ada@example.com" })).is(200);
}

fn by_default_a_key_may_do_everything_but_manage_keys(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let created = native.post("/customers", json!({ "email": "a@example.com" })).expect(201);
    native.post("/customers", json!({ "email": "a@example.com", "allow_duplicate_email": true })).is(201);
    let path = format!("/customers/{}/subscriptions/s", created.text_at("/id"));
    native.put(&path, json!({ "status": "active" })).is(201);
    native.get("/customers").is(200);
    assert_lacks(Surface::Native, &native.get("/api_keys"), "keys:manage");
    assert_lacks(Surface::Native, &native.post("/api_keys", json!({})), "keys:manage");
}
