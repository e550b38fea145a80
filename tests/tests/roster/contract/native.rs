//! The native surface: creates, shows, changes and deletes customers, and reports errors.

use std::collections::BTreeSet;

use roster_tests::client::Surface;
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::{App, Database, Response, on_both_databases};
use serde_json::{Value, json};

use crate::routes::assert_error;

on_both_databases! {
    a_new_customer_is_found_by_its_id_and_its_external_id,
    a_missing_value_is_null,
    every_wrong_field_is_named,
    an_e_mail_address_is_required_and_cannot_be_cleared,
    an_unknown_field_of_a_change_is_named,
    a_used_e_mail_address_is_409_with_the_id_of_its_customer,
    a_shared_address_is_used_for_a_customer_that_does_not_share,
    a_used_external_id_is_409_with_the_id_of_its_customer,
    a_change_is_a_merge_patch,
    a_merge_patch_may_have_its_own_content_type,
    a_change_updates_only_updated_at,
    a_deleted_customer_is_404_and_its_identifiers_are_free,
    a_malformed_id_is_404,
    a_message_repeats_what_was_given_at_its_place_and_nothing_else,
    the_type_of_a_problem_is_the_path_of_its_page,
}

const DETAILS: [&str; 5] = ["business_name", "tax_exempt", "locale", "timezone", "currency"];

fn a_new_customer_is_found_by_its_id_and_its_external_id(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let sent = json!({
        "email": " Ada@Example.com ",
        "name": "Ada Lovelace",
        "external_id": "ada",
        "phone": "+442071234567",
        "billing_address": {
            "line1": "12 St James's Square", "line2": "Flat 1", "city": "London", "state": "Greater London",
            "postal_code": "SW1Y 4JH", "country": "gb",
        },
        "tax_id": "GB 123 4567 89",
        "business_name": "Analytical Engines",
        "tax_exempt": "reverse",
        "locale": "en-GB",
        "timezone": "Europe/London",
        "currency": "GBP",
        "metadata": {"tier": "premium"},
    });
    let created = native.post("/customers", sent.clone()).expect(201);
    let shown = created.json();
    for field in ["name", "external_id", "phone", "tax_id", "metadata"].into_iter().chain(DETAILS) {
        assert_eq!(shown[field], sent[field], "{field}");
    }
    assert_eq!(shown["email"], "Ada@Example.com");
    let mut address = sent["billing_address"].clone();
    address["country"] = json!("GB");
    assert_eq!(shown["billing_address"], address);
    assert_eq!(shown["environment"], "live");
    assert_eq!(shown["created_at"], shown["updated_at"]);

    assert_eq!(native.get(&path(&created)).expect(200).body, created.body);
    assert_eq!(native.get("/customers/external/ada").expect(200).body, created.body);
}

fn a_missing_value_is_null(database: Database) {
    let app = App::start(database);
    let created = app.native().post("/customers", json!({"email": "ada@example.com", "name": null})).expect(201);
    let customer = created.json();
    for field in ["name", "external_id", "phone", "billing_address", "tax_id"].into_iter().chain(DETAILS) {
        assert_eq!(customer.get(field), Some(&Value::Null), "{field}");
    }
    assert_eq!(customer["metadata"], json!({}));
    let part = app.native().post("/customers", json!({"email": "b@example.com", "billing_address": {"city": "Bonn"}}));
    assert_eq!(
        part.expect(201).json()["billing_address"],
        json!({
            "line1": null, "line2": null, "city": "Bonn", "state": null, "postal_code": null, "country": null,
        })
    );
}

fn every_wrong_field_is_named(database: Database) {
    let app = App::start(database);
    let response = app.native().post(
        "/customers",
        json!({
            "email": "nobody",
            "name": "n".repeat(257),
            "external_id": "con_1",
            "phone": "555-1234",
            "billing_address": {"country": "XX", "postal_code": "1".repeat(33), "line1": 1, "zip": "1"},
            "tax_id": "t".repeat(65),
            "business_name": "b".repeat(257),
            "tax_exempt": true,
            "locale": "xx",
            "timezone": "Atlantis",
            "currency": "ABC",
            "metadata": [],
            "allow_duplicate_email": "yes",
            "plan": "pro",
            "a/b~c": 1,
        }),
    );
    assert_errors(
        &response,
        &[
            "/email",
            "/name",
            "/external_id",
            "/phone",
            "/billing_address/country",
            "/billing_address/postal_code",
            "/billing_address/line1",
            "/billing_address/zip",
            "/tax_id",
            "/business_name",
            "/tax_exempt",
            "/locale",
            "/timezone",
            "/currency",
            "/metadata",
            "/allow_duplicate_email",
            "/plan",
            "/a~1b~0c",
        ],
    );
}

fn an_e_mail_address_is_required_and_cannot_be_cleared(database: Database) {
    let app = App::start(database);
    let native = app.native();
    for body in [json!({}), json!({"email": null}), json!({"email": ""}), json!({"email": "  "})] {
        assert_errors(&native.post("/customers", body), &["/email"]);
    }
    let created = native.post("/customers", json!({"email": "ada@example.com"})).expect(201);
    assert_errors(&native.patch(&path(&created), json!({"email": null})), &["/email"]);
    assert_eq!(native.get(&path(&created)).body, created.body);
}

fn an_unknown_field_of_a_change_is_named(database: Database) {
    let app = App::start(database);
    let created = app.native().post("/customers", json!({"email": "ada@example.com"})).expect(201);
    let response = app.native().patch(&path(&created), json!({"id": "x", "plan": 1, "billing_address": {"zip": 1}}));
    assert_errors(&response, &["/id", "/plan", "/billing_address/zip"]);
}

fn a_used_e_mail_address_is_409_with_the_id_of_its_customer(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let first = native.post("/customers", json!({"email": "ada@example.com"})).expect(201);
    assert_taken(&native.post("/customers", json!({"email": "ADA@EXAMPLE.com"})), "email_taken", &first);

    let second = native.post("/customers", json!({"email": "eda@example.com"})).expect(201);
    let response = native.patch(&path(&second), json!({"email": "ada@example.com"}));
    assert_taken(&response, "email_taken", &first);
    assert_eq!(native.get(&path(&second)).body, second.body);

    let allowed = json!({"email": "ada@example.com", "allow_duplicate_email": true});
    native.post("/customers", allowed.clone()).is(201);
    native.patch(&path(&second), allowed).is(200);
}

fn a_shared_address_is_used_for_a_customer_that_does_not_share(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let shared = native.post("/customers", json!({"email": "ada@example.com", "allow_duplicate_email": true}));
    assert_taken(&native.post("/customers", json!({"email": "ada@example.com"})), "email_taken", &shared);
}

fn a_used_external_id_is_409_with_the_id_of_its_customer(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let first = native.post("/customers", json!({"email": "ada@example.com", "external_id": "x"})).expect(201);
    let again = json!({"email": "eda@example.com", "external_id": "x", "allow_duplicate_email": true});
    assert_taken(&native.post("/customers", again), "external_id_taken", &first);
    let second = native.post("/customers", json!({"email": "eda@example.com", "external_id": "y"})).expect(201);
    assert_taken(&native.patch(&path(&second), json!({"external_id": "x"})), "external_id_taken", &first);
    native.patch(&path(&second), json!({"external_id": "z"})).is(200);
    native.get("/customers/external/y").is(404);
    assert_eq!(native.get("/customers/external/z").expect(200).text_at("/id"), second.text_at("/id"));
}

fn a_change_is_a_merge_patch(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let created = native
        .post(
            "/customers",
            json!({
                "email": "ada@example.com", "name": "Ada", "phone": "+442071234567", "external_id": "ada",
                "billing_address": {"line1": "1 Street", "city": "London"}, "tax_id": "1",
                "metadata": {"keep": 1, "drop": 2, "inner": {"a": 1, "b": 2}},
            }),
        )
        .expect(201);
    let path = path(&created);
    let before = created.json();

    let changed = native
        .merge_patch(
            &path,
            json!({
                "name": null,
                "billing_address": {"line1": null, "country": "gb"},
                "metadata": {"drop": null, "new": [null], "inner": {"b": null, "c": {"d": null}}},
            }),
        )
        .expect(200)
        .json();
    let mut expected = before.clone();
    expected["name"] = Value::Null;
    expected["billing_address"] = json!({
        "line1": null, "line2": null, "city": "London", "state": null, "postal_code": null, "country": "GB",
    });
    expected["metadata"] = json!({"keep": 1, "inner": {"a": 1, "c": {}}, "new": [null]});
    expected["updated_at"] = changed["updated_at"].clone();
    expected["version"] = json!(2);
    assert_eq!(changed, expected);
    assert_eq!(native.get(&path).json(), changed);

    let cleared = native
        .patch(
            &path,
            json!({
                "phone": null, "external_id": null, "billing_address": null, "tax_id": null, "metadata": null,
                "business_name": null, "tax_exempt": null, "locale": null, "timezone": null, "currency": null,
            }),
        )
        .expect(200)
        .json();
    for field in ["phone", "external_id", "billing_address", "tax_id"].into_iter().chain(DETAILS) {
        assert_eq!(cleared[field], Value::Null, "{field}");
    }
    assert_eq!(cleared["metadata"], json!({}));
    assert_eq!(cleared["email"], "ada@example.com");
    native.get("/customers/external/ada").is(404);
}

fn a_merge_patch_may_have_its_own_content_type(database: Database) {
    let app = App::start(database);
    let created = app.native().post("/customers", json!({"email": "ada@example.com"})).expect(201);
    let native = app.native();
    let patch = native.request("PATCH", &path(&created)).json(json!({"name": "Ada"}));
    let response = patch.header("content-type", "application/merge-patch+json").send().expect(200);
    assert_eq!(response.text_at("/name"), "Ada");
}

fn a_change_updates_only_updated_at(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let created = native.post("/customers", json!({"email": "ada@example.com"})).expect(201);
    assert_eq!(native.patch(&path(&created), json!({})).expect(200).body, created.body);
    let changed = until("the clock advances", TIMEOUT, || {
        let before = native.get(&path(&created)).json();
        let name = format!("{}x", before["name"].as_str().unwrap_or_default());
        let changed = native.patch(&path(&created), json!({"name": name})).expect(200);
        (changed.text_at("/updated_at") > created.text_at("/updated_at")).then_some(changed)
    });
    assert_eq!(changed.text_at("/created_at"), created.text_at("/created_at"));
}

fn a_deleted_customer_is_404_and_its_identifiers_are_free(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let body = json!({"email": "ada@example.com", "external_id": "ada"});
    let created = native.post("/customers", body.clone()).expect(201);
    let deleted = native.delete(&path(&created)).expect(204);
    assert_eq!(deleted.text(), "");
    for response in [
        native.delete(&path(&created)),
        native.get(&path(&created)),
        native.patch(&path(&created), json!({"name": "Ada"})),
        native.get("/customers/external/ada"),
        native.get(&format!("{}/subscriptions", path(&created))),
        native.put(&format!("{}/subscriptions/s", path(&created)), json!({"status": "active"})),
    ] {
        assert_error(Surface::Native, &response, 404);
    }
    assert_eq!(native.get("/customers").json()["data"], json!([]));
    let again = native.post("/customers", body).expect(201);
    assert_ne!(again.text_at("/id"), created.text_at("/id"));
}

fn a_malformed_id_is_404(database: Database) {
    let app = App::start(database);
    let created = app.native().post("/customers", json!({"email": "ada@example.com"})).expect(201);
    let id = created.text_at("/id");
    let suffix = id.strip_prefix("cus_").expect("an id");
    for id in [
        "x".to_owned(),
        "cus_".to_owned(),
        suffix.to_owned(),
        format!("cust_{suffix}"),
        format!("cus_{}", suffix.to_uppercase()),
        format!("cus_{suffix}0"),
        format!("cus_{}", "z".repeat(26)),
        "cus_%C3%A9".to_owned(),
    ] {
        assert_error(Surface::Native, &app.native().get(&format!("/customers/{id}")), 404);
    }
}

fn path(created: &Response) -> String {
    format!("/customers/{}", created.text_at("/id"))
}

fn assert_errors(response: &Response, pointers: &[&str]) {
    assert_error(Surface::Native, response, 422);
    let errors = response.json()["errors"].as_array().cloned().unwrap_or_default();
    let text = |error: &Value, member: &str| error[member].as_str().map(str::to_owned).unwrap_or_default();
    let named: BTreeSet<_> = errors.iter().map(|error| text(error, "pointer")).collect();
    assert_eq!(named, pointers.iter().map(|pointer| (*pointer).to_owned()).collect(), "{response:?}");
    for error in &errors {
        assert!(!text(error, "code").is_empty() && !text(error, "detail").is_empty(), "{response:?}");
    }
}

fn assert_taken(response: &Response, code: &str, by: &Response) {
    assert_error(Surface::Native, response, 409);
    assert_eq!(response.text_at("/code"), code, "{response:?}");
    assert_eq!(response.text_at("/customer_id"), by.text_at("/id"), "{response:?}");
}

fn a_message_repeats_what_was_given_at_its_place_and_nothing_else(database: Database) {
    let app = App::start(database);
    let long = "9".repeat(1000);
    let body = json!({ "email": "no address", "phone": long, "billing_address": { "country": "Britain" }, "name": 7 });
    let problem = app.native().post("/customers", body).expect(422).json();
    let details: Vec<_> = problem["errors"].as_array().expect("faults").iter().map(|fault| &fault["detail"]).collect();
    let endings = [
        "; given: \"no address\"".to_owned(),
        "; given: a number".to_owned(),
        format!("; given: \"{}\"… (1000 bytes)", "9".repeat(64)),
        "; given: \"Britain\"".to_owned(),
    ];
    assert_eq!(details.len(), endings.len(), "{problem}");
    for (detail, ending) in details.into_iter().zip(endings) {
        let detail = detail.as_str().expect("a text");
        let given = detail.matches("given: ").count();
        assert!(detail.ends_with(&ending) && given == 1, "{detail} does not end with {ending}");
    }
    let of_query = app.native().get("/customers?limit=many").expect(422).text_at("/errors/0/detail");
    assert_eq!(of_query, "limit must be a number from 1 to 100; given: \"many\"");
}

fn the_type_of_a_problem_is_the_path_of_its_page(database: Database) {
    let app = App::start(database);
    for (path, status, code) in [
        ("/customers/cus_01h2xcejqtf2nbrexx3vqjhp41", 404, "customer_not_found"),
        ("/customers?limit=0", 422, "invalid_request"),
        ("/nothing", 404, "unknown_path"),
    ] {
        let kind = app.native().get(path).expect(status).text_at("/type");
        assert_eq!(kind, format!("/v1/problems/{code}"));
        let page = app.root().get(&kind).expect(200);
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{page:?}");
        assert!(page.text().contains(code) && page.text().contains("What to do"), "{page:?}");
    }
}
