//! Writes responses.

use actix_web::HttpResponse;
use actix_web::http::header::HeaderValue;
use actix_web::http::{StatusCode, header};
use roster_domain::Metadata;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::failure::Failure;
use crate::request::conditions;

/// The initial capacity of a body's buffer, in bytes: most bodies fit, so the buffer need not grow.
const USUAL_BYTES: usize = 1024;

/// The same for an item of a list.
const USUAL_ITEM_BYTES: usize = 512;

/// A response with `body` as compact JSON, its fields in the order of their declaration.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> HttpResponse {
    json_as("application/json", status, body)
}

/// A response with `body` as compact JSON and `content_type`, a JSON media type.
pub(crate) fn json_as(content_type: &'static str, status: StatusCode, body: &impl Serialize) -> HttpResponse {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    match serde_json::to_writer(&mut bytes, body) {
        Ok(()) => HttpResponse::build(status).insert_header((header::CONTENT_TYPE, content_type)).body(bytes),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            HttpResponse::InternalServerError().finish()
        }
    }
}

/// The bytes of a list of so many items, to be written where the list was read.
pub(crate) fn list_bytes(items: usize, body: &impl Serialize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES + USUAL_ITEM_BYTES * items);
    serde_json::to_writer(&mut bytes, body).map_err(|error| {
        tracing::error!(%error, "an answer could not be written");
        Failure::Internal
    })?;
    Ok(bytes)
}

/// A value as compact JSON.
pub(crate) fn text(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| {
        tracing::error!(%error, "a text could not be written");
        Failure::Internal
    })
}

/// A response with a list that [`list_bytes`] has written.
pub(crate) fn list(bytes: Vec<u8>) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "application/json")).body(bytes)
}

/// Writes metadata, which is kept as JSON text, into a larger response.
pub(crate) fn metadata<S: Serializer>(metadata: &Metadata, serializer: S) -> Result<S::Ok, S::Error> {
    // The library looks through the text once, and builds nothing.
    serde_json::from_str::<&RawValue>(metadata.as_str()).map_err(serde::ser::Error::custom)?.serialize(serializer)
}

/// Adds the headers that say more of `failure`, on every surface the same.
pub(crate) fn add_headers(failure: &Failure, response: &mut HttpResponse) {
    let headers = response.headers_mut();
    match failure {
        // The kind of credential that is needed (RFC 9110 §11.6.1).
        Failure::Unauthorized => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // The scope that the credential lacks (RFC 6750 §3.1).
        Failure::MissingScope(scope) => {
            let lacking = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
            if let Ok(lacking) = HeaderValue::try_from(lacking) {
                headers.insert(header::WWW_AUTHENTICATE, lacking);
            }
        }
        // No scope would help (RFC 6750 §3.1).
        Failure::OutlivesCaller(_) | Failure::MissingRole(_) => {
            let lacking = HeaderValue::from_static("Bearer error=\"insufficient_scope\"");
            headers.insert(header::WWW_AUTHENTICATE, lacking);
        }
        Failure::MethodNotAllowed(methods) => {
            if let Ok(methods) = HeaderValue::try_from(methods) {
                headers.insert(header::ALLOW, methods);
            }
        }
        // The tag to try again with.
        Failure::PreconditionFailed(Some(current)) => {
            if let Some(tag) = conditions::entity_tag(*current) {
                headers.insert(header::ETAG, tag);
            }
        }
        // The request may be repeated in a second.
        Failure::TooManyRequests(_)
        | Failure::NoMemory
        | Failure::Overloaded
        | Failure::Unavailable
        | Failure::ReadOnly => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        Failure::MerchantDisabled
        | Failure::MerchantNotFound
        | Failure::HeadTooLarge
        | Failure::OtherProtocol
        | Failure::UnknownPath
        | Failure::IdempotencyKey(_)
        | Failure::IdempotencyKeyReused
        | Failure::OtherCredential
        | Failure::Body(_)
        | Failure::Invalid(_)
        | Failure::MalformedHeader(_)
        | Failure::InvalidHeader(..)
        | Failure::BatchUndone
        | Failure::PreconditionFailed(None)
        | Failure::InvalidCursor
        | Failure::MalformedId
        | Failure::NotFound
        | Failure::Taken(_)
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
        | Failure::KeyNotFound
        | Failure::KeyEnded
        | Failure::KeyHasSuccessor(_)
        | Failure::Internal => {}
    }
}
