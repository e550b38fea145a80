//! What a request may carry, and what it must be declared as.

use roster_tests::client::Surface;
use roster_tests::{App, Database, on_both_databases};

use crate::routes::{Route, Target, assert_error};

const MAX_BYTES: usize = 65_536;

on_both_databases! {
    a_body_of_64_kibibytes_is_taken_and_one_byte_more_is_413,
    what_is_no_json_is_400,
    json_that_is_no_object_is_refused,
    a_body_is_json_or_nothing,
    a_content_type_without_a_body_is_harmless,
    text_that_cannot_be_kept_is_refused_and_never_altered,
}

fn a_body_of_64_kibibytes_is_taken_and_one_byte_more_is_413(database: Database) {
    let app = App::start(database);
    let target = Target::create(&app.native(), "con_live_", "target");
    for route in Route::of_customers().filter(|route| route.body.is_some()) {
        let body = route.body.expect("a body");
        let padded = |length: usize| format!("{body}{}", " ".repeat(length - body.len()));
        let caller = app.surface(route.surface);
        let send = |body: String| caller.request(route.method, &route.path_for(&target)).json(body).send();
        assert_error(route.surface, &send(padded(MAX_BYTES + 1)), 413);
        assert_error(route.surface, &send(padded(20 * MAX_BYTES)), 413);
        let answer = send(padded(MAX_BYTES));
        // Both creations share an address, which Lumen refuses and Lava does not.
        assert!((200..300).contains(&answer.status) || answer.status == 409, "{route:?}: {answer:?}");
    }
}

fn what_is_no_json_is_400(database: Database) {
    let app = App::start(database);
    let target = Target::create(&app.native(), "con_live_", "target");
    for route in Route::of_customers().filter(|route| route.body.is_some()) {
        for body in [
            "",
            " ",
            "{",
            "nul",
            "{\"email\":}",
            "{'email':1}",
            "{\"email\":\"a@example.com\",}",
            "{} {}",
            "\u{feff}{}",
        ] {
            let answer = app.surface(route.surface).request(route.method, &route.path_for(&target)).json(body).send();
            assert_error(route.surface, &answer, 400);
        }
    }
}

fn json_that_is_no_object_is_refused(database: Database) {
    let app = App::start(database);
    let target = Target::create(&app.native(), "con_live_", "target");
    for route in Route::of_customers().filter(|route| route.body.is_some()) {
        for body in ["null", "[]", "[{}]", "\"{}\"", "1", "true"] {
            let answer = app.surface(route.surface).request(route.method, &route.path_for(&target)).json(body).send();
            let status = if route.surface == Surface::Native { 422 } else { 400 };
            assert_error(route.surface, &answer, status);
        }
    }
}

fn a_body_is_json_or_nothing(database: Database) {
    let app = App::start(database);
    let target = Target::create(&app.native(), "con_live_", "target");
    let send = |route: &Route, content_type: &str| {
        let caller = app.surface(route.surface);
        let request = caller.request(route.method, &route.path_for(&target)).header("content-type", content_type);
        request.json(route.body.expect("a body")).send()
    };
    for route in Route::of_customers().filter(|route| route.body.is_some() && route.names().next().is_some()) {
        for content_type in
            ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application", "json"]
        {
            assert_error(route.surface, &send(route, content_type), 415);
        }
        for content_type in ["application/json", "application/json; charset=utf-8", "Application/JSON"] {
            let answer = send(route, content_type);
            assert!((200..300).contains(&answer.status), "{content_type}: {answer:?}");
        }
    }
}

fn a_content_type_without_a_body_is_harmless(database: Database) {
    let app = App::start(database);
    for (number, route) in Route::of_customers().filter(|route| route.body.is_none()).enumerate() {
        let target = Target::create(&app.native(), "con_live_", &format!("target-{number}"));
        let content_types = if route.method == "DELETE" {
            ["application/json"].as_slice()
        } else {
            ["application/json", "text/plain", "application/x-www-form-urlencoded", ";;;"].as_slice()
        };
        for content_type in content_types {
            let caller = app.surface(route.surface);
            let request = caller.request(route.method, &route.path_for(&target));
            request.header("content-type", content_type).send().is(route.status);
        }
    }
}

fn text_that_cannot_be_kept_is_refused_and_never_altered(database: Database) {
    let app = App::start(database);
    let target = Target::create(&app.native(), "con_live_", "target");
    let before = app.native().get(&format!("/customers/{}", target.id(Surface::Native))).expect(200);
    let broken = ["a\\u0000b", "\\ud800", "x\\udc00", "\\ud800\\ud800", "a\\u0001b", "a\\nb", "a\\u007fb", "a\\u0085b"];
    for (surface, method, path, fields) in [
        (Surface::Native, "POST", String::new(), ["email", "name", "external_id", "tax_id", "phone"].as_slice()),
        (Surface::Native, "PATCH", target.id(Surface::Native), &["email", "name", "external_id", "tax_id", "phone"]),
        (Surface::Lumen, "POST", String::new(), &["email", "name", "userId", "billingCity", "taxId"]),
        (Surface::Lumen, "POST", target.id(Surface::Lumen), &["email", "name", "userId", "billingCity", "taxId"]),
        (Surface::Lava, "POST", String::new(), &["email", "name", "reference_id", "phone"]),
        (Surface::Lava, "PATCH", target.id(Surface::Lava), &["email", "name", "reference_id", "phone"]),
    ] {
        let path = format!("/customers/{path}");
        let path = path.trim_end_matches('/');
        let email = if method == "POST" { "\"email\":\"new@example.com\"," } else { "" };
        for field in fields {
            let email = if *field == "email" { "" } else { email };
            for text in broken {
                let body = format!("{{{email}\"{field}\":\"{text}\"}}");
                let answer = app.surface(surface).request(method, path).json(body.as_str()).send();
                assert!((400..500).contains(&answer.status), "{method} {path} {body}: {answer:?}");
            }
        }
        for twice in
            ["\"name\":\"a\",\"name\":\"a\"", "\"name\":\"a\",\"n\\u0061me\":\"b\"", "\"other\":{\"x\":1,\"x\":1}"]
        {
            let body = format!("{{{email}{twice}}}");
            let answer = app.surface(surface).request(method, path).json(body.as_str()).send();
            assert!((400..500).contains(&answer.status), "{method} {path} {body}: {answer:?}");
        }
    }
    let after = app.native().get(&format!("/customers/{}", target.id(Surface::Native))).expect(200);
    assert_eq!(after.body, before.body);
    assert_eq!(app.native().get("/customers").json()["data"].as_array().map(Vec::len), Some(1));
}
