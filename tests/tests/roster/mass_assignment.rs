//! Nobody sets what the service decides: whose a row is, what it is called, when it changed, how it is compared. A native
//! body that tries is refused, a vendor's is taken as if it had not; what is stored tells, read by SQL.

use roster_tests::app::create_key;
use roster_tests::client::{Caller, Surface};
use roster_tests::rows::rows_in;
use roster_tests::{Answer, App, Database, on_both_databases};
use serde_json::{Value, json};

use crate::routes::Target;

on_both_databases! {
    every_route_that_writes_is_tried_here,
    what_the_service_decides_is_refused_in_a_native_body,
    what_the_service_decides_is_ignored_where_fields_are_not_refused,
}

/// A route that writes, a body that it takes, and what it answers then. `{id}` is a customer, `{key}` an API key.
struct Writer {
    surface: Surface,
    method: &'static str,
    path: &'static str,
    body: &'static str,
    status: u16,
}

const WRITERS: &[Writer] = &[
    writer(
        Surface::Native,
        "POST",
        "/customers",
        r#"{"email":"new@example.com","billing_address":{"city":"Oia"}}"#,
        201,
    ),
    writer(Surface::Native, "PATCH", "/customers/{id}", r#"{"name":"Changed","billing_address":{"city":"Oia"}}"#, 200),
    writer(Surface::Native, "PUT", "/customers/{id}/subscriptions/{subscription}", r#"{"status":"active"}"#, 201),
    writer(Surface::Native, "POST", "/api_keys", r#"{"name":"new"}"#, 201),
    writer(Surface::Native, "POST", "/api_keys/{key}/rotate", r#"{"overlap_seconds":60}"#, 201),
    writer(Surface::Lumen, "POST", "/customers", r#"{"email":"new@example.com","billingCity":"Oia"}"#, 201),
    writer(Surface::Lumen, "POST", "/customers/{id}", r#"{"name":"Changed","billingCity":"Oia"}"#, 200),
    writer(Surface::Lava, "POST", "/customers", r#"{"email":"new@example.com","reference_id":"new"}"#, 201),
    // Somebody has the reference: nothing is written at all.
    writer(Surface::Lava, "POST", "/customers", r#"{"reference_id":"target"}"#, 200),
    writer(Surface::Lava, "PATCH", "/customers/{id}", r#"{"name":"Changed","metadata":{"plan":"pro"}}"#, 200),
    // These read no body.
    writer(Surface::Native, "DELETE", "/customers/{id}", "{}", 204),
    writer(Surface::Native, "DELETE", "/api_keys/{key}", "{}", 204),
    writer(Surface::Lumen, "DELETE", "/customers/{id}", "{}", 200),
    writer(Surface::Lava, "DELETE", "/customers/{id}", "{}", 200),
];

/// Every column that is none of a caller's business, in both spellings, and what surfaces call it.
const FIELDS: &[(&str, Kind)] = &[
    ("id", Kind::Customer),
    ("customer_id", Kind::Customer),
    ("customerId", Kind::Customer),
    ("org_id", Kind::Merchant),
    ("orgId", Kind::Merchant),
    ("merchant_id", Kind::Merchant),
    ("merchantId", Kind::Merchant),
    ("environment", Kind::Environment),
    ("tenant", Kind::Environment),
    ("created_at", Kind::Moment),
    ("createdAt", Kind::Moment),
    ("updated_at", Kind::Moment),
    ("updatedAt", Kind::Moment),
    ("deleted_at", Kind::Moment),
    ("deletedAt", Kind::Moment),
    ("revoked_at", Kind::Moment),
    ("revokedAt", Kind::Moment),
    ("last_used_at", Kind::Moment),
    ("lastUsedAt", Kind::Moment),
    ("version", Kind::Version),
    ("email_key", Kind::EmailKey),
    ("emailKey", Kind::EmailKey),
    ("email_exclusive", Kind::No),
    ("emailExclusive", Kind::No),
    ("digest", Kind::Digest),
    ("key", Kind::Digest),
];

/// What is sent for a field: something of another tenant, or of long ago.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Customer,
    Merchant,
    Environment,
    Moment,
    Version,
    EmailKey,
    No,
    Digest,
}

const LONG_AGO: &str = "2001-01-01T00:00:00.000Z";
const THEIR_EMAIL: &str = "theirs@example.com";

const fn writer(surface: Surface, method: &'static str, path: &'static str, body: &'static str, status: u16) -> Writer {
    Writer { surface, method, path, body, status }
}

impl Writer {
    /// Whether it reads a body and knows every field of it.
    fn refuses(&self) -> bool {
        self.surface == Surface::Native && self.method != "DELETE"
    }

    /// Its body with something more at the top and in the address.
    fn body_with(&self, more: &[(&str, Value)], in_address: &[(&str, Value)]) -> Value {
        let mut body: Value = serde_json::from_str(self.body).expect("JSON");
        for (field, value) in more {
            body[*field] = value.clone();
        }
        for (field, value) in in_address {
            body["billing_address"][*field] = value.clone();
        }
        body
    }
}

/// A service with a customer of another tenant, and a caller who may do everything there is.
struct Trial {
    app: App,
    key: String,
    their_id: String,
    their_row: Value,
}

impl Trial {
    fn start(database: Database) -> Self {
        let app = App::start(database);
        let their_body = json!({"email": THEIR_EMAIL, "external_id": "theirs"});
        let theirs = app.native().with_key(&app.tenants().theirs.sandbox).post("/customers", their_body).expect(201);
        let [their_row] = &rows_in(app.database(), "customers")[..] else { panic!("one customer") };
        let scopes = [
            "customers:read",
            "customers:write",
            "customers:allow_duplicate_email",
            "subscriptions:write",
            "keys:manage",
        ];
        let scopes: Vec<_> = scopes.iter().flat_map(|scope| ["--scope", *scope]).collect();
        let key = create_key(app.database().url(), &app.tenants().ours.id, "live", &scopes).key;
        Self { their_id: theirs.text_at("/id"), their_row: their_row.clone(), key, app }
    }

    fn caller(&self, surface: Surface) -> Caller {
        self.app.surface(surface).with_key(&self.key)
    }

    /// What is sent for a field.
    fn foreign(&self, kind: Kind) -> Value {
        match kind {
            Kind::Customer => json!(self.their_id),
            Kind::Merchant => json!(self.app.tenants().theirs.id),
            Kind::Environment => json!("sandbox"),
            Kind::Moment => json!(LONG_AGO),
            Kind::Version => json!(99),
            Kind::EmailKey => json!(THEIR_EMAIL),
            Kind::No => json!(false),
            Kind::Digest => json!("00".repeat(32)),
        }
    }

    fn call(&self, writer: &Writer, target: &Target, key: &str, body: &Value) -> Answer {
        let path = writer.path.replace("{id}", &target.id(writer.surface)).replace("{key}", key);
        let path = path.replace("{subscription}", "new");
        self.caller(writer.surface).request(writer.method, &path).json(body.clone()).send()
    }

    /// An API key to write about.
    fn api_key(&self) -> String {
        self.caller(Surface::Native).post("/api_keys", json!({"name": "target"})).expect(201).text_at("/id")
    }

    fn target(&self) -> Target {
        Target::create(&self.caller(Surface::Native), "con_live_", "target")
    }

    /// Everything that is stored, but when keys were last used.
    fn stored(&self) -> Vec<Value> {
        let tables = ["merchants", "customers", "subscriptions", "api_keys"];
        let mut stored: Vec<_> = tables.iter().flat_map(|table| rows_in(self.app.database(), table)).collect();
        for row in &mut stored {
            row.as_object_mut().expect("a row").remove("last_used_at");
        }
        stored
    }

    /// What the writer's call answers, and the rows that are new by it, without what differs from call to call.
    fn outcome(&self, writer: &Writer, body: &Value) -> (u16, Value, Vec<Value>, Vec<Value>) {
        let before = self.stored();
        let answer = self.call(writer, &self.target(), &self.api_key(), body);
        let mut new: Vec<_> = self.stored().into_iter().filter(|row| !before.contains(row)).collect();
        for row in &mut new {
            self.level(row);
        }
        new.sort_by_key(Value::to_string);
        let native = self.caller(Surface::Native);
        let mut listed = native.get("/customers").json()["data"].as_array().expect("a list").clone();
        for customer in &listed {
            native.delete(&format!("/customers/{}", customer["id"].as_str().expect("an id"))).is(204);
        }
        let mut shown = if answer.body.is_empty() { Value::Null } else { answer.json() };
        self.level(&mut shown);
        for customer in &mut listed {
            self.level(customer);
        }
        (answer.status, shown, new, listed)
    }

    /// Replaces identifiers, moments and secrets by what may be said of all of their kind.
    fn level(&self, value: &mut Value) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    if *member == self.their_row["id"] || *member == json!(self.their_id) {
                        *member = json!("theirs");
                    } else if matches!(name.as_str(), "id" | "customer_id" | "digest" | "key") && !member.is_null() {
                        *member = json!("one of ours");
                    } else if (name.ends_with("_at") || name.ends_with("At")) && !member.is_null() {
                        let long_ago = member.to_string().contains("2001-01-01") || *member == 978_307_200_000_000_i64;
                        *member = json!(if long_ago { LONG_AGO } else { "a moment of ours" });
                    } else {
                        self.level(member);
                    }
                }
            }
            Value::Array(elements) => elements.iter_mut().for_each(|element| self.level(element)),
            _ => {}
        }
    }
}

fn every_route_that_writes_is_tried_here(database: Database) {
    let app = App::start(database);
    let plain = |path: &str| {
        let segments = path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
        segments.collect::<Vec<_>>().join("/")
    };
    for surface in Surface::ALL {
        let document = app.surface(surface).get("/openapi.json").json();
        for (path, item) in document["paths"].as_object().expect("paths") {
            for method in ["POST", "PUT", "PATCH", "DELETE"] {
                let below = path.strip_prefix(surface.base()).unwrap_or(path);
                let tried = WRITERS.iter().any(|writer| {
                    writer.surface == surface && writer.method == method && plain(writer.path) == plain(below)
                });
                let is_there = item.get(method.to_lowercase()).is_some();
                assert_eq!(tried, is_there, "{surface:?} {method} {path}");
            }
        }
    }
}

fn what_the_service_decides_is_refused_in_a_native_body(database: Database) {
    let trial = Trial::start(database);
    let (target, key) = (trial.target(), trial.api_key());
    let before = trial.stored();
    for writer in WRITERS.iter().filter(|writer| writer.refuses()) {
        let has_address = !writer.body_with(&[], &[])["billing_address"].is_null();
        for (field, kind) in FIELDS {
            let foreign = [(*field, trial.foreign(*kind))];
            let at_the_top = trial.call(writer, &target, &key, &writer.body_with(&foreign, &[]));
            assert_names(&at_the_top, &format!("/{field}"));
            let in_address = trial.call(writer, &target, &key, &writer.body_with(&[], &foreign));
            let pointer = format!("/billing_address/{field}");
            assert_names(&in_address, if has_address { &pointer } else { "/billing_address" });
        }
    }
    assert_eq!(trial.stored(), before);
    // None of them was refused for something else.
    for writer in WRITERS.iter().filter(|writer| writer.refuses()) {
        trial.call(writer, &target, &key, &writer.body_with(&[], &[])).is(writer.status);
    }
}

/// Checks that a field is the one fault that was found.
fn assert_names(answer: &Answer, pointer: &str) {
    assert_eq!(answer.status, 422, "{answer:?}");
    let errors = &answer.json()["errors"];
    let named = |error: &Value| error["pointer"] == pointer && error["code"] == "unknown_field";
    assert!(
        errors.as_array().is_some_and(|errors| matches!(&errors[..], [error] if named(error))),
        "{pointer}: {answer:?}"
    );
}

fn what_the_service_decides_is_ignored_where_fields_are_not_refused(database: Database) {
    let trial = Trial::start(database);
    for writer in WRITERS.iter().filter(|writer| !writer.refuses()) {
        let control = trial.outcome(writer, &writer.body_with(&[], &[]));
        assert_eq!(control.0, writer.status, "{} {}", writer.method, writer.path);
        // All at once: whichever had an effect would show.
        let foreign: Vec<_> = FIELDS.iter().map(|(field, kind)| (*field, trial.foreign(*kind))).collect();
        let outcome = trial.outcome(writer, &writer.body_with(&foreign, &foreign));
        assert_eq!(outcome, control, "{} {}", writer.method, writer.path);
    }
    assert!(rows_in(trial.app.database(), "customers").contains(&trial.their_row));
}
