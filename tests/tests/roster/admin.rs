//! The surface of operators: its routes, its credentials, and what it shows.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use roster_tests::app::create_key;
use roster_tests::client::{Caller, Surface, agent, encode};
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::process::Signal;
use roster_tests::program::{roster, roster_json};
use roster_tests::{App, Database, Response, on_both_databases};
use serde_json::{Value, json};

use crate::operators::assert_disabled;
use crate::routes::{Route, Target, assert_error};

on_both_databases! {
    the_table_has_exactly_the_routes_of_operators,
    there_is_nothing_until_an_operator_exists,
    a_credential_of_another_kind_is_refused_on_every_route,
    the_key_of_an_operator_is_refused_on_every_route_of_merchants,
    an_operator_with_the_role_read_changes_nothing,
    a_revoked_operator_is_soon_refused,
    merchants_are_created_found_renamed_and_listed_in_pages,
    keys_are_created_listed_rotated_and_revoked,
    a_merchant_that_is_disabled_over_http_is_soon_refused_until_it_is_enabled,
    the_keys_of_another_merchant_are_as_if_they_did_not_exist,
    what_operators_do_is_in_the_log_with_their_requests,
    what_changes_nothing_is_not_in_the_log,
    a_body_with_a_column_of_the_service_is_refused,
    wrong_requests_are_refused_with_what_is_wrong,
    operators_see_nothing_of_customers,
    the_service_shows_its_settings_without_secrets,
    the_service_shows_the_operator_of_the_credential,
    an_operator_that_sends_too_much_is_429,
    log_lines_name_the_operator_and_not_its_key,
    an_address_for_operators_serves_them_alone,
}

/// A route: its method, its path, whether it changes something, a valid body, the status of the answer, and whether it has pages.
struct Admin {
    method: &'static str,
    path: &'static str,
    writes: bool,
    body: Option<&'static str>,
    status: u16,
    in_pages: bool,
}

const ROUTES: &[Admin] = &[
    reads("/merchants").in_pages(),
    writes("POST", "/merchants", 201).with(NAME),
    reads("/merchants/{id}"),
    writes("PATCH", "/merchants/{id}", 200).with(NAME),
    writes("POST", "/merchants/{id}/disable", 200),
    writes("POST", "/merchants/{id}/enable", 200),
    reads("/merchants/{id}/api_keys").in_pages(),
    writes("POST", "/merchants/{id}/api_keys", 201).with(r#"{"environment":"live","scopes":["customers:read"]}"#),
    writes("POST", "/merchants/{id}/api_keys/{key_id}/rotate", 201).with(r#"{"overlap_seconds":60}"#),
    writes("DELETE", "/merchants/{id}/api_keys/{key_id}", 204),
    reads("/log").in_pages(),
    reads("/service"),
];

const NAME: &str = r#"{"name":"Acme"}"#;

/// The path of the document, which needs no credential.
const DOCUMENT: &str = "/openapi.json";

const fn reads(path: &'static str) -> Admin {
    Admin { method: "GET", path, writes: false, body: None, status: 200, in_pages: false }
}

const fn writes(method: &'static str, path: &'static str, status: u16) -> Admin {
    Admin { method, path, writes: true, body: None, status, in_pages: false }
}

impl Admin {
    const fn with(self, body: &'static str) -> Self {
        Self { body: Some(body), ..self }
    }

    const fn in_pages(self) -> Self {
        Self { in_pages: true, ..self }
    }

    fn call(&self, caller: &Caller, merchant: &str, key: &str) -> Response {
        let path = self.path.replace("{id}", merchant).replace("{key_id}", key);
        let request = caller.request(self.method, &path);
        match self.body {
            Some(body) => request.json(body),
            None => request,
        }
        .send()
    }

    /// As a document describes it.
    fn described(&self) -> (String, Option<&'static str>, bool) {
        let role = if self.writes { "admin" } else { "read" };
        (format!("{} {}", self.method, self.path), Some(role), self.in_pages)
    }
}

/// An operator.
pub(crate) struct Operator {
    pub(crate) id: String,
    pub(crate) key: String,
}

impl Operator {
    pub(crate) fn create(app: &App, role: &str) -> Self {
        let made = roster_json(app.database().url(), &["operators", "create", "Ada", "--role", role, "--json"]);
        let text = |field: &str| made[field].as_str().unwrap_or_else(|| panic!("no {field}: {made}")).to_owned();
        Self { id: text("id"), key: text("key") }
    }
}

pub(crate) fn at(address: SocketAddr) -> Caller {
    Caller::new(agent(), address, "/admin/v1")
}

/// A caller of the surface of operators without a credential.
fn stranger(app: &App) -> Caller {
    at(app.address())
}

/// The caller of a new operator with the role admin. Until a second after its first call the service may not know of it.
fn operator(app: &App) -> Caller {
    stranger(app).with_key(&Operator::create(app, "admin").key)
}

fn assert_code(response: &Response, status: u16, code: &str) {
    assert_error(Surface::Native, response, status);
    assert_eq!(response.json()["code"], code, "{response:?}");
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// The items of a list, from all its pages of two.
fn all(caller: &Caller, path: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let separator = if path.contains('?') { '&' } else { '?' };
    let mut next = format!("{path}{separator}limit=2");
    loop {
        let page = caller.get(&next).expect(200).json();
        let data = page["data"].as_array().expect("a list");
        assert!(data.len() <= 2, "{page}");
        items.extend(data.iter().cloned());
        match page["next_cursor"].as_str() {
            Some(cursor) => next = format!("{path}{separator}limit=2&cursor={}", encode(cursor)),
            None => return items,
        }
    }
}

fn the_table_has_exactly_the_routes_of_operators(database: Database) {
    let app = App::start(database);
    let document = operator(&app).without_key().get(DOCUMENT).expect(200).json();
    assert_eq!(document["servers"], json!([{ "url": "/admin/v1" }]));
    let mut served = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            let role = operation.pointer("/security/0/bearer/0").and_then(Value::as_str);
            let parameters = operation["parameters"].as_array().expect("parameters");
            let in_pages = parameters.iter().any(|parameter| parameter["name"] == "cursor");
            served.insert((format!("{} {path}", method.to_uppercase()), role, in_pages));
        }
    }
    let mut table: BTreeSet<_> = ROUTES.iter().map(Admin::described).collect();
    table.insert((format!("GET {DOCUMENT}"), None, false));
    assert_eq!(served, table);
}

fn there_is_nothing_until_an_operator_exists(database: Database) {
    let app = App::start(database);
    let merchant = &app.tenants().ours.id;
    let made_up = "sk_admin_000000000000000000000000000000000000";
    let paths = ROUTES.iter().map(|route| route.path.replace("{id}", merchant).replace("{key_id}", "key_1"));
    for path in paths.chain([DOCUMENT, "", "/nothing"].map(str::to_owned)) {
        for method in ["GET", "POST", "BREW"] {
            for caller in [stranger(&app), stranger(&app).with_key(made_up)] {
                assert_code(&caller.request(method, &path).send(), 404, "unknown_path");
            }
        }
    }
    assert!(!app.root().get("/docs/start.js").expect(200).text().contains("admin"));
    let caller = operator(&app);
    // It was asked a moment ago whether there are operators.
    until("the service knows of the operator", TIMEOUT, || {
        Some(caller.get("/merchants")).filter(|response| response.status == 200)
    });
    assert_code(&caller.get("/nothing"), 404, "unknown_path");
    assert_error(Surface::Native, &caller.request("BREW", "/merchants").send(), 405);
    assert!(app.root().get("/docs/start.js").expect(200).text().contains("\"admin/v1/openapi.json\""));
}

fn a_credential_of_another_kind_is_refused_on_every_route(database: Database) {
    let app = App::start(database);
    let url = app.database().url();
    let ours = &app.tenants().ours;
    let key = create_key(url, &ours.id, "live", &[]);
    let [known, revoked] = ["admin", "admin"].map(|role| Operator::create(&app, role));
    drop(roster_json(url, &["operators", "revoke", &revoked.id, "--json"]));
    stranger(&app).with_key(&known.key).get("/merchants").is(200);
    let mut mistyped = known.key.clone();
    mistyped.pop();
    for route in ROUTES {
        for credential in [&ours.live, &ours.sandbox, &key.key, &revoked.key, &mistyped] {
            let response = route.call(&stranger(&app).with_key(credential), &ours.id, &key.id);
            assert_code(&response, 401, "unauthorized");
            assert_eq!(response.header("www-authenticate"), Some("Bearer"));
        }
        assert_code(&route.call(&stranger(&app), &ours.id, &key.id), 401, "unauthorized");
    }
}

fn the_key_of_an_operator_is_refused_on_every_route_of_merchants(database: Database) {
    let app = App::start(database);
    let key = Operator::create(&app, "admin").key;
    stranger(&app).with_key(&key).get("/merchants").is(200);
    let target = Target::create(&app.native(), "con_live_", "operators");
    let mut called = 0;
    for route in Route::guarded() {
        assert_error(route.surface, &route.call(&route.caller(&app).with_key(&key), &target), 401);
        called += 1;
    }
    assert!(called > 30, "{called}");
}

fn an_operator_with_the_role_read_changes_nothing(database: Database) {
    let app = App::start(database);
    let ours = &app.tenants().ours;
    let key = create_key(app.database().url(), &ours.id, "live", &[]);
    let reader = stranger(&app).with_key(&Operator::create(&app, "read").key);
    let before = reader.get("/log").expect(200).json();
    for route in ROUTES {
        let response = route.call(&reader, &ours.id, &key.id);
        if route.writes {
            assert_code(&response, 403, "missing_role");
            assert!(response.text().contains("the role admin"), "{response:?}");
        } else {
            response.is(route.status);
        }
    }
    assert_eq!(reader.get("/log").expect(200).json(), before, "nothing was done");
    // The order of the table is one in which all of it can be done.
    let admin = operator(&app);
    for route in ROUTES {
        route.call(&admin, &ours.id, &key.id).is(route.status);
    }
}

fn a_revoked_operator_is_soon_refused(database: Database) {
    let app = App::start_with(database, &[("ROSTER__AUTH__KEY_CACHE_MS", "300")]);
    let made = Operator::create(&app, "admin");
    let caller = stranger(&app).with_key(&made.key);
    caller.get("/merchants").is(200);
    let url = app.database().url();
    let listed = || roster_json(url, &["operators", "list", "--json"])["data"][0].clone();
    assert!(listed()["last_used_at"].is_string(), "{}", listed());
    drop(roster_json(url, &["operators", "revoke", &made.id, "--json"]));
    let refused = until("the operator is refused", TIMEOUT, || {
        Some(caller.get("/merchants")).filter(|response| response.status != 200)
    });
    assert_code(&refused, 401, "unauthorized");
    let since = listed()["revoked_at"].clone();
    assert!(since.is_string(), "{since}");
    // Once more changes nothing, and is not logged.
    drop(roster_json(url, &["operators", "revoke", &made.id, "--json"]));
    assert_eq!(listed()["revoked_at"], since);
    let log = roster_json(url, &["operators", "log", "--json"]);
    let actions = log["data"].as_array().expect("a list").iter().map(|entry| text(&entry["action"]));
    assert_eq!(actions.filter(|action| *action == "operator.revoked").count(), 1, "{log}");
    let unknown = roster(url, &[], &["operators", "revoke", "op_01h2xcejqtf2nbrexx3vqjhp41"]);
    assert_eq!(unknown.status.code(), Some(1));
    // The surface stays.
    assert_code(&stranger(&app).get("/merchants"), 401, "unauthorized");
}

fn merchants_are_created_found_renamed_and_listed_in_pages(database: Database) {
    let app = App::start(database);
    let caller = operator(&app);
    let created = caller.post("/merchants", json!({ "name": "Acme" })).expect(201);
    let made = created.json();
    let path = format!("/merchants/{}", text(&made["id"]));
    assert_eq!(created.header("location"), Some(format!("/admin/v1{path}").as_str()));
    assert_eq!((&made["name"], &made["disabled_at"]), (&json!("Acme"), &Value::Null));
    assert_eq!(caller.get(&path).expect(200).json(), made);
    let renamed = caller.patch(&path, json!({ "name": "Acme Ltd." })).expect(200).json();
    assert_eq!((&renamed["name"], &renamed["id"]), (&json!("Acme Ltd."), &made["id"]));
    for name in ["Acme East", "Other", "ACME West"] {
        caller.post("/merchants", json!({ "name": name })).is(201);
    }
    let names = |path: &str| all(&caller, path).iter().map(|one| text(&one["name"])).collect::<Vec<_>>();
    assert_eq!(names("/merchants"), ["Ours", "Theirs", "Acme Ltd.", "Acme East", "Other", "ACME West"]);
    assert_eq!(names("/merchants?search=acme"), ["Acme Ltd.", "Acme East", "ACME West"]);
    assert_eq!(names("/merchants?search=nothing"), [""; 0]);
    // A cursor belongs to its list.
    let page = caller.get("/merchants?search=acme&limit=1").expect(200);
    let link = page.header("link").expect("a link to the next page").to_owned();
    assert!(link.starts_with("</admin/v1/merchants?search=acme&limit=1&cursor="), "{link}");
    let cursor = encode(&page.text_at("/next_cursor"));
    for other in ["/merchants?limit=1", "/merchants?search=o", "/log?limit=1"] {
        let path = format!("{other}&cursor={cursor}");
        assert_code(&caller.get(&path), 400, "invalid_cursor");
    }
    for unknown in ["org_01h2xcejqtf2nbrexx3vqjhp41", "nothing", "%ff"] {
        let path = format!("/merchants/{unknown}");
        assert_code(&caller.get(&path), 404, "merchant_not_found");
        assert_code(&caller.patch(&path, json!({ "name": "x" })), 404, "merchant_not_found");
        assert_code(&caller.post(&format!("{path}/disable"), json!({})), 404, "merchant_not_found");
        assert_code(&caller.get(&format!("{path}/api_keys")), 404, "merchant_not_found");
        let order = json!({ "environment": "live" });
        assert_code(&caller.post(&format!("{path}/api_keys"), order), 404, "merchant_not_found");
    }
}

fn keys_are_created_listed_rotated_and_revoked(database: Database) {
    let app = App::start_with(database, &[("ROSTER__AUTH__KEY_CACHE_MS", "0")]);
    let caller = operator(&app);
    let merchant = text(&caller.post("/merchants", json!({ "name": "Acme" })).expect(201).json()["id"]);
    let path = format!("/merchants/{merchant}/api_keys");
    let is_valid = |made: &Value| match app.native().with_key(&text(&made["key"])).get("/customers").status {
        200 => true,
        401 => false,
        other => panic!("{other}"),
    };
    let order = json!({ "environment": "live", "name": "first", "expires_at": "2099-01-01T00:00:00Z" });
    let live = caller.post(&path, order).expect(201).json();
    assert_eq!((&live["org_id"], &live["environment"]), (&json!(merchant), &json!("live")));
    assert!(text(&live["key"]).starts_with("sk_live_") && is_valid(&live), "{live}");
    // An operator may give every scope.
    let scopes = json!(["keys:manage", "customers:read"]);
    let order = json!({ "environment": "sandbox", "scopes": scopes });
    let sandbox = caller.post(&path, order).expect(201).json();
    assert_eq!(sandbox["scopes"].as_array().map(Vec::len), Some(2));
    let rotate = |made: &Value, overlap: u64| {
        let path = format!("{path}/{}/rotate", text(&made["id"]));
        caller.post(&path, json!({ "overlap_seconds": overlap }))
    };
    let next = rotate(&live, 0).expect(201).json();
    assert_eq!((&next["name"], &next["expires_at"]), (&json!("first"), &live["expires_at"]));
    assert_eq!((is_valid(&live), is_valid(&next)), (false, true));
    let again = rotate(&live, 0);
    assert_code(&again, 409, "key_has_successor");
    assert_eq!(again.json()["successor_id"], next["id"]);
    let ids =
        |query: &str| all(&caller, &format!("{path}{query}")).iter().map(|key| key["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(""), [&live, &sandbox, &next].map(|key| key["id"].clone()));
    assert_eq!(ids("?environment=sandbox"), [sandbox["id"].clone()]);
    assert!(!caller.get(&path).expect(200).text().contains("sk_"));
    let one = format!("{path}/{}", text(&next["id"]));
    caller.delete(&one).is(204);
    caller.delete(&one).is(204);
    assert!(!is_valid(&next));
    assert_code(&rotate(&next, 0), 409, "key_ended");
    for unknown in ["key_01h2xcejqtf2nbrexx3vqjhp41", "nothing"] {
        assert_code(&caller.delete(&format!("{path}/{unknown}")), 404, "key_not_found");
    }
}

fn a_merchant_that_is_disabled_over_http_is_soon_refused_until_it_is_enabled(database: Database) {
    let app = App::start_with(database, &[("ROSTER__AUTH__KEY_CACHE_MS", "300")]);
    let caller = operator(&app);
    let ours = &app.tenants().ours;
    let path = format!("/merchants/{}", ours.id);
    app.native().get("/customers").is(200);
    let disabled = caller.post(&format!("{path}/disable"), json!({})).expect(200).json();
    assert!(disabled["disabled_at"].is_string(), "{disabled}");
    for surface in Surface::ALL {
        let caller = app.surface(surface);
        let refused = until("the merchant is refused", TIMEOUT, || {
            Some(caller.get("/customers")).filter(|response| response.status != 200)
        });
        assert_disabled(surface, &refused);
        caller.with_key(&app.tenants().theirs.live).get("/customers").is(200);
    }
    // Disabling it again changes nothing.
    assert_eq!(caller.post(&format!("{path}/disable"), json!({})).expect(200).json(), disabled);
    let enabled = caller.request("POST", &format!("{path}/enable")).send().expect(200).json();
    assert_eq!(enabled["disabled_at"], Value::Null);
    app.native().get("/customers").is(200);
}

fn the_keys_of_another_merchant_are_as_if_they_did_not_exist(database: Database) {
    let app = App::start(database);
    let caller = operator(&app);
    let (ours, theirs) = (&app.tenants().ours, &app.tenants().theirs);
    let key = create_key(app.database().url(), &theirs.id, "live", &[]);
    let unknown = "key_01h2xcejqtf2nbrexx3vqjhp41";
    for route in ROUTES.iter().filter(|route| route.path.contains("{key_id}")) {
        let [of_another, of_none] = [&key.id, unknown].map(|id| route.call(&caller, &ours.id, id));
        assert_code(&of_another, 404, "key_not_found");
        assert_eq!(of_another.json(), of_none.json());
        for no_merchant in ["org_01h2xcejqtf2nbrexx3vqjhp41", "nothing"] {
            assert_eq!(route.call(&caller, no_merchant, &key.id).json(), of_none.json());
        }
    }
    app.native().with_key(&key.key).get("/customers").is(200);
    assert!(!caller.get(&format!("/merchants/{}/api_keys", ours.id)).expect(200).text().contains(&key.id));
}

fn what_operators_do_is_in_the_log_with_their_requests(database: Database) {
    let app = App::start(database);
    let made = Operator::create(&app, "admin");
    let caller = stranger(&app).with_key(&made.key);
    let send = |method: &str, path: &str, body: Value, id: &str| {
        caller.request(method, path).json(body).header("x-request-id", id).send()
    };
    let merchant = text(&send("POST", "/merchants", json!({ "name": "Acme" }), "r-1").expect(201).json()["id"]);
    let path = format!("/merchants/{merchant}");
    send("PATCH", &path, json!({ "name": "Acme Ltd." }), "r-2").is(200);
    send("POST", &format!("{path}/disable"), json!({}), "r-3").is(200);
    send("POST", &format!("{path}/enable"), json!({}), "r-4").is(200);
    let keys = format!("{path}/api_keys");
    let key = send("POST", &keys, json!({ "environment": "live" }), "r-5").expect(201).json();
    let rotate = format!("{keys}/{}/rotate", text(&key["id"]));
    let next = send("POST", &rotate, json!({}), "r-6").expect(201).json();
    // What is refused is not logged.
    send("POST", &rotate, json!({}), "r-7").is(409);
    send("POST", &keys, json!({ "environment": "none" }), "r-8").is(422);
    send("DELETE", &format!("{keys}/{}", text(&next["id"])), json!({}), "r-9").is(204);
    let logged = all(&caller, "/log");
    let [of_key, of_next] = [&key, &next].map(|key| text(&key["id"]));
    let expected = [
        ("api_key.revoked", &of_next, "r-9"),
        ("api_key.rotated", &of_next, "r-6"),
        ("api_key.created", &of_key, "r-5"),
        ("merchant.enabled", &merchant, "r-4"),
        ("merchant.disabled", &merchant, "r-3"),
        ("merchant.renamed", &merchant, "r-2"),
        ("merchant.created", &merchant, "r-1"),
    ];
    for (entry, (action, target, request)) in logged.iter().zip(expected) {
        let found = (&entry["action"], &entry["target"], &entry["request_id"], &entry["operator_id"]);
        assert_eq!(found, (&json!(action), &json!(target), &json!(request), &json!(made.id)), "{logged:?}");
    }
    // The command line created the operator before.
    let before = &logged[expected.len()];
    assert_eq!((&before["action"], &before["target"]), (&json!("operator.created"), &json!(made.id)));
    assert_eq!((&before["operator_id"], &before["request_id"]), (&Value::Null, &Value::Null));
    let shown = Value::from(logged).to_string();
    assert!([&key["key"], &next["key"], &json!(made.key)].iter().all(|key| !shown.contains(&text(key))), "{shown}");
    // The command shows the same log.
    let by_command = roster_json(app.database().url(), &["operators", "log", "--last", "1", "--json"]);
    assert_eq!(by_command["data"][0]["request_id"], "r-9");
}

fn what_changes_nothing_is_not_in_the_log(database: Database) {
    let app = App::start(database);
    let (caller, url) = (operator(&app), app.database().url());
    let merchant = text(&caller.post("/merchants", json!({ "name": "Acme" })).expect(201).json()["id"]);
    let path = format!("/merchants/{merchant}");
    let key =
        text(&caller.post(&format!("{path}/api_keys"), json!({ "environment": "live" })).expect(201).json()["id"]);
    let of_key = format!("{path}/api_keys/{key}");
    for _ in 0..2 {
        caller.post(&format!("{path}/disable"), json!({})).is(200);
        drop(roster_json(url, &["merchants", "disable", &merchant, "--json"]));
    }
    for _ in 0..2 {
        caller.post(&format!("{path}/enable"), json!({})).is(200);
        drop(roster_json(url, &["merchants", "enable", &merchant, "--json"]));
    }
    caller.patch(&path, json!({ "name": "Acme" })).is(200);
    for _ in 0..2 {
        caller.delete(&of_key).is(204);
        assert!(roster(url, &[], &["keys", "revoke", &key]).status.success());
    }
    let actions: Vec<_> = all(&caller, "/log").iter().map(|entry| text(&entry["action"])).take(6).collect();
    let expected = ["api_key.revoked", "merchant.enabled", "merchant.disabled", "api_key.created", "merchant.created"];
    assert_eq!(actions, [&expected[..], &["operator.created"]].concat());
}

fn a_body_with_a_column_of_the_service_is_refused(database: Database) {
    let app = App::start(database);
    let caller = operator(&app);
    let ours = &app.tenants().ours;
    let key = create_key(app.database().url(), &ours.id, "live", &[]);
    let fields =
        ["id", "created_at", "disabled_at", "merchant_id", "org_id", "digest", "key", "revoked_at", "successor_id"];
    for route in ROUTES {
        let Some(body) = route.body else { continue };
        for field in fields {
            let mut body: Value = serde_json::from_str(body).expect("JSON");
            body[field] = json!(app.tenants().theirs.id);
            let path = route.path.replace("{id}", &ours.id).replace("{key_id}", &key.id);
            let response = caller.request(route.method, &path).json(body).send();
            assert_code(&response, 422, "invalid_request");
            let errors = response.json()["errors"].clone();
            assert_eq!(errors[0]["pointer"], json!(format!("/{field}")), "{path}: {errors}");
        }
    }
}

fn wrong_requests_are_refused_with_what_is_wrong(database: Database) {
    let app = App::start(database);
    let caller = operator(&app);
    let keys = format!("/merchants/{}/api_keys", app.tenants().ours.id);
    let long = "x".repeat(257);
    for (path, body, pointer) in [
        ("/merchants", json!({}), "/name"),
        ("/merchants", json!({ "name": "" }), "/name"),
        ("/merchants", json!({ "name": long }), "/name"),
        ("/merchants", json!({ "name": null }), "/name"),
        (&keys, json!({}), "/environment"),
        (&keys, json!({ "environment": "production" }), "/environment"),
        (&keys, json!({ "environment": "live", "expires_at": "2001-01-01T00:00:00Z" }), "/expires_at"),
        (&keys, json!({ "environment": "live", "scopes": ["everything"] }), "/scopes/0"),
    ] {
        let response = caller.post(path, body);
        assert_code(&response, 422, "invalid_request");
        assert_eq!(response.json()["errors"][0]["pointer"], pointer, "{response:?}");
    }
    for (query, parameter) in [
        ("/merchants?search=", "search"),
        ("/merchants?limit=0", "limit"),
        ("/merchants?name=x", "name"),
        ("/log?search=x", "search"),
        (&format!("{keys}?environment=x"), "environment"),
    ] {
        let response = caller.get(query);
        assert_code(&response, 422, "invalid_request");
        assert_eq!(response.json()["errors"][0]["parameter"], parameter, "{response:?}");
    }
    assert_code(&caller.post("/merchants", "{"), 400, "invalid_json");
    // A repeat would be done twice.
    let request = caller.request("POST", "/merchants").json(NAME).header("idempotency-key", "k");
    assert_code(&request.send(), 400, "invalid_idempotency_key");
}

fn operators_see_nothing_of_customers(database: Database) {
    let app = App::start(database);
    let customer = json!({ "email": "secret@example.com", "name": "Secret Person", "external_id": "secret-1" });
    let id = app.native().post("/customers", customer).expect(201).text_at("/id");
    let caller = operator(&app);
    for route in ROUTES.iter().filter(|route| !route.writes) {
        let shown = route.call(&caller, &app.tenants().ours.id, "").expect(route.status).text();
        assert!(!shown.to_lowercase().contains("secret") && !shown.contains(&id), "{}: {shown}", route.path);
    }
    for path in ["/customers", &format!("/customers/{id}"), "/events", "/webhooks"] {
        assert_code(&caller.get(path), 404, "unknown_path");
    }
}

fn the_service_shows_its_settings_without_secrets(database: Database) {
    let key = "whsk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let settings = [("ROSTER__WEBHOOKS__SIGNING_KEY", key), ("ROSTER__HTTP__MAX_CONNECTIONS", "321")];
    let app = App::start_with(database, &settings);
    let caller = operator(&app);
    let response = caller.get("/service").expect(200);
    let shown = response.json();
    assert!(["SQLite", "PostgreSQL"].contains(&shown["database"].as_str().expect("a kind")), "{shown}");
    assert!(text(&shown["version"]).starts_with(|first: char| first.is_ascii_digit()), "{shown}");
    assert!(shown["uptime_seconds"].as_u64().is_some_and(|seconds| seconds < 600), "{shown}");
    assert!(shown["started_at"].is_string(), "{shown}");
    assert_eq!(shown["settings"]["http.max_connections"], 321, "{shown}");
    for secret in [key, app.database().url()] {
        assert!(!response.text().contains(secret), "{shown}");
    }
}

fn the_service_shows_the_operator_of_the_credential(database: Database) {
    let app = App::start(database);
    for (role, more) in [("read", &["--expires-in", "90d"][..]), ("admin", &[])] {
        let create = ["operators", "create", "Grace Hopper", "--role", role, "--json"];
        let made = roster_json(app.database().url(), &[&create, more].concat());
        let caller = stranger(&app).with_key(&text(&made["key"]));
        // The second answer is from the cache.
        for _ in 0..2 {
            let shown = caller.get("/service").expect(200).json()["operator"].clone();
            let expected =
                json!({ "id": made["id"], "name": "Grace Hopper", "role": role, "expires_at": made["expires_at"] });
            assert_eq!(shown, expected);
            assert_eq!(shown["expires_at"].is_string(), !more.is_empty(), "{shown}");
        }
    }
}

fn an_operator_that_sends_too_much_is_429(database: Database) {
    let app = App::start_with(database, &[("ROSTER__LIMITS__LIVE_KEY_PER_SECOND", "2")]);
    let caller = operator(&app);
    let refused = (0..1000).map(|_| caller.get("/service")).find(|response| response.status != 200).expect("a limit");
    assert_code(&refused, 429, "rate_limited");
    assert_eq!(refused.header("ratelimit-policy"), Some("\"key\";q=2;w=1"));
    assert_eq!(refused.header("retry-after"), Some("1"));
}

fn log_lines_name_the_operator_and_not_its_key(database: Database) {
    let app = App::start(database);
    let made = Operator::create(&app, "read");
    let caller = stranger(&app).with_key(&made.key);
    caller.request("GET", "/merchants?search=Ours").header("x-request-id", "of-an-operator").send().is(200);
    let line = app.find_in_logs(TIMEOUT, |line| {
        (line.contains("of-an-operator") && line.contains("\"route\"")).then(|| line.to_owned())
    });
    let line = line.expect("a line");
    assert!(line.contains(&made.id) && line.contains("/admin/v1/merchants"), "{line}");
    let logs = app.logs().concat();
    assert!(!logs.contains(&made.key) && !logs.contains("search=Ours"), "{logs}");
}

/// The address of a service with one for operators.
pub(crate) fn address_for_operators(app: &App) -> SocketAddr {
    let address = app.find_in_logs(TIMEOUT, |line| {
        let (_, rest) = line.contains("listening for operators").then(|| line.split_once("127.0.0.1:"))??;
        let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
        port.parse().ok().map(|port: u16| SocketAddr::from(([127, 0, 0, 1], port)))
    });
    address.expect("an address for operators")
}

fn an_address_for_operators_serves_them_alone(database: Database) {
    let mut app = App::start_with(database, &[("ROSTER__ADMIN__BIND", "127.0.0.1:0")]);
    let address = address_for_operators(&app);
    let made = Operator::create(&app, "admin");
    let caller = at(address).with_key(&made.key);
    caller.get("/merchants").is(200);
    caller.get(DOCUMENT).is(200);
    let root = Caller::new(agent(), address, "");
    for path in ["/livez", "/readyz"] {
        root.get(path).is(200);
    }
    let ours = &app.tenants().ours.live;
    for path in ["/v1/customers", "/api/customers", "/lava/v1/customers", "/v1/openapi.json", "/docs"] {
        assert_code(&root.with_key(ours).get(path), 404, "unknown_path");
    }
    // On the other address there is all but the surface of operators.
    let main = app.root();
    for path in ["/livez", "/readyz", "/docs", "/v1/health"] {
        main.get(path).is(200);
    }
    main.with_key(ours).get("/v1/customers").is(200);
    for path in ["/admin/v1/merchants", "/admin/v1/openapi.json"] {
        assert_code(&main.with_key(&made.key).get(path), 404, "unknown_path");
    }
    assert!(!main.get("/docs/start.js").expect(200).text().contains("admin"));
    app.signal(Signal::Terminate);
    assert!(app.wait(TIMEOUT).success());
}
