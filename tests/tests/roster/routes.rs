//! A table of all routes of merchants, for the tests that call all of them. Those of operators are in `admin.rs`.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use roster_tests::client::{Caller, Surface, encode};
use roster_tests::{App, Database, Response, on_both_databases};
use serde_json::{Value, json};

/// A method and a path of a surface.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    pub(crate) surface: Surface,
    /// The prefix of the path: one of those of the surface.
    pub(crate) base: &'static str,
    pub(crate) method: &'static str,
    /// The path without the prefix of the surface, and the query if one is required. A parameter in braces may have another name than in the program:
    /// a path that takes ids of two kinds has two rows.
    pub(crate) path: &'static str,
    /// The scopes that the credential needs. Empty: the route needs no credential.
    pub(crate) scopes: &'static [&'static str],
    /// A valid body.
    pub(crate) body: Option<&'static str>,
    /// The status of a successful response.
    pub(crate) status: u16,
    /// Whether it returns a page, and takes a cursor.
    pub(crate) in_pages: bool,
    /// Whether it creates a customer with the name in the path if there is none.
    pub(crate) upserts: bool,
}

const READ: &[&str] = &["customers:read"];
const WRITE: &[&str] = &["customers:write"];
const SHARE: &[&str] = &["customers:write", "customers:allow_duplicate_email"];
const REPORT: &[&str] = &["subscriptions:write"];
const KEYS: &[&str] = &["keys:manage"];
const EVENTS: &[&str] = &["events:read"];
const HOOKS: &[&str] = &["webhooks:manage"];
const IMPORTS: &[&str] = &["imports:write"];

const NEW: &str = r#"{"email":"route@example.com"}"#;
const BATCH: &str = r#"{"items":[{"op":"create","body":{"email":"route@example.com"}}]}"#;
const NEW_SHARING: &str = r#"{"email":"route@example.com","allow_duplicate_email":true}"#;
const LUMEN_SHARING: &str = r#"{"email":"route@example.com","dangerouslyAllowSameEmailForDifferentCustomers":true}"#;
const SUBSCRIPTION: &str = r#"{"plan_id":"pro","name":"Pro","status":"active","started_at":"2025-01-15T12:00:00Z"}"#;
const RENAME: &str = r#"{"name":"Renamed"}"#;
const KEY: &str = r#"{"name":"route","scopes":["keys:manage"]}"#;
/// There is no server at port 1.
const HOOK: &str = r#"{"url":"http://127.0.0.1:1/hooks","events":["*"]}"#;
/// A file with a row that is refused: nothing comes of it later.
pub(crate) const FILE: &str = r#"{"email":"no address"}"#;
const OVERLAP: &str = r#"{"overlap_seconds":60}"#;

/// All routes except [`HEALTH`], under every prefix of their surfaces.
pub(crate) static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| {
    let mounted =
        |route: &Route| route.surface.bases().iter().map(|&base| Route { base, ..*route }).collect::<Vec<_>>();
    TABLE.iter().flat_map(mounted).collect()
});

/// The same, under the first prefix of each surface.
const TABLE: &[Route] = &[
    native("POST", "/customers", WRITE, 201).with(NEW),
    native("POST", "/customers", SHARE, 201).with(NEW_SHARING),
    native("POST", "/customers/batch", WRITE, 200).with(BATCH),
    native("GET", "/customers", READ, 200).in_pages(),
    native("GET", "/customers/export", READ, 200),
    native("GET", "/customers/{id}", READ, 200),
    native("GET", "/customers/external/{external_id}", READ, 200),
    native("PUT", "/customers/external/{external_id}", WRITE, 200).with(NEW).upserting(),
    native("PUT", "/customers/external/{external_id}", SHARE, 200).with(NEW_SHARING).upserting(),
    native("PATCH", "/customers/{id}", WRITE, 200).with(RENAME),
    native("PATCH", "/customers/{id}", SHARE, 200).with(NEW_SHARING),
    native("PUT", "/customers/{id}/subscriptions/{subscription_id}", REPORT, 200).with(SUBSCRIPTION),
    native("GET", "/customers/{id}/subscriptions", READ, 200).in_pages(),
    native("DELETE", "/customers/{id}", WRITE, 204),
    native("GET", "/customers/{id}/events", EVENTS, 200).in_pages(),
    native("GET", "/events", EVENTS, 200).in_pages(),
    native("GET", "/events/days", EVENTS, 200),
    native("GET", "/events/{event_id}", EVENTS, 200),
    native("GET", "/api_keys", KEYS, 200).in_pages(),
    native("POST", "/api_keys", KEYS, 201).with(KEY),
    native("POST", "/api_keys/{key_id}/rotate", KEYS, 201).with(OVERLAP),
    native("DELETE", "/api_keys/{key_id}", KEYS, 204),
    native("GET", "/webhooks", HOOKS, 200).in_pages(),
    native("POST", "/webhooks", HOOKS, 201).with(HOOK),
    native("GET", "/webhooks/{webhook_id}", HOOKS, 200),
    native("PATCH", "/webhooks/{webhook_id}", HOOKS, 200).with(r#"{"description":"Changed"}"#),
    native("GET", "/webhooks/{webhook_id}/attempts", HOOKS, 200).in_pages(),
    native("POST", "/webhooks/{webhook_id}/replay", HOOKS, 202).with(r#"{"from_seq":1}"#),
    native("POST", "/webhooks/{webhook_id}/rotate_secret", HOOKS, 200).with(OVERLAP),
    native("POST", "/webhooks/{webhook_id}/test", HOOKS, 200),
    native("DELETE", "/webhooks/{webhook_id}", HOOKS, 204),
    native("GET", "/imports", IMPORTS, 200).in_pages(),
    native("POST", "/imports", IMPORTS, 202).with(FILE),
    native("GET", "/imports/{import_id}", IMPORTS, 200),
    native("GET", "/imports/{import_id}/errors", IMPORTS, 200),
    native("DELETE", "/imports/{import_id}", IMPORTS, 204),
    native("GET", "/health", &[], 200),
    native("GET", "/problems", &[], 200),
    native("GET", "/problems/{code}", &[], 200),
    native("GET", "/openapi.json", &[], 200),
    lumen("GET", "/customers", READ, 200),
    lumen("POST", "/customers", WRITE, 201).with(NEW),
    lumen("POST", "/customers", SHARE, 201).with(LUMEN_SHARING),
    lumen("GET", "/customers/subscription-status?externalCustomerId={external_id}", READ, 200),
    lumen("GET", "/customers/{id}", READ, 200),
    lumen("POST", "/customers/{id}", WRITE, 200).with(RENAME),
    lumen("POST", "/customers/{id}", SHARE, 200).with(LUMEN_SHARING),
    lumen("DELETE", "/customers/{id}", WRITE, 200),
    lumen("GET", "/openapi.json", &[], 200),
    lava("POST", "/customers", WRITE, 201).with(NEW),
    lava("GET", "/customers", READ, 200).in_pages(),
    lava("GET", "/customers/{id}", READ, 200),
    lava("GET", "/customers/{external_id}", READ, 200),
    lava("PATCH", "/customers/{id}", WRITE, 200).with(RENAME),
    lava("PATCH", "/customers/{external_id}", WRITE, 200).with(RENAME),
    lava("GET", "/customers/{id}/subscription", READ, 200),
    lava("GET", "/customers/{external_id}/subscription", READ, 200),
    lava("DELETE", "/customers/{id}", WRITE, 200),
    lava("DELETE", "/customers/{external_id}", WRITE, 200),
    lava("GET", "/openapi.json", &[], 200),
];

/// The paths that belong to no surface, for GET without a credential.
pub(crate) const HEALTH: [&str; 2] = ["/livez", "/readyz"];

const fn native(method: &'static str, path: &'static str, scopes: &'static [&'static str], status: u16) -> Route {
    route(Surface::Native, method, path, scopes, status)
}

const fn lumen(method: &'static str, path: &'static str, scopes: &'static [&'static str], status: u16) -> Route {
    route(Surface::Lumen, method, path, scopes, status)
}

const fn lava(method: &'static str, path: &'static str, scopes: &'static [&'static str], status: u16) -> Route {
    route(Surface::Lava, method, path, scopes, status)
}

const fn route(
    surface: Surface,
    method: &'static str,
    path: &'static str,
    scopes: &'static [&'static str],
    status: u16,
) -> Route {
    Route { surface, base: "", method, path, scopes, body: None, status, in_pages: false, upserts: false }
}

/// The customer that a path names.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The 26 characters of the id that are the same on all surfaces.
    pub(crate) suffix: String,
    /// The prefix of the id on Lava: `con_live_` or `con_test_`.
    pub(crate) lava_prefix: &'static str,
    pub(crate) external_id: String,
}

impl Target {
    /// Creates a customer on the native surface. `lava_prefix` must match the environment of the caller's key.
    pub(crate) fn create(native: &Caller, lava_prefix: &'static str, external_id: &str) -> Self {
        let body = json!({"email": format!("{}@example.com", external_id.to_lowercase()), "external_id": external_id});
        let id = native.post("/customers", body).expect(201).text_at("/id");
        let suffix = id.strip_prefix("cus_").expect("an id of the native surface").to_owned();
        Self { suffix, lava_prefix, external_id: external_id.to_owned() }
    }

    /// Its id on `surface`.
    pub(crate) fn id(&self, surface: Surface) -> String {
        match surface {
            Surface::Native => format!("cus_{}", self.suffix),
            Surface::Lumen => format!("cust_{}", self.suffix),
            Surface::Lava => format!("{}{}", self.lava_prefix, self.suffix.to_uppercase()),
        }
    }
}

impl Route {
    const fn with(self, body: &'static str) -> Self {
        Self { body: Some(body), ..self }
    }

    const fn in_pages(self) -> Self {
        Self { in_pages: true, ..self }
    }

    const fn upserting(self) -> Self {
        Self { upserts: true, ..self }
    }

    /// A caller of the surface under the prefix of this route.
    pub(crate) fn caller(&self, app: &App) -> Caller {
        app.surface(self.surface).under(self.base)
    }

    /// The routes that need a credential.
    pub(crate) fn guarded() -> impl Iterator<Item = &'static Self> {
        ROUTES.iter().filter(|route| !route.scopes.is_empty())
    }

    /// The routes of customers and their subscriptions.
    pub(crate) fn of_customers() -> impl Iterator<Item = &'static Self> {
        ROUTES.iter().filter(|route| route.path.starts_with("/customers"))
    }

    /// The names of the parameters in the path.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('{').skip(1).filter_map(|part| part.split('}').next())
    }

    /// The path with each parameter replaced by its `value`.
    pub(crate) fn fill(&self, value: impl Fn(&str) -> String) -> String {
        self.names().fold(self.path.to_owned(), |path, name| path.replace(&format!("{{{name}}}"), &value(name)))
    }

    /// The path for `target`.
    pub(crate) fn path_for(&self, target: &Target) -> String {
        self.fill(|name| self.value_for(name, target))
    }

    /// The value of the parameter `name` for `target`.
    pub(crate) fn value_for(&self, name: &str, target: &Target) -> String {
        match name {
            "id" => target.id(self.surface),
            "external_id" => encode(&target.external_id),
            "subscription_id" => "sub_1".to_owned(),
            // A target has no key: this id names none.
            "key_id" => format!("key_{}", target.suffix),
            "webhook_id" => format!("we_{}", target.suffix),
            "import_id" => format!("upl_{}", target.suffix),
            // A target has no event, either.
            "event_id" => format!("evt_{}", target.suffix),
            "code" => "unauthorized".to_owned(),
            _ => panic!("{self:?}: unknown parameter {name}"),
        }
    }

    /// Sends a request for `target`.
    pub(crate) fn call(&self, caller: &Caller, target: &Target) -> Response {
        self.call_at(caller, &self.path_for(target))
    }

    /// Sends a request to a path whose parameters are replaced.
    pub(crate) fn call_at(&self, caller: &Caller, path: &str) -> Response {
        let request = caller.request(self.method, path);
        match self.body {
            Some(body) => request.json(body),
            None => request,
        }
        .send()
    }

    /// The route as an OpenAPI document describes it.
    fn described(&self) -> Described {
        let path = self.fill(|_| String::new());
        let path = path.split_once('?').map_or(path.as_str(), |(path, _)| path);
        let shape = format!("{} {}{path}", self.method, self.base);
        (shape, self.scopes.first().map(|&scope| scope.to_owned()), self.in_pages)
    }
}

/// Asserts that a response is an error in the format of `surface`.
pub(crate) fn assert_error(surface: Surface, response: &Response, status: u16) {
    assert_eq!(response.status, status, "{response:?}");
    let content_type = response.header("content-type").unwrap_or_default();
    assert_eq!(content_type.split(';').next(), Some(surface.error_type()), "{response:?}");
    let json = response.json();
    match surface {
        Surface::Native => {
            assert_eq!(json["status"], status, "{response:?}");
            for member in ["/type", "/title", "/detail", "/error/type", "/error/code", "/error/message"] {
                assert!(json.pointer(member).is_some_and(Value::is_string), "no {member}: {response:?}");
            }
            assert!(json.pointer("/error/param").is_some_and(|param| param.is_string() || param.is_null()));
        }
        Surface::Lumen | Surface::Lava => {
            assert!(matches!(&json["error"], Value::String(text) if !text.is_empty()), "{response:?}");
        }
    }
}

on_both_databases! {
    the_table_has_exactly_the_routes_of_the_program,
    another_method_is_405_with_the_allowed_methods,
    an_unknown_path_is_404_in_the_format_of_its_surface,
}

/// Compares the table with the OpenAPI documents of the program. A test in `crates/http` compares the documents with
/// the router: with that of operators they contain all routes except [`HEALTH`].
fn the_table_has_exactly_the_routes_of_the_program(database: Database) {
    let app = App::start(database);
    let mut served = BTreeSet::new();
    for surface in Surface::ALL {
        let document = app.surface(surface).without_key().get("/openapi.json").expect(200).json();
        let bases = document["servers"].as_array().expect("servers").iter().map(|server| &server["url"]);
        assert!(bases.clone().eq(surface.bases()), "{surface:?}");
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("methods").iter().filter(|(key, _)| *key != "parameters")
            {
                served.extend(surface.bases().iter().map(|base| described(base, path, method, operation)));
            }
        }
    }
    let table: BTreeSet<_> = ROUTES.iter().map(Route::described).collect();
    let nothing = Vec::<&Described>::new();
    assert_eq!(served.difference(&table).collect::<Vec<_>>(), nothing, "served, and not in the table");
    assert_eq!(table.difference(&served).collect::<Vec<_>>(), nothing, "in the table, and not served");
    for path in HEALTH {
        app.root().get(path).is(200);
    }
}

/// A route in a document: the method and the path without the names of parameters; the first scope that it needs; and
/// whether it takes a cursor.
type Described = (String, Option<String>, bool);

fn described(base: &str, path: &str, method: &str, operation: &Value) -> Described {
    let path: String = path.split('{').map(|part| part.split_once('}').map_or(part, |(_, rest)| rest)).collect();
    let shape = format!("{} {base}{path}", method.to_uppercase());
    let scope = operation.pointer("/security/0/bearer/0").and_then(Value::as_str).map(str::to_owned);
    let takes_cursor = operation["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|parameter| parameter["name"] == "cursor" || parameter["$ref"] == "#/components/parameters/Cursor");
    (shape, scope, takes_cursor)
}

fn another_method_is_405_with_the_allowed_methods(database: Database) {
    let app = App::start(database);
    let target = Target::create(&app.native(), "con_live_", "routes");
    for route in ROUTES.iter() {
        let path = route.path_for(&target);
        let same_path = |other: &&Route| other.surface == route.surface && other.path_for(&target) == path;
        let offered: BTreeSet<_> = ROUTES.iter().filter(same_path).map(|other| other.method).collect();
        let offered: Vec<_> = offered.into_iter().collect();
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
            if offered.contains(&method) {
                continue;
            }
            let response = route.caller(&app).request(method, &path).send();
            assert_error(route.surface, &response, 405);
            let allow = response.header("allow").unwrap_or_default();
            let mut allowed: Vec<_> = allow.split(',').map(str::trim).filter(|name| *name != "HEAD").collect();
            allowed.sort_unstable();
            assert_eq!(allowed, offered, "{method} {path}");
        }
    }
}

fn an_unknown_path_is_404_in_the_format_of_its_surface(database: Database) {
    let app = App::start(database);
    for surface in Surface::ALL {
        for path in ["", "/", "/nothing", "/customers/", "/customers/a/b/c/d", "/customer"] {
            for method in ["GET", "POST"] {
                for base in surface.bases() {
                    let response = app.surface(surface).under(base).request(method, path).send();
                    assert_error(surface, &response, 404);
                }
            }
        }
    }
    for path in ["/", "/v2/customers", "/v1customers", "/lava/customers", "/api.json"] {
        app.root().get(path).is(404);
    }
}
