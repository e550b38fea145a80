//! The Lava surface, where the documentation of the vendor is silent.

use roster_tests::client::Surface;
use roster_tests::{App, Database, Response, on_both_databases};
use serde_json::{Value, json};

use crate::routes::assert_error;

on_both_databases! {
    every_field_is_optional,
    a_repeated_reference_returns_the_unchanged_customer,
    e_mail_addresses_need_not_be_unique,
    an_address_of_lumen_is_free_on_lava_but_not_vice_versa,
    a_path_takes_an_id_or_a_reference,
    the_digits_of_an_id_are_accepted_in_any_case,
    an_id_of_the_other_environment_or_a_malformed_id_is_404,
    the_reserved_prefix_is_refused,
    a_change_keeps_missing_fields_and_replaces_metadata,
    a_change_to_a_used_reference_is_409,
    the_first_word_of_a_name_is_the_first_name,
    fields_of_other_services_are_ignored,
    a_list_is_filtered_exactly_by_reference_and_by_address,
    filters_have_pages_and_are_combined,
    a_parameter_that_is_unknown_invalid_or_contradictory_is_refused,
}

fn every_field_is_optional(database: Database) {
    let app = App::start(database);
    let created = app.lava().post("/customers", "{}").expect(201);
    let customer = created.json();
    assert_eq!(customer["reference_id"], Value::Null);
    assert_eq!(customer["contact"], json!({"phone": null, "email": null, "first_name": null, "last_name": null}));
    assert_eq!(customer["subscription"], Value::Null);
    assert_eq!(customer["metadata"], json!({}));
    assert!(created.text_at("/customer_id").starts_with("con_live_"));
    assert_eq!(app.lava().get(&path(&created)).expect(200).body, created.body);
    assert_eq!(customer.as_object().map(serde_json::Map::len), Some(6), "{created:?}");
}

fn a_repeated_reference_returns_the_unchanged_customer(database: Database) {
    let app = App::start(database);
    let lava = app.lava();
    let created = lava.post("/customers", json!({"reference_id": "r", "name": "Jane Smith"})).expect(201);
    let other =
        json!({"reference_id": "r", "name": "Somebody Else", "email": "else@example.com", "metadata": {"a": 1}});
    assert_eq!(lava.post("/customers", other).expect(200).body, created.body);
    lava.delete("/customers/r").is(200);
    let again = lava.post("/customers", json!({"reference_id": "r"})).expect(201);
    assert_ne!(again.text_at("/customer_id"), created.text_at("/customer_id"));
}

fn e_mail_addresses_need_not_be_unique(database: Database) {
    let app = App::start(database);
    let lava = app.lava();
    lava.post("/customers", json!({"email": "jane@example.com"})).is(201);
    lava.post("/customers", json!({"email": "jane@example.com"})).is(201);
    let other = lava.post("/customers", json!({"email": "june@example.com"})).expect(201);
    lava.patch(&path(&other), json!({"email": "jane@example.com"})).is(200);
}

fn an_address_of_lumen_is_free_on_lava_but_not_vice_versa(database: Database) {
    let app = App::start(database);
    app.lumen().post("/customers", json!({"email": "ada@example.com"})).is(201);
    app.lava().post("/customers", json!({"email": "ada@example.com"})).is(201);
    app.lava().post("/customers", json!({"email": "eda@example.com"})).is(201);
    app.lumen().post("/customers", json!({"email": "eda@example.com"})).is(409);
}

fn a_path_takes_an_id_or_a_reference(database: Database) {
    let app = App::start(database);
    let lava = app.lava();
    let created = lava.post("/customers", json!({"reference_id": "r", "name": "Jane"})).expect(201);
    assert_eq!(lava.get("/customers/r").expect(200).body, created.body);
    assert_eq!(lava.get(&path(&created)).expect(200).body, created.body);
    let by_reference = lava.patch("/customers/r", json!({"name": "June"})).expect(200);
    assert_eq!(by_reference.text_at("/contact/first_name"), "June");
    let by_id = lava.patch(&path(&created), json!({"reference_id": "s"})).expect(200);
    assert_eq!(by_id.text_at("/reference_id"), "s");
    lava.get("/customers/r").is(404);
    assert_eq!(lava.get("/customers/s/subscription").expect(200).text(), r#"{"subscription":null}"#);
    assert_eq!(lava.delete("/customers/s").expect(200).text(), r#"{"success":true}"#);
    assert_error(Surface::Lava, &lava.get(&path(&created)), 404);
    assert_error(Surface::Lava, &lava.delete("/customers/s"), 404);
}

fn the_digits_of_an_id_are_accepted_in_any_case(database: Database) {
    let app = App::start(database);
    let created = app.lava().post("/customers", "{}").expect(201);
    let id = created.text_at("/customer_id");
    let digits = id.strip_prefix("con_live_").expect("a live id");
    assert_eq!(digits, digits.to_uppercase());
    let mixed: String =
        digits.chars().enumerate().map(|(place, c)| if place % 2 == 0 { c.to_ascii_lowercase() } else { c }).collect();
    for digits in [digits.to_owned(), digits.to_lowercase(), mixed] {
        assert_eq!(app.lava().get(&format!("/customers/con_live_{digits}")).expect(200).body, created.body);
    }
}

fn an_id_of_the_other_environment_or_a_malformed_id_is_404(database: Database) {
    let app = App::start(database);
    let created = app.lava().post("/customers", json!({"reference_id": "r"})).expect(201);
    let id = created.text_at("/customer_id");
    let digits = id.strip_prefix("con_live_").expect("a live id");
    for id in [
        format!("con_test_{digits}"),
        format!("con_{digits}"),
        digits.to_owned(),
        "con_live_".to_owned(),
        "con_live_1".to_owned(),
        format!("con_live_{digits}0"),
        format!("cus_{}", digits.to_lowercase()),
        "R".to_owned(),
    ] {
        assert_error(Surface::Lava, &app.lava().get(&format!("/customers/{id}")), 404);
    }
}

fn the_reserved_prefix_is_refused(database: Database) {
    let app = App::start(database);
    let created = app.lava().post("/customers", "{}").expect(201);
    assert_error(Surface::Lava, &app.lava().post("/customers", json!({"reference_id": "con_x"})), 400);
    assert_error(Surface::Lava, &app.lava().patch(&path(&created), json!({"reference_id": "con_x"})), 400);
}

fn a_change_keeps_missing_fields_and_replaces_metadata(database: Database) {
    let app = App::start(database);
    let lava = app.lava();
    let created = lava
        .post(
            "/customers",
            json!({
                "reference_id": "r", "name": "Jane Smith", "email": "jane@example.com", "phone": "+14155552671",
                "metadata": {"a": 1, "b": {"c": 2}},
            }),
        )
        .expect(201);
    let path = path(&created);
    let kept = lava.patch(&path, json!({"metadata": {"b": {"d": 3}}})).expect(200).json();
    assert_eq!(kept["metadata"], json!({"b": {"d": 3}}));
    assert_eq!(kept["contact"], created.json()["contact"]);
    let cleared = lava
        .patch(
            &path,
            json!({
                "reference_id": null, "name": null, "email": null, "phone": null, "metadata": null,
            }),
        )
        .expect(200)
        .json();
    assert_eq!(cleared["reference_id"], Value::Null);
    assert_eq!(cleared["contact"], json!({"phone": null, "email": null, "first_name": null, "last_name": null}));
    assert_eq!(cleared["metadata"], json!({}));
}

fn a_change_to_a_used_reference_is_409(database: Database) {
    let app = App::start(database);
    app.lava().post("/customers", json!({"reference_id": "r"})).is(201);
    let other = app.lava().post("/customers", json!({"reference_id": "s"})).expect(201);
    assert_error(Surface::Lava, &app.lava().patch(&path(&other), json!({"reference_id": "r"})), 409);
    app.lava().get("/customers/s").is(200);
}

fn the_first_word_of_a_name_is_the_first_name(database: Database) {
    let app = App::start(database);
    for (name, first, last) in [
        ("Jane Smith", json!("Jane"), json!("Smith")),
        ("Jane", json!("Jane"), Value::Null),
        ("Jane van der Berg", json!("Jane"), json!("van der Berg")),
        ("李 小龍", json!("李"), json!("小龍")),
    ] {
        let contact = app.lava().post("/customers", json!({"name": name})).expect(201).json()["contact"].clone();
        assert_eq!((&contact["first_name"], &contact["last_name"]), (&first, &last), "{name}");
    }
}

fn fields_of_other_services_are_ignored(database: Database) {
    let app = App::start(database);
    let created = app.lava().post("/customers", json!({"checkout": {"a": [1]}, "tax_id": 7})).expect(201);
    app.lava().patch(&path(&created), json!({"balance": "7"})).is(200);
}

fn a_list_is_filtered_exactly_by_reference_and_by_address(database: Database) {
    let app = App::start(database);
    let create = |body: Value| app.lava().post("/customers", body).expect(201).json();
    let jane = create(json!({"reference_id": "a/b:c%20ü", "email": "Jane@example.com", "name": "Jane"}));
    let other = create(json!({"reference_id": "a/b:c%20", "email": "jane@EXAMPLE.com"}));
    create(json!({"email": "jane@example.org"}));
    let gone = app.lava().post("/customers", json!({"reference_id": "gone", "email": "jane@example.com"})).expect(201);
    app.lava().delete(&path(&gone)).is(200);
    app.native()
        .with_key(&app.tenants().ours.sandbox)
        .post("/customers", json!({"email": "jane@example.com", "external_id": "there"}))
        .is(201);
    for (query, found) in [
        ("reference_id=a/b:c%2520%C3%BC", json!([jane])),
        ("reference_id=a/b:c%2520", json!([other])),
        ("reference_id=A/b:c%2520", json!([])),
        ("reference_id=gone", json!([])),
        ("reference_id=there", json!([])),
        ("email=JANE@example.com", json!([other, jane])),
        ("email=%20jane@example.com%20", json!([other, jane])),
        ("email=jan@example.com", json!([])),
    ] {
        let page = app.lava().get(&format!("/customers?{query}")).expect(200).json();
        assert_eq!(page, json!({"data": found, "has_more": false}), "{query}");
    }
}

fn filters_have_pages_and_are_combined(database: Database) {
    let app = App::start(database);
    // Native has the address exclusively, Lava shares it.
    app.native().post("/customers", json!({"email": "jane@example.com", "external_id": "0"})).is(201);
    for reference in ["1", "2", "3", "4"] {
        app.lava().post("/customers", json!({"reference_id": reference, "email": "jane@example.com"})).is(201);
    }
    let page = |query: &str| app.lava().get(&format!("/customers?{query}")).expect(200);
    let references = |page: &Response| -> Vec<String> {
        let data = page.json()["data"].as_array().cloned().expect("a list");
        data.iter().map(|customer| customer["reference_id"].as_str().expect("a text").to_owned()).collect()
    };
    let first = page("email=jane@example.com&limit=2");
    assert_eq!(references(&first), ["4", "3"]);
    let second = page(&format!("limit=2&cursor={}&email=jane@example.com", first.text_at("/next_cursor")));
    assert_eq!(references(&second), ["2", "1"]);
    let cursor = second.text_at("/next_cursor");
    let third = page(&format!("email=jane@example.com&limit=2&cursor={cursor}"));
    assert_eq!(references(&third), ["0"]);
    assert_eq!(third.json()["has_more"], false);
    assert_eq!(third.json().get("next_cursor"), None);
    for (query, found) in [
        ("reference_id=2&email=jane@example.com".to_owned(), vec!["2"]),
        ("reference_id=2&email=june@example.com".to_owned(), vec![]),
    ] {
        assert_eq!(references(&page(&query)), found, "{query}");
    }
    // The cursor is of the list with the address.
    for query in ["", "email=june@example.com&", "reference_id=2&"] {
        app.lava().get(&format!("/customers?{query}cursor={cursor}")).is(400);
    }
}

fn a_parameter_that_is_unknown_invalid_or_contradictory_is_refused(database: Database) {
    let app = App::start(database);
    for (query, name) in [
        ("emial=jane@example.com", "emial"),
        ("name=Jane", "name"),
        ("email=jane@example.com&email=june@example.com", "email"),
        ("reference_id=a&reference_id=b", "reference_id"),
        ("email=jane", "email"),
        ("email=", "email"),
        ("reference_id=", "reference_id"),
        ("reference_id=con_live_0", "reference_id"),
        ("reference_id=a%00", "reference_id"),
        ("email=jane%00@example.com", "email"),
    ] {
        let response = app.lava().get(&format!("/customers?{query}"));
        assert_error(Surface::Lava, &response, 400);
        assert!(response.text_at("/error").starts_with(&format!("{name} ")), "{query}: {response:?}");
    }
}

fn path(created: &Response) -> String {
    format!("/customers/{}", created.text_at("/customer_id"))
}
