//! Limits on how many requests a key and a merchant may make.

use roster_tests::app::create_key;
use roster_tests::client::{Caller, Surface};
use roster_tests::{Answer, App, Database, on_both_databases};

use crate::routes::assert_error;

on_both_databases! {
    a_key_that_calls_too_often_is_told_so_in_the_format_of_the_surface,
    all_keys_of_a_merchant_share_its_limit,
    what_is_left_is_shown_on_native_and_nowhere_else,
}

/// Calls until it is refused. Of more than a hundred limits' worth of requests some come faster than the limit allows.
fn until_refused(caller: &Caller) -> Answer {
    (0..500).map(|_| caller.get("/customers")).find(|answer| answer.status != 200).expect("a limit")
}

fn assert_refused(surface: Surface, answer: &Answer, limit: &str) {
    assert_error(surface, answer, 429);
    assert_eq!(answer.header("retry-after"), Some("1"), "{answer:?}");
    assert!(answer.text().contains(limit), "{answer:?}");
}

fn a_key_that_calls_too_often_is_told_so_in_the_format_of_the_surface(database: Database) {
    let app = App::start_with(database, &[("ROSTER__LIMITS__LIVE_KEY_PER_SECOND", "2")]);
    for surface in Surface::ALL {
        let key = create_key(app.database().url(), &app.tenants().ours.id, "live", &[]).key;
        let refused = until_refused(&app.surface(surface).with_key(&key));
        assert_refused(surface, &refused, "key");
        // Others have nothing to do with it: another key, another environment, another merchant.
        let other = create_key(app.database().url(), &app.tenants().ours.id, "live", &[]).key;
        for key in [&other, &app.tenants().ours.sandbox, &app.tenants().theirs.sandbox] {
            app.surface(surface).with_key(key).get("/customers").is(200);
        }
    }
    // Nor does what needs no credential.
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
    let refused = calls.map(|key| app.native().with_key(key).get("/customers")).find(|answer| answer.status != 200);
    assert_refused(Surface::Native, &refused.expect("a limit"), "merchant");
    app.native().with_key(&app.tenants().theirs.sandbox).get("/customers").is(200);
    app.native().get("/customers").is(200);
}

fn what_is_left_is_shown_on_native_and_nowhere_else(database: Database) {
    let app = App::start(database);
    for surface in Surface::ALL {
        for (path, status) in [("/customers", 200), ("/customers/cus_x", 404), ("/customers/cust_x", 404)] {
            let answer = app.surface(surface).get(path);
            if surface == Surface::Native {
                assert_eq!(answer.status, status);
                let policy = r#""key";q=5000;w=1, "merchant";q=10000;w=1"#;
                assert_eq!(answer.header("ratelimit-policy"), Some(policy));
                let left = answer.header("ratelimit").expect("a header").to_owned();
                assert!(left.starts_with(r#""key";r=49"#) && left.contains(r#";t=1, "merchant";r=99"#), "{left}");
            } else {
                assert_eq!((answer.header("ratelimit"), answer.header("ratelimit-policy")), (None, None));
            }
        }
    }
    let refused = app.native().without_key().get("/customers");
    assert_eq!((refused.status, refused.header("ratelimit")), (401, None));
}
