//! Reads bodies: JSON, limited in size and time.

use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpRequest, web};
use futures_util::StreamExt as _;
use roster_application::json;
use roster_domain::{Json, Object};

use crate::failure::BodyFailure;

/// The most bytes of a body: 64 KiB.
pub(crate) const MAX_BYTES: usize = 65_536;

/// How many bytes of a body that is too large are read and discarded: 16 MiB.
///
/// Otherwise the client would see a broken connection instead of the response.
const MAX_DRAINED_BYTES: usize = 16 << 20;

/// Limits that a deployment may set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How long a body may take to arrive.
    pub(crate) timeout: Duration,
}

/// The body of a request as it arrived.
struct Received(Result<Vec<u8>, BodyFailure>);

/// Reads the whole body, within its limits, before the handler runs.
///
/// A response sent earlier would close the connection or not, depending on how fast the body arrives: two equal errors
/// would differ, and a client would lose its connection because of a typing error.
pub(crate) async fn receive<B: MessageBody>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let payload = request.take_payload();
    let body = match payload {
        Payload::None => Ok(Vec::new()),
        payload => {
            let timeout = request.app_data::<web::Data<Limits>>().map_or(Duration::ZERO, |limits| limits.timeout);
            let arrived = tokio::time::timeout(timeout, collect(payload)).await;
            arrived.unwrap_or(Err(BodyFailure::Incomplete))
        }
    };
    request.extensions_mut().insert(Received(body));
    next.call(request).await
}

/// Parses the body as one JSON value. It can be read once.
pub(crate) fn read(request: &HttpRequest) -> Result<Json, BodyFailure> {
    let received = request.extensions_mut().remove::<Received>();
    let body = received.map_or(Err(BodyFailure::Incomplete), |Received(body)| body)?;
    if !body.is_empty() && !is_json(request) {
        return Err(BodyFailure::MediaType);
    }
    json::read(&body).map_err(BodyFailure::Json)
}

/// Parses the body as one JSON value; an empty body is an empty object.
pub(crate) fn read_optional(request: &HttpRequest) -> Result<Json, BodyFailure> {
    let is_empty = matches!(request.extensions().get(), Some(Received(Ok(body))) if body.is_empty());
    if is_empty { Ok(Json::Object(Object::default())) } else { read(request) }
}

async fn collect(mut payload: Payload) -> Result<Vec<u8>, BodyFailure> {
    let mut body = Vec::new();
    let mut received = 0;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| BodyFailure::Incomplete)?;
        received += chunk.len();
        if received <= MAX_BYTES {
            body.extend_from_slice(&chunk);
        } else if received > MAX_DRAINED_BYTES {
            break;
        }
    }
    if received > MAX_BYTES { Err(BodyFailure::TooLarge) } else { Ok(body) }
}

/// Whether the request declares JSON, or no media type.
fn is_json(request: &HttpRequest) -> bool {
    let Some(declared) = request.headers().get(header::CONTENT_TYPE) else { return true };
    let Ok(declared) = declared.to_str() else { return false };
    let essence = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}
