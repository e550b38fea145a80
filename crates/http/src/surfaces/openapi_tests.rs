//! Tests of the OpenAPI documents against the code that they are made from, and against what it answers.
//!
//! A document describes every route of its surface, including the one that serves the document. `/livez`, `/readyz` and
//! `/docs` are in no document.

use std::collections::BTreeSet;
use std::future::{Future, ready};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody as _;
use actix_web::http::{Method, StatusCode, header};
use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, rt, web};
use roster_application::json::{JsonError, Pointer};
use roster_application::ports::{AttemptOutcome, Taken};
use roster_application::{
    ApiKeyOrder, Operation as By, OperatorOrder, Revision, Role, Roster, Scope, Scopes, Sent, TestEvent,
};
use roster_domain::{
    ApiKeyId, Customer, CustomerId, EmailUse, Environment, Excerpt, MerchantId, MerchantName, Name, Profile, Tenant,
    Timestamp, UploadId,
};
use roster_executor::{Executor, Reads};
use roster_memory::{CountingEntropy, CountingIds, FixedClock, MemoryStore};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::failure::{BodyFailure, Failure, Fault, Faults, Place};
use crate::memory::Budget;
use crate::middleware::limits::{Limit, Quotas, RateLimits};
use crate::problems;
use crate::request::body::{self, MAX_BYTES};
use crate::request::idempotency;
use crate::stream::StreamBudget;
use crate::surfaces::{self, Api, Offer, ServiceInformation, admin, lava, lumen, native};
use crate::webhooks::{SendTests, WebhookSettings};

/// A document, and the base path of its surface.
struct Document {
    base: &'static str,
    json: Value,
}

/// The base of the surface of operators, whose credentials are others.
const ADMIN: &str = "/admin/v1";

/// One method of one path of a document.
struct Operation<'a> {
    method: &'a str,
    path: &'a str,
    json: &'a Value,
}

fn documents() -> [Document; 4] {
    [("/v1", native::OPENAPI), ("/api", lumen::OPENAPI), ("/lava/v1", lava::OPENAPI), (ADMIN, admin::OPENAPI)]
        .map(|(base, text)| Document { base, json: serde_json::from_str(text).expect("JSON") })
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().expect("an object")
}

/// Visits `value` and each value inside it, with its place as a JSON pointer.
fn walk<'a>(value: &'a Value, at: &Pointer, visit: &mut impl FnMut(&Pointer, &'a Value)) {
    visit(at, value);
    match value {
        Value::Object(pairs) => pairs.iter().for_each(|(key, inner)| walk(inner, &at.key(key), visit)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, inner)| walk(inner, &at.index(i), visit)),
        _ => {}
    }
}

impl Document {
    fn operations(&self) -> Vec<Operation<'_>> {
        let operations = |(path, item)| {
            let methods = object(item).iter().filter(|(key, _)| *key != "parameters");
            methods.map(move |(method, json)| Operation { method, path, json })
        };
        object(&self.json["paths"]).iter().flat_map(|(path, item)| operations((path.as_str(), item))).collect()
    }

    /// The value that `value` refers to, or `value` itself.
    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        let Some(reference) = value.get("$ref") else { return value };
        let pointer = reference.as_str().and_then(|text| text.strip_prefix('#')).expect("a place in the document");
        self.json.pointer(pointer).unwrap_or_else(|| panic!("{}: nothing at {pointer}", self.base))
    }

    /// Checks that `value` has all fields that `schema` requires, and none that `schema` does not name.
    fn check_fields(&self, schema: &Value, value: &Value, at: &Pointer) {
        let schema = self.resolve(schema);
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.check_required(part, value, at);
        }
        if let Some(known) = schema.get("anyOf").and_then(Value::as_array).filter(|_| !value.is_null()) {
            self.check_fields(&known[0], value, at);
        }
        if let Some(items) = schema.get("items") {
            let values = value.as_array().expect("an array");
            values.iter().enumerate().for_each(|(i, value)| self.check_fields(items, value, &at.index(i)));
        }
        if let Some(properties) = schema.get("properties") {
            self.check_required(schema, value, at);
            for (key, inner) in object(value) {
                let known = properties.get(key).unwrap_or_else(|| panic!("{}{at} has {key}", self.base));
                self.check_fields(known, inner, &at.key(key));
            }
        }
    }

    fn check_required(&self, schema: &Value, value: &Value, at: &Pointer) {
        for required in self.resolve(schema)["required"].as_array().into_iter().flatten() {
            let required = required.as_str().expect("a name");
            assert!(value.get(required).is_some(), "{}{at} has no {required}: {value}", self.base);
        }
    }
}

#[test]
fn the_committed_documents_are_those_of_the_code() {
    for (api, committed) in Api::ALL.into_iter().zip([native::OPENAPI, lumen::OPENAPI, lava::OPENAPI, admin::OPENAPI]) {
        let (written, committed) = (api.document(), committed.to_owned());
        let difference = written.lines().zip(committed.lines()).find(|(written, committed)| written != committed);
        let api = api.as_str();
        assert!(written == committed, "{api}: run `make openapi` and commit what it writes: {difference:?}");
    }
}

#[test]
fn each_document_has_exactly_the_routes_of_its_surface() {
    let of_no_api = ["GET /livez", "GET /readyz", "GET /docs", "GET /docs/{file}"];
    let mut described = BTreeSet::from(of_no_api.map(str::to_owned));
    for document in documents() {
        for Operation { method, path, .. } in document.operations() {
            for server in document.json["servers"].as_array().expect("servers") {
                let base = server["url"].as_str().expect("a base");
                described.insert(format!("{} {base}{path}", method.to_ascii_uppercase()));
            }
        }
    }
    let answered: BTreeSet<_> =
        surfaces::routes().iter().map(|route| format!("{} {}", route.method, route.pattern)).collect();
    assert_eq!(described, answered);
}

#[test]
fn every_reference_resolves() {
    for document in documents() {
        let mut references = 0;
        walk(&document.json, &Pointer::default(), &mut |_, value| {
            references += usize::from(value.get("$ref").is_some());
            document.resolve(value);
        });
        assert!(references > 50, "{}: {references}", document.base);
    }
}

#[test]
fn every_operation_has_a_unique_id_and_a_summary() {
    for document in documents() {
        let operations = document.operations();
        let text = |operation: &Operation<'_>, key: &str| {
            operation.json[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let names: BTreeSet<_> = operations.iter().map(|operation| text(operation, "operationId")).collect();
        assert!(names.len() == operations.len() && !names.contains(&None), "{}: {names:?}", document.base);
        assert!(operations.iter().all(|operation| text(operation, "summary").is_some()), "{}", document.base);
    }
}

#[test]
fn every_operation_that_writes_takes_an_idempotency_key() {
    for document in documents() {
        for Operation { method, path, json } in document.operations() {
            let parameters = json["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
            let is_key = |parameter: &Value| document.resolve(parameter)["name"] == idempotency::HEADER;
            let takes_keys = method != "get" && document.base != ADMIN;
            assert_eq!(parameters.iter().any(is_key), takes_keys, "{method} {}{path}", document.base);
            if !takes_keys {
                continue;
            }
            let responses = object(&json["responses"]);
            assert!(responses.contains_key("400") && responses.contains_key("409"), "{method} {}{path}", document.base);
            for (status, response) in responses.iter().filter(|(status, _)| status.starts_with('2')) {
                let headers = object(&document.resolve(response)["headers"]);
                assert!(headers.contains_key(idempotency::REPLAYED), "{method} {}{path} {status}", document.base);
            }
        }
    }
}

#[test]
fn every_problem_has_the_documented_fields_and_code() {
    let [native, ..] = documents();
    let id = CustomerId::from_suffix("01h2xcejqtf2nbrexx3vqjhp41").expect("26 characters");
    let tenant = Tenant { merchant: MerchantId::new(Uuid::nil()), environment: Environment::Live };
    let now = Timestamp::from_millis(0).expect("a time");
    let customer = Customer::register(tenant, id, Profile::default(), EmailUse::Exclusive, now);
    let fault = |place| Fault { place, code: "x", detail: "x".to_owned() };
    let schemas = &native.json["components"]["schemas"];
    let mut codes = BTreeSet::new();
    for failure in [
        Failure::Unauthorized,
        Failure::TooManyRequests(Limit::Key),
        Failure::MissingScope(Scope::ReadCustomers),
        Failure::MerchantDisabled,
        Failure::MissingRole(Role::Admin),
        Failure::MerchantNotFound,
        Failure::HeadTooLarge,
        Failure::NoMemory,
        Failure::OtherProtocol,
        Failure::UnknownPath,
        Failure::MethodNotAllowed("GET".to_owned()),
        Failure::IdempotencyKey("must be sent once"),
        Failure::IdempotencyKeyReused,
        Failure::OtherCredential,
        Failure::Body(BodyFailure::TooLarge(MAX_BYTES)),
        Failure::Body(BodyFailure::Incomplete),
        Failure::Body(BodyFailure::MediaType),
        Failure::Body(BodyFailure::Json(JsonError::TooDeep)),
        Failure::Body(BodyFailure::Json(JsonError::DuplicateKey { pointer: Pointer::default() })),
        fault(Place::Body(Pointer::default())).into(),
        fault(Place::Parameter("limit")).into(),
        Failure::MalformedHeader("If-Match"),
        Failure::InvalidHeader("Roster-Consistency", "must be latest or eventual"),
        Failure::BatchUndone,
        Failure::PreconditionFailed(None),
        Failure::PreconditionFailed(Some(Revision { customer: id, version: 2 })),
        Failure::InvalidCursor,
        Failure::MalformedId,
        Failure::NotFound,
        Failure::Taken(Taken { email: Some(customer.id()), external_id: None }),
        Failure::Taken(Taken { email: None, external_id: Some(Box::new(customer)) }),
        Failure::EventNotFound,
        Failure::EventsPruned(7),
        Failure::WebhookNotFound,
        Failure::ImportNotFound,
        Failure::ImportRunning(UploadId::new(Uuid::nil())),
        Failure::ImportHasOtherOptions("--from stripe".to_owned()),
        Failure::ImportEnded,
        Failure::FileTooLarge(1),
        Failure::FileTooSlow(Duration::from_secs(1)),
        Failure::TooManyWebhooks,
        Failure::TooManyReplays,
        Failure::KeyNotFound,
        Failure::KeyEnded,
        Failure::KeyHasSuccessor(ApiKeyId::new(Uuid::nil())),
        Failure::OutlivesCaller(now),
        Failure::Overloaded,
        Failure::Unavailable,
        Failure::ReadOnly,
        Failure::Internal,
    ] {
        let response = native::answer(&failure);
        let body = response.into_body().try_into_bytes().expect("a body at hand");
        let problem: Value = serde_json::from_slice(&body).expect("JSON");
        native.check_fields(&schemas["Problem"], &problem, &Pointer::default());
        for fault in problem["errors"].as_array().into_iter().flatten() {
            native.check_fields(&schemas["Fault"], fault, &Pointer::default());
        }
        codes.insert(problem["code"].as_str().expect("a code").to_owned());
    }
    assert!(problems::ALL.iter().map(|kind| kind.code).eq(codes.iter().map(String::as_str)), "{codes:?}");
    let documented = &schemas["Problem"]["properties"]["code"]["enum"];
    assert_eq!(*documented, json!(codes));
}

/// The status, the content type and the body of the response to a `GET` without a credential.
fn shown(path: &str) -> (StatusCode, String, String) {
    rt::System::new().block_on(async {
        let app = App::new().configure(|app| surfaces::configure(Offer::All, app));
        let app = init_service(app).await;
        let response = call_service(&app, TestRequest::with_uri(path).to_request()).await;
        let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let (status, kind) = (response.status(), kind.unwrap_or_default().to_owned());
        (status, kind, String::from_utf8(read_body(response).await.to_vec()).expect("UTF-8"))
    })
}

#[test]
fn every_problem_has_a_page_with_its_code_meaning_and_remedy() {
    let (status, _, list) = shown("/v1/problems");
    assert_eq!(status, StatusCode::OK);
    for kind in problems::ALL {
        let (status, content_type, page) = shown(&kind.uri());
        assert_eq!((status, content_type.as_str()), (StatusCode::OK, "text/html; charset=utf-8"), "{}", kind.code);
        for text in [kind.code, kind.meaning, kind.remedy] {
            assert!(page.contains(text), "{}: {text}", kind.code);
        }
        assert!(list.contains(&kind.uri()) && list.contains(kind.meaning), "{}", kind.code);
    }
    assert_eq!(shown("/v1/problems/no_such_code").0, StatusCode::NOT_FOUND);
}

#[test]
fn every_surface_lists_at_most_50_faults_and_says_how_many_there_are() {
    let [native, lumen, ..] = documents();
    let mut faults = Faults::default();
    for _ in 0..60 {
        faults.add(|| Fault { place: Place::Parameter("limit"), code: "x", detail: "must be a number".to_owned() });
    }
    let failure = Failure::Invalid(faults);
    let [of_native, of_lumen, of_lava] = [native::answer, lumen::answer, lava::answer].map(|answer| {
        let body = answer(&failure).into_body().try_into_bytes().expect("a body at hand");
        serde_json::from_slice::<Value>(&body).expect("JSON")
    });
    native.check_fields(&native.json["components"]["schemas"]["Problem"], &of_native, &Pointer::default());
    lumen.check_fields(&lumen.json["components"]["schemas"]["Error"], &of_lumen, &Pointer::default());
    for (list, total) in
        [(&of_native["errors"], &of_native["errors_total"]), (&of_lumen["details"], &of_lumen["detailsTotal"])]
    {
        assert_eq!((list.as_array().map(Vec::len), total), (Some(Faults::MAX_LISTED), &json!(60)));
    }
    let text = of_lava["error"].as_str().expect("a text");
    assert_eq!(text.matches("must be a number").count(), Faults::MAX_LISTED);
    assert!(text.ends_with("; these are 50 of 60 faults"), "{text}");
}

/// The responses to the requests, sent one after the other to a service without customers.
fn call(requests: Vec<(Method, String, Value)>) -> Vec<(StatusCode, Value)> {
    call_with(Scopes::ALL, requests)
}

/// The same with a credential that has these scopes.
fn call_with(scopes: Scopes, requests: Vec<(Method, String, Value)>) -> Vec<(StatusCode, Value)> {
    call_as(scopes, Role::Admin, requests)
}

/// The same; on the surface of operators with the key of one that has this role.
fn call_as(scopes: Scopes, role: Role, requests: Vec<(Method, String, Value)>) -> Vec<(StatusCode, Value)> {
    let roster = Roster::new(
        Arc::new(MemoryStore::default()),
        Arc::new(FixedClock::default()),
        Arc::new(CountingIds::default()),
        Arc::new(CountingEntropy::default()),
    );
    let merchant = roster
        .create_merchant(MerchantName::parse("A merchant").expect("a name"), &By::COMMAND_LINE)
        .expect("a merchant");
    let tenant = Tenant { merchant: merchant.id, environment: Environment::Sandbox };
    let order = ApiKeyOrder { tenant, name: None, scopes, expires_at: None };
    let key = roster.create_api_key(order, &By::COMMAND_LINE).expect("a key");
    let credential = format!("Bearer {}", key.secret.reveal());
    let order = OperatorOrder { name: Name::parse("Ada").expect("a name"), role, expires_at: None };
    let operator = roster.create_operator(order, &By::COMMAND_LINE).expect("an operator");
    let credential_of_operator = format!("Bearer {}", operator.secret.reveal());
    let deadline = Duration::from_secs(10);
    let settings = roster_executor::Settings { threads: 1, writers: 1, queue: 16, deadline, reads: Reads::ByWorkers };
    let executor = Executor::start(&roster, settings).expect("threads");
    let answers = rt::System::new().block_on(async {
        let limits = body::Limits::new(Duration::from_secs(10), Budget::new(1 << 20), 1 << 20);
        let quotas = Quotas { key: NonZeroU32::MAX, merchant: NonZeroU32::MAX };
        let rates = web::Data::new(RateLimits::new(quotas, quotas));
        let app = App::new()
            .app_data(web::Data::new(executor.handles().handle()))
            .app_data(web::Data::new(StreamBudget(Budget::new(1 << 20))))
            .app_data(web::Data::new(limits))
            .app_data(web::Data::new(WebhookSettings {
                allow_private: false,
                timeout: deadline,
                tests: Arc::new(TakeTests),
            }))
            .app_data(web::Data::new(ServiceInformation {
                database: "SQLite",
                started_at: roster.now(),
                settings: Map::from_iter([("http.bind".to_owned(), json!("127.0.0.1:8080"))]),
            }))
            .app_data(rates);
        let app = app.configure(|app| surfaces::configure(Offer::All, app));
        let app = init_service(app.wrap(from_fn(body::receive))).await;
        let mut answers = Vec::new();
        for (method, path, body) in requests {
            let request = TestRequest::with_uri(&path).method(method);
            let credential = if path.starts_with(ADMIN) { &credential_of_operator } else { &credential };
            let request = request.insert_header((header::AUTHORIZATION, credential.as_str())).set_json(body);
            let response = call_service(&app, request.to_request()).await;
            let status = response.status();
            let body = read_body(response).await;
            let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("JSON") };
            answers.push((status, body));
        }
        answers
    });
    executor.stop(deadline);
    answers
}

#[test]
fn every_example_creates_a_customer_with_the_documented_fields() {
    for document in documents().into_iter().filter(|document| document.base != ADMIN) {
        let create = &document.json["paths"]["/customers"]["post"];
        let content = |place: &'static str| create.pointer(place).expect("JSON is taken and answered");
        let examples = object(content("/requestBody/content/application~1json/examples"));
        let created = document.resolve(&create["responses"]["201"]);
        let schema = &created["content"]["application/json"]["schema"];
        let path = format!("{}/customers", document.base);
        let request = |example: &Value| (Method::POST, path.clone(), example["value"].clone());
        let answers = call(examples.values().map(request).collect());
        assert_eq!(answers.len(), examples.len());
        for (status, answer) in answers {
            assert_eq!(status, StatusCode::CREATED, "{}: {answer}", document.base);
            document.check_fields(schema, &answer, &Pointer::default());
        }
    }
}

#[test]
fn a_batch_has_the_documented_fields() {
    let [native, ..] = documents();
    let described = &native.json["paths"]["/customers/batch"]["post"];
    let example = &described["requestBody"]["content"]["application/json"]["examples"]["sync"]["value"];
    let (status, answer) = call(vec![(Method::POST, "/v1/customers/batch".to_owned(), example.clone())]).remove(0);
    let results = answer["results"].as_array().expect("results");
    let statuses: Vec<_> = results.iter().map(|result| result["status"].as_u64()).collect();
    assert_eq!((status, statuses), (StatusCode::OK, [201, 201, 200, 204].map(Some).into()));
    let schema = &described["responses"]["200"]["content"]["application/json"]["schema"];
    native.check_fields(schema, &answer, &Pointer::default());
}

#[test]
fn a_list_and_a_subscription_have_the_documented_fields() {
    let [native, lumen, lava, _] = documents();
    let customer = json!({ "email": "ada@example.com", "external_id": "ada" });
    let (_, created) = call(vec![(Method::POST, "/v1/customers".to_owned(), customer.clone())]).remove(0);
    let subscriptions = format!("/v1/customers/{}/subscriptions", created["id"].as_str().expect("an id"));
    let report = json!({ "status": "active", "plan_id": "plan_pro", "name": "Pro", "details": { "plan": {} } });
    let get = |path: &str| (Method::GET, path.to_owned(), json!({}));
    let answers = call(vec![
        (Method::POST, "/v1/customers".to_owned(), customer),
        (Method::PUT, format!("{subscriptions}/sub_1"), report),
        get(&subscriptions),
        get("/v1/customers?include=total"),
        get("/api/customers"),
        get("/lava/v1/customers"),
        get("/lava/v1/customers/ada/subscription"),
        get("/api/customers/subscription-status?userId=ada"),
    ]);
    let schemas = [
        (&native, "Customer"),
        (&native, "Subscription"),
        (&native, "SubscriptionPage"),
        (&native, "CustomerPage"),
        (&lumen, "CustomersEnvelope"),
        (&lava, "CustomerPage"),
        (&lava, "SubscriptionEnvelope"),
        (&lumen, "SubscriptionStatus"),
    ];
    for ((status, answer), (document, schema)) in answers.iter().zip(schemas) {
        assert!(status.is_success(), "{}/{schema}: {status} {answer}", document.base);
        let schema = &document.json["components"]["schemas"][schema];
        document.check_fields(schema, answer, &Pointer::default());
    }
    assert_eq!(answers[6].1["subscription"]["status"], "active");
}

#[test]
fn days_of_events_have_the_documented_fields() {
    let [native, ..] = documents();
    let customer = json!({ "email": "ada@example.com" });
    let (status, answer) = call(vec![
        (Method::POST, "/v1/customers".to_owned(), customer),
        (Method::GET, "/v1/events/days?days=2".to_owned(), json!({})),
    ])
    .remove(1);
    let days = json!({ "data": [{ "date": "2025-01-14", "events": 0 }, { "date": "2025-01-15", "events": 1 }] });
    assert_eq!((status, &answer), (StatusCode::OK, &days));
    native.check_fields(&native.json["components"]["schemas"]["EventDays"], &answer, &Pointer::default());
}

#[test]
fn api_keys_have_the_documented_fields() {
    let [native, ..] = documents();
    let keys = || "/v1/api_keys".to_owned();
    let (_, made) = call(vec![(Method::POST, keys(), json!({}))]).remove(0);
    let rotate = format!("/v1/api_keys/{}/rotate", made["id"].as_str().expect("an id"));
    let order = json!({ "name": "ci", "scopes": ["customers:read"], "expires_at": "2099-01-01T00:00:00Z" });
    let answers = call(vec![
        (Method::POST, keys(), json!({})),
        (Method::POST, keys(), order),
        (Method::POST, rotate, json!({ "overlap_seconds": 60 })),
        (Method::GET, keys(), json!({})),
    ]);
    for ((status, answer), schema) in answers.iter().zip(["NewApiKey", "NewApiKey", "NewApiKey", "ApiKeyPage"]) {
        assert!(status.is_success(), "{schema}: {status} {answer}");
        native.check_fields(&native.json["components"]["schemas"][schema], answer, &Pointer::default());
    }
    assert!(answers[..3].iter().all(|(_, made)| made["key"].is_string()));
    let listed = answers[3].1["data"].as_array().expect("a list");
    assert!(listed.len() == 4 && listed.iter().all(|key| key.get("key").is_none()), "{listed:?}");
}

/// Says of every test event that the endpoint has taken it.
struct TakeTests;

impl SendTests for TakeTests {
    fn send(&self, test: TestEvent, _: String) -> Pin<Box<dyn Future<Output = (AttemptOutcome, Sent)> + '_>> {
        let (at, duration, answer) = (test.created_at, Duration::from_millis(20), Some(Excerpt::of(b"taken")));
        let sent = Sent { at, duration, status: Some(200), answer, error: None };
        Box::pin(ready((AttemptOutcome::Delivered, sent)))
    }
}

#[test]
fn webhooks_have_the_documented_fields() {
    let [native, ..] = documents();
    let hooks = || "/v1/webhooks".to_owned();
    let hook = || json!({ "url": "https://example.com/hooks", "events": ["*"] });
    let (_, made) = call(vec![(Method::POST, hooks(), hook())]).remove(0);
    let one = format!("/v1/webhooks/{}", made["id"].as_str().expect("an id"));
    let answers = call(vec![
        (Method::POST, hooks(), hook()),
        (Method::POST, format!("{one}/rotate_secret"), json!({ "overlap_seconds": 60 })),
        (Method::POST, format!("{one}/test"), json!({})),
        (Method::PATCH, one.clone(), json!({ "status": "disabled" })),
        (Method::GET, one.clone(), json!({})),
        (Method::GET, hooks(), json!({})),
        (Method::GET, format!("{one}/attempts"), json!({})),
    ]);
    let schemas = [
        "NewWebhook",
        "NewWebhook",
        "WebhookAttempt",
        "Webhook",
        "WebhookWithBacklog",
        "WebhookPage",
        "WebhookAttemptPage",
    ];
    for ((status, answer), schema) in answers.iter().zip(schemas) {
        assert!(status.is_success(), "{schema}: {status} {answer}");
        native.check_fields(&native.json["components"]["schemas"][schema], answer, &Pointer::default());
    }
    assert!(answers[..2].iter().all(|(_, made)| made["secret"].is_string()));
    assert!(answers[2..].iter().all(|(_, shown)| !shown.to_string().contains("whsec_")), "{answers:?}");
    assert_eq!((&answers[5].1["data"][0]["id"], &answers[6].1["data"][0]), (&made["id"], &answers[2].1));
}

/// A path with something in the place of each of its parameters.
fn filled(base: &str, path: &str) -> String {
    let id = if base == ADMIN { "org_01h2xcejqtf2nbrexx3vqjhp41" } else { "cus_01h2xcejqtf2nbrexx3vqjhp41" };
    let fill = |part: &str| if part.starts_with('{') { id } else { part }.to_owned();
    format!("{base}{}", path.split('/').map(fill).collect::<Vec<_>>().join("/"))
}

#[test]
fn what_operators_are_shown_has_the_documented_fields() {
    let [.., admin] = documents();
    let merchants = || format!("{ADMIN}/merchants");
    let named = || json!({ "name": "Acme" });
    let (_, made) = call(vec![(Method::POST, merchants(), named())]).remove(0);
    let one = format!("{}/{}", merchants(), made["id"].as_str().expect("an id"));
    let keys = format!("{one}/api_keys");
    let order = || json!({ "environment": "live" });
    let made = call(vec![(Method::POST, merchants(), named()), (Method::POST, keys.clone(), order())]).remove(1).1;
    let key = format!("{keys}/{}", made["id"].as_str().expect("an id"));
    let answers = call(vec![
        (Method::POST, merchants(), named()),
        (Method::POST, keys.clone(), order()),
        (Method::POST, format!("{key}/rotate"), json!({ "overlap_seconds": 60 })),
        (Method::PATCH, one.clone(), json!({ "name": "Acme Ltd." })),
        (Method::POST, format!("{one}/disable"), json!({})),
        (Method::POST, format!("{one}/enable"), json!({})),
        (Method::GET, one.clone(), json!({})),
        (Method::GET, merchants(), json!({})),
        (Method::GET, keys, json!({})),
        (Method::GET, format!("{ADMIN}/log"), json!({})),
        (Method::GET, format!("{ADMIN}/service"), json!({})),
        (Method::DELETE, key, json!({})),
    ]);
    let schemas = [
        "Merchant",
        "NewApiKey",
        "NewApiKey",
        "Merchant",
        "Merchant",
        "Merchant",
        "Merchant",
        "MerchantPage",
        "ApiKeyPage",
        "LogEntryPage",
        "Service",
    ];
    for ((status, answer), schema) in answers.iter().zip(schemas) {
        assert!(status.is_success(), "{schema}: {status} {answer}");
        admin.check_fields(&admin.json["components"]["schemas"][schema], answer, &Pointer::default());
    }
    assert_eq!(answers[11].0, StatusCode::NO_CONTENT);
    assert!(answers[1..3].iter().all(|(_, made)| made["key"].is_string()));
    assert!(answers[3..].iter().all(|(_, shown)| !shown.to_string().contains("sk_")), "{answers:?}");
}

#[test]
fn every_operation_of_operators_needs_the_documented_role() {
    let [.., admin] = documents();
    let mut of_readers = 0;
    for Operation { method, path, json } in admin.operations() {
        let Some(needed) = json["security"][0]["bearer"][0].as_str().and_then(Role::named) else {
            assert_eq!(path, "/openapi.json", "{path} needs no credential");
            continue;
        };
        let call = |role| {
            let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).expect("a method");
            call_as(Scopes::ALL, role, vec![(method, filled(ADMIN, path), json!([]))]).remove(0)
        };
        let (status, answer) = call(Role::Read);
        let is_refused = status == StatusCode::FORBIDDEN && answer["code"] == "missing_role";
        assert_eq!(is_refused, needed == Role::Admin, "{method} {path}: {answer}");
        assert_eq!(needed == Role::Read, method == "get", "{method} {path}");
        assert_ne!(call(Role::Admin).0, StatusCode::FORBIDDEN, "{method} {path}");
        of_readers += usize::from(needed == Role::Read);
    }
    assert!(of_readers > 3, "{of_readers}");
}

#[test]
fn every_operation_needs_the_documented_scope_and_no_other() {
    for document in documents().into_iter().filter(|document| document.base != ADMIN) {
        for Operation { method, path, json } in document.operations() {
            let Some(needed) = json["security"][0]["bearer"][0].as_str() else {
                assert!(
                    ["/openapi.json", "/health", "/problems", "/problems/{code}"].contains(&path),
                    "{path} needs no credential"
                );
                continue;
            };
            let scope = Scope::parse(needed).expect("a scope");
            let request = || {
                let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).expect("a method");
                vec![(method, filled(document.base, path), json!([]))]
            };
            let others = Scope::ALL.into_iter().filter(|other| *other != scope).collect();
            let (status, answer) = call_with(others, request()).remove(0);
            assert!(
                status == StatusCode::FORBIDDEN && answer.to_string().contains(needed),
                "{method} {path}: {answer}"
            );
            let (status, answer) = call_with(std::iter::once(scope).collect(), request()).remove(0);
            assert_ne!(status, StatusCode::FORBIDDEN, "{method} {path}: {answer}");
        }
    }
}

#[test]
fn every_documented_parameter_of_a_query_is_read_and_others_are_refused() {
    let mut read = 0;
    for document in documents() {
        for Operation { method, path, json } in document.operations() {
            let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).expect("a method");
            let parameters = json["parameters"].as_array().into_iter().flatten().filter(|one| one["in"] == "query");
            let sent = |one: &Value| {
                let name = one["name"].as_str().expect("a name");
                if one["style"] == "deepObject" { format!("{name}[key]") } else { name.to_owned() }
            };
            let names: Vec<_> = parameters.map(sent).chain(["no_such".to_owned()]).collect();
            if names.len() == 1 {
                continue;
            }
            let request =
                |name: &String| (method.clone(), format!("{}?{name}=", filled(document.base, path)), json!({}));
            let answers = call(names.iter().map(request).collect());
            for (name, (status, answer)) in names.iter().zip(answers) {
                let is_unknown = status.is_client_error() && answer.to_string().contains("is not a parameter");
                assert_eq!(is_unknown, *name == "no_such", "{path}?{name}: {answer}");
                read += usize::from(!is_unknown);
            }
        }
    }
    assert!(read > 10, "{read}");
}

#[test]
fn each_document_is_served_without_a_credential() {
    for Document { base, json } in documents() {
        if base == ADMIN {
            // Whether there are operators is looked up.
            let answer = call(vec![(Method::GET, format!("{base}/openapi.json"), json!({}))]).remove(0);
            assert_eq!(answer, (StatusCode::OK, json));
            continue;
        }
        let (status, kind, text) = shown(&format!("{base}/openapi.json"));
        assert_eq!((status, kind.as_str()), (StatusCode::OK, "application/json"), "{base}");
        assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), json);
    }
}
