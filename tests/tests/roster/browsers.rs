//! The security headers of responses, and the origins whose pages may read them (CORS).

use roster_tests::client::Surface;
use roster_tests::{App, Database, Response, on_both_databases};
use serde_json::json;

use crate::routes::{ROUTES, Target, assert_error};

on_both_databases! {
    every_response_has_the_security_headers,
    without_configured_origins_no_response_has_cors_headers,
    only_pages_of_configured_origins_may_read_responses,
    the_api_page_loads_nothing_from_elsewhere,
    the_api_page_can_be_switched_off,
}

const ORIGIN: &str = "https://app.example:8443";

fn every_response_has_the_security_headers(database: Database) {
    let app = App::start(database);
    let target = Target::create(&app.native(), "con_live_", "browsers");
    // Among them are successes, a streamed list, responses without a body, and deleted customers.
    for route in ROUTES.iter() {
        assert_security_headers(&route.call(&route.caller(&app), &target));
        assert_security_headers(&route.call(&route.caller(&app).without_key(), &target));
    }
    for surface in Surface::ALL {
        let caller = app.surface(surface);
        for (method, path, status) in
            [("GET", "/nothing", 404), ("OPTIONS", "/customers", 405), ("GET", "/openapi.json", 200)]
        {
            let response = caller.request(method, path).send().expect(status);
            assert_security_headers(&response);
        }
        let too_large = caller.post("/customers", " ".repeat(70_000)).expect(413);
        assert_security_headers(&too_large);
        assert_security_headers(&caller.post("/customers", "{").expect(400));
    }
    for (path, status) in [("/livez", 200), ("/readyz", 200), ("/", 404)] {
        assert_security_headers(&app.root().get(path).expect(status));
    }
}

fn without_configured_origins_no_response_has_cors_headers(database: Database) {
    let app = App::start(database);
    for surface in Surface::ALL {
        let caller = app.surface(surface);
        let preflight = caller.request("OPTIONS", "/customers").header("access-control-request-method", "POST");
        for (request, status) in [(caller.request("GET", "/customers"), 200), (preflight, 405)] {
            let response = request.header("origin", ORIGIN).send().expect(status);
            assert_eq!(cors_headers(&response), [""; 0], "{response:?}");
            assert_eq!(response.header("vary"), None, "{response:?}");
        }
    }
}

fn only_pages_of_configured_origins_may_read_responses(database: Database) {
    let origins = [("ROSTER__HTTP__CORS_ORIGINS", "http://localhost:3000, https://app.example:8443")];
    let app = App::start_with(database, &origins);
    for surface in Surface::ALL {
        let caller = app.surface(surface);
        let without_key = caller.without_key();
        let preflight = |origin: &str| {
            let request = without_key.request("OPTIONS", "/customers").header("origin", origin);
            let request = request.header("access-control-request-method", "POST");
            request.header("access-control-request-headers", "authorization,content-type").send()
        };
        let email = format!("{surface:?}@example.com");
        let create = |origin: &str| {
            caller.request("POST", "/customers").header("origin", origin).json(json!({ "email": email })).send()
        };
        let allowed = preflight(ORIGIN).expect(200);
        assert_eq!(allowed.header("access-control-allow-origin"), Some(ORIGIN));
        assert!(allowed.header("access-control-allow-methods").is_some_and(|methods| methods.contains("PATCH")));
        assert_eq!(allowed.header("access-control-allow-headers"), Some("authorization,content-type"));
        assert_security_headers(&allowed);
        let created = create(ORIGIN).expect(201);
        assert_eq!(created.header("access-control-allow-origin"), Some(ORIGIN));
        let exposed = created.header("access-control-expose-headers").unwrap_or_default().to_ascii_lowercase();
        let mut exposed: Vec<_> = exposed.split(',').map(str::trim).collect();
        exposed.sort_unstable();
        let named = [
            "etag",
            "idempotent-replayed",
            "link",
            "location",
            "ratelimit",
            "ratelimit-policy",
            "retry-after",
            "roster-position",
            "www-authenticate",
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
            "x-ratelimit-reset",
            "x-request-id",
        ];
        assert_eq!(exposed, named);
        // A page must be able to read errors, too.
        let unauthorized = without_key.request("GET", "/customers").header("origin", ORIGIN).send().expect(401);
        assert_eq!(unauthorized.header("access-control-allow-origin"), Some(ORIGIN));
        // Requests of other origins are served too, but no browser shows the response to the page.
        for other in ["https://app.example", "https://app.example:8443.evil.example", "http://localhost", "null"] {
            assert_eq!(preflight(other).expect(400).header("access-control-allow-origin"), None);
            let response = caller.request("GET", "/customers").header("origin", other).send().expect(200);
            assert_eq!(response.header("access-control-allow-origin"), None);
        }
        for response in [allowed, created, unauthorized] {
            assert_eq!(response.header("access-control-allow-credentials"), None);
            assert!(
                response.header("vary").is_some_and(|vary| vary.to_ascii_lowercase().contains("origin")),
                "{response:?}"
            );
        }
        // Without an origin it is no preflight request, and the path has no method OPTIONS.
        caller.request("OPTIONS", "/customers").send().is(405);
    }
}

fn cors_headers(response: &Response) -> Vec<&str> {
    let names = response.headers.iter().map(|(name, _)| name.as_str());
    names.filter(|name| name.starts_with("access-control-")).collect()
}

fn assert_security_headers(response: &Response) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("referrer-policy", "no-referrer"),
    ] {
        let values: Vec<_> = response.headers.iter().filter(|(of, _)| of == name).map(|(_, value)| value).collect();
        assert_eq!(values, [value], "{name}: {response:?}");
    }
    // Without TLS the service cannot promise HTTPS.
    assert_eq!(response.header("strict-transport-security"), None, "{response:?}");
}

fn the_api_page_loads_nothing_from_elsewhere(database: Database) {
    let app = App::start(database);
    let page = app.root().get("/docs").expect(200);
    let policy = page.header("content-security-policy").expect("a policy").to_owned();
    for rule in ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.split("; ").any(|one| one == rule), "{policy}");
    }
    let page = page.text();
    assert!(!page.contains("//") && !page.contains("<script>"), "{page}");
    let links = page.split('"').filter_map(|text| text.strip_prefix("docs/")).collect::<Vec<_>>();
    assert_eq!(links.len(), 5, "{page}");
    for file in links {
        assert!(!app.root().get(&format!("/docs/{file}")).expect(200).body.is_empty(), "{file}");
    }
    assert_error(Surface::Native, &app.root().get("/docs/swagger-initializer.js"), 404);
}

fn the_api_page_can_be_switched_off(database: Database) {
    let app = App::start_with(database, &[("ROSTER__HTTP__API_PAGE", "false")]);
    for path in ["/docs", "/docs/start.js", "/docs/swagger-ui.css"] {
        assert_error(Surface::Native, &app.root().get(path), 404);
    }
    app.native().get("/openapi.json").is(200);
}
