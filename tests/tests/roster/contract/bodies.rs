//! The bodies and content types that requests may have.

use roster_tests::client::Surface;
use roster_tests::{App, Database, on_both_databases};

use crate::routes::{Route, Target, assert_error};

const MAX_BYTES: usize = 65_536;
const MAX_BATCH_BYTES: usize = 1 << 20;

on_both_databases! {
    a_body_of_more_bytes_than_allowed_is_413,
    a_body_that_is_not_json_is_400,
    json_that_is_not_an_object_is_refused,
    another_content_type_than_json_is_415,
    a_content_type_without_a_body_is_ignored,
    text_that_cannot_be_stored_is_refused_and_never_changed,
}

fn a_body_of_more_bytes_than_allowed_is_413(database: Database) {
    let app = App::start(database);
    let target = Target::create(&app.native(), "con_live_", "target");
    for route in Route::of_customers().filter(|route| route.body.is_some()) {
        let body = route.body.expect("a body");
        let padded = |length: usize| format!("{body}{}", " ".repeat(length - body.len()));
        let caller = route.caller(&app);
        let send = |body: String| caller.request(route.method, &route.path_for(&target)).json(body).send();
        let most = if route.path == "/customers/batch" { MAX_BATCH_BYTES } else { MAX_BYTES };
        assert_error(route.surface, &send(padded(most + 1)), 413);
        assert_error(route.surface, &send(padded(20 * MAX_BYTES)), 413);
        let response = send(padded(most));
        // The creations have the same address. Lumen refuses it with 409, Lava does not.
        assert!((200..300).contains(&response.status) || response.status == 409, "{route:?}: {response:?}");
    }
}

fn a_body_that_is_not_json_is_400(database: Database) {
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
            let response = route.caller(&app).request(route.method, &route.path_for(&target)).json(body).send();
            assert_error(route.surface, &response, 400);
        }
    }
}

fn json_that_is_not_an_object_is_refused(database: Database) {
    let app = App::start(database);
    let target = Target::create(&app.native(), "con_live_", "target");
    for route in Route::of_customers().filter(|route| route.body.is_some()) {
        for body in ["null", "[]", "[{}]", "\"{}\"", "1", "true"] {
            let response = route.caller(&app).request(route.method, &route.path_for(&target)).json(body).send();
            let status = if route.surface == Surface::Native { 422 } else { 400 };
            assert_error(route.surface, &response, status);
        }
    }
}

fn another_content_type_than_json_is_415(database: Database) {
    let app = App::start(database);
    let target = Target::create(&app.native(), "con_live_", "target");
    let send = |route: &Route, content_type: &str| {
        let caller = route.caller(&app);
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
            let response = send(route, content_type);
            assert!((200..300).contains(&response.status), "{content_type}: {response:?}");
        }
    }
}

fn a_content_type_without_a_body_is_ignored(database: Database) {
    let app = App::start(database);
    for (number, route) in Route::of_customers().filter(|route| route.body.is_none()).enumerate() {
        let target = Target::create(&app.native(), "con_live_", &format!("target-{number}"));
        let content_types = if route.method == "DELETE" {
            ["application/json"].as_slice()
        } else {
            ["application/json", "text/plain", "application/x-www-form-urlencoded", ";;;"].as_slice()
        };
        for content_type in content_types {
            let caller = route.caller(&app);
            let request = caller.request(route.method, &route.path_for(&target));
            request.header("content-type", content_type).send().is(route.status);
        }
    }
}

fn text_that_cannot_be_stored_is_refused_and_never_changed(database: Database) {
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
                let response = app.surface(surface).request(method, path).json(body.as_str()).send();
                assert!((400..500).contains(&response.status), "{method} {path} {body}: {response:?}");
            }
        }
        for twice in
            ["\"name\":\"a\",\"name\":\"a\"", "\"name\":\"a\",\"n\\u0061me\":\"b\"", "\"other\":{\"x\":1,\"x\":1}"]
        {
            let body = format!("{{{email}{twice}}}");
            let response = app.surface(surface).request(method, path).json(body.as_str()).send();
            assert!((400..500).contains(&response.status), "{method} {path} {body}: {response:?}");
        }
    }
    let after = app.native().get(&format!("/customers/{}", target.id(Surface::Native))).expect(200);
    assert_eq!(after.body, before.body);
    assert_eq!(app.native().get("/customers").json()["data"].as_array().map(Vec::len), Some(1));
}
