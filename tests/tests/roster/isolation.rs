//! No caller sees data of another tenant, and no request succeeds without a credential that permits it.

use std::collections::{BTreeMap, BTreeSet};

use roster_tests::app::{Key, Merchant, SCOPES, Tenants, create_key, key_with};
use roster_tests::client::{Caller, Surface, encode};
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::process::Finished;
use roster_tests::program::roster;
use roster_tests::rows::rows_of;
use roster_tests::{App, Database, Kind, Response, on_both_databases, raw};
use serde_json::{Value, json};

use crate::routes::{FILE, HEALTH, ROUTES, Route, Target, assert_error};

on_both_databases! {
    every_route_answers_each_caller_as_the_table_says,
    two_tenants_may_use_the_same_identifiers,
    a_request_without_a_valid_key_is_401_on_every_route,
    the_scheme_is_accepted_in_any_case,
    a_revoked_key_is_refused_within_seconds,
    an_expired_key_is_refused,
}

/// Calls each route of the table with a credential of its own tenant, of another merchant, of another environment, with
/// a revoked one, with one that lacks a scope, and without any.
fn every_route_answers_each_caller_as_the_table_says(database: Database) {
    let setup = Setup::create(App::start_with(database, &UNLIMITED), &API_KEYS);
    let (rows, shown) = (setup.rows(), setup.shown());
    for route in ROUTES.iter() {
        if route.scopes.is_empty() {
            setup.answers_every_caller_alike(route);
            continue;
        }
        for stranger in &setup.strangers {
            setup.shows_nothing_to(stranger, route);
        }
        setup.refuses_a_revoked_or_missing_credential(route);
        setup.refuses_a_credential_without_a_scope(route);
    }
    assert_eq!(setup.rows(), rows);
    assert_eq!(setup.shown(), shown);
    for route in ROUTES.iter().filter(|route| !route.scopes.is_empty()) {
        setup.serves_the_owner(route);
    }
    setup.shows_its_health_to_every_caller();
}

/// Settings with which no request exceeds a limit, and webhooks may be on this machine.
const UNLIMITED: [(&str, &str); 3] = [
    ("ROSTER__LIMITS__SANDBOX_KEY_PER_SECOND", "1000000"),
    ("ROSTER__LIMITS__SANDBOX_MERCHANT_PER_SECOND", "1000000"),
    ("ROSTER__WEBHOOKS__ALLOW_PRIVATE", "true"),
];

/// A source of credentials.
struct Issuer {
    /// Creates a credential with these scopes, for a merchant id and an environment.
    issue: fn(url: &str, merchant: &str, environment: &str, scopes: &[&str]) -> String,
    /// Creates a credential with every scope and revokes it.
    issue_revoked: fn(url: &str, merchant: &str, environment: &str) -> String,
}

const API_KEYS: Issuer = Issuer {
    issue: |url, merchant, environment, scopes| key_with(url, merchant, environment, scopes).key,
    issue_revoked: |url, merchant, environment| {
        let key = key_with(url, merchant, environment, &SCOPES);
        revoke(url, &key);
        key.key
    },
};

fn revoke(url: &str, key: &Key) {
    let Finished { status, err, .. } = roster(url, &[], &["keys", "revoke", &key.id]);
    assert!(status.success(), "{err}");
}

/// A running service, the tenant whose data the tests try to read, and other tenants.
struct Setup {
    app: App,
    owner: Tenant,
    /// The other merchant in both environments, and the merchant of the owner in the other environment.
    strangers: [Tenant; 3],
    /// A revoked credential of the owner.
    revoked: String,
    /// A credential of the owner for each set of scopes.
    by_scopes: BTreeMap<Vec<&'static str>, String>,
}

/// A tenant, its data, and a credential with every scope.
struct Tenant {
    merchant: Merchant,
    environment: &'static str,
    credential: String,
    resources: Resources,
}

/// One resource of each kind that a path can name.
struct Resources {
    customer: Target,
    /// The 26 characters of the id of a key.
    key: String,
    /// The id of an event, without its prefix.
    event: String,
    /// The id of a webhook endpoint, without its prefix.
    webhook: String,
    /// The id of an import, without its prefix.
    import: String,
}

impl Setup {
    fn create(app: App, issuer: &Issuer) -> Self {
        let Tenants { ours, theirs } = app.tenants().clone();
        let url = app.database().url();
        let tenant = |merchant: &Merchant, environment, name| {
            let credential = (issuer.issue)(url, &merchant.id, environment, &SCOPES);
            let resources = Resources::create(&app.native().with_key(&credential), environment, name);
            Tenant { merchant: merchant.clone(), environment, credential, resources }
        };
        let strangers = [(&theirs, "live"), (&theirs, "sandbox"), (&ours, "sandbox")]
            .map(|(merchant, environment)| tenant(merchant, environment, "before"));
        tenant(&ours, "live", "earlier");
        // This customer has the address that the bodies in the table contain.
        let owner = tenant(&ours, "live", "route");
        // In either order of a list, strangers have a customer after the owner's.
        for stranger in &strangers {
            Resources::create(&app.native().with_key(&stranger.credential), stranger.environment, "after");
        }
        let revoked = (issuer.issue_revoked)(url, &ours.id, "live");
        let enough = Route::guarded().map(|route| route.scopes.to_vec());
        let too_few = SCOPES.into_iter().map(all_scopes_but);
        let by_scopes = enough.chain(too_few).collect::<BTreeSet<_>>().into_iter().map(|scopes| {
            let credential = (issuer.issue)(url, &ours.id, "live", &scopes);
            (scopes, credential)
        });
        let by_scopes = by_scopes.collect();
        Self { app, owner, strangers, revoked, by_scopes }
    }

    /// A credential of each tenant, and the revoked one.
    fn credentials(&self) -> impl Iterator<Item = &String> {
        let valid = self.strangers.iter().chain([&self.owner]).map(|tenant| &tenant.credential);
        valid.chain([&self.revoked])
    }

    fn native(&self, tenant: &Tenant) -> Caller {
        self.app.native().with_key(&tenant.credential)
    }

    /// The rows of the owner in the database.
    fn rows(&self) -> Vec<String> {
        rows_of(self.app.database(), &self.owner.merchant, self.owner.environment)
    }

    /// The data of the owner as the service shows it to the owner.
    fn shown(&self) -> Vec<Value> {
        let customer = format!("/customers/{}", self.owner.resources.customer.id(Surface::Native));
        let paths = ["/customers", &customer, &format!("{customer}/subscriptions")];
        paths.map(|path| self.native(&self.owner).get(path).expect(200).json()).into()
    }

    /// A route that needs no credential responds alike to every caller.
    fn answers_every_caller_alike(&self, route: &Route) {
        let caller = route.caller(&self.app).without_key();
        let path = route.path_for(&self.owner.resources.customer);
        let known = route.call_at(&caller, &path).expect(route.status);
        for credential in self.credentials() {
            let response = route.call_at(&caller.with_key(credential), &path);
            assert_eq!(comparable(&response), comparable(&known), "{route:?}");
        }
    }

    /// A route that names a resource of the owner responds to a stranger as if the resource did not exist. A route that
    /// names none shows nothing of the owner.
    fn shows_nothing_to(&self, stranger: &Tenant, route: &Route) {
        let caller = route.caller(&self.app).with_key(&stranger.credential);
        if route.upserts {
            // To a stranger it is a new customer, of the stranger's own.
            let response = route.call_at(&caller, &self.owner.resources.path(route)).expect(201);
            self.owner.resources.assert_absent(&response);
            delete_customers(&self.native(stranger), |customer| customer["email"] == "route@example.com");
            return;
        }
        let (existing, unknown) = (&self.owner.resources, self.owner.resources.unknown());
        let mut is_named = false;
        for (place, (path, unknown_path)) in existing.paths(route).iter().zip(unknown.paths(route)).enumerate() {
            is_named = true;
            let (response, expected) = (route.call_at(&caller, path), route.call_at(&caller, &unknown_path));
            let (shown, expected) = (existing.comparable(&response), unknown.comparable(&expected));
            assert_eq!(shown, expected, "{route:?} at {path}");
            // The first path is the one that the owner would use. For Lumen the ids in the others are malformed.
            let is_refused =
                response.status == 404 || (route.surface == Surface::Lumen && place > 0 && response.status == 400);
            assert!(is_refused, "{route:?} at {path}: {response:?}");
        }
        let path = stranger.resources.path(route);
        if route.in_pages {
            let cursor = cursor(&route.caller(&self.app).with_key(&self.owner.credential), &existing.path(route));
            let page_after = |cursor: &str| caller.get(&format!("{path}?cursor={}", encode(cursor))).expect(400);
            let response = page_after(&cursor);
            assert_eq!(comparable(&response), comparable(&page_after(&unknown_name(&cursor))), "{route:?}");
            existing.assert_absent(&response);
        }
        if !is_named {
            let response = route.call_at(&caller, &path).expect(route.status);
            existing.assert_absent(&response);
            delete_customers(&self.native(stranger), |customer| customer["email"] == "route@example.com");
        }
    }

    fn refuses_a_revoked_or_missing_credential(&self, route: &Route) {
        let caller = route.caller(&self.app).without_key();
        for caller in [caller.with_key(&self.revoked), caller] {
            assert_unauthorized(route, &route.call_at(&caller, &self.owner.resources.path(route)));
        }
    }

    /// All scopes of the table are necessary.
    fn refuses_a_credential_without_a_scope(&self, route: &Route) {
        for scope in route.scopes {
            let caller = route.caller(&self.app).with_key(&self.by_scopes[&all_scopes_but(scope)]);
            let response = route.call_at(&caller, &self.owner.resources.path(route));
            assert_error(route.surface, &response, 403);
            assert!(response.text().contains(&format!("the scope {scope}")), "{route:?}: {response:?}");
            let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
            assert_eq!(response.header("www-authenticate"), Some(challenge.as_str()), "{route:?}");
        }
    }

    /// The scopes of the table are sufficient.
    fn serves_the_owner(&self, route: &Route) {
        let native = self.native(&self.owner);
        delete_customers(&native, |_| true);
        delete_webhooks(&native);
        let resources =
            [1, 2].map(|number| Resources::create(&native, self.owner.environment, &format!("own-{number}")));
        let caller = route.caller(&self.app).with_key(&self.by_scopes[route.scopes]);
        let path = resources[0].path(route);
        if route.in_pages {
            let page = caller.get(&format!("{path}?cursor={}", encode(&cursor(&caller, &path))));
            assert_ne!(page.expect(200).json()["data"], json!([]), "{route:?}");
        }
        let response = route.call_at(&caller, &path);
        assert_eq!(response.status, route.status, "{route:?}: {response:?}");
    }

    fn shows_its_health_to_every_caller(&self) {
        for path in HEALTH {
            let known = self.app.root().get(path).expect(200);
            for credential in self.credentials() {
                let response = self.app.root().with_key(credential).get(path);
                assert_eq!(comparable(&response), comparable(&known), "{path}");
            }
        }
    }
}

impl Resources {
    /// Creates a customer with two subscriptions, a key and a webhook endpoint. The caller must have every scope.
    fn create(native: &Caller, environment: &str, name: &str) -> Self {
        let lava_prefix = if environment == "live" { "con_live_" } else { "con_test_" };
        let customer = Target::create(native, lava_prefix, name);
        for (subscription, day) in [("sub_1", 15), ("sub_2", 16)] {
            let path = format!("/customers/{}/subscriptions/{subscription}", customer.id(Surface::Native));
            let report = json!({"status": "active", "started_at": format!("2025-01-{day}T12:00:00Z")});
            native.put(&path, report).is(201);
        }
        let key = native.post("/api_keys", json!({"scopes": ["keys:manage"]})).expect(201).text_at("/id");
        let history = format!("/customers/{}/events", customer.id(Surface::Native));
        let event = native.get(&history).expect(200).text_at("/data/0/id");
        let suffix = |id: &str, prefix: &str| id.strip_prefix(prefix).expect("an id").to_owned();
        let (webhook, import) = (create_webhook(native), import(native));
        let [key, event] = [suffix(&key, "key_"), suffix(&event, "evt_")];
        let [webhook, import] = [suffix(&webhook, "we_"), suffix(&import, "upl_")];
        Self { customer, key, event, webhook, import }
    }

    /// Names of resources that do not exist. Each differs from a name of this by its last character.
    fn unknown(&self) -> Self {
        let Target { suffix, external_id, .. } = &self.customer;
        let customer =
            Target { suffix: unknown_name(suffix), external_id: unknown_name(external_id), ..self.customer.clone() };
        let names = [&self.key, &self.event, &self.webhook, &self.import];
        let [key, event, webhook, import] = names.map(|name| unknown_name(name));
        Self { customer, key, event, webhook, import }
    }

    /// The path of a route to these resources.
    fn path(&self, route: &Route) -> String {
        route.fill(|name| match name {
            "key_id" => format!("key_{}", self.key),
            "event_id" => format!("evt_{}", self.event),
            "webhook_id" => format!("we_{}", self.webhook),
            "import_id" => format!("upl_{}", self.import),
            _ => route.value_for(name, &self.customer),
        })
    }

    /// A [`comparable`] response without the customer's id, which a message about a malformed id repeats.
    fn comparable(&self, response: &Response) -> Response {
        let mut response = comparable(response);
        let suffix = &self.customer.suffix;
        let body = response.text().replace(suffix, "…").replace(&suffix.to_uppercase(), "…");
        response.body = body.into_bytes();
        response
    }

    /// The paths of a route to these resources: first with the name on the surface of the route, then with the names on
    /// other surfaces and with malformed names. Empty if the path names neither a customer nor a key.
    fn paths(&self, route: &Route) -> Vec<String> {
        let Some(name) = route.names().find(|name| *name != "subscription_id") else { return Vec::new() };
        let Target { suffix, external_id, .. } = &self.customer;
        let others = match name {
            "event_id" => vec![self.event.clone(), format!("evt_{}", self.event.to_uppercase())],
            "webhook_id" => vec![self.webhook.clone(), format!("we_{}", self.webhook.to_uppercase())],
            "import_id" => vec![self.import.clone(), format!("upl_{}", self.import.to_uppercase())],
            "key_id" => vec![self.key.clone(), format!("key_{}", self.key.to_uppercase())],
            _ => vec![
                format!("cus_{suffix}"),
                format!("cust_{suffix}"),
                format!("con_live_{}", suffix.to_uppercase()),
                format!("con_test_{}", suffix.to_uppercase()),
                format!("con_live_{suffix}"),
                suffix.clone(),
                encode(external_id),
            ],
        };
        let others = others.into_iter().map(|form| {
            route.fill(|other| if other == name { form.clone() } else { route.value_for(other, &self.customer) })
        });
        [self.path(route)].into_iter().chain(others).collect()
    }

    fn assert_absent(&self, response: &Response) {
        let text = response.text().to_lowercase();
        assert!(
            [&self.customer.suffix, &self.key, &self.event, &self.webhook, &self.import]
                .iter()
                .all(|id| !text.contains(*id)),
            "{response:?}"
        );
    }
}

/// A name of the same form that does not exist.
fn unknown_name(name: &str) -> String {
    let (rest, last) = name.split_at(name.len() - 1);
    format!("{rest}{}", if last == "0" { '1' } else { '0' })
}

fn all_scopes_but(scope: &str) -> Vec<&'static str> {
    SCOPES.into_iter().filter(|other| *other != scope).collect()
}

/// The cursor after the first item of a list.
fn cursor(caller: &Caller, list: &str) -> String {
    caller.get(&format!("{list}?limit=1")).expect(200).text_at("/next_cursor")
}

/// Creates a webhook endpoint that is sent nothing but two test events. Returns its id.
fn create_webhook(native: &Caller) -> String {
    let hook = json!({"url": "http://127.0.0.1:1/hooks", "events": ["*"]});
    let id = native.post("/webhooks", hook).expect(201).text_at("/id");
    native.patch(&format!("/webhooks/{id}"), json!({"status": "disabled"})).is(200);
    for _ in 0..2 {
        native.post(&format!("/webhooks/{id}/test"), json!({})).is(200);
    }
    id
}

/// Imports a file with a row that is refused. Returns the id of the import, which has ended.
fn import(native: &Caller) -> String {
    let id = native.post("/imports", FILE).expect(202).text_at("/id");
    until("the import ends", TIMEOUT, || {
        let import = native.get(&format!("/imports/{id}")).expect(200).json();
        import["ended_at"].is_string().then_some(())
    });
    id
}

fn delete_webhooks(native: &Caller) {
    let list = native.get("/webhooks?limit=100").expect(200).json();
    for webhook in list["data"].as_array().expect("a list") {
        native.delete(&format!("/webhooks/{}", webhook["id"].as_str().expect("an id"))).is(204);
    }
}

/// Deletes the customers of a caller that are `unwanted`.
fn delete_customers(native: &Caller, unwanted: impl Fn(&Value) -> bool) {
    let list = native.get("/customers?limit=100").expect(200).json();
    for customer in list["data"].as_array().expect("a list").iter().filter(|customer| unwanted(customer)) {
        native.delete(&format!("/customers/{}", customer["id"].as_str().expect("an id"))).is(204);
    }
}

fn two_tenants_may_use_the_same_identifiers(database: Database) {
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
            // Each tenant has one customer at a time, which is deleted below: the surfaces share the tenants.
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

fn a_request_without_a_valid_key_is_401_on_every_route(database: Database) {
    let app = App::start(database);
    let target = Target::create(&app.native(), "con_live_", "victim");
    let rows = || rows_of(app.database(), &app.tenants().ours, "live");
    let before = rows();
    let live = app.tenants().ours.live.clone();
    let mut wrong_checksum = live.clone();
    let last = wrong_checksum.pop().expect("a character");
    wrong_checksum.push(if last == '0' { '1' } else { '0' });
    // A well-formed key with a valid checksum, created in another database.
    let other_database = Database::empty(Kind::Sqlite).expect("a file");
    let unknown = Tenants::create(other_database.url()).ours.live;
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
    for route in Route::guarded() {
        for header in &headers {
            let caller = route.caller(&app).without_key();
            let mut request = caller.request(route.method, &route.path_for(&target));
            if let Some(header) = header {
                request = request.header("authorization", header);
            }
            if let Some(body) = route.body {
                request = request.json(body);
            }
            assert_unauthorized(route, &request.send());
        }
        // Headers that no client library sends.
        for header in ["Bearer \u{e9}\u{e9}", "Bearer\tx", "\u{1f600}"] {
            let path = format!("{}{}", route.base, route.path_for(&target));
            let request = raw::request(route.method, &path, &[("authorization", header)], b"");
            assert_unauthorized(route, &raw::exchange(app.address(), &request).expect("a response"));
        }
    }
    assert_eq!(rows(), before);
}

fn the_scheme_is_accepted_in_any_case(database: Database) {
    let app = App::start(database);
    let live = app.tenants().ours.live.clone();
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let caller = app.native().without_key();
        caller.request("GET", "/customers").header("authorization", &format!("{scheme} {live}")).send().is(200);
    }
}

fn a_revoked_key_is_refused_within_seconds(database: Database) {
    let app = App::start(database);
    let key = create_key(app.database().url(), &app.tenants().ours.id, "live", &[]);
    for surface in Surface::ALL {
        app.surface(surface).with_key(&key.key).get("/customers").is(200);
    }
    revoke(app.database().url(), &key);
    refused_soon(&app, &key.key);
}

fn an_expired_key_is_refused(database: Database) {
    let app = App::start(database);
    let url = app.database().url();
    let lasting = create_key(url, &app.tenants().ours.id, "live", &["--expires-in", "90d"]);
    let brief = create_key(url, &app.tenants().ours.id, "live", &["--expires-in", "1s"]);
    refused_soon(&app, &brief.key);
    app.native().with_key(&lasting.key).get("/customers").is(200);
}

/// A response without the headers that differ for each request and each caller.
fn comparable(response: &Response) -> Response {
    let mut response = response.clone();
    response.headers.retain(|(name, _)| !["date", "x-request-id", "ratelimit"].contains(&name.as_str()));
    response
}

fn assert_unauthorized(route: &Route, response: &Response) {
    assert_error(route.surface, response, 401);
    assert_eq!(response.header("www-authenticate"), Some("Bearer"), "{route:?}: {response:?}");
}

fn refused_soon(app: &App, key: &str) {
    for surface in Surface::ALL {
        let caller = app.surface(surface).with_key(key);
        let response = until("the key is refused", TIMEOUT, || {
            Some(caller.get("/customers")).filter(|response| response.status != 200)
        });
        assert_error(surface, &response, 401);
        assert_eq!(response.header("www-authenticate"), Some("Bearer"));
    }
}
