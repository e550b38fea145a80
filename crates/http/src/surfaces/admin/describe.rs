//! What the OpenAPI document says of the surface of operators.

use actix_web::http::StatusCode;
use roster_application::json::{JsonError, Pointer};
use roster_application::{MAX_OVERLAP, Role};
use roster_domain::{ApiKeyId, Environment, MerchantId};
use serde_json::json;

use super::dto::{self, LogEntryView, MAX_SEARCH, MerchantView, ServiceView};
use super::error::answer;
use crate::api_keys::{self, ApiKeyView, NewApiKeyView};
use crate::failure::{BodyFailure, Failure, Fault, Place};
use crate::openapi::operation::{Answer, Operation, Parameter, Refusal, Request};
use crate::openapi::schema::Of;
use crate::openapi::{Contract, about_bodies};
use crate::paging::{cursor, page_of};
use crate::problems::refusals;
use crate::request::operator_caller::{ReadAdmin, WriteAdmin};

const MERCHANTS: &str = "Merchants";
const API_KEYS: &str = "API keys";
const LOG: &str = "Log";
const SERVICE: &str = "Service";
const DESCRIPTION: &str = "Description";

/// The document's other parts.
pub(super) fn contract() -> Contract {
    let description = format!(
        "The merchants of the service and their API keys, for its operators. An operator reads no customer data. All of this answers \
         404 until an operator was created by `roster operators create`.\n\nWhat changes something is logged, in the same \
         transaction, with the operator and the `X-Request-Id`: `GET /admin/v1/log`. To change something again that is as asked for \
         changes nothing. `Idempotency-Key` is not supported: it is refused with 400.\n\n{} An absent value is `null` in answers, \
         never left out. Failures are problem details (RFC 9457), whose `type` is the path of a page about them under `/v1`. A path that is not \
         named here answers 404 with the code `unknown_path`, a path with another method 405 as \
         `components/responses/MethodNotAllowed` says.",
        about_bodies("refused")
    );
    Contract {
        title: "Roster: API of operators",
        description,
        servers: &[super::BASE],
        tags: &[
            (MERCHANTS, "The merchants, who own customers."),
            (API_KEYS, "The API keys of a merchant."),
            (LOG, "What operators and commands did to merchants, keys and operators."),
            (SERVICE, "The running service."),
            (DESCRIPTION, "This document."),
        ],
        bearer: "The key of an operator, `sk_admin_…`. Its role says what the operator may do: `read` to look, `admin` to change \
                 things, too. Keys of merchants and tokens are refused here, and this key everywhere else.",
        refusals: refusals(),
        of_callers: &["Unauthorized", "TooManyRequests", "Internal", "Unavailable"],
        of_reads: &[],
        of_writes: &[],
        of_bodies: &["InvalidJson", "BodyIncomplete", "BodyTooLarge", "UnsupportedMediaType", "Invalid"],
        of_queries: &["Invalid"],
        words: json!({ "Environment": { "description": "The environment whose customers a key opens." } }),
    }
}

pub(super) fn list_merchants() -> Operation {
    let search = "Only merchants with this text in their names; ASCII letters in any case.";
    let search_schema = json!({ "type": "string", "minLength": 1, "maxLength": MAX_SEARCH });
    Operation::new("listMerchants", MERCHANTS, "List merchants")
        .needs_role::<ReadAdmin>()
        .about("The oldest first, a page at a time. Unknown parameters are refused.")
        .parameter(Parameter::limit())
        .parameter(cursor())
        .parameter(Parameter::query_of("search", search, search_schema))
        .answers_with(page_of::<MerchantView<'_>>("A page of merchants."))
        .refuses("InvalidCursor")
}

pub(super) fn create_merchant() -> Operation {
    write("createMerchant", MERCHANTS, "Create a merchant")
        .about("Names need not be unique.")
        .reads(name("CreateMerchant"))
        .answers_with(
            Answer::new(StatusCode::CREATED, "Merchant created.").json::<MerchantView<'_>>().header("Location"),
        )
}

pub(super) fn get_merchant() -> Operation {
    Operation::new("getMerchant", MERCHANTS, "Get a merchant")
        .needs_role::<ReadAdmin>()
        .parameter(merchant_id())
        .answers::<MerchantView<'_>>(StatusCode::OK, "The merchant.")
        .refuses("MerchantNotFound")
}

pub(super) fn rename_merchant() -> Operation {
    write("renameMerchant", MERCHANTS, "Give a merchant another name")
        .parameter(merchant_id())
        .reads(name("RenameMerchant"))
        .answers::<MerchantView<'_>>(StatusCode::OK, "The merchant.")
        .refuses("MerchantNotFound")
}

pub(super) fn disable_merchant() -> Operation {
    write("disableMerchant", MERCHANTS, "Disable a merchant")
        .about(
            "Its keys and tokens are refused with 403 on every API within `auth.key_cache_ms`, and its streams end. Its data stays, \
             and events are still delivered to its webhook endpoints.",
        )
        .parameter(merchant_id())
        .answers::<MerchantView<'_>>(StatusCode::OK, "The merchant.")
        .refuses("IdempotencyKey")
        .refuses("MerchantNotFound")
}

pub(super) fn enable_merchant() -> Operation {
    write("enableMerchant", MERCHANTS, "Enable a merchant")
        .about("Its keys and tokens are accepted again.")
        .parameter(merchant_id())
        .answers::<MerchantView<'_>>(StatusCode::OK, "The merchant.")
        .refuses("IdempotencyKey")
        .refuses("MerchantNotFound")
}

pub(super) fn list_api_keys() -> Operation {
    let environment = "Only keys of this environment. Left out: of both.";
    Operation::new("listMerchantApiKeys", API_KEYS, "List the API keys of a merchant")
        .needs_role::<ReadAdmin>()
        .about(
            "The oldest first, usable or not, a page at a time; never their secrets. Unknown parameters are refused.",
        )
        .parameter(merchant_id())
        .parameter(Parameter::limit())
        .parameter(cursor())
        .parameter(Parameter::query::<Of<Environment>>("environment", environment))
        .answers_with(page_of::<ApiKeyView<'_>>("A page of keys."))
        .refuses("InvalidCursor")
        .refuses("MerchantNotFound")
}

pub(super) fn create_api_key() -> Operation {
    let example = json!({ "environment": "sandbox", "name": "checkout" });
    write("createMerchantApiKey", API_KEYS, "Create an API key for a merchant")
        .about("Its secret is shown here and never again.")
        .parameter(merchant_id())
        .reads(api_keys::creation(dto::api_key_order).example("sandbox", example))
        .answers::<NewApiKeyView<'_>>(StatusCode::CREATED, "Key created.")
        .refuses("MerchantNotFound")
}

pub(super) fn revoke_api_key() -> Operation {
    write("revokeMerchantApiKey", API_KEYS, "Revoke an API key of a merchant")
        .about(
            "From now on it opens nothing; other instances of the service refuse it within seconds. It cannot be taken back. \
             Revoking it again changes nothing.",
        )
        .parameter(merchant_id())
        .parameter(api_keys::id_parameter("key_id"))
        .answers_with(Answer::new(StatusCode::NO_CONTENT, "Key revoked."))
        .refuses("IdempotencyKey")
        .refuses("KeyNotFound")
}

pub(super) fn rotate_api_key() -> Operation {
    write("rotateMerchantApiKey", API_KEYS, "Rotate an API key of a merchant")
        .about(format!(
            "Create a key in the place of another: with its name, its scopes and its end. The old one stays valid for the overlap of \
             at most {} days, or until its own end; with an overlap of 0 it is revoked. A key is rotated once: later, 409 names the \
             key in its place.",
            MAX_OVERLAP.as_secs() / 86_400
        ))
        .parameter(merchant_id())
        .parameter(api_keys::id_parameter("key_id"))
        .reads(api_keys::rotation())
        .answers::<NewApiKeyView<'_>>(StatusCode::CREATED, "The new key.")
        .refuses("KeyNotFound")
        .refuses("NotRotated")
}

pub(super) fn list_log() -> Operation {
    Operation::new("listLog", LOG, "List the entries of the operator log")
        .needs_role::<ReadAdmin>()
        .about("The newest first, a page at a time. Entries are kept for 400 days. Unknown parameters are refused.")
        .parameter(Parameter::limit())
        .parameter(cursor())
        .answers_with(page_of::<LogEntryView<'_>>("A page of entries."))
        .refuses("InvalidCursor")
}

pub(super) fn get_service() -> Operation {
    Operation::new("getService", SERVICE, "Get information about the service and the caller")
        .needs_role::<ReadAdmin>()
        .about("The instance that answers, where there are several, and the operator whose key the request has.")
        .answers::<ServiceView<'_>>(StatusCode::OK, "The service.")
}

/// An operation that changes something.
fn write(id: &'static str, tag: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, tag, summary).needs_role::<WriteAdmin>().refuses("MissingRole")
}

fn name(schema: &'static str) -> Request {
    Request::json(schema, dto::merchant_name).example("name", json!({ "name": "Acme Ltd." }))
}

fn merchant_id() -> Parameter {
    let about = "The merchant's identifier. What can never be one is answered as one that no merchant has.";
    Parameter::path::<Of<MerchantId>>("id", about)
}

fn refusals() -> Vec<Refusal> {
    let key = ApiKeyId::from_suffix("01h2xcejqtf2nbrexx3vqjhp43").expect("26 characters");
    let name = Pointer::default().key("name");
    let long = || Fault { place: Place::Body(name.clone()), code: "too_long", detail: "must be shorter".to_owned() };
    let unsupported = || Failure::IdempotencyKey("is not supported by this API: leave it out");
    let refusal = |name, members, failures: &[Failure]| refusals::refusal(answer, name, members, failures);
    let own = vec![
        refusal("IdempotencyKey", &[], &[unsupported()]),
        refusal(
            "InvalidJson",
            &[],
            &[
                BodyFailure::Json(JsonError::Syntax { line: 1, column: 1 }).into(),
                BodyFailure::Json(JsonError::DuplicateKey { pointer: name.clone() }).into(),
                unsupported(),
            ],
        ),
        refusal("Invalid", &["errors"], &[long().into()]),
        refusal("MissingRole", &[], &[Failure::MissingRole(Role::Admin)]),
        refusal("MerchantNotFound", &[], &[Failure::MerchantNotFound]),
        refusal("KeyNotFound", &[], &[Failure::KeyNotFound]),
        refusal("NotRotated", &[], &[Failure::KeyHasSuccessor(key), Failure::KeyEnded]),
    ];
    own.into_iter().chain(refusals::shared(answer)).collect()
}
