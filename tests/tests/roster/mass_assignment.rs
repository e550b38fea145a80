//! No request can set a column that the service decides: tenant, id, times, version, and the keys of unique indexes.
//!
//! The native surface refuses such a field, the vendors' surfaces ignore it. The tests read the stored rows with SQL.

use roster_tests::app::SCOPES;
use roster_tests::client::{Caller, Surface};
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::rows::rows_in;
use roster_tests::{App, Database, Response, on_both_databases};
use serde_json::{Value, json};

use crate::routes::Target;

on_both_databases! {
    the_table_has_every_route_that_writes,
    a_native_body_with_a_column_of_the_service_is_refused,
    a_column_of_the_service_is_ignored_in_other_bodies,
    a_column_of_the_service_is_ignored_in_files,
}

/// A route that writes, a valid body, and the status of the response. `{id}` is a customer, `{key}` an API key,
/// `{webhook}` a webhook endpoint.
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
    writer(
        Surface::Native,
        "PUT",
        "/customers/external/{external}",
        r#"{"email":"upserted@example.com","billing_address":{"city":"Oia"}}"#,
        201,
    ),
    writer(Surface::Native, "POST", "/customers/batch", r#"{"items":[]}"#, 200),
    writer(Surface::Native, "PATCH", "/customers/{id}", r#"{"name":"Changed","billing_address":{"city":"Oia"}}"#, 200),
    writer(Surface::Native, "PUT", "/customers/{id}/subscriptions/{subscription}", r#"{"status":"active"}"#, 201),
    writer(Surface::Native, "POST", "/api_keys", r#"{"name":"new"}"#, 201),
    writer(Surface::Native, "POST", "/api_keys/{key}/rotate", r#"{"overlap_seconds":60}"#, 201),
    writer(Surface::Native, "POST", "/webhooks", r#"{"url":"http://127.0.0.1:1/hooks","events":["*"]}"#, 201),
    writer(Surface::Native, "PATCH", "/webhooks/{webhook}", r#"{"description":"Changed"}"#, 200),
    writer(Surface::Native, "POST", "/webhooks/{webhook}/replay", r#"{"from_seq":1}"#, 202),
    writer(Surface::Native, "POST", "/webhooks/{webhook}/rotate_secret", r#"{"overlap_seconds":60}"#, 200),
    writer(Surface::Native, "POST", "/webhooks/{webhook}/test", "{}", 200),
    writer(Surface::Lumen, "POST", "/customers", r#"{"email":"new@example.com","billingCity":"Oia"}"#, 201),
    writer(Surface::Lumen, "POST", "/customers/{id}", r#"{"name":"Changed","billingCity":"Oia"}"#, 200),
    writer(Surface::Lava, "POST", "/customers", r#"{"email":"new@example.com","reference_id":"new"}"#, 201),
    // Another customer has the reference: nothing is written.
    writer(Surface::Lava, "POST", "/customers", r#"{"reference_id":"target"}"#, 200),
    writer(Surface::Lava, "PATCH", "/customers/{id}", r#"{"name":"Changed","metadata":{"plan":"pro"}}"#, 200),
    // These do not read the body.
    writer(Surface::Native, "DELETE", "/customers/{id}", "{}", 204),
    writer(Surface::Native, "DELETE", "/api_keys/{key}", "{}", 204),
    writer(Surface::Native, "DELETE", "/webhooks/{webhook}", "{}", 204),
    // Of no import of ours.
    writer(Surface::Native, "DELETE", "/imports/{import}", "{}", 404),
    writer(Surface::Native, "POST", "/imports", r#"{"email":"row@example.com"}"#, 202),
    writer(Surface::Lumen, "DELETE", "/customers/{id}", "{}", 200),
    writer(Surface::Lava, "DELETE", "/customers/{id}", "{}", 200),
];

/// Every column that only the service sets, in both spellings, and the names of these columns on the surfaces.
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
    ("created_at", Kind::Time),
    ("createdAt", Kind::Time),
    ("updated_at", Kind::Time),
    ("updatedAt", Kind::Time),
    ("deleted_at", Kind::Time),
    ("deletedAt", Kind::Time),
    ("archived_at", Kind::Time),
    ("archivedAt", Kind::Time),
    ("revoked_at", Kind::Time),
    ("revokedAt", Kind::Time),
    ("successor_id", Kind::Customer),
    ("successorId", Kind::Customer),
    ("last_used_at", Kind::Time),
    ("lastUsedAt", Kind::Time),
    ("version", Kind::Version),
    ("email_key", Kind::EmailKey),
    ("emailKey", Kind::EmailKey),
    ("email_exclusive", Kind::False),
    ("emailExclusive", Kind::False),
    ("digest", Kind::Digest),
    ("key", Kind::Digest),
];

/// The kind of value that is sent for a field.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Customer,
    Merchant,
    Environment,
    Time,
    Version,
    EmailKey,
    False,
    Digest,
}

const LONG_AGO: &str = "2001-01-01T00:00:00.000Z";
const THEIR_EMAIL: &str = "theirs@example.com";

const fn writer(surface: Surface, method: &'static str, path: &'static str, body: &'static str, status: u16) -> Writer {
    Writer { surface, method, path, body, status }
}

impl Writer {
    /// Whether it refuses unknown fields.
    fn refuses(&self) -> bool {
        self.surface == Surface::Native && self.method != "DELETE" && !self.takes_files()
    }

    /// Whether its body is a file.
    fn takes_files(&self) -> bool {
        self.method == "POST" && self.path == "/imports"
    }

    /// Its body with more fields at the top level and in the address.
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

/// A service with a customer of another tenant, and a key with every scope.
struct Setup {
    app: App,
    key: String,
    their_id: String,
    their_row: Value,
}

impl Setup {
    fn start(database: Database) -> Self {
        let app = App::start_with(database, &[("ROSTER__WEBHOOKS__ALLOW_PRIVATE", "true")]);
        let their_body = json!({"email": THEIR_EMAIL, "external_id": "theirs"});
        let theirs = app.native().with_key(&app.tenants().theirs.sandbox).post("/customers", their_body).expect(201);
        let [their_row] = &rows_in(app.database(), "customers")[..] else { panic!("one customer") };
        let key = app.live_key(&SCOPES);
        Self { their_id: theirs.text_at("/id"), their_row: their_row.clone(), key, app }
    }

    fn caller(&self, surface: Surface) -> Caller {
        self.app.surface(surface).with_key(&self.key)
    }

    /// The value that is sent for a field: a value of the other tenant, or one that the service would not set.
    fn foreign(&self, kind: Kind) -> Value {
        match kind {
            Kind::Customer => json!(self.their_id),
            Kind::Merchant => json!(self.app.tenants().theirs.id),
            Kind::Environment => json!("sandbox"),
            Kind::Time => json!(LONG_AGO),
            Kind::Version => json!(99),
            Kind::EmailKey => json!(THEIR_EMAIL),
            Kind::False => json!(false),
            Kind::Digest => json!("00".repeat(32)),
        }
    }

    fn call(&self, writer: &Writer, target: &Target, key: &str, body: &Value) -> Response {
        let path = writer.path.replace("{id}", &target.id(writer.surface)).replace("{key}", key);
        let path = path.replace("{subscription}", "new").replace("{external}", "upserted");
        let path = path.replace("{import}", "upl_01h2xcejqtf2nbrexx3vqjhp47");
        let path = if path.contains("{webhook}") { path.replace("{webhook}", &self.webhook()) } else { path };
        self.caller(writer.surface).request(writer.method, &path).json(body.clone()).send()
    }

    /// Creates an API key and returns its id.
    fn api_key(&self) -> String {
        self.caller(Surface::Native).post("/api_keys", json!({"name": "target"})).expect(201).text_at("/id")
    }

    /// The id of the one webhook endpoint that there is then. There is no server at port 1.
    fn webhook(&self) -> String {
        let native = self.caller(Surface::Native);
        for webhook in native.get("/webhooks").expect(200).json()["data"].as_array().expect("a list") {
            native.delete(&format!("/webhooks/{}", webhook["id"].as_str().expect("an id"))).is(204);
        }
        let hook = json!({"url": "http://127.0.0.1:1/hooks", "events": ["*"]});
        native.post("/webhooks", hook).expect(201).text_at("/id")
    }

    fn target(&self) -> Target {
        Target::create(&self.caller(Surface::Native), "con_live_", "target")
    }

    /// All stored rows, without the time at which a key was last used.
    fn stored(&self) -> Vec<Value> {
        let tables = ["merchants", "customers", "subscriptions", "api_keys"];
        let mut stored: Vec<_> = tables.iter().flat_map(|table| rows_in(self.app.database(), table)).collect();
        for row in &mut stored {
            row.as_object_mut().expect("a row").remove("last_used_at");
        }
        stored
    }

    /// The status and body of the response, the rows that the call added or changed, and then the list of customers.
    /// Values that differ from call to call are replaced.
    fn outcome(&self, writer: &Writer, body: &Value) -> (u16, Value, Vec<Value>, Vec<Value>) {
        let before = self.stored();
        let response = self.call(writer, &self.target(), &self.api_key(), body);
        let mut new: Vec<_> = self.stored().into_iter().filter(|row| !before.contains(row)).collect();
        for row in &mut new {
            self.mask(row);
        }
        new.sort_by_key(Value::to_string);
        let native = self.caller(Surface::Native);
        let mut listed = native.get("/customers").json()["data"].as_array().expect("a list").clone();
        for customer in &listed {
            native.delete(&format!("/customers/{}", customer["id"].as_str().expect("an id"))).is(204);
        }
        let mut shown = if response.body.is_empty() { Value::Null } else { response.json() };
        self.mask(&mut shown);
        for customer in &mut listed {
            self.mask(customer);
        }
        (response.status, shown, new, listed)
    }

    /// Replaces ids, times and secrets with a text that is the same for each call.
    fn mask(&self, value: &mut Value) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    if *member == self.their_row["id"] || *member == json!(self.their_id) {
                        *member = json!("theirs");
                    } else if matches!(name.as_str(), "id" | "customer_id" | "digest" | "key") && !member.is_null() {
                        *member = json!("one of ours");
                    } else if (name.ends_with("_at") || name.ends_with("At")) && !member.is_null() {
                        let long_ago = member.to_string().contains("2001-01-01") || *member == 978_307_200_000_000_i64;
                        *member = json!(if long_ago { LONG_AGO } else { "a time of ours" });
                    } else {
                        self.mask(member);
                    }
                }
            }
            Value::Array(elements) => elements.iter_mut().for_each(|element| self.mask(element)),
            _ => {}
        }
    }
}

fn the_table_has_every_route_that_writes(database: Database) {
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
                let is_tested = WRITERS.iter().any(|writer| {
                    writer.surface == surface && writer.method == method && plain(writer.path) == plain(below)
                });
                let exists = item.get(method.to_lowercase()).is_some();
                assert_eq!(is_tested, exists, "{surface:?} {method} {path}");
            }
        }
    }
}

fn a_native_body_with_a_column_of_the_service_is_refused(database: Database) {
    let setup = Setup::start(database);
    let (target, key) = (setup.target(), setup.api_key());
    let before = setup.stored();
    for writer in WRITERS.iter().filter(|writer| writer.refuses()) {
        let has_address = !writer.body_with(&[], &[])["billing_address"].is_null();
        for (field, kind) in FIELDS {
            let foreign = [(*field, setup.foreign(*kind))];
            let at_the_top = setup.call(writer, &target, &key, &writer.body_with(&foreign, &[]));
            assert_unknown_field(&at_the_top, &format!("/{field}"));
            let in_address = setup.call(writer, &target, &key, &writer.body_with(&[], &foreign));
            let pointer = format!("/billing_address/{field}");
            assert_unknown_field(&in_address, if has_address { &pointer } else { "/billing_address" });
        }
    }
    assert_eq!(setup.stored(), before);
    // Without these fields each body is valid.
    for writer in WRITERS.iter().filter(|writer| writer.refuses()) {
        setup.call(writer, &target, &key, &writer.body_with(&[], &[])).is(writer.status);
    }
}

/// Asserts that the response names one wrong field: the unknown field at `pointer`.
fn assert_unknown_field(response: &Response, pointer: &str) {
    assert_eq!(response.status, 422, "{response:?}");
    let errors = &response.json()["errors"];
    let named = |error: &Value| error["pointer"] == pointer && error["code"] == "unknown_field";
    assert!(
        errors.as_array().is_some_and(|errors| matches!(&errors[..], [error] if named(error))),
        "{pointer}: {response:?}"
    );
}

fn a_column_of_the_service_is_ignored_in_other_bodies(database: Database) {
    let setup = Setup::start(database);
    for writer in WRITERS.iter().filter(|writer| !writer.refuses() && !writer.takes_files()) {
        let control = setup.outcome(writer, &writer.body_with(&[], &[]));
        assert_eq!(control.0, writer.status, "{} {}", writer.method, writer.path);
        // All fields at once: the effect of any would be seen.
        let foreign: Vec<_> = FIELDS.iter().map(|(field, kind)| (*field, setup.foreign(*kind))).collect();
        let outcome = setup.outcome(writer, &writer.body_with(&foreign, &foreign));
        assert_eq!(outcome, control, "{} {}", writer.method, writer.path);
    }
    assert!(rows_in(setup.app.database(), "customers").contains(&setup.their_row));
}

/// The row of a file may have what an export has, such as the id and the times: only that of its creation is kept.
fn a_column_of_the_service_is_ignored_in_files(database: Database) {
    let setup = Setup::start(database);
    let native = setup.caller(Surface::Native);
    let imported = |name: &str, fields: &[(&str, Value)]| {
        let mut row = json!({"email": format!("{name}@example.com"), "billing_address": {"city": "Oia"}});
        for (field, value) in fields {
            row[*field] = value.clone();
            row["billing_address"][*field] = value.clone();
        }
        let id = native.post("/imports?unknown=ignore", row).expect(202).text_at("/id");
        let import = until("the import ends", TIMEOUT, || {
            let import = native.get(&format!("/imports/{id}")).expect(200).json();
            import["ended_at"].is_string().then_some(import)
        });
        assert_eq!(import["created"], 1, "{import}");
        let mut customer = native.get(&format!("/customers?email={name}@example.com")).json()["data"][0].take();
        setup.mask(&mut customer);
        customer["email"] = Value::Null;
        customer
    };
    let foreign: Vec<_> = FIELDS.iter().map(|(field, kind)| (*field, setup.foreign(*kind))).collect();
    let control = imported("control", &[("created_at", json!(LONG_AGO))]);
    assert_eq!(imported("foreign", &foreign), control);
    assert!(rows_in(setup.app.database(), "customers").contains(&setup.their_row));
}
