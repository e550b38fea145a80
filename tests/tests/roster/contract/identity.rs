//! One customer has an id on each surface, and e-mail addresses and external ids identify it.

use std::collections::BTreeSet;

use roster_tests::client::{Surface, encode};
use roster_tests::{App, Database, on_both_databases};
use serde_json::json;

use crate::routes::Target;

on_both_databases! {
    one_customer_is_shown_and_changed_on_all_three_surfaces,
    an_encoded_external_id_works_in_every_path,
    external_ids_differ_by_every_character,
    addresses_with_the_same_golden_key_are_the_same,
}

fn one_customer_is_shown_and_changed_on_all_three_surfaces(database: Database) {
    let app = App::start(database);
    let created = app
        .lumen()
        .post(
            "/customers",
            json!({
                "email": "ada@example.com", "name": "Ada Lovelace", "userId": "ada", "billingAddressLine1": "1 Street",
                "billingCity": "London", "billingCountry": "GB", "taxId": "1",
            }),
        )
        .expect(201)
        .json()["customer"]
        .clone();
    let suffix = created["id"].as_str().and_then(|id| id.strip_prefix("cust_")).expect("an id").to_owned();
    let target = Target { suffix, lava_prefix: "con_live_", external_id: "ada".to_owned() };
    let path = |surface| format!("/customers/{}", target.id(surface));

    let native = app.native().get(&path(Surface::Native)).expect(200).json();
    assert_eq!(native["email"], "ada@example.com");
    assert_eq!(native["external_id"], "ada");
    assert_eq!(native["billing_address"]["line1"], "1 Street");
    assert_eq!(native["tax_id"], "1");
    assert_eq!(native["created_at"], created["createdAt"]);
    assert_eq!(
        native["org_id"].as_str().map(|id| id.replace("org_", "merchant_")).as_deref(),
        created["merchantId"].as_str()
    );

    let lava = app.lava().patch(&path(Surface::Lava), json!({"phone": "+442071234567", "metadata": {"a": 1}}));
    let lava = lava.expect(200).json();
    assert_eq!(lava["customer_id"], target.id(Surface::Lava));
    assert_eq!(lava["reference_id"], "ada");
    assert_eq!(lava["contact"]["first_name"], "Ada");
    assert_eq!(lava["created_at"], created["createdAt"]);

    let native = app.native().patch(&path(Surface::Native), json!({"name": "Ada King"})).expect(200).json();
    assert_eq!((&native["phone"], &native["metadata"]), (&json!("+442071234567"), &json!({"a": 1})));
    assert_eq!(native["billing_address"]["city"], "London");

    let lumen = app.lumen().get(&path(Surface::Lumen)).expect(200).json()["customer"].clone();
    assert_eq!((&lumen["name"], &lumen["updatedAt"]), (&json!("Ada King"), &native["updated_at"]));

    app.lava().delete("/customers/ada").is(200);
    app.native().get(&path(Surface::Native)).is(404);
    app.lumen().get(&path(Surface::Lumen)).is(404);
}

fn an_encoded_external_id_works_in_every_path(database: Database) {
    let app = App::start(database);
    for external_id in [
        "gid://app/Customer/1234",
        "100%",
        "%2F",
        "a:b",
        "кириллица",
        "日本語/😀",
        "with space",
        "plus+plus",
        "?query=1#fragment",
        "..",
        "a&b=c;d",
        "\"quoted\"\\",
        "external",
        "subscription",
    ] {
        let encoded = encode(external_id);
        let created = app.lava().post("/customers", json!({"reference_id": external_id})).expect(201);
        let by_native = app.native().get(&format!("/customers/external/{encoded}")).expect(200);
        assert_eq!(by_native.text_at("/external_id"), external_id);
        assert_eq!(app.lava().get(&format!("/customers/{encoded}")).expect(200).body, created.body);
        app.lava().get(&format!("/customers/{encoded}/subscription")).is(200);
        app.lava().patch(&format!("/customers/{encoded}"), json!({"name": "x"})).is(200);
        app.lava().delete(&format!("/customers/{encoded}")).is(200);
    }
}

fn external_ids_differ_by_every_character(database: Database) {
    let app = App::start(database);
    let ids = ["a", "A", "a ", " a", "\u{e9}", "e\u{301}", "ı", "i"];
    for external_id in ids {
        app.lava().post("/customers", json!({"reference_id": external_id})).is(201);
    }
    for external_id in ids {
        let response = app.lava().get(&format!("/customers/{}", encode(external_id))).expect(200);
        assert_eq!(response.text_at("/reference_id"), external_id);
    }
}

fn addresses_with_the_same_golden_key_are_the_same(database: Database) {
    let app = App::start(database);
    let vectors = include_str!("../../../../crates/domain/golden/email_keys.tsv");
    let mut keys = BTreeSet::new();
    for line in vectors.lines().filter(|line| !line.starts_with('#')) {
        let (address, key) = line.split_once('\t').expect("a tab in every line");
        let response = app.lumen().post("/customers", json!({"email": address}));
        assert_eq!(response.status, if keys.insert(key) { 201 } else { 409 }, "{address}: {response:?}");
        if response.status == 201 {
            assert_eq!(response.text_at("/customer/email"), address);
        }
    }
    assert!(keys.len() > 10, "the file has too few lines");
}
