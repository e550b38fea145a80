//! Problem details (RFC 9457) of each failure, each with billing.io's error object as a member.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use roster_application::json::{JsonError, Pointer};
use roster_application::ports::Taken;
use roster_application::{MAX_ENDPOINTS, MAX_REPLAYS, Revision, Role, Scope};
use roster_domain::{ApiKeyId, CustomerId, Timestamp, UploadId};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::{BodyFailure, Conflict, Failure, Fault, Faults, Place};
use crate::middleware::limits::Limit;
use crate::openapi::schema::{Shown, Text};
use crate::problems::{self, Kind};
use crate::request::attribution;
use crate::request::idempotency::HEADER;
use crate::request::query::{self, INVALID_CURSOR};
use crate::respond;

/// Problem details (RFC 9457), with `code` for programs.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Problem {
    /// The path of the page that says what the `code` means and what to do, on the service itself.
    #[serde(rename = "type")]
    #[schemars(extend("format" = "uri-reference"))]
    kind: String,
    /// The status in words.
    title: &'static str,
    /// The status as a number.
    #[schemars(range(min = 400, max = 599))]
    status: u16,
    /// What went wrong, for people.
    detail: String,
    /// What went wrong, for programs.
    #[schemars(extend("enum" = problems::ALL.iter().map(|kind| kind.code).collect::<Vec<_>>()))]
    code: &'static str,
    /// The customer that has what the request claims.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Shown<CustomerId>")]
    customer_id: Option<Shown<CustomerId>>,
    /// The version of what is stored. Left out if nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = 1))]
    current_version: Option<i64>,
    /// The key in the place of the one that was rotated before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Shown<ApiKeyId>")]
    successor_id: Option<Shown<ApiKeyId>>,
    /// The `seq` of the last event that is no longer kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = 1))]
    floor: Option<i64>,
    /// The scope that is lacking.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Text<Scope>")]
    scope: Option<Text<Scope>>,
    /// The rules that the request breaks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = Faults::MAX_LISTED))]
    errors: Vec<ProblemFault>,
    /// How many rules the request breaks, if `errors` does not list all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "usize", range(min = Faults::MAX_LISTED + 1))]
    errors_total: Option<usize>,
    error: BillingError,
}

/// The error as billing.io's clients read it.
// They crash on an `error` that is no object.
#[derive(Serialize, JsonSchema)]
struct BillingError {
    /// What kind of error it is. A missing scope is an `authentication_error`.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = KINDS))]
    kind: &'static str,
    /// The `code` of the problem, or that of the first of its `errors`.
    code: &'static str,
    /// The `detail` of the problem, or that of the first of its `errors`.
    message: String,
    /// The field or the parameter that is at fault.
    #[schemars(example = &"billing_address/country")]
    param: Option<String>,
}

impl BillingError {
    fn new(status: StatusCode, code: &'static str, message: String) -> Self {
        Self { kind: kind(status), code, message, param: None }
    }

    /// The first fault: there is room for one.
    fn of_fault(status: StatusCode, fault: &Fault, message: String) -> Self {
        let is_whole_body = matches!(&fault.place, Place::Body(pointer) if *pointer == Pointer::default());
        let param = (!is_whole_body).then(|| fault.place.to_string());
        Self { param, ..Self::new(status, fault.code, message) }
    }
}

/// The types of errors that billing.io has, and that this service answers.
const KINDS: [&str; 6] =
    ["authentication_error", IDEMPOTENCY_CONFLICT, "internal_error", "invalid_request", "not_found", "rate_limited"];

const IDEMPOTENCY_CONFLICT: &str = "idempotency_conflict";

/// The type of an error with this status. A missing scope is an error of the credential, because there is no other type
/// for it.
fn kind(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "authentication_error",
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::TOO_MANY_REQUESTS => "rate_limited",
        status if status.is_server_error() => "internal_error",
        _ => "invalid_request",
    }
}

/// One rule that the request breaks, in its body (`pointer`) or in a parameter.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Fault")]
#[schemars(extend("oneOf" = [{ "required": ["pointer"] }, { "required": ["parameter"] }]))]
struct ProblemFault {
    /// Where in the body (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("format" = "json-pointer"), example = &"/billing_address/country")]
    pointer: Option<String>,
    /// Which parameter of the path or the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", example = &"limit")]
    parameter: Option<String>,
    /// The rule, for programs.
    #[schemars(example = &"required", example = &"too_long", example = &"unknown_field", example = &"invalid_country")]
    code: &'static str,
    /// The rule, for people: the place, what is allowed there, and what was given.
    detail: String,
}

impl From<&Fault> for ProblemFault {
    fn from(fault: &Fault) -> Self {
        let (pointer, parameter) = match &fault.place {
            Place::Body(pointer) => (Some(pointer.to_string()), None),
            Place::Parameter(name) => (None, Some((*name).to_owned())),
            Place::UnknownParameter(name) => (None, Some(name.clone())),
        };
        Self { pointer, parameter, code: fault.code, detail: format!("{} {}", fault.place, fault.detail) }
    }
}

const IDEMPOTENCY_KEY_REUSED: &str = "Another request has had this Idempotency-Key: with another method, path or body. Take a new key for a new request.";
const OTHER_CREDENTIAL: &str = "The first request with this Idempotency-Key created an API key and came with another credential. \
                                The created key is stored nowhere and can only be shown again to that one: rotate or revoke it.";
fn malformed_header(name: &str) -> HttpResponse {
    let rule = match name {
        attribution::REASON => "have 1 to 256 printable characters in UTF-8, and be sent once",
        _ => "be * or a list of entity tags, each in quotes as the header ETag has it",
    };
    about_header(name, &problems::MALFORMED_HEADER, format!("{name} must {rule}."))
}

fn missing(kind: &'static Kind, what: &str) -> HttpResponse {
    write(&content(kind, format!("There is no such {what} in the merchant and the environment of the credential.")))
}

/// The response to each failure.
pub(crate) fn answer(failure: &Failure) -> HttpResponse {
    let mut response = match failure {
        Failure::Unauthorized => {
            problem(&problems::UNAUTHORIZED, "A valid API key or token is needed: Authorization: Bearer …")
        }
        Failure::TooManyRequests(limit) => too_many_requests(*limit),
        Failure::MissingScope(scope) => missing_scope(*scope),
        Failure::MissingRole(role) => missing_role(*role),
        Failure::MerchantNotFound => problem(&problems::MERCHANT_NOT_FOUND, "There is no such merchant."),
        Failure::MerchantDisabled => {
            problem(&problems::MERCHANT_DISABLED, "The merchant of the credential is disabled. Nothing was done.")
        }
        Failure::HeadTooLarge => problem(
            &problems::HEAD_TOO_LARGE,
            "The request line and the headers have more bytes than this service allows. Send fewer or shorter headers.",
        ),
        Failure::NoMemory => problem(
            &problems::NO_MEMORY,
            "Requests that are being received take all the memory that they may take. Nothing was done: send it again.",
        ),
        Failure::OtherProtocol => {
            problem(&problems::OTHER_PROTOCOL, "This service speaks HTTP only: neither CONNECT nor Upgrade: websocket.")
        }
        Failure::UnknownPath => {
            problem(&problems::UNKNOWN_PATH, "There is nothing at this path. The paths are listed in /v1/openapi.json.")
        }
        Failure::MethodNotAllowed(allow) => {
            problem(&problems::METHOD_NOT_ALLOWED, format!("This path has other methods: {allow}."))
        }
        Failure::IdempotencyKey(rule) => {
            about_header(HEADER, &problems::INVALID_IDEMPOTENCY_KEY, format!("The header {HEADER} {rule}."))
        }
        Failure::IdempotencyKeyReused => {
            idempotency_conflict(&problems::IDEMPOTENCY_KEY_REUSED, IDEMPOTENCY_KEY_REUSED)
        }
        Failure::OtherCredential => idempotency_conflict(&problems::IDEMPOTENCY_CREDENTIAL_CHANGED, OTHER_CREDENTIAL),
        Failure::Body(failure) => body(failure),
        Failure::Invalid(faults) => invalid(faults),
        Failure::InvalidCursor => invalid_cursor(),
        Failure::MalformedHeader(name) => malformed_header(name),
        Failure::InvalidHeader(name, rule) => {
            about_header(name, &problems::MALFORMED_HEADER, format!("The header {name} {rule}."))
        }
        Failure::BatchUndone => {
            problem(&problems::BATCH_UNDONE, "Another item of this atomic batch failed: nothing was done.")
        }
        Failure::PreconditionFailed(current) => precondition_failed(*current),
        Failure::MalformedId | Failure::NotFound => missing(&problems::CUSTOMER_NOT_FOUND, "customer"),
        Failure::Taken(taken) => conflict(taken),
        Failure::EventsPruned(floor) => events_pruned(*floor),
        Failure::EventNotFound => missing(&problems::EVENT_NOT_FOUND, "event"),
        Failure::WebhookNotFound => missing(&problems::WEBHOOK_NOT_FOUND, "webhook endpoint"),
        Failure::ImportNotFound => missing(&problems::IMPORT_NOT_FOUND, "import"),
        Failure::ImportRunning(id) => import_running(*id),
        Failure::ImportHasOtherOptions(options) => import_has_other_options(options),
        Failure::ImportEnded => problem(
            &problems::IMPORT_ENDED,
            "The import was ended while its file was being sent. Nothing was imported.",
        ),
        Failure::FileTooLarge(most) => file_too_large(*most),
        Failure::FileTooSlow(longest) => file_too_slow(longest.as_secs()),
        Failure::TooManyWebhooks => problem(
            &problems::TOO_MANY_WEBHOOKS,
            format!("There are {MAX_ENDPOINTS} webhook endpoints, and there may be no more. Delete one first."),
        ),
        Failure::TooManyReplays => problem(
            &problems::TOO_MANY_REPLAYS,
            format!(
                "{MAX_REPLAYS} events wait to be sent again. Wait for them, or send from_seq to send all events again from a place on."
            ),
        ),
        Failure::KeyNotFound => missing(&problems::KEY_NOT_FOUND, "API key"),
        Failure::KeyEnded => problem(
            &problems::KEY_ENDED,
            "The API key is revoked or has expired, and nothing can come into its place. Create a new one.",
        ),
        Failure::KeyHasSuccessor(successor) => key_has_successor(*successor),
        Failure::OutlivesCaller(end) => outlives_caller(*end),
        Failure::Overloaded => problem(
            &problems::OVERLOADED,
            "Too many requests wait for the database. This one was not started: send it again.",
        ),
        Failure::Unavailable => problem(
            &problems::DATABASE_UNAVAILABLE,
            "The database did not answer in time. A write may have happened; repeating it with the same Idempotency-Key or \
             external_id is safe.",
        ),
        Failure::ReadOnly => problem(
            &problems::DATABASE_READ_ONLY,
            "The database takes no writes at present. Nothing was done: send it again later.",
        ),
        Failure::Internal => problem(
            &problems::INTERNAL,
            "This is a fault of the service, not of the request. Its log has the cause, by the X-Request-Id.",
        ),
    };
    respond::add_headers(failure, &mut response);
    response
}

fn too_many_requests(limit: Limit) -> HttpResponse {
    let limit = limit.as_str();
    let detail = format!("The limit on requests of this {limit} is reached. Send it again after Retry-After.");
    problem(&problems::RATE_LIMITED, detail)
}

fn missing_scope(scope: Scope) -> HttpResponse {
    let detail = format!("The credential lacks the scope {scope}. Use one that has it.");
    write(&Problem { scope: Some(Text(scope)), ..content(&problems::MISSING_SCOPE, detail) })
}

fn missing_role(role: Role) -> HttpResponse {
    let detail = format!("The operator lacks the role {role}. Use the key of one that has it.");
    problem(&problems::MISSING_ROLE, detail)
}

fn about_header(name: &str, kind: &'static Kind, detail: String) -> HttpResponse {
    let mut content = content(kind, detail);
    content.error.param = Some(name.to_owned());
    write(&content)
}

fn idempotency_conflict(kind: &'static Kind, detail: &str) -> HttpResponse {
    let mut content = content(kind, detail);
    content.error.kind = IDEMPOTENCY_CONFLICT;
    content.error.param = Some(HEADER.to_owned());
    write(&content)
}

fn invalid(faults: &Faults) -> HttpResponse {
    let kind = &problems::INVALID_REQUEST;
    let mut content = content(kind, "The request breaks the rules that errors names.");
    content.errors = faults.listed().iter().map(ProblemFault::from).collect();
    content.errors_total = faults.total_unless_listed();
    if let (Some(fault), Some(first)) = (faults.listed().first(), content.errors.first()) {
        content.error = BillingError::of_fault(kind.status, fault, first.detail.clone());
    }
    write(&content)
}

fn precondition_failed(current: Option<Revision>) -> HttpResponse {
    let Some(Revision { version, .. }) = current else {
        return problem(&problems::PRECONDITION_FAILED, "There is nothing that If-Match could match.");
    };
    let detail = format!(
        "What is stored is now at version {version}, which If-Match does not name or If-None-Match does. Read it again, and \
         repeat the change with the ETag of that answer if it is still wanted."
    );
    write(&Problem { current_version: Some(version), ..content(&problems::VERSION_MISMATCH, detail) })
}

fn events_pruned(floor: i64) -> HttpResponse {
    let detail = format!(
        "The events up to seq {floor} are no longer kept, and the cursor is before that. Begin anew without a cursor, and read the \
         list of customers for what the missing events led to."
    );
    write(&Problem { floor: Some(floor), ..content(&problems::EVENTS_PRUNED, detail) })
}

fn import_running(id: UploadId) -> HttpResponse {
    let detail = format!("The import {id} has not ended. Wait for it, or end it with DELETE /v1/imports/{id}.");
    problem(&problems::IMPORT_RUNNING, detail)
}

fn import_has_other_options(options: &str) -> HttpResponse {
    let detail = format!(
        "An import of this file has not come to its end, and has other options: {options}. Send these again, or again=true to begin \
         anew."
    );
    problem(&problems::IMPORT_HAS_OTHER_OPTIONS, detail)
}

fn file_too_large(most: u64) -> HttpResponse {
    let detail = format!("The file has more than {most} bytes. Send it in parts, or import it with roster import.");
    problem(&problems::FILE_TOO_LARGE, detail)
}

fn file_too_slow(longest: u64) -> HttpResponse {
    let detail =
        format!("The file has not arrived within {longest} s. Send it in parts, or import it with roster import.");
    problem(&problems::FILE_TOO_SLOW, detail)
}

fn key_has_successor(successor: ApiKeyId) -> HttpResponse {
    let detail = format!("The API key was rotated before. {successor} has come into its place: rotate that one.");
    write(&Problem { successor_id: Some(Shown(successor)), ..content(&problems::KEY_HAS_SUCCESSOR, detail) })
}

fn outlives_caller(end: Timestamp) -> HttpResponse {
    let detail = format!(
        "The new API key would outlive the credential, which expires at {end}. Send an expires_at that is not later."
    );
    problem(&problems::OUTLIVES_CREDENTIAL, detail)
}

fn invalid_cursor() -> HttpResponse {
    let fault = query::fault("cursor", INVALID_CURSOR);
    let kind = &problems::INVALID_CURSOR;
    let listed = ProblemFault { code: kind.code, ..ProblemFault::from(&fault) };
    let mut content = content(kind, format!("The {}.", listed.detail));
    content.error.param = Some("cursor".to_owned());
    content.errors = vec![listed];
    write(&content)
}

fn conflict(taken: &Taken) -> HttpResponse {
    let (customer, kind, param, detail) = match Conflict::external_id_first(taken) {
        Some(Conflict::ExternalId(customer)) => (
            customer,
            &problems::EXTERNAL_ID_TAKEN,
            "external_id",
            "Another customer has this external_id: use that one, or send another external_id.",
        ),
        Some(Conflict::Email(customer)) => (
            customer,
            &problems::EMAIL_TAKEN,
            "email",
            "Another customer has this e-mail address. \"allow_duplicate_email\": true lifts the rule.",
        ),
        None => return answer(&Failure::Unavailable),
    };
    let mut content = content(kind, detail);
    content.customer_id = Some(Shown(customer));
    content.error.param = Some(param.to_owned());
    write(&content)
}

fn body(failure: &BodyFailure) -> HttpResponse {
    match failure {
        BodyFailure::TooLarge(most) => {
            let detail = format!("The body may have at most {most} bytes. Send less in one request.");
            problem(&problems::BODY_TOO_LARGE, detail)
        }
        BodyFailure::Incomplete => {
            problem(&problems::BODY_INCOMPLETE, "The body did not arrive in time. Nothing was done: send it again.")
        }
        BodyFailure::MediaType => {
            let detail = "The body must be JSON. Send Content-Type: application/json";
            problem(&problems::UNSUPPORTED_MEDIA_TYPE, detail)
        }
        BodyFailure::Json(error @ (JsonError::Syntax { .. } | JsonError::TooDeep)) => {
            problem(&problems::INVALID_JSON, format!("The body is {error}. Let a library write it."))
        }
        BodyFailure::Json(JsonError::DuplicateKey { pointer }) => {
            let detail = format!("The body has a key twice in one object: {pointer}. Send it once.");
            problem(&problems::DUPLICATE_KEY, detail)
        }
    }
}

/// A response with a problem of this kind.
pub(crate) fn problem(kind: &Kind, detail: impl Into<String>) -> HttpResponse {
    write(&content(kind, detail))
}

fn content(kind: &Kind, detail: impl Into<String>) -> Problem {
    let Kind { code, status, .. } = *kind;
    let detail = detail.into();
    Problem {
        kind: kind.uri(),
        title: status.canonical_reason().unwrap_or_default(),
        status: status.as_u16(),
        error: BillingError::new(status, code, detail.clone()),
        detail,
        code,
        customer_id: None,
        current_version: None,
        successor_id: None,
        floor: None,
        scope: None,
        errors: Vec::new(),
        errors_total: None,
    }
}

fn write(problem: &Problem) -> HttpResponse {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    respond::json_as("application/problem+json", status, problem)
}

#[cfg(test)]
mod tests {
    use actix_web::body::MessageBody as _;
    use roster_application::ListError;

    use super::*;

    #[test]
    fn an_offset_that_is_too_deep_is_422_and_says_how_to_narrow_the_list() {
        let response = answer(&Failure::from(ListError::TooDeep));
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let body = response.into_body().try_into_bytes().expect("a whole body");
        let problem: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(problem["errors"][0]["parameter"], "offset");
        assert_eq!(
            (&problem["errors"][0]["code"], &problem["error"]["code"]),
            (&"too_broad".into(), &"too_broad".into())
        );
        let detail = problem["errors"][0]["detail"].as_str().expect("a text");
        assert!(detail.contains("the first 10000") && detail.contains("created_after"), "{detail}");
    }
}
