//! Nobody learns of another tenant's customer, and nobody gets in without a key.

use std::time::Duration;

use roster_tests::app::{Tenants, create_key};
use roster_tests::client::Surface;
use roster_tests::deadline::until;
use roster_tests::process::Finished;
use roster_tests::program::roster;
use roster_tests::{Answer, App, Database, Kind, on_both_databases, raw};
use serde_json::json;

use crate::routes::{ROUTES, Route, Target, assert_error};

on_both_databases! {
    a_customer_of_another_tenant_answers_as_one_that_never_existed,
    identifiers_in_use_by_another_tenant_are_free,
    whoever_shows_no_valid_key_gets_401_everywhere,
    the_scheme_is_read_in_any_case,
    a_revoked_key_stops_opening_within_seconds,
    an_expired_key_stops_opening,
}

fn a_customer_of_another_tenant_answers_as_one_that_never_existed(database: Database) {
    let app = App::start(database);
    let tenants = app.tenants().clone();
    let native = app.native();
    let ours = Target::create(&native, "con_live_", "victim");
    native
        .put(&format!("/customers/{}/subscriptions/sub_1", ours.id(Surface::Native)), json!({"status": "active"}))
        .is(201);
    let before = everything(&app, &ours);

    for (stranger, prefix) in [
        (&tenants.theirs.live, "con_live_"),
        (&tenants.theirs.sandbox, "con_test_"),
        (&tenants.ours.sandbox, "con_test_"),
    ] {
        // The prefix of their own environment, and the one under which the customer is known at home.
        for prefix in [prefix, "con_live_"] {
            let victim = Target { lava_prefix: prefix, ..ours.clone() };
            let nobody = never_existed(prefix);
            for route in ROUTES.iter().filter(|route| route.names_a_customer()) {
                let caller = app.surface(route.surface).with_key(stranger);
                let (at_victim, at_nobody) = (route.call(&caller, &victim), route.call(&caller, &nobody));
                assert_eq!(at_victim.status, 404, "{route:?}: {at_victim:?}");
                assert_eq!(comparable(&at_victim), comparable(&at_nobody), "{route:?}");
            }
        }
    }
    assert_eq!(everything(&app, &ours), before);
}

fn identifiers_in_use_by_another_tenant_are_free(database: Database) {
    let app = App::start(database);
    let tenants = app.tenants().clone();
    let body = json!({"email": "ada@example.com", "external_id": "ada", "userId": "u", "reference_id": "r"});
    let vendor_and_native = |surface| match surface {
        Surface::Native => json!({"email": "ada@example.com", "external_id": "ada"}),
        Surface::Lumen | Surface::Lava => body.clone(),
    };
    for surface in Surface::ALL {
        for key in [&tenants.ours.live, &tenants.ours.sandbox, &tenants.theirs.live, &tenants.theirs.sandbox] {
            let caller = app.surface(surface).with_key(key);
            let created = caller.post("/customers", vendor_and_native(surface)).expect(201);
            // One at a time in each tenant, so that the surfaces do not meet each other.
            let id = ["/id", "/customer/id", "/customer_id"]
                .iter()
                .find_map(|pointer| created.json().pointer(pointer).and_then(|id| id.as_str()).map(str::to_owned))
                .expect("an id");
            if surface == Surface::Lumen {
                assert_eq!(caller.get("/customers").json()["customers"].as_array().map(Vec::len), Some(1));
            } else {
                assert_eq!(caller.get("/customers").json()["data"].as_array().map(Vec::len), Some(1));
            }
            for other in [&tenants.ours.live, &tenants.ours.sandbox, &tenants.theirs.live, &tenants.theirs.sandbox] {
                let status = app.surface(surface).with_key(other).get(&format!("/customers/{id}")).status;
                assert_eq!(status == 200, other == key, "{surface:?}: {status}");
            }
        }
        for key in [&tenants.ours.live, &tenants.ours.sandbox, &tenants.theirs.live, &tenants.theirs.sandbox] {
            let native = app.native().with_key(key);
            let id = native.get("/customers").text_at("/data/0/id");
            native.delete(&format!("/customers/{id}")).is(204);
        }
    }
}

fn whoever_shows_no_valid_key_gets_401_everywhere(database: Database) {
    let app = App::start(database);
    let target = Target::create(&app.native(), "con_live_", "victim");
    let before = everything(&app, &target);
    let live = app.tenants().ours.live.clone();
    let mut wrong_checksum = live.clone();
    let last = wrong_checksum.pop().expect("a character");
    wrong_checksum.push(if last == '0' { '1' } else { '0' });
    // Well-formed down to its checksum, but made elsewhere.
    let elsewhere = Database::empty(Kind::Sqlite).expect("a file");
    let unknown = Tenants::create(elsewhere.url()).ours.live;
    let headers = [
        None,
        Some(String::new()),
        Some("Bearer".to_owned()),
        Some("Bearer ".to_owned()),
        Some("Bearer x".to_owned()),
        Some(live.clone()),
        Some(format!("Basic {live}")),
        Some(format!("Bearer {live} {live}")),
        Some(format!("Bearer Bearer {live}")),
        Some(format!("Bearer {}", live.to_uppercase())),
        Some(format!("Bearer {}", &live[..live.len() - 1])),
        Some(format!("Bearer {live}x")),
        Some(format!("Bearer {}", live.replace("sk_live_", "sk_test_"))),
        Some(format!("Bearer {wrong_checksum}")),
        Some(format!("Bearer {unknown}")),
        Some(format!("Bearer {}", "x".repeat(4000))),
    ];
    for route in ROUTES {
        for header in &headers {
            let caller = app.surface(route.surface).without_key();
            let mut request = caller.request(route.method, &route.path_for(&target));
            if let Some(header) = header {
                request = request.header("authorization", header);
            }
            if let Some(body) = route.body {
                request = request.json(body);
            }
            assert_unauthorized(route, &request.send());
        }
        // What no client library sends.
        for header in ["Bearer \u{e9}\u{e9}", "Bearer\tx", "\u{1f600}"] {
            let path = format!("{}{}", route.surface.base(), route.path_for(&target));
            let request = raw::request(route.method, &path, &[("authorization", header)], b"");
            assert_unauthorized(route, &raw::exchange(app.address(), &request).expect("an answer"));
        }
    }
    assert_eq!(everything(&app, &target), before);
}

fn the_scheme_is_read_in_any_case(database: Database) {
    let app = App::start(database);
    let live = app.tenants().ours.live.clone();
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let caller = app.native().without_key();
        caller.request("GET", "/customers").header("authorization", &format!("{scheme} {live}")).send().is(200);
    }
}

fn a_revoked_key_stops_opening_within_seconds(database: Database) {
    let app = App::start(database);
    let key = create_key(app.database().url(), &app.tenants().ours.id, "live", &[]);
    for surface in Surface::ALL {
        app.surface(surface).with_key(&key.key).get("/customers").is(200);
    }
    let Finished { status, err, .. } = roster(app.database().url(), &[], &["keys", "revoke", &key.id]);
    assert!(status.success(), "{err}");
    refused_soon(&app, &key.key);
}

fn an_expired_key_stops_opening(database: Database) {
    let app = App::start(database);
    let url = app.database().url();
    let lasting = create_key(url, &app.tenants().ours.id, "live", &["--expires-in", "90d"]);
    let brief = create_key(url, &app.tenants().ours.id, "live", &["--expires-in", "1s"]);
    refused_soon(&app, &brief.key);
    app.native().with_key(&lasting.key).get("/customers").is(200);
}

/// Everything that the owner can see of a customer.
fn everything(app: &App, target: &Target) -> Vec<Vec<u8>> {
    let native = format!("/customers/{}", target.id(Surface::Native));
    vec![
        app.native().get(&native).expect(200).body,
        app.native().get(&format!("{native}/subscriptions")).expect(200).body,
        app.native().get("/customers").expect(200).body,
        app.lava().get("/customers").expect(200).body,
    ]
}

fn never_existed(lava_prefix: &'static str) -> Target {
    Target { suffix: "01890f6e8f3b7cc398c4dc0c0c".to_owned(), lava_prefix, external_id: "nobody".to_owned() }
}

/// All of an answer but what names the moment and the request.
fn comparable(answer: &Answer) -> Answer {
    let mut answer = answer.clone();
    answer.headers.retain(|(name, _)| name != "date" && name != "x-request-id");
    answer
}

fn assert_unauthorized(route: &Route, answer: &Answer) {
    assert_error(route.surface, answer, 401);
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{route:?}: {answer:?}");
}

fn refused_soon(app: &App, key: &str) {
    for surface in Surface::ALL {
        let caller = app.surface(surface).with_key(key);
        let answer = until("the key is refused", Duration::from_secs(10), || {
            Some(caller.get("/customers")).filter(|answer| answer.status != 200)
        });
        assert_error(surface, &answer, 401);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
}
