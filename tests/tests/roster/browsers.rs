//! What browsers are told about answers, and whose pages may read them.

use roster_tests::client::Surface;
use roster_tests::{Answer, App, Database, on_both_databases};

use crate::routes::{ROUTES, Target};

on_both_databases! {
    every_answer_carries_the_security_headers,
}

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
