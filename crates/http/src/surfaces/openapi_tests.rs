//! Tests of the OpenAPI documents, which are written by hand, against the code.
//!
//! A document describes every route of its surface, including the one that serves the document. `/livez` and `/readyz`
//! are in no document.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody as _;
use actix_web::http::{Method, StatusCode, header};
use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, rt, web};
use roster_application::json::{JsonError, MAX_LEVELS, Pointer};
use roster_application::ports::Taken;
use roster_application::{ApiKeyOrder, MAX_OVERLAP, PageSize, Revision, Roster, Scope, Scopes};
use roster_domain::{
    AddressPart, ApiKeyId, BusinessName, Country, Customer, CustomerId, Email, EmailUse, Environment, ExternalId,
    Locale, MerchantId, MerchantName, Metadata, Name, PlanId, PostalCode, Profile, SearchTerm, SubscriptionId,
    TaxExemption, TaxId, Tenant, Timestamp,
};
use roster_executor::{Executor, Reads};
use roster_memory::{CountingEntropy, CountingIds, FixedClock, MemoryStore};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::failure::{BodyFailure, Failure, Fault, Faults, Place};
use crate::memory::Budget;
use crate::middleware::access_log::MAX_REQUEST_ID_BYTES;
use crate::middleware::limits::{Limit, Quotas, RateLimits};
use crate::request::body::{self, MAX_BYTES};
use crate::request::query::MAX_OFFSET;
use crate::stream::StreamBudget;
use crate::surfaces::lava::MAX_CHARACTERS;
use crate::surfaces::{self, lava, lumen, native};

/// A document, and the base path of its surface.
struct Document {
    base: &'static str,
    json: Value,
}

/// One method of one path of a document.
struct Operation<'a> {
    method: &'a str,
    path: &'a str,
    json: &'a Value,
}

fn documents() -> [Document; 3] {
    [("/v1", native::OPENAPI), ("/api", lumen::OPENAPI), ("/lava/v1", lava::OPENAPI)]
        .map(|(base, text)| Document { base, json: serde_json::from_str(text).expect("JSON") })
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().expect("an object")
}

fn keys(value: &Value) -> BTreeSet<&str> {
    object(value).keys().map(String::as_str).collect()
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

    /// Every number that one of `keywords` sets, by its place.
    fn numbers(&self, keywords: &[&str]) -> BTreeMap<String, usize> {
        let mut found = BTreeMap::new();
        walk(&self.json, &Pointer::default(), &mut |at, value| {
            let place = at.to_string();
            let keyword = place.rsplit('/').next().unwrap_or_default();
            if let (true, Some(number)) = (keywords.contains(&keyword), value.as_u64()) {
                found.insert(place, usize::try_from(number).expect("a limit"));
            }
        });
        found
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
fn each_document_is_for_its_surface_and_this_version() {
    for Document { base, json } in documents() {
        assert_eq!(json["openapi"], "3.1.0");
        let others: &[&str] = if base == "/api" { &["/api/v1"] } else { &[] };
        let servers: Vec<_> = [base].iter().chain(others).map(|url| json!({ "url": url })).collect();
        assert_eq!(json["servers"], json!(servers));
        assert_eq!(json["info"]["version"], env!("CARGO_PKG_VERSION"), "{base}");
    }
}

#[test]
fn each_document_has_exactly_the_routes_of_its_surface() {
    let mut described = BTreeSet::from(["GET /livez".to_owned(), "GET /readyz".to_owned()]);
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
fn every_parameter_of_a_path_is_described() {
    for document in documents() {
        for (path, item) in object(&document.json["paths"]) {
            let in_path: BTreeSet<_> =
                path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
            let parameters = item["parameters"].as_array().expect("X-Request-Id, at least");
            let described: BTreeSet<_> = parameters
                .iter()
                .map(|parameter| document.resolve(parameter))
                .filter(|parameter| parameter["in"] == "path" && parameter["required"] == true)
                .filter_map(|parameter| parameter["name"].as_str())
                .collect();
            assert_eq!(described, in_path, "{}{path}", document.base);
        }
    }
}

#[test]
fn every_operation_documents_the_statuses_of_its_kind() {
    for document in documents() {
        for Operation { method, path, json } in document.operations() {
            let mut expected = BTreeSet::new();
            if json.get("security") != Some(&json!([])) {
                expected.extend(["401", "500", "503"]);
            }
            if json.get("requestBody").is_some() {
                expected.extend(["400", "408", "413", "415"]);
            }
            let missing: Vec<_> = expected.difference(&keys(&json["responses"])).copied().collect();
            assert_eq!(missing, [""; 0], "{method} {}{path}", document.base);
        }
    }
}

#[test]
fn every_response_documents_its_headers() {
    for document in documents() {
        let of_its_own = |status| match status {
            "401" | "403" => "WWW-Authenticate",
            "429" | "503" => "Retry-After",
            _ => "X-Request-Id",
        };
        for Operation { method, path, json } in document.operations() {
            for (status, response) in object(&json["responses"]) {
                let headers = keys(&document.resolve(response)["headers"]);
                for header in ["X-Request-Id", of_its_own(status)] {
                    assert!(headers.contains(header), "{method} {}{path} {status}: {header}", document.base);
                }
            }
        }
        let refused = &document.json["components"]["responses"]["MethodNotAllowed"];
        assert!(keys(&refused["headers"]).contains("Allow"), "{}", document.base);
    }
    let created = &documents()[0].json["components"]["responses"]["CreatedCustomer"];
    assert!(keys(&created["headers"]).contains("Location"));
}

#[test]
fn every_limit_of_a_schema_is_the_enforced_one() {
    let page = PageSize::MAX.get();
    let overlap = usize::try_from(MAX_OVERLAP.as_secs()).expect("a number of seconds");
    let common = [("headers/RequestId/schema/maxLength", MAX_REQUEST_ID_BYTES)];
    let native = [
        ("parameters/ExternalId/schema/maxLength", ExternalId::MAX),
        ("parameters/Limit/schema/maximum", page),
        ("parameters/Offset/schema/maximum", MAX_OFFSET),
        ("schemas/AddressPart/maxLength", AddressPart::MAX),
        ("schemas/BusinessName/maxLength", BusinessName::MAX),
        ("schemas/ApiKeyPage/properties/data/maxItems", page),
        ("schemas/Customer/properties/email/maxLength", Email::MAX_BYTES),
        ("schemas/CustomerPage/properties/data/maxItems", page),
        ("schemas/Email/maxLength", Email::MAX_BYTES),
        ("schemas/ExternalId/maxLength", ExternalId::MAX),
        ("schemas/Locale/maxLength", Locale::MAX),
        ("schemas/InvalidProblem/allOf/1/properties/errors/maxItems", Faults::MAX_LISTED),
        ("schemas/Name/maxLength", Name::MAX),
        ("schemas/PlanId/maxLength", PlanId::MAX),
        ("schemas/PostalCode/maxLength", PostalCode::MAX),
        ("schemas/RotateApiKey/properties/overlap_seconds/maximum", overlap),
        ("schemas/SearchTerm/maxLength", SearchTerm::MAX),
        ("schemas/SubscriptionId/maxLength", SubscriptionId::MAX),
        ("schemas/SubscriptionPage/properties/data/maxItems", page),
        ("schemas/TaxId/maxLength", TaxId::MAX),
    ];
    let lumen = [
        ("schemas/AddressPart/maxLength", AddressPart::MAX),
        ("schemas/BusinessName/maxLength", BusinessName::MAX),
        ("schemas/Locale/maxLength", Locale::MAX),
        ("schemas/Customer/properties/email/maxLength", Email::MAX_BYTES),
        ("schemas/Email/maxLength", Email::MAX_BYTES),
        ("schemas/InvalidError/properties/details/maxItems", Faults::MAX_LISTED),
        ("schemas/Name/maxLength", Name::MAX),
        ("schemas/PostalCode/maxLength", PostalCode::MAX),
        ("schemas/TaxId/maxLength", TaxId::MAX),
        ("schemas/UserId/maxLength", ExternalId::MAX),
    ];
    let lava = [
        ("parameters/Limit/schema/maximum", page),
        ("schemas/Customer/properties/reference_id/maxLength", ExternalId::MAX),
        ("schemas/CustomerPage/properties/data/maxItems", page),
        ("schemas/Email/maxLength", Email::MAX_BYTES),
        ("schemas/Name/maxLength", MAX_CHARACTERS),
        ("schemas/ReferenceId/maxLength", MAX_CHARACTERS),
    ];
    for (document, own) in documents().iter().zip([&native[..], &lumen, &lava]) {
        let enforced = common.iter().chain(own).map(|(place, limit)| (format!("/components/{place}"), *limit));
        let documented = document.numbers(&["maxLength", "maxItems", "maximum"]);
        assert_eq!(documented, enforced.collect(), "{}", document.base);
    }
}

#[test]
fn a_page_has_the_documented_size_by_default() {
    for (document, pages) in documents().iter().zip([1, 0, 1]) {
        let defaults = document.numbers(&["default"]);
        assert_eq!(defaults.into_values().collect::<Vec<_>>(), vec![PageSize::DEFAULT.get(); pages]);
    }
}

#[test]
fn every_limit_of_a_description_is_the_enforced_one() {
    let thousands = |number: usize| format!("{},{:03}", number / 1000, number % 1000);
    let body = format!("A body is JSON, at most {} bytes, at most {MAX_LEVELS} levels deep", thousands(MAX_BYTES));
    let too_large = format!("more than {} bytes", thousands(MAX_BYTES));
    let email = format!("at most {} bytes, of which at most {}", Email::MAX_BYTES, Email::MAX_LOCAL_BYTES);
    let request_id = format!("at most {MAX_REQUEST_ID_BYTES} characters");
    let metadata = format!(
        "at most {} bytes as compact JSON and {} levels deep",
        thousands(Metadata::MAX_BYTES),
        Metadata::MAX_LEVELS
    );
    let everywhere = [
        ("/info/description", &body),
        ("/components/responses/BodyTooLarge/description", &too_large),
        ("/components/parameters/RequestId/description", &request_id),
        ("/components/schemas/Email/description", &email),
    ];
    let native = [
        ("/components/schemas/Metadata/description", &metadata),
        ("/components/schemas/MetadataFields/description", &metadata),
    ];
    for (Document { base, json }, own) in documents().iter().zip([&native[..], &native, &native[1..]]) {
        for (place, words) in everywhere.iter().chain(own) {
            let text = json.pointer(place).and_then(Value::as_str).unwrap_or_default();
            assert!(text.contains(words.as_str()), "{base}{place} does not say: {words}");
        }
    }
}

#[test]
fn each_integer_of_a_request_is_described_as_digits() {
    // JSON Schema counts 25.0 as an integer; the service takes digits alone, and no schema can say so.
    let mut found = Vec::new();
    for Document { base, json } in documents() {
        walk(&json, &Pointer::default(), &mut |at, value| {
            let (parameter, field) = (&value["schema"]["type"], &value["type"]);
            let is_sent = (*parameter == "integer" && value["in"] == "query") || *field == json!(["integer", "null"]);
            if is_sent {
                let text = value["description"].as_str().unwrap_or_default();
                assert!(text.contains("digits alone"), "{base}{at}: {text}");
                found.push(format!("{base}{at}"));
            }
        });
    }
    let native = [
        "/components/parameters/Limit",
        "/components/parameters/Offset",
        "/components/schemas/RotateApiKey/properties/overlap_seconds",
    ];
    let expected =
        native.map(|at| format!("/v1{at}")).into_iter().chain(["/lava/v1/components/parameters/Limit".to_owned()]);
    assert_eq!(found, expected.collect::<Vec<_>>());
}

#[test]
fn the_reserved_prefix_of_external_ids_is_documented() {
    let pattern = format!("^(?!{})", ExternalId::RESERVED_PREFIX);
    let places = ["ExternalId", "UserId", "ReferenceId"];
    for (document, name) in documents().iter().zip(places) {
        let documented = document.json["components"]["schemas"][name]["pattern"].as_str().expect("a pattern");
        assert!(documented.starts_with(&pattern), "{}: {documented}", document.base);
    }
    let native = &documents()[0].json["components"];
    assert_eq!(native["parameters"]["ExternalId"]["schema"]["pattern"], native["schemas"]["ExternalId"]["pattern"]);
}

#[test]
fn the_documented_countries_are_the_accepted_ones() {
    let letters = || (b'A'..=b'Z').map(char::from);
    let codes = letters().flat_map(|a| letters().map(move |b| format!("{a}{b}")));
    let mut read: Vec<Value> = codes.filter(|code| Country::parse(code).is_ok()).map(Value::from).collect();
    read.push(Value::Null);
    for document in &documents()[..2] {
        assert_eq!(document.json["components"]["schemas"]["Country"]["enum"], json!(read), "{}", document.base);
    }
}

#[test]
fn the_documented_tax_exemptions_are_the_accepted_ones() {
    let [native, lumen, _] = documents().map(|document| document.json);
    let names: Vec<Value> = TaxExemption::ALL.map(|one| json!(one.as_str())).into();
    let nullable: Vec<Value> = names.iter().cloned().chain([Value::Null]).collect();
    assert_eq!(native["components"]["schemas"]["TaxExempt"]["enum"], json!(nullable));
    assert_eq!(lumen["components"]["schemas"]["TaxExemptField"]["anyOf"][1]["enum"], json!(names));
}

#[test]
fn create_and_update_have_the_same_fields() {
    for Document { base, json } in documents() {
        let schemas = &json["components"]["schemas"];
        let [mut create, mut update] =
            ["CreateCustomer", "UpdateCustomer"].map(|name| object(&schemas[name]["properties"]).clone());
        // An address that is there cannot be cleared, and what exists is returned by creating only.
        for field in ["dangerouslyAllowCustomerWithoutEmail", "allow_missing_email", "on_conflict"] {
            create.remove(field);
        }
        // A new customer is active.
        update.remove("status");
        assert_eq!(create, update, "{base}");
    }
}

#[test]
fn only_the_native_surface_refuses_unknown_fields() {
    let [native, lumen, lava] = documents();
    for name in [
        "CreateCustomer",
        "UpdateCustomer",
        "UpsertCustomer",
        "BillingAddressFields",
        "SubscriptionReport",
        "CreateApiKey",
        "RotateApiKey",
    ] {
        assert_eq!(native.json["components"]["schemas"][name]["additionalProperties"], false, "{name}");
    }
    for document in [lumen, lava] {
        walk(&document.json, &Pointer::default(), &mut |at, value| {
            assert_ne!(value.get("additionalProperties"), Some(&json!(false)), "{}{at}", document.base);
        });
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
    for (failure, schema) in [
        (Failure::Unauthorized, "Problem"),
        (Failure::TooManyRequests(Limit::Key), "Problem"),
        (Failure::MissingScope(Scope::ReadCustomers), "MissingScopeProblem"),
        (Failure::HeadTooLarge, "Problem"),
        (Failure::NoMemory, "Problem"),
        (Failure::OtherProtocol, "Problem"),
        (Failure::UnknownPath, "Problem"),
        (Failure::MethodNotAllowed("GET".to_owned()), "Problem"),
        (Failure::Body(BodyFailure::TooLarge), "Problem"),
        (Failure::Body(BodyFailure::Incomplete), "Problem"),
        (Failure::Body(BodyFailure::MediaType), "Problem"),
        (Failure::Body(BodyFailure::Json(JsonError::TooDeep)), "Problem"),
        (Failure::Body(BodyFailure::Json(JsonError::DuplicateKey { pointer: Pointer::default() })), "Problem"),
        (fault(Place::Body(Pointer::default())).into(), "InvalidProblem"),
        (fault(Place::Parameter("limit")).into(), "InvalidProblem"),
        (Failure::MalformedHeader("If-Match"), "Problem"),
        (Failure::PreconditionFailed(None), "PreconditionProblem"),
        (Failure::PreconditionFailed(Some(Revision { customer: id, version: 2 })), "PreconditionProblem"),
        (Failure::InvalidCursor, "InvalidProblem"),
        (Failure::MalformedId, "Problem"),
        (Failure::NotFound, "Problem"),
        (Failure::Taken(Taken { email: Some(customer.id()), external_id: None }), "TakenProblem"),
        (Failure::Taken(Taken { email: None, external_id: Some(Box::new(customer)) }), "TakenProblem"),
        (Failure::KeyNotFound, "Problem"),
        (Failure::KeyEnded, "Problem"),
        (Failure::KeyHasSuccessor(ApiKeyId::new(Uuid::nil())), "KeyHasSuccessorProblem"),
        (Failure::OutlivesCaller(now), "Problem"),
        (Failure::Overloaded, "Problem"),
        (Failure::Unavailable, "Problem"),
        (Failure::ReadOnly, "Problem"),
        (Failure::Internal, "Problem"),
    ] {
        let response = native::answer(&failure);
        let body = response.into_body().try_into_bytes().expect("a body at hand");
        let problem: Value = serde_json::from_slice(&body).expect("JSON");
        native.check_fields(&schemas[schema], &problem, &Pointer::default());
        for fault in problem["errors"].as_array().into_iter().flatten() {
            native.check_fields(&schemas["Fault"], fault, &Pointer::default());
        }
        codes.insert(problem["code"].to_string());
    }
    let documented = schemas["Problem"]["properties"]["code"]["enum"].as_array().expect("codes");
    assert_eq!(documented.iter().map(Value::to_string).collect::<BTreeSet<_>>(), codes);
}

#[test]
fn every_surface_lists_at_most_50_faults_and_says_how_many_there_are() {
    let [native, lumen, _] = documents();
    let mut faults = Faults::default();
    for _ in 0..60 {
        faults.add(|| Fault { place: Place::Parameter("limit"), code: "x", detail: "must be a number".to_owned() });
    }
    let failure = Failure::Invalid(faults);
    let [of_native, of_lumen, of_lava] = [native::answer, lumen::answer, lava::answer].map(|answer| {
        let body = answer(&failure).into_body().try_into_bytes().expect("a body at hand");
        serde_json::from_slice::<Value>(&body).expect("JSON")
    });
    let documented = &native.json["components"]["schemas"]["InvalidProblem"]["allOf"][1]["properties"];
    assert!(documented.get("errors_total").is_some());
    lumen.check_fields(&lumen.json["components"]["schemas"]["InvalidError"], &of_lumen, &Pointer::default());
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
    let roster = Roster::new(
        Arc::new(MemoryStore::default()),
        Arc::new(FixedClock::default()),
        Arc::new(CountingIds::default()),
        Arc::new(CountingEntropy::default()),
    );
    let merchant = roster.create_merchant(MerchantName::parse("A merchant").expect("a name")).expect("a merchant");
    let tenant = Tenant { merchant: merchant.id, environment: Environment::Sandbox };
    let order = ApiKeyOrder { tenant, name: None, scopes: Scopes::ALL, expires_at: None };
    let key = roster.create_api_key(order, Scopes::ALL).expect("a key");
    let credential = format!("Bearer {}", key.secret.reveal());
    let deadline = Duration::from_secs(10);
    let settings = roster_executor::Settings { threads: 1, writers: 1, queue: 16, deadline, reads: Reads::ByWorkers };
    let executor = Executor::start(&roster, settings).expect("threads");
    let answers = rt::System::new().block_on(async {
        let limits = body::Limits { timeout: Duration::from_secs(10), memory: Budget::new(1 << 20) };
        let quotas = Quotas { key: NonZeroU32::MAX, merchant: NonZeroU32::MAX };
        let rates = web::Data::new(RateLimits::new(quotas, quotas));
        let app = App::new()
            .app_data(web::Data::new(executor.handles().handle()))
            .app_data(web::Data::new(StreamBudget(Budget::new(1 << 20))))
            .app_data(web::Data::new(limits))
            .app_data(rates);
        let app = init_service(app.configure(surfaces::configure).wrap(from_fn(body::receive))).await;
        let mut answers = Vec::new();
        for (method, path, body) in requests {
            let request = TestRequest::with_uri(&path).method(method);
            let request = request.insert_header((header::AUTHORIZATION, credential.as_str())).set_json(body);
            let response = call_service(&app, request.to_request()).await;
            let status = response.status();
            answers.push((status, serde_json::from_slice(&read_body(response).await).expect("JSON")));
        }
        answers
    });
    executor.stop(deadline);
    answers
}

#[test]
fn every_example_creates_a_customer_with_the_documented_fields() {
    for document in documents() {
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
fn a_list_and_a_subscription_have_the_documented_fields() {
    let [native, lumen, lava] = documents();
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
    for ((status, answer), schema) in answers.iter().zip(["ApiKey", "ApiKey", "ApiKey", "ApiKeyPage"]) {
        assert!(status.is_success(), "{schema}: {status} {answer}");
        native.check_fields(&native.json["components"]["schemas"][schema], answer, &Pointer::default());
    }
    assert!(answers[..3].iter().all(|(_, made)| made["key"].is_string()));
    let listed = answers[3].1["data"].as_array().expect("a list");
    assert!(listed.len() == 4 && listed.iter().all(|key| key.get("key").is_none()), "{listed:?}");
}

#[test]
fn every_operation_needs_an_existing_scope() {
    let [native, ..] = documents();
    let scopes = json!(Scope::ALL.map(Scope::as_str));
    assert_eq!(native.json["components"]["schemas"]["Scope"]["enum"], scopes);
    for document in documents() {
        for Operation { method, path, json } in document.operations() {
            let needed = &json["security"];
            let is_scope = || Scope::parse(needed[0]["bearer"][0].as_str().unwrap_or_default()).is_ok();
            let is_open = ["/openapi.json", "/health"].contains(&path) && *needed == json!([]);
            assert!(is_open || is_scope(), "{method} {}{path}: {needed}", document.base);
        }
    }
}

#[test]
fn each_document_is_served_without_a_credential() {
    for Document { base, json } in documents() {
        let shown = rt::System::new().block_on(async {
            let app = init_service(App::new().configure(surfaces::configure)).await;
            let request = TestRequest::with_uri(&format!("{base}/openapi.json")).to_request();
            let response = call_service(&app, request).await;
            assert_eq!(response.status(), StatusCode::OK, "{base}");
            read_body(response).await
        });
        assert_eq!(serde_json::from_slice::<Value>(&shown).expect("JSON"), json);
    }
}
