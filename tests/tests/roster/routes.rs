//! Every path and method of the contract, for the tests that try all of them.

use roster_tests::client::{Caller, Surface, encode};
use roster_tests::{Answer, App, Database, on_both_databases};
use serde_json::{Value, json};

/// A path and method of the contract.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    pub(crate) surface: Surface,
    pub(crate) method: &'static str,
    /// The path below the surface's own, with `{id}`, `{external_id}` and `{subscription_id}` in it.
    pub(crate) path: &'static str,
    /// A body that it takes.
    pub(crate) body: Option<&'static str>,
    /// What it answers if all is well.
    pub(crate) status: u16,
}

const CREATE_NATIVE: &str = r#"{"email":"route@example.com"}"#;
const REPORT: &str = r#"{"plan_id":"pro","name":"Pro","status":"active","started_at":"2025-01-15T12:00:00Z"}"#;
const RENAME: &str = r#"{"name":"Renamed"}"#;

/// All of them.
pub(crate) const ROUTES: &[Route] = &[
    route(Surface::Native, "POST", "/customers", Some(CREATE_NATIVE), 201),
    route(Surface::Native, "GET", "/customers", None, 200),
    route(Surface::Native, "GET", "/customers/{id}", None, 200),
    route(Surface::Native, "GET", "/customers/external/{external_id}", None, 200),
    route(Surface::Native, "PATCH", "/customers/{id}", Some(RENAME), 200),
    route(Surface::Native, "PUT", "/customers/{id}/subscriptions/{subscription_id}", Some(REPORT), 201),
    route(Surface::Native, "GET", "/customers/{id}/subscriptions", None, 200),
    route(Surface::Native, "DELETE", "/customers/{id}", None, 204),
    route(Surface::Lumen, "GET", "/customers", None, 200),
    route(Surface::Lumen, "POST", "/customers", Some(CREATE_NATIVE), 201),
    route(Surface::Lumen, "GET", "/customers/{id}", None, 200),
    route(Surface::Lumen, "POST", "/customers/{id}", Some(RENAME), 200),
    route(Surface::Lumen, "DELETE", "/customers/{id}", None, 200),
    route(Surface::Lava, "POST", "/customers", Some(CREATE_NATIVE), 201),
    route(Surface::Lava, "GET", "/customers", None, 200),
    route(Surface::Lava, "GET", "/customers/{id}", None, 200),
    route(Surface::Lava, "GET", "/customers/{external_id}", None, 200),
    route(Surface::Lava, "PATCH", "/customers/{id}", Some(RENAME), 200),
    route(Surface::Lava, "PATCH", "/customers/{external_id}", Some(RENAME), 200),
    route(Surface::Lava, "GET", "/customers/{id}/subscription", None, 200),
    route(Surface::Lava, "GET", "/customers/{external_id}/subscription", None, 200),
    route(Surface::Lava, "DELETE", "/customers/{id}", None, 200),
    route(Surface::Lava, "DELETE", "/customers/{external_id}", None, 200),
];

const fn route(
    surface: Surface,
    method: &'static str,
    path: &'static str,
    body: Option<&'static str>,
    status: u16,
) -> Route {
    Route { surface, method, path, body, status }
}

/// Whom a path is about.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The 26 characters.
    pub(crate) suffix: String,
    /// What Lava writes before them: `con_live_` or `con_test_`.
    pub(crate) lava_prefix: &'static str,
    pub(crate) external_id: String,
}

impl Target {
    /// Makes a customer on the native surface; `live` says of which environment the caller's key is.
    pub(crate) fn create(native: &Caller, lava_prefix: &'static str, external_id: &str) -> Self {
        let body = json!({"email": format!("{}@example.com", external_id.to_lowercase()), "external_id": external_id});
        let id = native.post("/customers", body).expect(201).text_at("/id");
        let suffix = id.strip_prefix("cus_").expect("an id of the native surface").to_owned();
        Self { suffix, lava_prefix, external_id: external_id.to_owned() }
    }

    /// What `surface` calls it.
    pub(crate) fn id(&self, surface: Surface) -> String {
        match surface {
            Surface::Native => format!("cus_{}", self.suffix),
            Surface::Lumen => format!("cust_{}", self.suffix),
            Surface::Lava => format!("{}{}", self.lava_prefix, self.suffix.to_uppercase()),
        }
    }
}

impl Route {
    /// Whether the path names a customer.
    pub(crate) fn names_a_customer(&self) -> bool {
        self.path.contains("id}")
    }

    /// The path below the surface's own for `target`.
    pub(crate) fn path_for(&self, target: &Target) -> String {
        self.path
            .replace("{id}", &target.id(self.surface))
            .replace("{external_id}", &encode(&target.external_id))
            .replace("{subscription_id}", "sub_1")
    }

    /// Calls it.
    pub(crate) fn call(&self, caller: &Caller, target: &Target) -> Answer {
        let request = caller.request(self.method, &self.path_for(target));
        match self.body {
            Some(body) => request.json(body),
            None => request,
        }
        .send()
    }
}

/// Checks that an answer is an error in the format of `surface`.
pub(crate) fn assert_error(surface: Surface, answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    let content_type = answer.header("content-type").unwrap_or_default();
    assert_eq!(content_type.split(';').next(), Some(surface.error_type()), "{answer:?}");
    let json = answer.json();
    match surface {
        Surface::Native => {
            assert_eq!(json["status"], status, "{answer:?}");
            for member in ["type", "title", "detail"] {
                assert!(json[member].is_string(), "no {member}: {answer:?}");
            }
        }
        Surface::Lumen | Surface::Lava => {
            assert!(matches!(&json["error"], Value::String(text) if !text.is_empty()), "{answer:?}");
        }
    }
}

on_both_databases! {
    every_route_is_served,
    another_method_is_405_and_says_which_there_are,
    an_unknown_path_is_404_in_the_format_of_its_surface,
}

fn every_route_is_served(database: Database) {
    let app = App::start(database);
    for (number, route) in ROUTES.iter().enumerate() {
        // Each on a customer of its own: some of them delete it.
        let target = Target::create(&app.native(), "con_live_", &format!("route-{number}"));
        let answer = route.call(&app.surface(route.surface), &target);
        assert_eq!(answer.status, route.status, "{route:?}: {answer:?}");
        for made in app.native().get("/customers").json()["data"].as_array().expect("a list") {
            let id = made["id"].as_str().expect("an id");
            app.native().delete(&format!("/customers/{id}")).is(204);
        }
    }
}

fn another_method_is_405_and_says_which_there_are(database: Database) {
    let app = App::start(database);
    let target = Target::create(&app.native(), "con_live_", "routes");
    for route in ROUTES {
        let path = route.path_for(&target);
        let offered: Vec<_> = ROUTES
            .iter()
            .filter(|other| other.surface == route.surface && other.path_for(&target) == path)
            .map(|other| other.method)
            .collect();
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
            if offered.contains(&method) {
                continue;
            }
            let answer = app.surface(route.surface).request(method, &path).send();
            assert_error(route.surface, &answer, 405);
            let allow = answer.header("allow").unwrap_or_default();
            let mut allowed: Vec<_> = allow.split(',').map(str::trim).filter(|name| *name != "HEAD").collect();
            let mut offered = offered.clone();
            allowed.sort_unstable();
            offered.sort_unstable();
            assert_eq!(allowed, offered, "{method} {path}");
        }
    }
}

fn an_unknown_path_is_404_in_the_format_of_its_surface(database: Database) {
    let app = App::start(database);
    for surface in Surface::ALL {
        for path in ["", "/", "/nothing", "/customers/", "/customers/a/b/c/d", "/customer"] {
            for method in ["GET", "POST"] {
                let answer = app.surface(surface).request(method, path).send();
                assert_error(surface, &answer, 404);
            }
        }
    }
    for path in ["/", "/v2/customers", "/v1customers", "/lava/customers", "/api.json"] {
        app.root().get(path).is(404);
    }
}
