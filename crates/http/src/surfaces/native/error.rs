//! Error responses of the native surface: RFC 9457 problem details, each with billing.io's error object as a member.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use roster_application::Revision;
use roster_application::json::{JsonError, Pointer};
use roster_application::ports::Taken;
use serde::Serialize;

use crate::failure::{self, BodyFailure, Conflict, Failure, Fault, Faults, Place};
use crate::request::query::{self, INVALID_CURSOR};
use crate::respond;

failure::error!(
    /// A [`Failure`] as an error of the native surface.
    Error,
    answer
);

/// The members of RFC 9457 §3.1, with `code` for programs.
#[derive(Serialize)]
struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_version: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    successor_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ProblemFault>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors_total: Option<usize>,
    error: BillingError,
}

/// The error as billing.io's clients read it. They crash on an `error` that is no object.
#[derive(Serialize)]
struct BillingError {
    #[serde(rename = "type")]
    kind: &'static str,
    code: &'static str,
    message: String,
    /// The field or the parameter that is at fault.
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

/// The types of errors that billing.io has. A missing scope is an error of the credential, because there is no other type
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

#[derive(Serialize)]
struct ProblemFault {
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    code: &'static str,
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

/// The response to each failure.
pub(crate) fn answer(failure: &Failure) -> HttpResponse {
    let mut response = match failure {
        Failure::Unauthorized => problem(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "A valid API key or token is needed: Authorization: Bearer …",
        ),
        Failure::TooManyRequests(limit) => {
            let detail = format!("The limit on requests of this {} is reached.", limit.as_str());
            problem(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail)
        }
        Failure::MissingScope(scope) => {
            let detail = format!("The credential lacks the scope {scope}.");
            let mut content = content(StatusCode::FORBIDDEN, "missing_scope", detail);
            content.scope = Some(scope.as_str());
            write(&content)
        }
        Failure::HeadTooLarge => problem(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "head_too_large",
            "The request line and the headers have more bytes than this service allows.",
        ),
        Failure::NoMemory => problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "no_memory",
            "Requests that are being received take all the memory that they may take. Nothing was done.",
        ),
        Failure::OtherProtocol => problem(
            StatusCode::BAD_REQUEST,
            "other_protocol",
            "This service speaks HTTP only: neither CONNECT nor Upgrade: websocket.",
        ),
        Failure::UnknownPath => problem(StatusCode::NOT_FOUND, "unknown_path", "There is nothing at this path."),
        Failure::MethodNotAllowed(allow) => problem(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            format!("This path has other methods: {allow}."),
        ),
        Failure::Body(failure) => body(failure),
        Failure::Invalid(faults) => invalid(faults),
        Failure::InvalidCursor => invalid_cursor(),
        Failure::MalformedId | Failure::NotFound => {
            problem(StatusCode::NOT_FOUND, "customer_not_found", "There is no such customer.")
        }
        Failure::MalformedHeader(name) => {
            let detail =
                format!("{name} must be * or a list of entity tags, each in quotes as the header ETag has it.");
            let mut content = content(StatusCode::BAD_REQUEST, "malformed_header", detail);
            content.error.param = Some((*name).to_owned());
            write(&content)
        }
        Failure::PreconditionFailed(current) => precondition_failed(*current),
        Failure::Taken(taken) => conflict(taken),
        Failure::KeyNotFound => problem(StatusCode::NOT_FOUND, "key_not_found", "There is no such API key."),
        Failure::KeyEnded => problem(
            StatusCode::CONFLICT,
            "key_ended",
            "The API key is revoked or has expired, and nothing can come into its place.",
        ),
        Failure::KeyHasSuccessor(successor) => {
            let detail =
                format!("The API key was rotated before. {successor} has come into its place: rotate that one.");
            let mut content = content(StatusCode::CONFLICT, "key_has_successor", detail);
            content.successor_id = Some(successor.to_string());
            write(&content)
        }
        Failure::OutlivesCaller(end) => problem(
            StatusCode::FORBIDDEN,
            "outlives_credential",
            format!("The new API key would outlive the credential, which expires at {end}."),
        ),
        Failure::Overloaded => problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "overloaded",
            "Too many requests wait for the database. This one was not started.",
        ),
        Failure::Unavailable => problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "database_unavailable",
            "The database did not answer in time. A write may have happened; repeating it with its external_id is safe.",
        ),
        Failure::ReadOnly => {
            problem(StatusCode::SERVICE_UNAVAILABLE, "database_read_only", "The database takes no writes at present.")
        }
        Failure::Internal => problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "This is a fault of the service, not of the request.",
        ),
    };
    respond::add_headers(failure, &mut response);
    response
}

fn invalid(faults: &Faults) -> HttpResponse {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    let mut content = content(status, "invalid_request", "The request breaks the rules that errors names.");
    content.errors = faults.listed().iter().map(ProblemFault::from).collect();
    content.errors_total = faults.total_unless_listed();
    if let (Some(fault), Some(first)) = (faults.listed().first(), content.errors.first()) {
        content.error = BillingError::of_fault(status, fault, first.detail.clone());
    }
    write(&content)
}

fn precondition_failed(current: Option<Revision>) -> HttpResponse {
    let status = StatusCode::PRECONDITION_FAILED;
    let Some(Revision { version, .. }) = current else {
        return problem(status, "precondition_failed", "There is nothing that If-Match could match.");
    };
    let detail = format!(
        "What is stored is now at version {version}, which If-Match does not name or If-None-Match does. Read it again, and \
         repeat the change with the ETag of that answer if it is still wanted."
    );
    let mut content = content(status, "version_mismatch", detail);
    content.current_version = Some(version);
    write(&content)
}

fn invalid_cursor() -> HttpResponse {
    let fault = query::fault("cursor", INVALID_CURSOR);
    let (status, code) = (StatusCode::BAD_REQUEST, "invalid_cursor");
    let listed = ProblemFault { code, ..ProblemFault::from(&fault) };
    let mut content = content(status, code, format!("The {}.", listed.detail));
    content.error.param = Some("cursor".to_owned());
    content.errors = vec![listed];
    write(&content)
}

fn conflict(taken: &Taken) -> HttpResponse {
    let (customer, code, param, detail) = match Conflict::external_id_first(taken) {
        Some(Conflict::ExternalId(customer)) => {
            (customer, "external_id_taken", "external_id", "Another customer has this external_id.")
        }
        Some(Conflict::Email(customer)) => (
            customer,
            "email_taken",
            "email",
            "Another customer has this e-mail address. \"allow_duplicate_email\": true lifts the rule.",
        ),
        None => return answer(&Failure::Unavailable),
    };
    let mut content = content(StatusCode::CONFLICT, code, detail);
    content.customer_id = Some(customer.to_string());
    content.error.param = Some(param.to_owned());
    write(&content)
}

fn body(failure: &BodyFailure) -> HttpResponse {
    match failure {
        BodyFailure::TooLarge => {
            problem(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "The body may have at most 65536 bytes.")
        }
        BodyFailure::Incomplete => {
            problem(StatusCode::REQUEST_TIMEOUT, "body_incomplete", "The body did not arrive in time.")
        }
        BodyFailure::MediaType => problem(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "The body must be JSON: Content-Type: application/json",
        ),
        BodyFailure::Json(error @ (JsonError::Syntax { .. } | JsonError::TooDeep)) => {
            problem(StatusCode::BAD_REQUEST, "invalid_json", format!("The body is {error}."))
        }
        BodyFailure::Json(JsonError::DuplicateKey { pointer }) => problem(
            StatusCode::BAD_REQUEST,
            "duplicate_key",
            format!("The body has a key twice in one object: {pointer}"),
        ),
    }
}

fn problem(status: StatusCode, code: &'static str, detail: impl Into<String>) -> HttpResponse {
    write(&content(status, code, detail))
}

fn content(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Problem {
    let detail = detail.into();
    Problem {
        kind: format!("urn:roster:problem:{code}"),
        title: status.canonical_reason().unwrap_or_default(),
        status: status.as_u16(),
        error: BillingError::new(status, code, detail.clone()),
        detail,
        code,
        customer_id: None,
        current_version: None,
        successor_id: None,
        scope: None,
        errors: Vec::new(),
        errors_total: None,
    }
}

fn write(problem: &Problem) -> HttpResponse {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    respond::json_as("application/problem+json", status, problem)
}
