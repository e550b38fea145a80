//! The bounds of every value: the longest that is accepted and the shortest that is refused.

use roster_tests::client::Surface;
use roster_tests::{App, Database, Response, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    a_text_may_be_as_long_as_its_limit,
    an_external_id_is_not_empty,
    phone_numbers_are_e_164,
    countries_are_accepted_in_any_case_and_shown_in_upper_case,
    languages_time_zones_and_currencies_are_real_ones_in_any_case,
    every_surface_accepts_the_same_e_mail_addresses,
    white_space_around_an_e_mail_address_is_removed,
}

fn a_text_may_be_as_long_as_its_limit(database: Database) {
    let app = App::start(database);
    for (surface, field, max) in [
        (Surface::Native, "name", 256),
        (Surface::Native, "external_id", 256),
        (Surface::Native, "tax_id", 64),
        (Surface::Native, "business_name", 256),
        (Surface::Native, "billing_address.line1", 256),
        (Surface::Native, "billing_address.line2", 256),
        (Surface::Native, "billing_address.city", 256),
        (Surface::Native, "billing_address.state", 256),
        (Surface::Native, "billing_address.postal_code", 32),
        (Surface::Lumen, "name", 256),
        (Surface::Lumen, "userId", 256),
        (Surface::Lumen, "externalCustomerId", 256),
        (Surface::Lumen, "taxId", 64),
        (Surface::Lumen, "businessName", 256),
        (Surface::Lumen, "billingStateProvince", 256),
        (Surface::Lumen, "billingAddressLine1", 256),
        (Surface::Lumen, "billingAddressLine2", 256),
        (Surface::Lumen, "billingCity", 256),
        (Surface::Lumen, "billingPostalCode", 32),
        (Surface::Lava, "name", 255),
        (Surface::Lava, "reference_id", 255),
    ] {
        // The limit counts characters, not bytes.
        for unit in ["x", "é", "😀"] {
            let longest = create(&app, surface, field, &json!(unit.repeat(max)));
            assert_eq!(longest.status, 201, "{field}: {longest:?}");
            delete(&app, surface, &longest);
            assert_refused(&create(&app, surface, field, &json!(unit.repeat(max + 1))), surface, field);
        }
    }
}

fn an_external_id_is_not_empty(database: Database) {
    let app = App::start(database);
    for (surface, field) in
        [(Surface::Native, "external_id"), (Surface::Lumen, "userId"), (Surface::Lava, "reference_id")]
    {
        assert_refused(&create(&app, surface, field, &json!("")), surface, field);
    }
}

fn phone_numbers_are_e_164(database: Database) {
    let app = App::start(database);
    for (surface, field) in [(Surface::Native, "phone"), (Surface::Lumen, "phoneNumber"), (Surface::Lava, "phone")] {
        for phone in ["+12", "+14155552671", "+123456789012345"] {
            let created = create(&app, surface, field, &json!(phone)).expect(201);
            delete(&app, surface, &created);
        }
        for phone in [
            "",
            "+",
            "+1",
            "14155552671",
            "+0123456",
            "+1234567890123456",
            "+1 415",
            "+1-415",
            "+１２３",
            "+12\u{200b}",
        ] {
            assert_refused(&create(&app, surface, field, &json!(phone)), surface, phone);
        }
    }
}

fn countries_are_accepted_in_any_case_and_shown_in_upper_case(database: Database) {
    let app = App::start(database);
    for (given, shown) in [
        ("US", "US"),
        ("us", "US"),
        ("dE", "DE"),
        ("gb", "GB"),
        ("xk", ""),
        ("uk", ""),
        ("USA", ""),
        ("", ""),
        ("ZZ", ""),
        ("U", ""),
        ("ＵＳ", ""),
    ] {
        for (surface, field, pointer) in [
            (Surface::Native, "billing_address.country", "/billing_address/country"),
            (Surface::Lumen, "billingCountry", "/customer/billingCountry"),
        ] {
            let response = create(&app, surface, field, &json!(given));
            if shown.is_empty() {
                assert_refused(&response, surface, given);
            } else {
                assert_eq!(response.clone().expect(201).text_at(pointer), shown);
                delete(&app, surface, &response);
            }
        }
    }
}

fn languages_time_zones_and_currencies_are_real_ones_in_any_case(database: Database) {
    let app = App::start(database);
    for (native, lumen, given, shown) in [
        ("locale", "preferredLanguage", "pt-br", "pt-BR"),
        ("locale", "preferredLanguage", "en", "en"),
        ("locale", "preferredLanguage", "en_US", ""),
        ("locale", "preferredLanguage", "english", ""),
        ("timezone", "timezone", "america/los_angeles", "America/Los_Angeles"),
        ("timezone", "timezone", "UTC", "UTC"),
        ("timezone", "timezone", "Europe/Atlantis", ""),
        ("timezone", "timezone", "+02:00", ""),
        ("currency", "preferredCurrency", "eur", "EUR"),
        ("currency", "preferredCurrency", "DEM", ""),
        ("currency", "preferredCurrency", "", ""),
    ] {
        for (surface, field, envelope) in [(Surface::Native, native, ""), (Surface::Lumen, lumen, "/customer")] {
            let response = create(&app, surface, field, &json!(given));
            if shown.is_empty() {
                assert_refused(&response, surface, given);
                assert!(response.text().contains(field), "{response:?}");
            } else {
                assert_eq!(response.clone().expect(201).text_at(&format!("{envelope}/{field}")), shown);
                delete(&app, surface, &response);
            }
        }
    }
}

fn every_surface_accepts_the_same_e_mail_addresses(database: Database) {
    let app = App::start(database);
    let longest =
        format!("{}@{}.example.com", "a".repeat(64), ["b".repeat(59), "c".repeat(59), "d".repeat(57)].join("."));
    assert_eq!(longest.len(), 254);
    let too_long = longest.replace("d.example", "dd.example");
    for surface in Surface::ALL {
        for email in
            [longest.as_str(), "a+b@example.com", "o'brien@example.co.uk", "ada@bücher.example", "用户@例え.jp"]
        {
            let created = create(&app, surface, "email", &json!(email)).expect(201);
            delete(&app, surface, &created);
        }
        for email in [
            too_long.as_str(),
            "ada",
            "ada@",
            "@example.com",
            "ada@localhost",
            "a..b@example.com",
            ".a@example.com",
            "a@b@example.com",
            "a b@example.com",
            "\"ada\"@example.com",
            "ada@[127.0.0.1]",
            "ada@127.0.0.1",
            "ada@example.com.",
            "ada@-example.com",
            "ada@exa_mple.com",
            "a\u{200b}da@example.com",
            "a\u{2800}da@example.com",
            "a\u{fffc}da@example.com",
            "a\u{1ffff}da@example.com",
            "Ada <ada@example.com>",
            "a\u{202e}da@example.com",
        ] {
            assert_refused(&create(&app, surface, "email", &json!(email)), surface, email);
        }
    }
}

fn white_space_around_an_e_mail_address_is_removed(database: Database) {
    let app = App::start(database);
    for surface in Surface::ALL {
        let created = create(&app, surface, "email", &json!("  Ada@Example.com  ")).expect(201);
        let pointer = match surface {
            Surface::Native => "/email",
            Surface::Lumen => "/customer/email",
            Surface::Lava => "/contact/email",
        };
        assert_eq!(created.text_at(pointer), "Ada@Example.com");
        delete(&app, surface, &created);
    }
}

/// Sends a request to create a customer with `field`. `billing_address.city` is the member `city` of `billing_address`.
fn create(app: &App, surface: Surface, field: &str, value: &Value) -> Response {
    let mut body = json!({"email": "limits@example.com"});
    match field.split_once('.') {
        Some((outer, inner)) => body[outer] = json!({inner: value}),
        None => body[field] = value.clone(),
    }
    app.surface(surface).post("/customers", body)
}

fn assert_refused(response: &Response, surface: Surface, what: &str) {
    let status = if surface == Surface::Native { 422 } else { 400 };
    assert_eq!(response.status, status, "{what}: {response:?}");
}

/// Deletes the created customer, so that the next one may have its address.
fn delete(app: &App, surface: Surface, created: &Response) {
    let id = match surface {
        Surface::Native => created.text_at("/id"),
        Surface::Lumen => created.text_at("/customer/id"),
        Surface::Lava => created.text_at("/customer_id"),
    };
    let response = app.surface(surface).delete(&format!("/customers/{id}"));
    assert!(response.status < 300, "{response:?}");
}
