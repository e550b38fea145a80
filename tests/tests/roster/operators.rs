//! What operators do to merchants, and the log of it, by command.

use roster_tests::client::Surface;
use roster_tests::program::{roster, roster_json};
use roster_tests::{App, Database, Response, on_both_databases};
use serde_json::{Value, json};

use crate::routes::assert_error;

on_both_databases! {
    a_disabled_merchant_is_refused_on_every_surface_until_it_is_enabled,
    a_key_that_was_used_a_moment_ago_is_soon_refused_when_its_merchant_is_disabled,
    merchants_are_renamed_and_found_by_part_of_their_names,
    what_commands_do_is_in_the_operator_log,
}

/// Asserts that a response says that the merchant of the credential is disabled.
pub(crate) fn assert_disabled(surface: Surface, response: &Response) {
    assert_error(surface, response, 403);
    let json = response.json();
    match surface {
        Surface::Native => assert_eq!(json["code"], "merchant_disabled"),
        Surface::Lumen | Surface::Lava => assert_eq!(json, json!({ "error": "Forbidden: the merchant is disabled" })),
    }
}

fn a_disabled_merchant_is_refused_on_every_surface_until_it_is_enabled(database: Database) {
    let app = App::start_with(database, &[("ROSTER__AUTH__KEY_CACHE_MS", "0")]);
    let (url, tenants) = (app.database().url(), app.tenants());
    let disabled = roster_json(url, &["merchants", "disable", &tenants.ours.id, "--json"]);
    assert!(disabled["disabled_at"].is_string(), "{disabled}");
    for surface in Surface::ALL {
        let caller = app.surface(surface);
        for key in [&tenants.ours.live, &tenants.ours.sandbox] {
            assert_disabled(surface, &caller.with_key(key).get("/customers"));
            let body = json!({ "email": "ada@example.com" });
            assert_disabled(surface, &caller.with_key(key).post("/customers", body));
        }
        caller.with_key(&tenants.theirs.live).get("/customers").is(200);
    }
    let enabled = roster_json(url, &["merchants", "enable", &tenants.ours.id, "--json"]);
    assert_eq!(enabled["disabled_at"], Value::Null);
    for surface in Surface::ALL {
        app.surface(surface).with_key(&tenants.ours.live).get("/customers").is(200);
    }
}

fn a_key_that_was_used_a_moment_ago_is_soon_refused_when_its_merchant_is_disabled(database: Database) {
    let app = App::start_with(database, &[("ROSTER__AUTH__KEY_CACHE_MS", "300")]);
    let (url, ours) = (app.database().url(), &app.tenants().ours);
    let native = app.native().with_key(&ours.live);
    native.get("/customers").is(200);
    drop(roster_json(url, &["merchants", "disable", &ours.id, "--json"]));
    let begun = std::time::Instant::now();
    let refused = loop {
        let response = native.get("/customers");
        if response.status != 200 {
            break response;
        }
        assert!(begun.elapsed().as_secs() < 5, "it is still accepted");
    };
    assert_disabled(Surface::Native, &refused);
}

fn merchants_are_renamed_and_found_by_part_of_their_names(database: Database) {
    let app = App::start(database);
    let (url, tenants) = (app.database().url(), app.tenants());
    let renamed = roster_json(url, &["merchants", "rename", &tenants.ours.id, "Acme Ltd.", "--json"]);
    assert_eq!((&renamed["id"], &renamed["name"]), (&json!(tenants.ours.id), &json!("Acme Ltd.")));
    let found = |text: &str| {
        let listed = roster_json(url, &["merchants", "list", "--search", text, "--json"]);
        let names = listed["data"].as_array().expect("a list").iter().map(|merchant| merchant["name"].clone());
        names.collect::<Vec<_>>()
    };
    assert_eq!(found("aCME"), ["Acme Ltd."]);
    assert_eq!(found("heir"), ["Theirs"]);
    assert_eq!(found("ours"), [""; 0]);
    let unknown = roster(url, &[], &["merchants", "disable", "org_01h2xcejqtf2nbrexx3vqjhp41"]);
    assert_eq!(unknown.status.code(), Some(1));
}

fn what_commands_do_is_in_the_operator_log(database: Database) {
    let app = App::start(database);
    let (url, ours) = (app.database().url(), &app.tenants().ours);
    let made = roster_json(url, &["keys", "create", "--merchant", &ours.id, "--environment", "live", "--json"]);
    let id = made["id"].as_str().expect("an id");
    let next = roster_json(url, &["keys", "rotate", id, "--overlap", "0s", "--json"]);
    let next_id = next["id"].as_str().expect("an id");
    drop(roster_json(url, &["keys", "revoke", next_id, "--json"]));
    drop(roster_json(url, &["merchants", "rename", &ours.id, "Acme", "--json"]));
    drop(roster_json(url, &["merchants", "disable", &ours.id, "--json"]));
    drop(roster_json(url, &["merchants", "enable", &ours.id, "--json"]));
    let log = roster_json(url, &["operators", "log", "--last", "6", "--json"]);
    let entries = log["data"].as_array().expect("a list");
    let done: Vec<_> = entries
        .iter()
        .map(|entry| (entry["action"].clone(), entry["target"].clone(), entry["operator_id"].clone()))
        .collect();
    let expected = [
        ("merchant.enabled", ours.id.as_str()),
        ("merchant.disabled", ours.id.as_str()),
        ("merchant.renamed", ours.id.as_str()),
        ("api_key.revoked", next_id),
        ("api_key.rotated", next_id),
        ("api_key.created", id),
    ];
    assert_eq!(done, expected.map(|(action, target)| (json!(action), json!(target), Value::Null)));
    let secrets = [&made["key"], &next["key"]].map(|key| key.as_str().expect("a key").to_owned());
    assert!(!secrets.iter().any(|secret| log.to_string().contains(secret)));
}
