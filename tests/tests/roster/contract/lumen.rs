//! The Lumen surface, where the documentation of the vendor is silent.

use roster_tests::client::{Surface, encode};
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
    the_fields_of_the_later_documentation_are_kept_and_cleared,
    tax_exemption_is_a_yes_or_no_and_may_be_the_reverse_charge,
    the_list_has_the_customers_that_its_parameters_name,
    a_parameter_of_the_list_that_is_unknown_invalid_or_contradictory_is_400,
    both_names_of_the_external_id_are_read_and_shown,
    both_prefixes_of_an_id_are_read,
    a_customer_may_be_created_without_an_address_if_that_is_allowed,
    the_subscription_status_is_that_of_the_customer_with_the_external_id,
    calls_of_the_vendors_clients_that_are_not_served_are_404_in_its_format,
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
        expected["externalCustomerId"] = expected["userId"].clone();
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
        "phoneNumber": "555", "billingStateProvince": 1, "businessName": "b".repeat(257), "taxExempt": "yes",
        "preferredLanguage": "xx", "timezone": "Atlantis", "preferredCurrency": "ABC", "metadata": [],
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
    let body = json!({"email": "ada@example.com", "priceId": "x", "nested": {"a": [1]}, "pspCustomerId": 7});
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
        format!("cus{suffix}"),
        format!("cust_{}", suffix.to_uppercase()),
        format!("cus_{}", suffix.to_uppercase()),
        format!("cust_cus_{suffix}"),
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

fn the_fields_of_the_later_documentation_are_kept_and_cleared(database: Database) {
    let app = App::start(database);
    let lumen = app.lumen();
    let fields = json!({
        "phoneNumber": "+14155552671", "billingStateProvince": "CA", "businessName": "Doe Inc", "taxExempt": true,
        "preferredLanguage": "en", "timezone": "America/Los_Angeles", "preferredCurrency": "USD",
        "metadata": {"internalUserId": "12345", "n": [1.50]},
    });
    let mut body = fields.clone();
    body["email"] = json!("jane@example.com");
    let created = lumen.post("/customers", body).expect(201);
    let (of_lumen, of_native) = (path(&created), path(&created).replace("cust_", "cus_"));
    let mut expected = created.json()["customer"].clone();
    for (field, value) in fields.as_object().expect("an object") {
        assert_eq!(expected[field], *value, "{field}");
    }
    let native = app.native().get(&of_native).expect(200).json();
    for (field, value) in [
        ("phone", "+14155552671"),
        ("business_name", "Doe Inc"),
        ("tax_exempt", "exempt"),
        ("locale", "en"),
        ("timezone", "America/Los_Angeles"),
        ("currency", "USD"),
    ] {
        assert_eq!(native[field], value, "{field}");
    }
    assert_eq!((&native["billing_address"]["state"], &native["metadata"]), (&json!("CA"), &fields["metadata"]));
    // Metadata is replaced as a whole.
    expected["metadata"] = json!({"a": null});
    let changed = lumen.post(&of_lumen, json!({"metadata": {"a": null}})).expect(200).json()["customer"].clone();
    assert_eq!(changed["metadata"], expected["metadata"]);
    for field in fields.as_object().expect("an object").keys() {
        let response = lumen.post(&of_lumen, json!({field: null})).expect(200);
        expected[field] = if field == "metadata" { json!({}) } else { Value::Null };
        expected["updatedAt"] = response.json()["customer"]["updatedAt"].clone();
        assert_eq!(response.json()["customer"], expected, "{field}");
    }
    let listed = lumen.get("/customers").expect(200).json();
    assert_eq!(listed, json!({"customers": [expected]}));
}

fn tax_exemption_is_a_yes_or_no_and_may_be_the_reverse_charge(database: Database) {
    let app = App::start(database);
    let created = app.lumen().post("/customers", json!({"email": "ada@example.com"})).expect(201);
    assert_eq!(created.json()["customer"]["taxExempt"], Value::Null);
    let native = path(&created).replace("cust_", "cus_");
    for (given, shown, stored) in [
        (json!(true), json!(true), json!("exempt")),
        (json!(false), json!(false), json!("none")),
        (json!("reverse"), json!(true), json!("reverse")),
        (json!("none"), json!(false), json!("none")),
        (json!("exempt"), json!(true), json!("exempt")),
        (Value::Null, Value::Null, Value::Null),
    ] {
        let changed = app.lumen().post(&path(&created), json!({"taxExempt": given})).expect(200).json();
        assert_eq!(changed["customer"]["taxExempt"], shown, "{given}");
        assert_eq!(app.native().get(&native).expect(200).json()["tax_exempt"], stored, "{given}");
    }
    for given in [json!("yes"), json!(1), json!([])] {
        assert_error(Surface::Lumen, &app.lumen().post(&path(&created), json!({"taxExempt": given})), 400);
    }
}

fn the_list_has_the_customers_that_its_parameters_name(database: Database) {
    let app = App::start(database);
    let shared = |email: &str, id: &str| {
        let body = json!({"email": email, "userId": id, "dangerouslyAllowSameEmailForDifferentCustomers": true});
        app.lumen().post("/customers", body).expect(201).json()["customer"].clone()
    };
    let ada = shared("ada@example.com", "a/b:c%20ü");
    let also_ada = shared("ADA@Example.com", "con+1");
    let eda = shared("eda+1@example.com", "eda");
    let gone = shared("ada@example.com", "gone");
    app.lumen().delete(&format!("/customers/{}", gone["id"].as_str().expect("an id"))).is(200);
    let theirs = app.lumen().with_key(&app.tenants().theirs.live);
    theirs.post("/customers", json!({"email": "ada@example.com", "userId": "theirs"})).is(201);
    for (query, expected) in [
        ("", vec![&eda, &also_ada, &ada]),
        ("includePaymentData=true&isExtCustId=true", vec![&eda, &also_ada, &ada]),
        ("email=ada@example.com", vec![&also_ada, &ada]),
        ("email=%20Ada%40EXAMPLE.com", vec![&also_ada, &ada]),
        ("email=eda%2B1@example.com", vec![&eda]),
        ("userId=con%2B1", vec![&also_ada]),
        ("externalCustomerId=a%2Fb:c%2520%C3%BC", vec![&ada]),
        ("externalCustomerId=eda&userId=eda&email=eda%2B1@example.com", vec![&eda]),
        ("externalCustomerId=eda&email=ada@example.com", vec![]),
        ("userId=theirs", vec![]),
        ("userId=gone", vec![]),
        ("email=none@example.com", vec![]),
    ] {
        let listed = app.lumen().under("/api/v1").get(&format!("/customers?{query}")).expect(200).json();
        assert_eq!(listed, json!({"customers": expected}), "{query}");
    }
}

fn a_parameter_of_the_list_that_is_unknown_invalid_or_contradictory_is_400(database: Database) {
    let app = App::start(database);
    app.lumen().post("/customers", json!({"email": "ada@example.com", "userId": "ada"})).is(201);
    for (query, named) in [
        ("limit=1", "limit"),
        ("name=Ada", "name"),
        ("Email=ada@example.com", "Email"),
        ("email=ada@example.com&email=eda@example.com", "email"),
        ("userId=ada&externalCustomerId=eda", "externalCustomerId"),
        ("userId=", "userId"),
        ("externalCustomerId=con_live_1", "externalCustomerId"),
        ("email=", "email"),
        ("email=ada", "email"),
    ] {
        let response = app.lumen().get(&format!("/customers?{query}"));
        assert_error(Surface::Lumen, &response, 400);
        assert_eq!(response.text_at("/error"), "Invalid query parameters", "{query}");
        assert_eq!(response.text_at("/details/0/field"), named, "{query}");
    }
}

fn both_names_of_the_external_id_are_read_and_shown(database: Database) {
    let app = App::start(database);
    let lumen = app.lumen();
    let shown = |response: &Response| {
        let customer = &response.json()["customer"];
        (customer["userId"].clone(), customer["externalCustomerId"].clone())
    };
    let body = json!({"email": "ada@example.com", "externalCustomerId": "ada"});
    let created = lumen.post("/customers", body).expect(201);
    assert_eq!(shown(&created), (json!("ada"), json!("ada")));
    for (body, id) in [
        (json!({"userId": "a"}), json!("a")),
        (json!({"externalCustomerId": "b"}), json!("b")),
        (json!({"userId": "c", "externalCustomerId": "c"}), json!("c")),
        (json!({"name": "Ada"}), json!("c")),
        (json!({"externalCustomerId": null}), Value::Null),
    ] {
        assert_eq!(shown(&lumen.post(&path(&created), body).expect(200)), (id.clone(), id));
    }
    let before = lumen.get(&path(&created)).body;
    for body in [json!({"userId": "d", "externalCustomerId": "e"}), json!({"userId": null, "externalCustomerId": "e"})]
    {
        let refused = lumen.post(&path(&created), body.clone());
        assert_error(Surface::Lumen, &refused, 400);
        assert_eq!(refused.text_at("/details/0/field"), "externalCustomerId", "{body}");
        assert_eq!(lumen.get(&path(&created)).body, before, "{body}");
    }
    let taken = json!({"email": "eda@example.com", "externalCustomerId": "b"});
    lumen.post("/customers", taken.clone()).is(201);
    let refused = lumen.post(&path(&created), json!({"externalCustomerId": "b"})).expect(409);
    assert_eq!(refused.text(), r#"{"error":"A customer with this userId already exists"}"#);
}

fn both_prefixes_of_an_id_are_read(database: Database) {
    let app = App::start(database);
    let created = app.lumen().post("/customers", json!({"email": "ada@example.com"})).expect(201);
    let other = path(&created).replace("cust_", "cus_");
    assert_eq!(app.lumen().get(&other).expect(200).body, created.body);
    assert_eq!(app.lumen().post(&other, json!({"name": "Ada"})).expect(200).text_at("/customer/name"), "Ada");
    app.lumen().delete(&other).is(200);
    app.lumen().get(&path(&created)).is(404);
    app.lumen().get(&other).is(404);
}

fn a_customer_may_be_created_without_an_address_if_that_is_allowed(database: Database) {
    let app = App::start(database);
    let lumen = app.lumen();
    let allowed = |email: Value| json!({"email": email, "dangerouslyAllowCustomerWithoutEmail": true});
    let created = lumen.post("/customers", json!({"dangerouslyAllowCustomerWithoutEmail": true})).expect(201);
    assert_eq!(created.json()["customer"]["email"], Value::Null);
    lumen.post("/customers", allowed(Value::Null)).is(201);
    let with_one = lumen.post("/customers", allowed(json!("ada@example.com"))).expect(201);
    assert_eq!(with_one.text_at("/customer/email"), "ada@example.com");
    // The flag makes no address valid, and clears none.
    for body in [allowed(json!("ada")), allowed(json!("")), json!({"dangerouslyAllowCustomerWithoutEmail": false})] {
        assert_error(Surface::Lumen, &lumen.post("/customers", body), 400);
    }
    assert_error(Surface::Lumen, &lumen.post(&path(&with_one), allowed(Value::Null)), 400);
    assert_eq!(lumen.get("/customers").expect(200).json()["customers"].as_array().map(Vec::len), Some(3));
}

fn the_subscription_status_is_that_of_the_customer_with_the_external_id(database: Database) {
    let app = App::start(database);
    let id = "a/b:c%20ü";
    let body = json!({"email": "ada@example.com", "externalCustomerId": id});
    let created = app.lumen().post("/customers", body).expect(201).json()["customer"].clone();
    let status = |query: &str| app.lumen().get(&format!("/customers/subscription-status?{query}"));
    let (by_new_name, by_old_name) = (format!("externalCustomerId={}", encode(id)), format!("userId={}", encode(id)));
    let none = json!({"customer": created, "hasActiveSubscription": false, "subscription": null});
    for query in [&by_new_name, &by_old_name, &format!("{by_new_name}&{by_old_name}&isExtCustId=true")] {
        assert_eq!(status(query).expect(200).json(), none, "{query}");
    }
    let native = created["id"].as_str().expect("an id").replace("cust_", "cus_");
    let report = |report: Value| app.native().put(&format!("/customers/{native}/subscriptions/sub_1"), report);
    report(json!({"status": "active", "plan_id": "pro", "name": "Pro"})).is(201);
    let subscription = json!({"id": "sub_1", "planId": "pro", "planName": "Pro", "status": "active"});
    let active = json!({"customer": created, "hasActiveSubscription": true, "subscription": subscription});
    assert_eq!(status(&by_new_name).expect(200).json(), active);
    report(json!({"status": "cancelled"})).is(200);
    assert_eq!(status(&by_new_name).expect(200).json(), none);
    let response = status("externalCustomerId=b").expect(404);
    assert_eq!(response.text(), r#"{"error":"Customer not found or access denied"}"#);
    for query in [
        "",
        "userId=",
        "userId=con_live_1",
        "includePaymentData=true",
        "externalCustomerId=a&userId=b",
        "userId=a&userId=b",
        "id=a",
    ] {
        assert_error(Surface::Lumen, &status(query), 400);
    }
}

fn calls_of_the_vendors_clients_that_are_not_served_are_404_in_its_format(database: Database) {
    let app = App::start(database);
    let lumen = app.lumen().under("/api/v1");
    for path in [
        "/customers/portal/overview?externalCustomerId=ada",
        "/entitlements/usage/ada",
        "/seats/usage/ada",
        "/events",
        "/subscriptions/create-free-subscription",
        "/enrollment/enroll",
    ] {
        assert_error(Surface::Lumen, &lumen.get(path), 404);
        assert_error(Surface::Lumen, &lumen.post(path, json!({"userId": "ada"})), 404);
    }
}

fn path(created: &Response) -> String {
    format!("/customers/{}", created.text_at("/customer/id"))
}
