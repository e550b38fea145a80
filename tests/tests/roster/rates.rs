//! The limits on the requests of a key and of a merchant per second.

use roster_tests::app::create_key;
use roster_tests::client::{Caller, Surface};
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::{App, Database, Response, on_both_databases};
use serde_json::json;

use crate::routes::assert_error;
use crate::tokens::now;

on_both_databases! {
    a_key_over_its_limit_is_429_in_the_format_of_the_surface,
    all_keys_of_a_merchant_share_its_limit,
    a_request_over_the_limit_is_not_saved_under_its_idempotency_key,
    only_the_native_surface_shows_the_remaining_requests,
}

/// Sends requests until one is refused. There are so many that some are faster than the limit allows, also on a busy
/// machine.
fn until_refused(caller: &Caller) -> Response {
    (0..500).map(|_| caller.get("/customers")).find(|response| response.status != 200).expect("a limit")
}

fn assert_refused(surface: Surface, response: &Response, limit: &str) {
    assert_error(surface, response, 429);
    assert_eq!(response.header("retry-after"), Some("1"), "{response:?}");
    assert!(response.text().contains(limit), "{response:?}");
    let headers = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"].map(|name| response.header(name));
    if surface == Surface::Native {
        let seconds = headers[2].and_then(|reset| reset.parse::<u64>().ok()).expect("Unix seconds");
        assert!((headers[0], headers[1]) == (Some("2"), Some("0")) && seconds.abs_diff(now()) < 60, "{response:?}");
    } else {
        assert_eq!(headers, [None; 3], "{response:?}");
    }
}

fn a_key_over_its_limit_is_429_in_the_format_of_the_surface(database: Database) {
    let app = App::start_with(database, &[("ROSTER__LIMITS__LIVE_KEY_PER_SECOND", "2")]);
    for surface in Surface::ALL {
        let key = create_key(app.database().url(), &app.tenants().ours.id, "live", &[]).key;
        let refused = until_refused(&app.surface(surface).with_key(&key));
        assert_refused(surface, &refused, "key");
        // Another key, another environment and another merchant have limits of their own.
        let other = create_key(app.database().url(), &app.tenants().ours.id, "live", &[]).key;
        for key in [&other, &app.tenants().ours.sandbox, &app.tenants().theirs.sandbox] {
            app.surface(surface).with_key(key).get("/customers").is(200);
        }
    }
    // Requests without a credential have no limit.
    for _ in 0..20 {
        app.root().get("/livez").is(200);
        app.native().without_key().get("/customers").is(401);
    }
}

fn all_keys_of_a_merchant_share_its_limit(database: Database) {
    let settings = [("ROSTER__LIMITS__SANDBOX_MERCHANT_PER_SECOND", "2")];
    let app = App::start_with(database, &settings);
    let keys: Vec<_> =
        (0..3).map(|_| create_key(app.database().url(), &app.tenants().ours.id, "sandbox", &[]).key).collect();
    let calls = keys.iter().cycle().take(500);
    let refused = calls.map(|key| app.native().with_key(key).get("/customers")).find(|response| response.status != 200);
    assert_refused(Surface::Native, &refused.expect("a limit"), "merchant");
    app.native().with_key(&app.tenants().theirs.sandbox).get("/customers").is(200);
    app.native().get("/customers").is(200);
}

fn a_request_over_the_limit_is_not_saved_under_its_idempotency_key(database: Database) {
    let app = App::start_with(database, &[("ROSTER__LIMITS__LIVE_KEY_PER_SECOND", "2")]);
    let native = app.native();
    let create = |key: &String| {
        let body = json!({"email": format!("{key}@example.com")});
        native.request("POST", "/customers").header("idempotency-key", key).json(body).send()
    };
    let mut keys = (0..500).map(|index| format!("key-{index}"));
    let refused = keys.find(|key| create(key).status == 429).expect("a limit");
    let made =
        until("a request within the limit", TIMEOUT, || Some(create(&refused)).filter(|made| made.status != 429));
    assert_eq!((made.status, made.header("idempotent-replayed")), (201, None), "{made:?}");
}

fn only_the_native_surface_shows_the_remaining_requests(database: Database) {
    let app = App::start(database);
    for surface in Surface::ALL {
        for (path, status) in [("/customers", 200), ("/customers/cus_x", 404), ("/customers/cust_x", 404)] {
            let response = app.surface(surface).get(path);
            if surface == Surface::Native {
                assert_eq!(response.status, status);
                let policy = r#""key";q=5000;w=1, "merchant";q=10000;w=1"#;
                assert_eq!(response.header("ratelimit-policy"), Some(policy));
                let remaining = response.header("ratelimit").expect("a header").to_owned();
                let (key, merchant) = (r#""key";r=49"#, r#";t=1, "merchant";r=99"#);
                assert!(remaining.starts_with(key) && remaining.contains(merchant), "{remaining}");
            } else {
                assert_eq!((response.header("ratelimit"), response.header("ratelimit-policy")), (None, None));
            }
        }
    }
    let refused = app.native().without_key().get("/customers");
    assert_eq!((refused.status, refused.header("ratelimit")), (401, None));
}
