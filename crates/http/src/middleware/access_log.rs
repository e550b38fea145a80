//! The access log: one line for each request, and the identifier that all its log lines share.

use std::collections::hash_map::RandomState;
use std::fmt::Write as _;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _};
use roster_application::{OperatorPrincipal, Principal};
use tracing::Instrument as _;

use crate::middleware::limits;
use crate::observer::Observer;
use crate::request::attribution::RequestId;
use crate::routing;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The most bytes of a request identifier that a caller sends.
pub(crate) const MAX_REQUEST_ID_BYTES: usize = 128;

/// Adds `X-Request-Id` to the response, and logs and counts the request.
///
/// The line has the pattern of the route, never the path, the query or the body, which hold personal data.
pub(crate) async fn record<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let started = Instant::now();
    let request_id = request_id(&request);
    let printed = request_id.to_str().unwrap_or_default();
    let span = tracing::info_span!("request", request_id = printed);
    request.extensions_mut().insert(RequestId(request_id.clone()));
    let mut response = next.call(request).instrument(span).await?;
    let principal = response.request().extensions().get::<Principal>().cloned();
    let operator = response.request().extensions().get::<OperatorPrincipal>().map(|who| who.id);
    let tenant = principal.as_ref().map(|who| who.tenant);
    let token = principal.as_ref().and_then(|who| who.token.as_deref());
    // Pages for people are resources of actix-web, and not in the table of the surfaces.
    let pattern = routing::pattern(response.request());
    let page = if pattern.is_none() { response.request().match_pattern() } else { None };
    let route = pattern.as_deref().or(page.as_deref()).unwrap_or("unmatched");
    let (status, duration) = (response.status().as_u16(), started.elapsed());
    if let Some(observer) = response.request().app_data::<Observer>() {
        let request = response.request();
        observer.answered(request.path(), route, request.method(), status, duration);
    }
    tracing::info!(
        target: "roster::request",
        method = response.request().method().as_str(),
        route,
        status,
        duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
        request_id = printed,
        merchant = tenant.map(|tenant| tracing::field::display(tenant.merchant)),
        environment = tenant.map(|tenant| tenant.environment.as_str()),
        api_key = principal.as_ref().and_then(|who| who.api_key).map(tracing::field::display),
        operator = operator.map(tracing::field::display),
        issuer = token.map(|holder| &*holder.issuer),
        subject = token.and_then(|holder| holder.subject.as_deref()),
    );
    response.headers_mut().insert(REQUEST_ID.clone(), request_id);
    limits::show(&mut response);
    Ok(response)
}

/// The caller's identifier if it is 1 to 128 printable ASCII characters without spaces, otherwise a new one.
fn request_id(request: &ServiceRequest) -> HeaderValue {
    let printable = |value: &&HeaderValue| {
        let bytes = value.as_bytes();
        (1..=MAX_REQUEST_ID_BYTES).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
    };
    request.headers().get(&REQUEST_ID).filter(printable).cloned().unwrap_or_else(new_request_id)
}

/// A new identifier, unique across processes and restarts: a random number of this process and a counter.
fn new_request_id() -> HeaderValue {
    static PROCESS: LazyLock<String> =
        LazyLock::new(|| format!("{:016x}-", RandomState::new().build_hasher().finish()));
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut id = String::with_capacity(PROCESS.len() + 16);
    id.push_str(&PROCESS);
    // Writing to a `String` cannot fail.
    let _ = write!(id, "{:x}", COUNT.fetch_add(1, Ordering::Relaxed));
    HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("none"))
}
