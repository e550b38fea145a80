//! API keys: created, listed, rotated, used and revoked, over HTTP and by command.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;

use roster_tests::app::create_key;
use roster_tests::client::{Caller, Surface};
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::program::{Program, roster_json};
use roster_tests::{App, Database, Response, on_both_databases};
use serde_json::{Value, json};

use crate::routes::assert_error;

on_both_databases! {
    a_new_key_gives_access_to_its_tenant_and_is_shown_once,
    a_key_cannot_grant_a_scope_that_it_lacks,
    a_key_that_expires_makes_no_key_that_outlives_it,
    keys_are_listed_page_by_page_without_their_secrets,
    a_rotated_key_is_valid_until_the_overlap_ends,
    a_rotation_that_is_sent_again_names_the_successor,
    of_rotations_at_once_on_two_instances_exactly_one_makes_a_key,
    a_key_that_is_rotated_without_overlap_is_revoked_in_its_row,
    a_revoked_key_is_refused_at_once_and_soon_by_other_instances,
    a_key_of_another_tenant_is_404,
    every_wrong_field_of_a_key_is_named,
    the_last_use_of_a_key_is_shown,
    many_unknown_keys_do_not_affect_a_valid_key,
}

const MANAGER: [&str; 4] = ["--scope", "keys:manage", "--scope", "customers:read"];

/// A caller with a live key of `ours` that may manage keys and read customers.
fn manager(app: &App) -> Caller {
    app.native().with_key(&create_key(app.database().url(), &app.tenants().ours.id, "live", &MANAGER).key)
}

/// Whether the service accepts the key.
fn is_valid(app: &App, key: &str) -> bool {
    let response = app.native().with_key(key).get("/customers");
    if response.status != 200 {
        assert_error(Surface::Native, &response, 401);
    }
    response.status == 200
}

fn assert_code(response: &Response, status: u16, code: &str) {
    assert_error(Surface::Native, response, status);
    assert_eq!(response.json()["code"], code, "{response:?}");
}

fn a_new_key_gives_access_to_its_tenant_and_is_shown_once(database: Database) {
    let app = App::start(database);
    let manager = manager(&app);
    let body = json!({ "name": "reports", "scopes": ["customers:read"], "expires_at": "2099-01-01T00:00:00+01:00" });
    let made = manager.post("/api_keys", body).expect(201).json();
    assert_eq!(made["org_id"], json!(app.tenants().ours.id));
    assert_eq!(made["environment"], "live");
    assert_eq!(made["name"], "reports");
    assert_eq!(made["scopes"], json!(["customers:read"]));
    assert_eq!(made["expires_at"], "2098-12-31T23:00:00.000Z");
    assert_eq!((&made["last_used_at"], &made["revoked_at"]), (&Value::Null, &Value::Null));
    let key = made["key"].as_str().expect("a key");
    assert!(key.starts_with("sk_live_") && is_valid(&app, key));
    assert!(!manager.get("/api_keys").text().contains(key));
    let logs = app.logs().concat();
    assert!(!logs.contains(key) && !logs.contains("reports"), "{logs}");
}

fn a_key_cannot_grant_a_scope_that_it_lacks(database: Database) {
    let app = App::start(database);
    let manager = manager(&app);
    for scopes in [json!(null), json!(["customers:write"]), json!(["customers:read", "subscriptions:write"])] {
        let refused = manager.post("/api_keys", json!({ "scopes": scopes }));
        assert_code(&refused, 403, "missing_scope");
    }
    let stronger = roster_json(
        app.database().url(),
        &["keys", "create", "--merchant", &app.tenants().ours.id, "--environment", "live", "--json"],
    );
    let rotate = format!("/api_keys/{}/rotate", stronger["id"].as_str().expect("an id"));
    let refused = manager.post(&rotate, json!({ "overlap_seconds": 0 }));
    assert_code(&refused, 403, "missing_scope");
    assert!(is_valid(&app, stronger["key"].as_str().expect("a key")), "it was not rotated");
    // Revoking it grants no scope.
    manager.delete(&format!("/api_keys/{}", stronger["id"].as_str().expect("an id"))).is(204);
    // The environment is that of the credential, and no field can change it.
    let elsewhere = json!({ "environment": "sandbox", "scopes": [] });
    assert_code(&manager.post("/api_keys", elsewhere), 422, "invalid_request");
    assert_eq!(manager.post("/api_keys", json!({ "scopes": [] })).expect(201).json()["environment"], "live");
}

fn a_key_that_expires_makes_no_key_that_outlives_it(database: Database) {
    let app = App::start(database);
    let order = json!({ "scopes": ["keys:manage", "customers:read"], "expires_at": "2098-01-01T00:00:00Z" });
    let made = manager(&app).post("/api_keys", order.clone()).expect(201);
    let ends = app.native().with_key(&made.text_at("/key"));
    for expires_at in [json!(null), json!("2098-01-01T00:00:00.001Z")] {
        let order = json!({ "scopes": ["customers:read"], "expires_at": expires_at });
        assert_code(&ends.post("/api_keys", order.clone()), 403, "outlives_credential");
        let lasting = manager(&app).post("/api_keys", order).expect(201);
        let rotate = format!("/api_keys/{}/rotate", lasting.text_at("/id"));
        assert_code(&ends.post(&rotate, json!({})), 403, "outlives_credential");
        assert!(is_valid(&app, &lasting.text_at("/key")), "it was not rotated");
    }
    ends.post("/api_keys", order).is(201);
    // It may replace itself, and does not live longer for that.
    let rotate = format!("/api_keys/{}/rotate", made.text_at("/id"));
    let successor = ends.post(&rotate, json!({ "overlap_seconds": 0 })).expect(201);
    assert_eq!(successor.text_at("/expires_at"), made.text_at("/expires_at"));
}

fn keys_are_listed_page_by_page_without_their_secrets(database: Database) {
    let app = App::start(database);
    let manager = manager(&app);
    let made: Vec<Value> =
        (0..5).map(|_| manager.post("/api_keys", json!({ "scopes": [] })).expect(201).json()).collect();
    let mut seen = Vec::new();
    let mut path = "/api_keys?limit=2".to_owned();
    loop {
        let page = manager.get(&path).expect(200).json();
        seen.extend(page["data"].as_array().expect("a list").clone());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/api_keys?limit=2&cursor={cursor}");
    }
    // `ours` had two live keys before: the default key and the manager's.
    assert_eq!(seen.len(), 7);
    for (listed, made) in seen[2..].iter().zip(&made) {
        let mut shown = made.clone();
        shown.as_object_mut().expect("an object").remove("key");
        assert_eq!(*listed, shown);
    }
}

fn a_rotated_key_is_valid_until_the_overlap_ends(database: Database) {
    let app = App::start(database);
    let manager = manager(&app);
    let made = |scopes: Value| manager.post("/api_keys", json!({ "name": "ci", "scopes": scopes })).expect(201).json();
    let old = made(json!(["customers:read"]));
    let rotate =
        |id: &Value, body: Value| manager.post(&format!("/api_keys/{}/rotate", id.as_str().expect("an id")), body);
    let new = rotate(&old["id"], json!({ "overlap_seconds": 3600 })).expect(201).json();
    assert_ne!((&new["id"], &new["key"]), (&old["id"], &old["key"]));
    assert_eq!((&new["name"], &new["scopes"]), (&old["name"], &old["scopes"]));
    for key in [&old["key"], &new["key"]] {
        assert!(is_valid(&app, key.as_str().expect("a key")));
    }
    let newer = rotate(&new["id"], json!({ "overlap_seconds": 0 })).expect(201).json();
    assert!(!is_valid(&app, new["key"].as_str().expect("a key")), "the instance that rotated it refuses it at once");
    assert!(is_valid(&app, newer["key"].as_str().expect("a key")));
    assert_code(&rotate(&new["id"], json!({})), 409, "key_has_successor");
    // Without a body the overlap is a day.
    let path = format!("/api_keys/{}/rotate", newer["id"].as_str().expect("an id"));
    manager.request("POST", &path).send().is(201);
    assert!(is_valid(&app, newer["key"].as_str().expect("a key")));
}

fn a_rotation_that_is_sent_again_names_the_successor(database: Database) {
    let app = App::start(database);
    let manager = manager(&app);
    let order = json!({ "scopes": ["customers:read"], "expires_at": "2099-01-01T00:00:00Z" });
    for overlap in [0, 3600] {
        let old = manager.post("/api_keys", order.clone()).expect(201);
        let rotate = |id: &str| manager.post(&format!("/api_keys/{id}/rotate"), json!({ "overlap_seconds": overlap }));
        let new = rotate(&old.text_at("/id")).expect(201);
        let again = rotate(&old.text_at("/id"));
        assert_code(&again, 409, "key_has_successor");
        assert_eq!(again.text_at("/successor_id"), new.text_at("/id"));
        // Its secret was lost with the first answer. It ends when the first key would have ended.
        let newer = rotate(&new.text_at("/id")).expect(201);
        for key in [&new, &newer] {
            assert_eq!(key.text_at("/expires_at"), "2099-01-01T00:00:00.000Z");
        }
        assert!(is_valid(&app, &newer.text_at("/key")));
        assert_eq!(is_valid(&app, &old.text_at("/key")), overlap > 0);
    }
}

fn of_rotations_at_once_on_two_instances_exactly_one_makes_a_key(database: Database) {
    let app = App::start(database);
    let other = Program::serve(app.database().url(), &[]);
    let here = manager(&app);
    let there = Caller::new(roster_tests::client::agent(), other.address(), "/v1");
    let there = there.with_key(&create_key(app.database().url(), &app.tenants().ours.id, "live", &MANAGER).key);
    for round in 0..100 {
        let old = here.post("/api_keys", json!({ "scopes": [] })).expect(201).text_at("/id");
        let (path, body) = (format!("/api_keys/{old}/rotate"), json!({ "overlap_seconds": 0 }));
        let start = Barrier::new(2);
        let answers = thread::scope(|scope| {
            let racers = [&here, &there].map(|caller| {
                scope.spawn(|| {
                    start.wait();
                    caller.post(&path, body.clone())
                })
            });
            racers.map(|racer| racer.join().expect("no panic"))
        });
        let (made, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
        assert_eq!((made.len(), refused.len()), (1, 1), "round {round}: {answers:?}");
        assert_code(refused[0], 409, "key_has_successor");
        assert_eq!(refused[0].text_at("/successor_id"), made[0].text_at("/id"), "round {round}");
    }
}

fn a_key_that_is_rotated_without_overlap_is_revoked_in_its_row(database: Database) {
    let app = App::start(database);
    let manager = manager(&app);
    let made = manager.post("/api_keys", json!({ "scopes": ["customers:read"] })).expect(201);
    let rotate = format!("/api_keys/{}/rotate", made.text_at("/id"));
    manager.post(&rotate, json!({ "overlap_seconds": 0 })).is(201);
    // Not an end by the clock of this instance, which another instance may compare with a clock that is behind.
    let listed = manager.get("/api_keys").expect(200).json();
    let keys = listed["data"].as_array().expect("a list");
    let old = keys.iter().find(|key| key["id"] == *made.text_at("/id")).expect("the old key");
    assert!(old["revoked_at"].is_string() && old["expires_at"].is_null(), "{old}");
}

fn a_revoked_key_is_refused_at_once_and_soon_by_other_instances(database: Database) {
    let app = App::start(database);
    let other = Program::serve(app.database().url(), &[]);
    let on_other = Caller::new(roster_tests::client::agent(), other.address(), "/v1");
    let manager = manager(&app);
    let made = manager.post("/api_keys", json!({ "scopes": ["customers:read"] })).expect(201).json();
    let key = made["key"].as_str().expect("a key");
    on_other.with_key(key).get("/customers").is(200);
    assert!(is_valid(&app, key));
    manager.delete(&format!("/api_keys/{}", made["id"].as_str().expect("an id"))).is(204);
    manager.delete(&format!("/api_keys/{}", made["id"].as_str().expect("an id"))).is(204);
    assert!(!is_valid(&app, key));
    let refused = until("the other instance refuses the key", TIMEOUT, || {
        Some(on_other.with_key(key).get("/customers")).filter(|response| response.status != 200)
    });
    assert_error(Surface::Native, &refused, 401);
}

fn a_key_of_another_tenant_is_404(database: Database) {
    let app = App::start(database);
    let (url, tenants) = (app.database().url(), app.tenants());
    let victim = create_key(url, &tenants.ours.id, "live", &[]);
    let listed = |key: &str| {
        let page = app.native().with_key(key).get("/api_keys").expect(200).json();
        let ids = page["data"].as_array().expect("a list").iter().map(|key| key["id"].to_string());
        ids.collect::<BTreeSet<_>>()
    };
    let unknown = "key_01h2xcejqtf2nbrexx3vqjhp41";
    for (merchant, environment) in [(&tenants.theirs.id, "live"), (&tenants.ours.id, "sandbox")] {
        let stranger = create_key(url, merchant, environment, &["--scope", "keys:manage"]).key;
        assert!(!listed(&stranger).contains(&format!("\"{}\"", victim.id)));
        let stranger = app.native().with_key(&stranger);
        for id in [victim.id.as_str(), unknown, "key_x", "%ff"] {
            assert_code(&stranger.delete(&format!("/api_keys/{id}")), 404, "key_not_found");
            assert_code(&stranger.post(&format!("/api_keys/{id}/rotate"), json!({})), 404, "key_not_found");
        }
        let cursor = victim.id.strip_prefix("key_").expect("an id");
        assert_code(&stranger.get(&format!("/api_keys?cursor={cursor}")), 400, "invalid_cursor");
    }
    assert!(is_valid(&app, &victim.key));
}

fn every_wrong_field_of_a_key_is_named(database: Database) {
    let app = App::start(database);
    let manager = manager(&app);
    let body = json!({ "name": 1, "scopes": ["customers:read", "admin", 2], "expires_at": "soon", "role": "x" });
    let refused = manager.post("/api_keys", body);
    assert_code(&refused, 422, "invalid_request");
    let faults = refused.json()["errors"].as_array().expect("faults").clone();
    let pointers: Vec<_> = faults.iter().map(|fault| fault["pointer"].as_str().expect("a pointer")).collect();
    assert_eq!(pointers, ["/name", "/scopes/1", "/scopes/2", "/expires_at", "/role"]);
    let past = manager.post("/api_keys", json!({ "scopes": [], "expires_at": "2020-01-01T00:00:00Z" }));
    assert_code(&past, 422, "invalid_request");
    assert_eq!(past.json()["errors"][0]["pointer"], "/expires_at");
    let made = manager.post("/api_keys", json!({ "scopes": [] })).expect(201).text_at("/id");
    for overlap in [json!(-1), json!(2_592_001), json!("1"), json!(1.5), json!(348_221.0)] {
        let refused = manager.post(&format!("/api_keys/{made}/rotate"), json!({ "overlap_seconds": overlap }));
        assert_code(&refused, 422, "invalid_request");
        assert_eq!(refused.json()["errors"][0]["pointer"], "/overlap_seconds");
    }
}

fn the_last_use_of_a_key_is_shown(database: Database) {
    let app = App::start(database);
    let manager = manager(&app);
    let made = manager.post("/api_keys", json!({ "scopes": ["customers:read"] })).expect(201).json();
    assert!(is_valid(&app, made["key"].as_str().expect("a key")));
    let used = until("the use is written", TIMEOUT, || {
        let page = manager.get("/api_keys").expect(200).json();
        let listed = page["data"].as_array().expect("a list").iter().find(|key| key["id"] == made["id"]).cloned();
        listed.and_then(|key| key["last_used_at"].as_str().map(str::to_owned))
    });
    assert!(made["created_at"].as_str().is_some_and(|created| created <= used.as_str()), "{used}");
}

fn many_unknown_keys_do_not_affect_a_valid_key(database: Database) {
    let app = App::start(database);
    let other = Database::empty(roster_tests::Kind::Sqlite).expect("a file");
    let unknown: Vec<_> = {
        let tenants = roster_tests::app::Tenants::create(other.url());
        (0..20).map(|_| create_key(other.url(), &tenants.ours.id, "live", &[]).key).collect()
    };
    let good = app.tenants().ours.live.clone();
    for _ in 0..5 {
        for key in &unknown {
            assert!(!is_valid(&app, key));
            assert!(is_valid(&app, &good));
        }
    }
}
