//! What browsers are told about answers, and whose pages may read them.

use roster_tests::client::Surface;
use roster_tests::{Answer, App, Database, on_both_databases};
use serde_json::json;

use crate::routes::{ROUTES, Target};

on_both_databases! {
    every_answer_carries_the_security_headers,
    without_configured_origins_no_answer_has_a_word_about_them,
    pages_of_configured_origins_and_no_others_may_read_answers,
}

const ORIGIN: &str = "https://app.example:8443";

fn every_answer_carries_the_security_headers(database: Database) {
    let app = App::start(database);
    let target = Target::create(&app.native(), "con_live_", "browsers");
    // Successes, a streamed list, answers without a body, and customers that are gone.
    for route in ROUTES {
        assert_guarded(&route.call(&app.surface(route.surface), &target));
        assert_guarded(&route.call(&app.surface(route.surface).without_key(), &target));
    }
    for surface in Surface::ALL {
        let caller = app.surface(surface);
        for (method, path, status) in
            [("GET", "/nothing", 404), ("OPTIONS", "/customers", 405), ("GET", "/openapi.json", 200)]
        {
            let answer = caller.request(method, path).send().expect(status);
            assert_guarded(&answer);
        }
        let too_large = caller.post("/customers", " ".repeat(70_000)).expect(413);
        assert_guarded(&too_large);
        assert_guarded(&caller.post("/customers", "{").expect(400));
    }
    for (path, status) in [("/livez", 200), ("/readyz", 200), ("/", 404)] {
        assert_guarded(&app.root().get(path).expect(status));
    }
}

fn without_configured_origins_no_answer_has_a_word_about_them(database: Database) {
    let app = App::start(database);
    for surface in Surface::ALL {
        let caller = app.surface(surface);
        let preflight = caller.request("OPTIONS", "/customers").header("access-control-request-method", "POST");
        for (request, status) in [(caller.request("GET", "/customers"), 200), (preflight, 405)] {
            let answer = request.header("origin", ORIGIN).send().expect(status);
            assert_eq!(about_origins(&answer), [""; 0], "{answer:?}");
            assert_eq!(answer.header("vary"), None, "{answer:?}");
        }
    }
}

fn pages_of_configured_origins_and_no_others_may_read_answers(database: Database) {
    let origins = [("ROSTER__HTTP__CORS_ORIGINS", "http://localhost:3000, https://app.example:8443")];
    let app = App::start_with(database, &origins);
    for surface in Surface::ALL {
        let caller = app.surface(surface);
        let anybody = caller.without_key();
        let ask = |origin: &str| {
            let request = anybody.request("OPTIONS", "/customers").header("origin", origin);
            let request = request.header("access-control-request-method", "POST");
            request.header("access-control-request-headers", "authorization,content-type").send()
        };
        let email = format!("{surface:?}@example.com");
        let create = |origin: &str| {
            caller.request("POST", "/customers").header("origin", origin).json(json!({ "email": email })).send()
        };
        let allowed = ask(ORIGIN).expect(200);
        assert_eq!(allowed.header("access-control-allow-origin"), Some(ORIGIN));
        assert!(allowed.header("access-control-allow-methods").is_some_and(|methods| methods.contains("PATCH")));
        assert_eq!(allowed.header("access-control-allow-headers"), Some("authorization,content-type"));
        assert_guarded(&allowed);
        let created = create(ORIGIN).expect(201);
        assert_eq!(created.header("access-control-allow-origin"), Some(ORIGIN));
        let exposed = created.header("access-control-expose-headers").unwrap_or_default().to_ascii_lowercase();
        let mut exposed: Vec<_> = exposed.split(',').map(str::trim).collect();
        exposed.sort_unstable();
        let named = ["location", "ratelimit", "ratelimit-policy", "retry-after", "www-authenticate", "x-request-id"];
        assert_eq!(exposed, named);
        // A page must be able to read what it did wrong, too.
        let unauthorized = anybody.request("GET", "/customers").header("origin", ORIGIN).send().expect(401);
        assert_eq!(unauthorized.header("access-control-allow-origin"), Some(ORIGIN));
        // Whoever is not named is served as ever, and no browser shows the answer to the page.
        for stranger in ["https://app.example", "https://app.example:8443.evil.example", "http://localhost", "null"] {
            assert_eq!(ask(stranger).expect(400).header("access-control-allow-origin"), None);
            let answer = caller.request("GET", "/customers").header("origin", stranger).send().expect(200);
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
        for answer in [allowed, created, unauthorized] {
            assert_eq!(answer.header("access-control-allow-credentials"), None);
            assert!(
                answer.header("vary").is_some_and(|vary| vary.to_ascii_lowercase().contains("origin")),
                "{answer:?}"
            );
        }
        // No page asks here: the method is simply not one of this path.
        caller.request("OPTIONS", "/customers").send().is(405);
    }
}

fn about_origins(answer: &Answer) -> Vec<&str> {
    let names = answer.headers.iter().map(|(name, _)| name.as_str());
    names.filter(|name| name.starts_with("access-control-")).collect()
}

fn assert_guarded(answer: &Answer) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("referrer-policy", "no-referrer"),
    ] {
        let values: Vec<_> = answer.headers.iter().filter(|(of, _)| of == name).map(|(_, value)| value).collect();
        assert_eq!(values, [value], "{name}: {answer:?}");
    }
    // A promise that only a TLS of our own could keep.
    assert_eq!(answer.header("strict-transport-security"), None, "{answer:?}");
}
