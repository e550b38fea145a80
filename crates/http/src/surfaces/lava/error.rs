//! Error responses of the Lava surface: `{"error": "…"}`.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use roster_application::Scope;
use roster_application::json::JsonError;
use roster_application::ports::Taken;
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::{self, BodyFailure, Failure, Faults};
use crate::request::query::INVALID_CURSOR;
use crate::respond;

failure::error!(
    /// A [`Failure`] as an error of the Lava surface.
    Error,
    answer
);

/// Why a request failed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub(super) struct Content<'a> {
    /// What went wrong.
    error: &'a str,
}

/// The response to each failure.
pub(crate) fn answer(failure: &Failure) -> HttpResponse {
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
        Failure::Invalid(faults) => error(StatusCode::BAD_REQUEST, &message(faults)),
        Failure::InvalidCursor => error(StatusCode::BAD_REQUEST, &format!("cursor {INVALID_CURSOR}")),
        Failure::MalformedId | Failure::NotFound => error(StatusCode::NOT_FOUND, "Customer not found"),
        Failure::Taken(Taken { external_id: Some(_), .. }) => {
            error(StatusCode::CONFLICT, "A customer with this reference_id already exists")
        }
        // Customers share addresses here, unless their caller lacks the scope for it.
        Failure::Taken(Taken { external_id: None, .. }) => answer(&Failure::MissingScope(Scope::AllowDuplicateEmail)),
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
        Failure::Internal => error(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error"),
    };
    respond::add_headers(failure, &mut response);
    response
}

fn body(failure: &BodyFailure) -> HttpResponse {
    match failure {
        BodyFailure::TooLarge(most) => {
            error(StatusCode::PAYLOAD_TOO_LARGE, &format!("The body may have at most {most} bytes"))
        }
        BodyFailure::Incomplete => error(StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time"),
        BodyFailure::MediaType => error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json"),
        BodyFailure::Json(fault @ (JsonError::Syntax { .. } | JsonError::TooDeep | JsonError::DuplicateKey { .. })) => {
            error(StatusCode::BAD_REQUEST, &format!("Invalid JSON: {fault}"))
        }
    }
}

fn message(faults: &Faults) -> String {
    let sentences = faults.listed().iter().map(|fault| format!("{} {}", fault.place, fault.detail));
    let more =
        faults.total_unless_listed().map(|total| format!("these are {} of {total} faults", faults.listed().len()));
    sentences.chain(more).collect::<Vec<_>>().join("; ")
}

fn error(status: StatusCode, message: &str) -> HttpResponse {
    respond::json(status, &Content { error: message })
}
