//! Nobody learns of another tenant's customer, and nobody gets in without a credential that allows it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use roster_tests::app::{Key, Merchant, Tenants, create_key};
use roster_tests::client::{Caller, Surface, encode};
use roster_tests::deadline::until;
use roster_tests::process::Finished;
use roster_tests::program::roster;
use roster_tests::rows::rows_of;
use roster_tests::{Answer, App, Database, Kind, on_both_databases, raw};
use serde_json::{Value, json};

use crate::routes::{HEALTH, ROUTES, Route, SCOPES, Target, assert_error};

on_both_databases! {
    every_route_answers_everybody_as_the_table_says,
    identifiers_in_use_by_another_tenant_are_free,
    whoever_shows_no_valid_key_gets_401_everywhere,
    the_scheme_is_read_in_any_case,
    a_revoked_key_stops_opening_within_seconds,
    an_expired_key_stops_opening,
}

/// Each route of the table, called by {its own tenant, another merchant, another environment, whoever was revoked,
/// whoever lacks a scope, whoever shows nothing}.
fn every_route_answers_everybody_as_the_table_says(database: Database) {
    let stage = Stage::set(App::start_with(database, &UNLIMITED), &API_KEYS);
    let (rows, shown) = (stage.rows(), stage.shown());
    for route in ROUTES {
        if route.scopes.is_empty() {
            stage.answers_anybody_alike(route);
            continue;
        }
        for stranger in &stage.strangers {
            stage.shows_nothing_to(stranger, route);
        }
        stage.refuses_whoever_was_revoked_or_shows_nothing(route);
        stage.refuses_whoever_lacks_a_scope(route);
    }
    assert_eq!(stage.rows(), rows);
    assert_eq!(stage.shown(), shown);
    for route in ROUTES.iter().filter(|route| !route.scopes.is_empty()) {
        stage.serves_the_owner(route);
    }
    stage.tells_anybody_its_health();
}

/// So that nobody is refused for calling too often.
const UNLIMITED: [(&str, &str); 2] =
    [("ROSTER__LIMITS__SANDBOX_KEY_PER_SECOND", "1000000"), ("ROSTER__LIMITS__SANDBOX_MERCHANT_PER_SECOND", "1000000")];

/// Where credentials come from.
struct Issuer {
    /// Makes one with some scopes, for the merchant of this identifier in an environment.
    issue: fn(url: &str, merchant: &str, environment: &str, scopes: &[&str]) -> String,
    /// Makes one with every scope that is not valid any more.
    issue_void: fn(url: &str, merchant: &str, environment: &str) -> String,
}

const API_KEYS: Issuer = Issuer {
    issue: |url, merchant, environment, scopes| key_with(url, merchant, environment, scopes).key,
    issue_void: |url, merchant, environment| {
        let key = key_with(url, merchant, environment, &SCOPES);
        revoke(url, &key);
        key.key
    },
};

fn key_with(url: &str, merchant: &str, environment: &str, scopes: &[&str]) -> Key {
    let scopes: Vec<_> = scopes.iter().flat_map(|scope| ["--scope", scope]).collect();
    create_key(url, merchant, environment, &scopes)
}

fn revoke(url: &str, key: &Key) {
    let Finished { status, err, .. } = roster(url, &[], &["keys", "revoke", &key.id]);
    assert!(status.success(), "{err}");
}

/// A running service, whose things it keeps from whom, and what they call it with.
struct Stage {
    app: App,
    owner: Party,
    /// The other merchant in both environments, and the owner in the other environment.
    strangers: [Party; 3],
    /// A credential of the owner that is not valid any more.
    void: String,
    /// Credentials of the owner with some scopes each.
    by_scopes: BTreeMap<Vec<&'static str>, String>,
}

/// A tenant, its things, and a credential with every scope.
struct Party {
    merchant: Merchant,
    environment: &'static str,
    credential: String,
    things: Things,
}

/// One of everything that a tenant may have: what a path may name.
struct Things {
    customer: Target,
    /// The 26 characters of a key.
    key: String,
}

impl Stage {
    fn set(app: App, issuer: &Issuer) -> Self {
        let Tenants { ours, theirs } = app.tenants().clone();
        let url = app.database().url();
        let party = |merchant: &Merchant, environment, name| {
            let credential = (issuer.issue)(url, &merchant.id, environment, &SCOPES);
            let things = Things::make(&app.native().with_key(&credential), environment, name);
            Party { merchant: merchant.clone(), environment, credential, things }
        };
        let strangers = [(&theirs, "live"), (&theirs, "sandbox"), (&ours, "sandbox")]
            .map(|(merchant, environment)| party(merchant, environment, "before"));
        party(&ours, "live", "earlier");
        // The address of this customer is the one that the routes of the table give to others.
        let owner = party(&ours, "live", "route");
        // Whatever the order of a list, strangers have something behind what is the owner's.
        for stranger in &strangers {
            Things::make(&app.native().with_key(&stranger.credential), stranger.environment, "after");
        }
        let void = (issuer.issue_void)(url, &ours.id, "live");
        let enough = Route::guarded().map(|route| route.scopes.to_vec());
        let too_few = SCOPES.into_iter().map(all_scopes_but);
        let by_scopes = enough.chain(too_few).collect::<BTreeSet<_>>().into_iter().map(|scopes| {
            let credential = (issuer.issue)(url, &ours.id, "live", &scopes);
            (scopes, credential)
        });
        let by_scopes = by_scopes.collect();
        Self { app, owner, strangers, void, by_scopes }
    }

    /// Whoever has a credential, of whatever kind.
    fn credentials(&self) -> impl Iterator<Item = &String> {
        let valid = self.strangers.iter().chain([&self.owner]).map(|party| &party.credential);
        valid.chain([&self.void])
    }

    fn native(&self, party: &Party) -> Caller {
        self.app.native().with_key(&party.credential)
    }

    /// What the database has of the owner.
    fn rows(&self) -> Vec<String> {
        rows_of(self.app.database(), &self.owner.merchant, self.owner.environment)
    }

    /// What the owner is shown.
    fn shown(&self) -> Vec<Value> {
        let customer = format!("/customers/{}", self.owner.things.customer.id(Surface::Native));
        let paths = ["/customers", &customer, &format!("{customer}/subscriptions")];
        paths.map(|path| self.native(&self.owner).get(path).expect(200).json()).into()
    }

    /// What is promised is no secret.
    fn answers_anybody_alike(&self, route: &Route) {
        let caller = self.app.surface(route.surface).without_key();
        let known = route.call_at(&caller, route.path).expect(route.status);
        for credential in self.credentials() {
            let answer = route.call_at(&caller.with_key(credential), route.path);
            assert_eq!(comparable(&answer), comparable(&known), "{route:?}");
        }
    }

    /// By whatever name it is called, what is the owner's answers as what never existed; and where a stranger asks for
    /// nothing by name, nothing of the owner's is there.
    fn shows_nothing_to(&self, stranger: &Party, route: &Route) {
        let caller = self.app.surface(route.surface).with_key(&stranger.credential);
        let (theirs, nobodys) = (&self.owner.things, self.owner.things.neighbours());
        let mut is_named = false;
        for (place, (at_theirs, at_nobodys)) in theirs.paths(route).iter().zip(nobodys.paths(route)).enumerate() {
            is_named = true;
            let (answer, expected) = (route.call_at(&caller, at_theirs), route.call_at(&caller, &at_nobodys));
            assert_eq!(comparable(&answer), comparable(&expected), "{route:?} at {at_theirs}");
            // The first is as the owner would write it. Lumen calls the others malformed.
            let is_refused =
                answer.status == 404 || (route.surface == Surface::Lumen && place > 0 && answer.status == 400);
            assert!(is_refused, "{route:?} at {at_theirs}: {answer:?}");
        }
        let path = stranger.things.path(route);
        if route.in_pages {
            let cursor = cursor(&self.app.surface(route.surface).with_key(&self.owner.credential), &theirs.path(route));
            let behind = |cursor: &str| caller.get(&format!("{path}?cursor={}", encode(cursor))).expect(200);
            let answer = behind(&cursor);
            assert_eq!(without_uses(&answer), without_uses(&behind(&neighbour(&cursor))), "{route:?}");
            assert_ne!(answer.json()["data"], json!([]), "{route:?}: nothing to be told apart from the owner's");
            theirs.assert_absent(&answer);
        }
        if !is_named {
            let answer = route.call_at(&caller, &path).expect(route.status);
            theirs.assert_absent(&answer);
            forget(&self.native(stranger), |customer| customer["email"] == "route@example.com");
        }
    }

    fn refuses_whoever_was_revoked_or_shows_nothing(&self, route: &Route) {
        let caller = self.app.surface(route.surface).without_key();
        for caller in [caller.with_key(&self.void), caller] {
            assert_unauthorized(route, &route.call_at(&caller, &self.owner.things.path(route)));
        }
    }

    /// One scope missing is one too many.
    fn refuses_whoever_lacks_a_scope(&self, route: &Route) {
        for scope in route.scopes {
            let caller = self.app.surface(route.surface).with_key(&self.by_scopes[&all_scopes_but(scope)]);
            let answer = route.call_at(&caller, &self.owner.things.path(route));
            assert_error(route.surface, &answer, 403);
            assert!(answer.text().contains(&format!("the scope {scope}")), "{route:?}: {answer:?}");
            let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
            assert_eq!(answer.header("www-authenticate"), Some(challenge.as_str()), "{route:?}");
        }
    }

    /// The scopes of the table are enough.
    fn serves_the_owner(&self, route: &Route) {
        let native = self.native(&self.owner);
        forget(&native, |_| true);
        let things = [1, 2].map(|number| Things::make(&native, self.owner.environment, &format!("own-{number}")));
        let caller = self.app.surface(route.surface).with_key(&self.by_scopes[route.scopes]);
        let path = things[0].path(route);
        if route.in_pages {
            let behind = caller.get(&format!("{path}?cursor={}", encode(&cursor(&caller, &path))));
            assert_ne!(behind.expect(200).json()["data"], json!([]), "{route:?}");
        }
        let answer = route.call_at(&caller, &path);
        assert_eq!(answer.status, route.status, "{route:?}: {answer:?}");
    }

    fn tells_anybody_its_health(&self) {
        for path in HEALTH {
            let known = self.app.root().get(path).expect(200);
            for credential in self.credentials() {
                let answer = self.app.root().with_key(credential).get(path);
                assert_eq!(comparable(&answer), comparable(&known), "{path}");
            }
        }
    }
}

impl Things {
    /// Makes a customer with two subscriptions, and a key, in the tenant of a caller who may do everything.
    fn make(native: &Caller, environment: &str, name: &str) -> Self {
        let lava_prefix = if environment == "live" { "con_live_" } else { "con_test_" };
        let customer = Target::create(native, lava_prefix, name);
        for (subscription, day) in [("sub_1", 15), ("sub_2", 16)] {
            let path = format!("/customers/{}/subscriptions/{subscription}", customer.id(Surface::Native));
            let report = json!({"status": "active", "started_at": format!("2025-01-{day}T12:00:00Z")});
            native.put(&path, report).is(201);
        }
        let key = native.post("/api_keys", json!({"scopes": ["keys:manage"]})).expect(201).text_at("/id");
        Self { customer, key: key.strip_prefix("key_").expect("the id of a key").to_owned() }
    }

    /// What nobody has, by names that are no more than a character away.
    fn neighbours(&self) -> Self {
        let Target { suffix, external_id, .. } = &self.customer;
        let customer =
            Target { suffix: neighbour(suffix), external_id: neighbour(external_id), ..self.customer.clone() };
        Self { customer, key: neighbour(&self.key) }
    }

    /// The path of a route to this.
    fn path(&self, route: &Route) -> String {
        route.fill(|name| match name {
            "key_id" => format!("key_{}", self.key),
            _ => route.value_for(name, &self.customer),
        })
    }

    /// The paths of a route to this: as it is called there, and as it is called anywhere. None if the path names
    /// neither a customer nor a key.
    fn paths(&self, route: &Route) -> Vec<String> {
        let Some(name) = route.names().find(|name| *name != "subscription_id") else { return Vec::new() };
        let Target { suffix, external_id, .. } = &self.customer;
        let elsewhere = match name {
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
        let elsewhere = elsewhere.into_iter().map(|form| {
            route.fill(|other| if other == name { form.clone() } else { route.value_for(other, &self.customer) })
        });
        [self.path(route)].into_iter().chain(elsewhere).collect()
    }

    fn assert_absent(&self, answer: &Answer) {
        let text = answer.text().to_lowercase();
        assert!(!text.contains(&self.customer.suffix) && !text.contains(&self.key), "{answer:?}");
    }
}

/// Another text of the same length that reads as the same kind of name.
fn neighbour(name: &str) -> String {
    let (rest, last) = name.split_at(name.len() - 1);
    format!("{rest}{}", if last == "0" { '1' } else { '0' })
}

fn all_scopes_but(scope: &str) -> Vec<&'static str> {
    SCOPES.into_iter().filter(|other| *other != scope).collect()
}

/// The cursor behind the first thing of a list.
fn cursor(caller: &Caller, list: &str) -> String {
    caller.get(&format!("{list}?limit=1")).expect(200).text_at("/next_cursor")
}

/// A page, but for when keys were last used, which changes while they are.
fn without_uses(page: &Answer) -> Value {
    let mut json = page.json();
    for item in json["data"].as_array_mut().expect("a page") {
        item.as_object_mut().expect("an object").remove("last_used_at");
    }
    json
}

/// Deletes those customers of a caller that are `unwanted`.
fn forget(native: &Caller, unwanted: impl Fn(&Value) -> bool) {
    let list = native.get("/customers?limit=100").expect(200).json();
    for customer in list["data"].as_array().expect("a list").iter().filter(|customer| unwanted(customer)) {
        native.delete(&format!("/customers/{}", customer["id"].as_str().expect("an id"))).is(204);
    }
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
    let rows = || rows_of(app.database(), &app.tenants().ours, "live");
    let before = rows();
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
    for route in Route::guarded() {
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
    assert_eq!(rows(), before);
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
    revoke(app.database().url(), &key);
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

/// All of an answer but what names the moment and the request, and what is left to whoever asked.
fn comparable(answer: &Answer) -> Answer {
    let mut answer = answer.clone();
    answer.headers.retain(|(name, _)| !["date", "x-request-id", "ratelimit"].contains(&name.as_str()));
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
