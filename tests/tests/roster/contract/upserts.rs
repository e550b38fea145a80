//! Creating or replacing a customer by its external identifier, and creating one unless it is there.

use roster_tests::app::create_key;
use roster_tests::client::{Surface, encode};
use roster_tests::{App, Caller, Database, Response, on_both_databases};
use serde_json::{Value, json};

use crate::routes::assert_error;
use crate::scopes::assert_lacks;

on_both_databases! {
    an_upsert_creates_replaces_and_leaves_alone,
    an_upsert_keeps_what_only_the_service_sets_and_the_status,
    an_upsert_names_its_customer_in_the_path_alone,
    an_upsert_that_claims_an_address_in_use_is_409_and_changes_nothing,
    an_upsert_takes_conditions,
    an_upsert_of_a_deleted_customer_makes_a_new_one,
    an_upsert_without_an_address_must_say_so,
    a_creation_may_return_the_customer_with_its_external_id,
    a_creation_may_return_the_customer_with_its_address,
    a_creation_returns_no_customer_that_may_be_another,
    sharing_an_address_needs_its_scope_here_too,
}

fn put(native: &Caller, external_id: &str, body: Value) -> Response {
    native.put(&format!("/customers/external/{}", encode(external_id)), body)
}

fn create(native: &Caller, body: &Value) -> Response {
    let mut body = body.clone();
    body["on_conflict"] = json!("return_existing");
    native.post("/customers", body)
}

fn path(customer: &Response) -> String {
    format!("/customers/{}", customer.text_at("/id"))
}

fn an_upsert_creates_replaces_and_leaves_alone(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let body = json!({"email": "ada@example.com", "name": "Ada", "phone": "+4930123456", "metadata": {"a": 1}});
    let created = put(&native, "gid://app/1", body.clone()).expect(201);
    assert_eq!(created.text_at("/external_id"), "gid://app/1");
    assert_eq!(created.header("location"), Some(format!("/v1{}", path(&created)).as_str()));
    assert_eq!(native.get(&path(&created)).expect(200).body, created.body);
    // The same again, and with the identifier in the body: nothing is written.
    let mut named = body;
    let again = put(&native, "gid://app/1", named.clone()).expect(200);
    named["external_id"] = json!("gid://app/1");
    for unchanged in [again, put(&native, "gid://app/1", named).expect(200)] {
        assert_eq!((&unchanged.body, unchanged.header("etag")), (&created.body, created.header("etag")));
        assert_eq!(unchanged.header("location"), None);
    }
    let replaced = put(&native, "gid://app/1", json!({"email": "ada@example.com", "tax_id": "DE1"})).expect(200);
    let mut expected = created.json();
    for cleared in ["name", "phone"] {
        expected[cleared] = Value::Null;
    }
    expected["metadata"] = json!({});
    expected["tax_id"] = json!("DE1");
    expected["version"] = json!(2);
    expected["updated_at"] = replaced.json()["updated_at"].clone();
    assert_eq!(replaced.json(), expected);
    assert_eq!(native.get(&path(&created)).expect(200).body, replaced.body);
    assert_eq!(native.get("/customers").json()["data"], json!([expected]));
}

fn an_upsert_keeps_what_only_the_service_sets_and_the_status(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let created = put(&native, "ada", json!({"email": "ada@example.com"})).expect(201);
    native.patch(&path(&created), json!({"status": "archived"})).is(200);
    let replaced = put(&native, "ada", json!({"email": "ada@example.com", "name": "Ada"})).expect(200);
    assert_eq!(replaced.text_at("/status"), "archived");
    for kept in ["id", "created_at", "external_id"] {
        assert_eq!(replaced.json()[kept], created.json()[kept]);
    }
    for field in ["status", "id", "version", "on_conflict"] {
        let refused = put(&native, "ada", json!({"email": "ada@example.com", field: "active"})).expect(422);
        assert_eq!(refused.json()["errors"][0]["code"], "unknown_field", "{field}");
    }
}

fn an_upsert_names_its_customer_in_the_path_alone(database: Database) {
    let app = App::start(database);
    let native = app.native();
    for other in [json!("eda"), Value::Null, json!("Ada")] {
        let refused = put(&native, "ada", json!({"email": "ada@example.com", "external_id": other}));
        assert_error(Surface::Native, &refused, 422);
        let fault = &refused.json()["errors"][0];
        assert_eq!((&fault["pointer"], &fault["code"]), (&json!("/external_id"), &json!("external_id_mismatch")));
    }
    for segment in ["con_live_x", "%01", &"x".repeat(257), "%ff"] {
        let refused = native.put(&format!("/customers/external/{segment}"), json!({"email": "ada@example.com"}));
        assert_error(Surface::Native, &refused, 422);
        assert_eq!(refused.json()["errors"][0]["parameter"], "external_id", "{segment}");
    }
    assert_eq!(native.get("/customers").json()["data"], json!([]));
}

fn an_upsert_that_claims_an_address_in_use_is_409_and_changes_nothing(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let holder = native.post("/customers", json!({"email": "ada@example.com"})).expect(201);
    let body = || json!({"email": "ADA@example.com", "name": "Ada"});
    let refused = put(&native, "ada", body()).expect(409);
    assert_eq!(
        (refused.text_at("/code"), refused.text_at("/customer_id")),
        ("email_taken".to_owned(), holder.text_at("/id"))
    );
    native.get("/customers/external/ada").is(404);
    let created = put(&native, "ada", json!({"email": "eda@example.com"})).expect(201);
    put(&native, "ada", body()).is(409);
    assert_eq!(native.get(&path(&created)).body, created.body);
    let mut shared = body();
    shared["allow_duplicate_email"] = json!(true);
    assert_eq!(put(&native, "ada", shared.clone()).expect(200).text_at("/email"), "ADA@example.com");
    // An address that stays the same stays shared.
    assert_eq!(put(&native, "ada", body()).expect(200).json()["version"], 2);
}

fn an_upsert_takes_conditions(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let upsert = |header: &str, value: &str, name: &str| {
        let request = native.request("PUT", "/customers/external/ada").header(header, value);
        request.json(json!({"email": "ada@example.com", "name": name})).send()
    };
    let missing = upsert("if-match", "*", "Ada").expect(412);
    assert_eq!((missing.text_at("/code"), missing.header("etag")), ("precondition_failed".to_owned(), None));
    upsert("if-match", "\"x\"", "Ada").is(412);
    native.get("/customers/external/ada").is(404);
    let created = upsert("if-none-match", "*", "Ada").expect(201);
    let exists = upsert("if-none-match", "*", "Eda").expect(412);
    assert_eq!((exists.json()["current_version"].clone(), exists.header("etag")), (json!(1), created.header("etag")));
    let tag = created.header("etag").expect("a tag");
    let replaced = upsert("if-match", tag, "Eda").expect(200);
    let outdated = upsert("if-match", tag, "Ida").expect(412);
    assert_eq!(outdated.header("etag"), replaced.header("etag"));
    upsert("if-match", "*", "Oda").is(200);
    upsert("if-match", "x", "Oda").is(400);
}

fn an_upsert_of_a_deleted_customer_makes_a_new_one(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let first = put(&native, "ada", json!({"email": "ada@example.com"})).expect(201);
    native.delete(&path(&first)).is(204);
    let second = put(&native, "ada", json!({"email": "ada@example.com"})).expect(201);
    assert_ne!(second.text_at("/id"), first.text_at("/id"));
    assert_eq!(second.json()["version"], 1);
}

fn an_upsert_without_an_address_must_say_so(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let phone = |allow: Value| json!({"phone": "+4930123456", "allow_missing_email": allow});
    for (status, refused) in [
        (422, native.post("/customers", phone(json!(false)))),
        (422, put(&native, "ada", phone(Value::Null))),
        (422, put(&native, "ada", json!({"email": null}))),
        (422, put(&native, "ada", phone(json!("yes")))),
    ] {
        refused.is(status);
    }
    let created = native.post("/customers", phone(json!(true))).expect(201);
    assert_eq!(created.json()["email"], Value::Null);
    put(&native, "ada", json!({"email": "ada@example.com"})).is(201);
    let cleared = put(&native, "ada", phone(json!(true))).expect(200);
    assert_eq!((&cleared.json()["email"], cleared.text_at("/phone")), (&Value::Null, "+4930123456".to_owned()));
    native.post("/customers", json!({"email": "ada@example.com", "allow_missing_email": true})).is(201);
    // A change still clears no address.
    native.patch(&path(&cleared), json!({"allow_missing_email": true})).is(422);
}

fn a_creation_may_return_the_customer_with_its_external_id(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let body = json!({"email": "ada@example.com", "external_id": "ada", "name": "Ada"});
    let created = create(&native, &body).expect(201);
    // Whatever else is asked for: it is that customer, as it is.
    for other in [body, json!({"email": "eda@example.com", "external_id": "ada"})] {
        let existing = create(&native, &other).expect(200);
        assert_eq!((&existing.body, existing.header("etag")), (&created.body, created.header("etag")));
        assert_eq!(existing.header("location"), None);
    }
    native.post("/customers", json!({"email": "ada@example.com", "external_id": "ada", "on_conflict": null})).is(409);
    for wrong in [json!("update"), json!(true), json!("")] {
        let refused = native.post("/customers", json!({"email": "x@example.com", "on_conflict": wrong})).expect(422);
        assert_eq!(refused.json()["errors"][0]["pointer"], "/on_conflict");
    }
}

fn a_creation_may_return_the_customer_with_its_address(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let created = create(&native, &json!({"email": "ada@example.com"})).expect(201);
    let existing = create(&native, &json!({"email": "ADA@Example.com", "name": "Another"})).expect(200);
    assert_eq!(existing.body, created.body);
    native.delete(&path(&created)).is(204);
    create(&native, &json!({"email": "ada@example.com"})).is(201);
}

fn a_creation_returns_no_customer_that_may_be_another(database: Database) {
    let app = App::start(database);
    let native = app.native();
    native.post("/customers", json!({"email": "ada@example.com", "external_id": "ada"})).is(201);
    // Another external identifier is another customer of the merchant.
    let refused = create(&native, &json!({"email": "ada@example.com", "external_id": "eda"})).expect(409);
    assert_eq!(refused.text_at("/code"), "email_taken");
    let shared = json!({"email": "shared@example.com", "allow_duplicate_email": true});
    create(&native, &shared).is(201);
    create(&native, &shared).is(201);
    assert_eq!(create(&native, &json!({"email": "shared@example.com"})).expect(409).text_at("/code"), "email_taken");
}

fn sharing_an_address_needs_its_scope_here_too(database: Database) {
    let app = App::start(database);
    let key = create_key(app.database().url(), &app.tenants().ours.id, "live", &["--scope", "customers:write"]).key;
    let writer = app.native().with_key(&key);
    let scope = "customers:allow_duplicate_email";
    let body = json!({"email": "ada@example.com", "allow_duplicate_email": true});
    assert_lacks(Surface::Native, &put(&writer, "ada", body.clone()), scope);
    assert_lacks(Surface::Native, &create(&writer, &body), scope);
    put(&writer, "ada", json!({"email": "ada@example.com"})).is(201);
    create(&writer, &json!({"email": "ada@example.com", "external_id": "ada"})).is(200);
}
