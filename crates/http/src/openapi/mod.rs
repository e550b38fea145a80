//! The OpenAPI 3.1 document of a surface, made from its table of routes.
//!
//! Each route has an [`Operation`] beside its handler. The schemas of responses are derived from the types that are
//! written, those of requests are drawn by the code that reads them ([`Fields::sketch`](crate::request::fields::Fields)),
//! and the examples of refusals are what the surface's code answers. `docs/adding.md` says what to do for a new endpoint.
//!
//! The documents are committed beside the surfaces and served from there; `make openapi` writes them, and a test compares
//! them.

pub(crate) mod headers;
pub(crate) mod operation;
pub(crate) mod samples;
pub(crate) mod schema;
pub(crate) mod sketch;
pub(crate) mod vendor;

use actix_web::HttpResponse;
use actix_web::http::{Method, StatusCode, header};
use roster_application::json::MAX_LEVELS;
use roster_domain::ChangeReason;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use self::operation::{Answer, Operation, Parameter, Refusal, merge};
use self::schema::thousands;
use crate::middleware::access_log::MAX_REQUEST_ID_BYTES;
use crate::request::attribution::REASON;
use crate::request::body::MAX_BYTES;
use crate::request::consistency::{CONSISTENCY, POSITION, VALUES};
use crate::request::idempotency::{HEADER, MAX_LENGTH, REPLAYED};
use crate::routing::{Endpoint, Surface, get};

/// What the document of a surface says besides its operations.
pub(crate) struct Contract {
    /// The name of the API.
    pub(crate) title: &'static str,
    /// What it is; what all surfaces have in common is added.
    pub(crate) description: String,
    /// The bases below which the paths are served, the first one first.
    pub(crate) servers: &'static [&'static str],
    /// The groups of operations, each with what it is about.
    pub(crate) tags: &'static [(&'static str, &'static str)],
    /// What a credential is.
    pub(crate) bearer: &'static str,
    /// The refusals that operations name.
    pub(crate) refusals: Vec<Refusal>,
    /// The refusals of every operation that needs a credential.
    pub(crate) of_callers: &'static [&'static str],
    /// The refusals of every operation that reads customers, perhaps from a replica.
    pub(crate) of_reads: &'static [&'static str],
    /// The refusals of every operation that changes something, unless others take the places of their statuses. All that do
    /// say the same of idempotency keys; where there are none, requests have no such key, and their changes no reason.
    pub(crate) of_writes: &'static [&'static str],
    /// The refusals of every operation that reads a body.
    pub(crate) of_bodies: &'static [&'static str],
    /// The refusals of every operation that reads a query.
    pub(crate) of_queries: &'static [&'static str],
    /// Merged into the schemas: the words that this vendor has for the same values.
    pub(crate) words: Value,
}

/// Answers with a document, without a credential: it is public.
pub(crate) fn show(document: &'static str) -> Endpoint {
    get(
        move |_| async move { HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "application/json")).body(document) },
    )
    .described(|| {
        let schema = json!({ "type": "object", "required": ["openapi", "info", "paths"] });
        let document = Answer::new(StatusCode::OK, "This document.").body("application/json", schema);
        Operation::new("getOpenApiDocument", "Description", "Get this document").answers_with(document)
    })
}

/// The sentences about bodies that every surface's description has. `unknown` says what happens to unknown fields.
pub(crate) fn about_bodies(unknown: &str) -> String {
    format!(
        "A body is JSON, at most {} bytes, at most {MAX_LEVELS} levels deep, with no key twice in one object; fields that \
         are not named here are {unknown}.",
        thousands(MAX_BYTES)
    )
}

/// The document of a surface, as text.
///
/// # Panics
/// If a route is not described, or a description does not fit its route: tests find that.
pub(crate) fn document(surface: &Surface, contract: Contract) -> String {
    let mut generator = generator();
    let statuses: Map<_, _> =
        contract.refusals.iter().map(|one| (one.name.to_owned(), json!(one.status().as_u16()))).collect();
    let mut paths = Map::new();
    for (path, endpoints) in surface.described() {
        let methods = endpoints.iter().map(|(method, operation)| {
            check(path, operation, &contract);
            (method.as_str().to_ascii_lowercase(), describe(method, operation, &contract, &statuses, &mut generator))
        });
        let methods: Map<_, _> = methods.collect();
        paths.insert(path.to_owned(), methods.into());
    }
    let Contract { title, description, servers, tags, bearer, refusals, words, .. } = contract;
    let responses: Map<_, _> =
        refusals.into_iter().map(|one| (one.name.to_owned(), one.into_json(&mut generator))).collect();
    let mut schemas = Value::from(generator.take_definitions(true));
    for name in words.as_object().into_iter().flat_map(Map::keys) {
        assert!(schemas.get(name).is_some(), "{title} has no schema {name}");
    }
    merge(&mut schemas, &words);
    let text = json!([paths, responses]).to_string();
    let headers = headers::components(&text);
    let parameters = [
        ("ChangeReason", change_reason()),
        ("Consistency", consistency()),
        ("IdempotencyKey", idempotency_key()),
        ("Position", position()),
        ("RequestId", request_id()),
    ];
    let parameters =
        parameters.into_iter().filter(|(name, _)| text.contains(&format!("#/components/parameters/{name}")));
    let parameters: Map<_, _> =
        parameters.map(|(name, one)| (name.to_owned(), one.to_json(&mut self::generator()))).collect();
    let document = json!({
        "openapi": "3.1.0",
        "info": { "title": title, "version": env!("CARGO_PKG_VERSION"), "description": description },
        "servers": servers.iter().map(|url| json!({ "url": url })).collect::<Vec<_>>(),
        "security": [{ "bearer": [] }],
        "tags": tags.iter().map(|(name, about)| json!({ "name": name, "description": about })).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer", "description": bearer } },
            "parameters": parameters,
            "headers": headers,
            "responses": responses,
            "schemas": schemas,
        },
    });
    format!("{document:#}\n")
}

fn generator() -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    settings.with_transform(RecursiveTransform(without_rust_formats)).into_generator()
}

/// `uint16` and its like are formats of the library, not of JSON Schema.
fn without_rust_formats(schema: &mut Schema) {
    if schema.get("type").is_some_and(|one| one == "integer") {
        schema.remove("format");
    }
}

/// Fails on a description that does not fit its route.
fn check(path: &str, operation: &Operation, contract: &Contract) {
    let in_path = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let described = operation.parameters.iter().filter(|parameter| parameter.place == "path");
    assert!(
        in_path.eq(described.map(|parameter| parameter.name)),
        "{path}: {}: the parameters of the path",
        operation.id
    );
    assert!(contract.tags.iter().any(|(tag, _)| *tag == operation.tag), "{path}: no tag {}", operation.tag);
}

fn describe(
    method: &Method,
    operation: &Operation,
    contract: &Contract,
    statuses: &Map<String, Value>,
    generator: &mut SchemaGenerator,
) -> Value {
    let mut described = operation.head(generator);
    let parameters = operation.parameters.iter().map(|parameter| parameter.to_json(generator));
    let is_done_once = !method.is_safe() && !contract.of_writes.is_empty();
    let common = if is_done_once {
        &["ChangeReason", "IdempotencyKey", "RequestId"][..]
    } else if operation.reads_customers() {
        &["Consistency", "Position", "RequestId"][..]
    } else {
        &["RequestId"][..]
    };
    let common = common.iter().map(|name| json!({ "$ref": format!("#/components/parameters/{name}") }));
    described.insert("parameters".to_owned(), parameters.chain(common).collect::<Vec<_>>().into());
    let mut responses = operation.responses(generator);
    let of_writes = if method.is_safe() { &[] } else { contract.of_writes };
    if is_done_once {
        for (_, response) in &mut responses {
            response["headers"][REPLAYED] = headers::reference(REPLAYED);
        }
    }
    if is_done_once || operation.reads_customers() {
        for (_, response) in &mut responses {
            response["headers"][POSITION] = headers::reference(POSITION);
        }
    }
    for name in of_writes.iter().copied().chain(refusals(operation, contract)) {
        let status = statuses.get(name).unwrap_or_else(|| panic!("{}: no refusal {name}", operation.id));
        responses.insert(status.to_string(), json!({ "$ref": format!("#/components/responses/{name}") }));
    }
    responses.sort_keys();
    described.insert("responses".to_owned(), responses.into());
    described.into()
}

/// The refusals of an operation's kind, and then its own.
fn refusals<'a>(operation: &'a Operation, contract: &'a Contract) -> impl Iterator<Item = &'static str> + 'a {
    let if_so = |is_so: bool, names: &'static [&'static str]| names.iter().copied().filter(move |_| is_so);
    if_so(operation.reads_customers(), contract.of_reads)
        .chain(if_so(operation.needed.is_some(), contract.of_callers))
        .chain(if_so(operation.parameters.iter().any(|one| one.place == "query"), contract.of_queries))
        .chain(if_so(operation.request.is_some(), contract.of_bodies))
        .chain(operation.refusals.iter().copied())
}

/// The header that every request that changes something may have.
fn idempotency_key() -> Parameter {
    let description = "A key of the caller's own that this request and no other has, such as a UUID, bare or in quotes (\
                       draft-ietf-httpapi-idempotency-key-header). The request is done once: a repeat with the same method, path \
                       and body gets the same status and body, with `Idempotent-Replayed: true`, and another request with \
                       the key is refused. Answers 401, 403, 429 and 5xx are not saved.";
    let schema = json!({ "type": "string", "minLength": 1, "maxLength": MAX_LENGTH, "pattern": "^[ -~]+$" });
    Parameter::header(HEADER, description, schema)
}

/// The header that says what a read must show.
fn consistency() -> Parameter {
    let description = "`eventual`: a replica may answer, if the service has one, with a state that is some time old. `latest`: the \
                       primary answers, also with a `Roster-Position`. Left out: as `Roster-Position` says. An export is always of \
                       the primary.";
    Parameter::header(CONSISTENCY, description, json!({ "type": "string", "enum": VALUES }))
}

/// The header with what a caller has seen.
fn position() -> Parameter {
    let description = "The `Roster-Position` of an answer that the caller has seen, for the same merchant and environment: take the \
                       last one as it is. A replica may answer, if the service has one, and the answer includes what that one has \
                       shown.";
    Parameter::header(POSITION, description, json!({ "type": "string" }))
}

/// The header with the reason for a change.
fn change_reason() -> Parameter {
    let description = "Why the caller makes the change, in its own words and in UTF-8: the event of the change has it.";
    Parameter::header(REASON, description, json!({ "type": "string", "minLength": 1, "maxLength": ChangeReason::MAX }))
}

/// The header that every request may have.
fn request_id() -> Parameter {
    let description = format!(
        "The caller's own identifier of the request. A printable ASCII token of at most {MAX_REQUEST_ID_BYTES} characters is \
         used and answered; anything else is replaced by one of the service's."
    );
    Parameter::header("X-Request-Id", &description, json!({ "type": "string" }))
}
