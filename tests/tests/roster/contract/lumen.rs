//! The Lumen surface, where the documentation of the vendor is silent.

use roster_tests::client::Surface;
use roster_tests::{App, Database, Response, on_both_databases};
use serde_json::{Value, json};

use crate::routes::assert_error;

on_both_databases! {
    null_clears_a_field_and_a_missing_field_is_kept,
    an_e_mail_address_cannot_be_cleared,
    a_used_user_id_is_409_with_the_text_of_the_contract,
    the_dangerous_flag_works_on_create_and_on_update,
    a_customer_may_change_the_case_of_its_own_address,
    invalid_data_is_400_with_a_detail_for_each_field,
    fields_of_other_services_are_ignored,
    a_malformed_id_is_400,
    the_list_has_every_live_customer,
}

fn null_clears_a_field_and_a_missing_field_is_kept(database: Database) {
    let app = App::start(database);
    let lumen = app.lumen();
    let fields =
        ["name", "userId", "billingAddressLine1", "billingAddressLine2", "billingCity", "billingPostalCode", "taxId"];
    let mut body = json!({"email": "ada@example.com", "billingCountry": "us"});
    for field in fields {
        body[field] = json!(format!("a {field}"));
    }
    let created = lumen.post("/customers", body).expect(201);
    assert_eq!(created.text_at("/customer/billingCountry"), "US");
    let mut expected = created.json()["customer"].clone();
    for field in fields.into_iter().chain(["billingCountry"]) {
        let response = lumen.post(&path(&created), json!({field: null})).expect(200);
        expected[field] = Value::Null;
        expected["updatedAt"] = response.json()["customer"]["updatedAt"].clone();
        assert_eq!(response.json()["customer"], expected, "{field}");
    }
}

fn an_e_mail_address_cannot_be_cleared(database: Database) {
    let app = App::start(database);
    let created = app.lumen().post("/customers", json!({"email": "ada@example.com"})).expect(201);
    assert_error(Surface::Lumen, &app.lumen().post(&path(&created), json!({"email": null})), 400);
    assert_eq!(app.lumen().get(&path(&created)).body, created.body);
}

fn a_used_user_id_is_409_with_the_text_of_the_contract(database: Database) {
    let app = App::start(database);
    let lumen = app.lumen();
    lumen.post("/customers", json!({"email": "ada@example.com", "userId": "u"})).is(201);
    let response = lumen.post("/customers", json!({"email": "eda@example.com", "userId": "u"})).expect(409);
    assert_eq!(response.text(), r#"{"error":"A customer with this userId already exists"}"#);
    let other = lumen.post("/customers", json!({"email": "eda@example.com", "userId": "v"})).expect(201);
    let response = lumen.post(&path(&other), json!({"userId": "u"})).expect(409);
    assert_eq!(response.text(), r#"{"error":"A customer with this userId already exists"}"#);
}

fn the_dangerous_flag_works_on_create_and_on_update(database: Database) {
    let app = App::start(database);
    let lumen = app.lumen();
    let flagged = json!({"email": "ada@example.com", "dangerouslyAllowSameEmailForDifferentCustomers": true});
    let unflagged = json!({"email": "ada@example.com", "dangerouslyAllowSameEmailForDifferentCustomers": false});
    lumen.post("/customers", flagged.clone()).is(201);
    lumen.post("/customers", unflagged.clone()).is(409);
    lumen.post("/customers", flagged.clone()).is(201);
    let other = lumen.post("/customers", json!({"email": "eda@example.com"})).expect(201);
    lumen.post(&path(&other), unflagged).is(409);
    lumen.post(&path(&other), flagged).is(200);
}

fn a_customer_may_change_the_case_of_its_own_address(database: Database) {
    let app = App::start(database);
    let created = app.lumen().post("/customers", json!({"email": "ada@example.com"})).expect(201);
    let response = app.lumen().post(&path(&created), json!({"email": "Ada@Example.COM"})).expect(200);
    assert_eq!(response.text_at("/customer/email"), "Ada@Example.COM");
}

fn invalid_data_is_400_with_a_detail_for_each_field(database: Database) {
    let app = App::start(database);
    let faulty = json!({
        "email": "nobody", "name": 1, "userId": "con_1", "billingAddressLine1": "x".repeat(257),
        "billingPostalCode": "1".repeat(33), "billingCountry": "Atlantis", "taxId": "t".repeat(65),
    });
    let created = app.lumen().post("/customers", json!({"email": "ada@example.com"})).expect(201);
    for response in [app.lumen().post("/customers", faulty.clone()), app.lumen().post(&path(&created), faulty.clone())]
    {
        assert_error(Surface::Lumen, &response, 400);
        let details = response.json()["details"].as_array().cloned().unwrap_or_default();
        let mut named: Vec<_> = details.iter().map(|detail| detail["field"].as_str().unwrap_or_default()).collect();
        named.sort_unstable();
        let mut expected: Vec<_> = faulty.as_object().expect("an object").keys().map(String::as_str).collect();
        expected.sort_unstable();
        assert_eq!(named, expected, "{response:?}");
        let has_message = |detail: &Value| detail["message"].as_str().is_some_and(|message| !message.is_empty());
        assert!(details.iter().all(has_message), "{response:?}");
    }
}

fn fields_of_other_services_are_ignored(database: Database) {
    let app = App::start(database);
    let body = json!({"email": "ada@example.com", "priceId": "x", "nested": {"a": [1]}, "metadata": 7});
    let created = app.lumen().post("/customers", body).expect(201);
    app.lumen().post(&path(&created), json!({"trialDays": 14})).is(200);
}

fn a_malformed_id_is_400(database: Database) {
    let app = App::start(database);
    let created = app.lumen().post("/customers", json!({"email": "ada@example.com"})).expect(201);
    let id = created.text_at("/customer/id");
    let suffix = id.strip_prefix("cust_").expect("an id");
    for id in [
        "x".to_owned(),
        "cust_stable_123".to_owned(),
        suffix.to_owned(),
        format!("cus_{suffix}"),
        format!("cust_{}", suffix.to_uppercase()),
        format!("cust_{suffix}0"),
        "cust_%C3%A9".to_owned(),
    ] {
        let path = format!("/customers/{id}");
        assert_error(Surface::Lumen, &app.lumen().get(&path), 400);
        assert_error(Surface::Lumen, &app.lumen().post(&path, json!({"name": "x"})), 400);
        assert_error(Surface::Lumen, &app.lumen().delete(&path), 400);
    }
}

fn the_list_has_every_live_customer(database: Database) {
    let app = App::start(database);
    let mut emails: Vec<_> = (0..120).map(|number| format!("c{number:03}@example.com")).collect();
    for email in &emails {
        app.lumen().post("/customers", json!({"email": email})).is(201);
    }
    let listed = app.lumen().get("/customers").expect(200).json();
    let customers = listed["customers"].as_array().expect("a list");
    let deleted = customers[7].clone();
    app.lumen().delete(&format!("/customers/{}", deleted["id"].as_str().expect("an id"))).is(200);
    emails.retain(|email| deleted["email"] != email.as_str());
    let listed = app.lumen().get("/customers").expect(200).json();
    let customers = listed["customers"].as_array().expect("a list");
    let mut seen: Vec<_> = customers.iter().map(|customer| customer["email"].as_str().expect("an e-mail")).collect();
    seen.sort_unstable();
    assert_eq!(seen, emails);
}

fn path(created: &Response) -> String {
    format!("/customers/{}", created.text_at("/customer/id"))
}
