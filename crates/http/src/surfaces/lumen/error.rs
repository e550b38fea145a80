//! Error responses of the Lumen surface: `{"error": "…"}`, with the vendor's own messages.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use roster_application::json::JsonError;
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::{BodyFailure, Conflict, Failure, Fault, Faults, Place};
use crate::respond;

/// What a request does; the vendor's messages depend on it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Operation {
    /// Reading, or not known yet.
    Read,
    /// Creating a customer.
    Create,
    /// Updating one.
    Update,
    /// Deleting one.
    Delete,
}

/// A [`Failure`] as an error of the Lumen surface.
#[derive(Debug)]
pub(crate) struct Error {
    operation: Operation,
    failure: Failure,
}

impl Operation {
    /// Turns a failure of this operation into the error that handlers return.
    pub(crate) fn failed(self) -> impl Fn(Failure) -> Error {
        move |failure| Error { operation: self, failure }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a request failed")
    }
}

impl std::error::Error for Error {}

impl ResponseError for Error {
    fn error_response(&self) -> HttpResponse {
        answer_to(self.operation, &self.failure)
    }
}

/// Why a request failed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub(super) struct Content<'a> {
    /// What went wrong.
    error: &'a str,
    /// The rules that the request breaks. Left out where `error` says all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = Faults::MAX_LISTED))]
    details: Vec<Detail>,
    /// How many rules the request breaks, if `details` does not list all of them.
    #[serde(rename = "detailsTotal", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "usize", range(min = Faults::MAX_LISTED + 1))]
    details_total: Option<usize>,
}

/// One rule that the request breaks.
#[derive(Serialize, JsonSchema)]
struct Detail {
    /// The field, or `body`.
    field: String,
    /// The rule, to be read behind the field's name, and what was given.
    message: String,
}

/// The response to a failure before the operation is known.
pub(crate) fn answer(failure: &Failure) -> HttpResponse {
    answer_to(Operation::Read, failure)
}

pub(super) fn answer_to(operation: Operation, failure: &Failure) -> HttpResponse {
    let mut response = match failure {
        Failure::Unauthorized => error(StatusCode::UNAUTHORIZED, "Unauthorized"),
        Failure::TooManyRequests(limit) => {
            let message = format!("Too many requests: the limit of the {} is reached", limit.as_str());
            error(StatusCode::TOO_MANY_REQUESTS, &message)
        }
        Failure::MissingScope(scope) => {
            error(StatusCode::FORBIDDEN, &format!("Forbidden: the credential lacks the scope {scope}"))
        }
        Failure::MerchantDisabled => error(StatusCode::FORBIDDEN, "Forbidden: the merchant is disabled"),
        Failure::HeadTooLarge => error(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "Request headers are too large"),
        Failure::OtherProtocol => error(StatusCode::BAD_REQUEST, "CONNECT and WebSocket are not supported"),
        // Events are read, and keys and webhooks are managed, only on the native surface.
        Failure::UnknownPath
        | Failure::MerchantNotFound
        | Failure::EventNotFound
        | Failure::EventsPruned(_)
        | Failure::WebhookNotFound
        | Failure::ImportNotFound
        | Failure::ImportRunning(_)
        | Failure::ImportHasOtherOptions(_)
        | Failure::ImportEnded
        | Failure::FileTooLarge(_)
        | Failure::FileTooSlow(_)
        | Failure::TooManyWebhooks
        | Failure::TooManyReplays
        | Failure::KeyNotFound => error(StatusCode::NOT_FOUND, "Not found"),
        Failure::MethodNotAllowed(_) => error(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"),
        Failure::IdempotencyKey(rule) => error(StatusCode::BAD_REQUEST, &format!("The header Idempotency-Key {rule}")),
        Failure::InvalidHeader(name, rule) => error(StatusCode::BAD_REQUEST, &format!("The header {name} {rule}")),
        Failure::IdempotencyKeyReused => {
            error(StatusCode::CONFLICT, "This Idempotency-Key was used for another request")
        }
        Failure::Body(failure) => body(failure),
        Failure::Invalid(faults) => invalid(faults),
        // The list has no cursors here: it is streamed as a whole.
        Failure::InvalidCursor => error(StatusCode::BAD_REQUEST, "Invalid cursor"),
        Failure::MalformedId => error(StatusCode::BAD_REQUEST, "Invalid customer ID format"),
        Failure::NotFound => error(StatusCode::NOT_FOUND, "Customer not found or access denied"),
        Failure::Taken(taken) => match Conflict::email_first(taken) {
            Some(Conflict::Email(_)) => error(StatusCode::CONFLICT, email_taken(operation)),
            Some(Conflict::ExternalId(_)) => error(StatusCode::CONFLICT, "A customer with this userId already exists"),
            None => answer_to(operation, &Failure::Unavailable),
        },
        // Their headers are read, and batches are done, only on the native surface.
        Failure::BatchUndone => error(StatusCode::FAILED_DEPENDENCY, "Failed dependency"),
        Failure::MalformedHeader(_) => error(StatusCode::BAD_REQUEST, "Bad request"),
        Failure::PreconditionFailed(_) => error(StatusCode::PRECONDITION_FAILED, "Precondition failed"),
        Failure::KeyEnded | Failure::KeyHasSuccessor(_) | Failure::OtherCredential => {
            error(StatusCode::CONFLICT, "Conflict")
        }
        Failure::OutlivesCaller(_) | Failure::MissingRole(_) => error(StatusCode::FORBIDDEN, "Forbidden"),
        Failure::NoMemory | Failure::Overloaded | Failure::Unavailable | Failure::ReadOnly => {
            error(StatusCode::SERVICE_UNAVAILABLE, "Service temporarily unavailable")
        }
        Failure::Internal => error(
            StatusCode::INTERNAL_SERVER_ERROR,
            match operation {
                Operation::Read => "Internal server error",
                Operation::Create => "Failed to create customer",
                Operation::Update => "Failed to update customer",
                Operation::Delete => "Failed to delete customer",
            },
        ),
    };
    respond::add_headers(failure, &mut response);
    response
}

fn email_taken(operation: Operation) -> &'static str {
    match operation {
        Operation::Read | Operation::Create | Operation::Delete => "A customer with this email already exists",
        Operation::Update => {
            "Another customer with this email already exists. Use dangerouslyAllowSameEmailForDifferentCustomers to allow."
        }
    }
}

fn body(failure: &BodyFailure) -> HttpResponse {
    match failure {
        BodyFailure::TooLarge(most) => {
            error(StatusCode::PAYLOAD_TOO_LARGE, &format!("Request body must be at most {most} bytes"))
        }
        BodyFailure::Incomplete => error(StatusCode::REQUEST_TIMEOUT, "Request body did not arrive in time"),
        BodyFailure::MediaType => error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json"),
        BodyFailure::Json(fault @ (JsonError::Syntax { .. } | JsonError::TooDeep | JsonError::DuplicateKey { .. })) => {
            error(StatusCode::BAD_REQUEST, &format!("Invalid JSON: {fault}"))
        }
    }
}

/// The vendor's message for an e-mail address that is missing, `null` or empty; the faults in `details` unless that
/// is the only one.
fn invalid(faults: &Faults) -> HttpResponse {
    let no_email = |fault: &Fault| {
        matches!(fault.code, "required" | "empty")
            && matches!(&fault.place, Place::Body(at) if at.to_string() == "/email")
    };
    let in_query = |fault: &Fault| !matches!(fault.place, Place::Body(_));
    let message = match faults.listed() {
        faults if faults.iter().any(no_email) => "Email is required",
        faults if faults.iter().any(in_query) => "Invalid query parameters",
        _ => "Invalid customer data",
    };
    let details = match faults.listed() {
        [only] if no_email(only) => Vec::new(),
        faults => faults.iter().map(Detail::from).collect(),
    };
    let details_total = faults.total_unless_listed();
    respond::json(StatusCode::BAD_REQUEST, &Content { error: message, details, details_total })
}

impl From<&Fault> for Detail {
    fn from(fault: &Fault) -> Self {
        Self { field: fault.place.to_string(), message: fault.detail.clone() }
    }
}

fn error(status: StatusCode, message: &str) -> HttpResponse {
    respond::json(status, &Content { error: message, details: Vec::new(), details_total: None })
}
