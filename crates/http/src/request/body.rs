//! Reads bodies: JSON, limited in size and time.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use actix_web::{Error, HttpMessage as _, HttpRequest, web};
use futures_util::{StreamExt as _, stream};
use roster_application::json;
use roster_domain::{Json, Object};

use crate::failure::{BodyFailure, Failure};
use crate::memory::{Budget, Reserved};
use crate::pages::PagePaths;
use crate::request::idempotency;
use crate::surfaces;
use crate::transport::exchange::Exchange;

/// The most bytes of a body: 64 KiB.
pub(crate) const MAX_BYTES: usize = 65_536;

/// The most bytes of the body of a batch: 1 MiB.
pub(crate) const MAX_BATCH_BYTES: usize = 1 << 20;

/// The most bytes of a form of a page: 256 KiB. A form has the fields of a body as they were and as they are to be, and a byte may
/// take three.
const MAX_FORM_BYTES: usize = 4 * MAX_BYTES;

/// How many bytes of a body that is too large are read and discarded: 16 MiB.
///
/// Otherwise the client would see a broken connection instead of the response.
const MAX_DRAINED_BYTES: usize = 16 << 20;

/// The bytes of a body that every request may hold before it is authenticated; the memory for more of them comes out of a
/// budget that all requests share.
const FREE_BYTES: usize = 8192;

/// Limits that a deployment may set.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// How long a body may take to arrive.
    timeout: Duration,
    /// The memory for what requests send beyond a small part of each.
    memory: Budget,
    /// The part of it that batches may take: half, so that a few of them do not keep all other requests out.
    batch_memory: Budget,
    /// The paths that take batches.
    batch_paths: Arc<[String]>,
    /// The paths that take files.
    file_paths: Arc<[String]>,
    /// Where the pages for people are.
    pub(crate) pages: Option<PagePaths>,
}

impl Limits {
    /// Limits with the `memory` of so many bytes, which all clones share.
    pub(crate) fn new(timeout: Duration, memory: Budget, bytes: usize) -> Self {
        let (batch_paths, file_paths) = (surfaces::batch_paths().into(), surfaces::file_paths().into());
        Self { timeout, memory, batch_memory: Budget::new(bytes / 2), batch_paths, file_paths, pages: None }
    }

    /// Takes memory for a body of so many bytes. `None` if there is not so much left.
    fn reserve(&self, bytes: usize) -> Option<Vec<Reserved>> {
        let of_batches = if bytes > MAX_BYTES { Some(self.batch_memory.reserve(bytes)?) } else { None };
        let of_all = self.memory.reserve(bytes)?;
        Some(of_batches.into_iter().chain([of_all]).collect())
    }

    /// The most bytes of a body that is sent to `path`.
    fn most(&self, path: &str) -> usize {
        match path {
            _ if self.batch_paths.iter().any(|batch| batch == path) => MAX_BATCH_BYTES,
            _ if self.is_page(path) => MAX_FORM_BYTES,
            _ => MAX_BYTES,
        }
    }

    fn is_page(&self, path: &str) -> bool {
        self.pages.is_some_and(|pages| pages.has(path))
    }

    /// Whether the body of a request to `path` is a file, or a form with one, which its handler reads.
    fn takes_file(&self, path: &str) -> bool {
        self.file_paths.iter().any(|of_files| of_files == path)
            || self.pages.is_some_and(|pages| pages.has(path) && (pages.takes_file)(path))
    }
}

/// The body of a request as it arrived.
enum Received {
    /// All of it, and its share of the memory for bodies.
    Body(Vec<u8>, Vec<Reserved>),
    /// A file, of which nothing is read yet, and how long it may be until the next bytes of it arrive.
    File(Payload, Duration),
    /// A body that is refused where one is read.
    Refused(BodyFailure),
    /// A request that is refused, whatever it asks for.
    NotServed(Refusal),
}

/// Why a request is refused because of its body, whatever it asks for.
#[derive(Debug, Clone, Copy)]
enum Refusal {
    NoMemory,
    OtherProtocol,
}

/// What is left of a body that was received or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    None,
    Unread,
}

/// Reads the whole body, within its limits, before the handler runs.
///
/// A response sent earlier would close the connection or not, depending on how fast the body arrives: two equal errors
/// would differ, and a client would lose its connection because of a typing error.
pub(crate) async fn receive<B: MessageBody>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let payload = request.take_payload();
    let (received, rest) = match payload {
        Payload::None => (Received::Body(Vec::new(), Vec::new()), Rest::None),
        // actix-http reads such a body to the end of the connection, whatever its length.
        _ if is_for_another_protocol(&request) => (Received::NotServed(Refusal::OtherProtocol), Rest::Unread),
        payload if takes_file(&request) => {
            let timeout = request.app_data::<web::Data<Limits>>().map(|limits| limits.timeout);
            request.extensions_mut().insert(Received::File(payload, timeout.unwrap_or_default()));
            if is_for_page(&request) {
                let form = File::of(request.request()).into_payload();
                request.set_payload(form);
            }
            return next.call(request).await;
        }
        payload => within_limits(payload, request.path(), request.app_data::<web::Data<Limits>>()).await,
    };
    if let Some(exchange) = request.conn_data::<Rc<Exchange>>() {
        exchange.body_received();
        // What is left may never end.
        if rest == Rest::Unread {
            exchange.make_last();
        }
    }
    match received {
        Received::Body(body, reserved) if is_for_page(&request) => {
            request.extensions_mut().insert(FormMemory { _reserved: reserved });
            request.set_payload(Payload::from(body));
        }
        received => {
            request.extensions_mut().insert(received);
        }
    }
    next.call(request).await
}

/// The share of the memory for bodies that a form has, for as long as its request is answered.
struct FormMemory {
    _reserved: Vec<Reserved>,
}

/// Whether a page for people reads the body, which it gets as it arrived. It gets an empty one in the place of one that is refused.
fn is_for_page(request: &ServiceRequest) -> bool {
    request.app_data().is_some_and(|limits: &web::Data<Limits>| limits.is_page(request.path()))
}

/// Whether the body of a request is a file, or a form with one, which its handler reads.
fn takes_file(request: &ServiceRequest) -> bool {
    let is_one = |limits: &web::Data<Limits>| limits.takes_file(request.path());
    *request.method() == Method::POST && request.app_data().is_some_and(is_one)
}

/// A file that a request sends.
pub(crate) struct File {
    payload: Payload,
    timeout: Duration,
    exchange: Option<Rc<Exchange>>,
}

impl File {
    /// The file that a request sends. A request without a body sends one without bytes.
    ///
    /// The connection ends with the answer unless all of the file is read.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let received = request.extensions_mut().remove::<Received>();
        let exchange = request.conn_data::<Rc<Exchange>>().map(Rc::clone);
        match received {
            Some(Received::File(payload, timeout)) => Self { payload, timeout, exchange },
            _ => Self { payload: Payload::None, timeout: Duration::ZERO, exchange },
        }
    }

    /// The file as a body of actix-web, for a handler that reads one.
    fn into_payload(self) -> Payload {
        let bytes = stream::try_unfold(self, |mut file| async move {
            let next = file.next().await.map_err(|_| PayloadError::Incomplete(None))?;
            Ok(next.map(|bytes| (bytes, file)))
        });
        Payload::Stream { payload: Box::pin(bytes) }
    }

    /// The next bytes. `None`: all of it was read.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, BodyFailure> {
        if matches!(self.payload, Payload::None) {
            return Ok(None);
        }
        let next = tokio::time::timeout(self.timeout, self.payload.next()).await;
        if let Some(exchange) = &self.exchange {
            exchange.goes_on();
        }
        match next {
            Ok(Some(Ok(bytes))) => Ok(Some(bytes)),
            Ok(None) => {
                self.payload = Payload::None;
                Ok(None)
            }
            Ok(Some(Err(_))) | Err(_) => Err(BodyFailure::Incomplete),
        }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if let Some(exchange) = &self.exchange {
            exchange.body_received();
            if !matches!(self.payload, Payload::None) {
                // What is left may never end.
                exchange.make_last();
            }
        }
    }
}

/// Why a request is refused because of its body, whatever it asks for.
pub(crate) fn refusal(request: &HttpRequest) -> Option<Failure> {
    match request.extensions().get() {
        Some(Received::NotServed(Refusal::NoMemory)) => Some(Failure::NoMemory),
        Some(Received::NotServed(Refusal::OtherProtocol)) => Some(Failure::OtherProtocol),
        Some(Received::Body(..) | Received::File(..) | Received::Refused(_)) | None => None,
    }
}

/// Parses the body as one JSON value. It can be read once.
pub(crate) fn read(request: &HttpRequest) -> Result<Json, BodyFailure> {
    let received = request.extensions_mut().remove::<Received>();
    match received {
        Some(Received::Body(body, _)) if !body.is_empty() && !is_json(request) => Err(BodyFailure::MediaType),
        Some(Received::Body(body, _reserved)) => {
            let body = json::read(&body).map_err(BodyFailure::Json)?;
            idempotency::note_body(request, &body);
            Ok(body)
        }
        Some(Received::Refused(failure)) => Err(failure),
        Some(Received::File(..) | Received::NotServed(_)) | None => Err(BodyFailure::Incomplete),
    }
}

/// Parses the body as one JSON value; an empty body is an empty object.
pub(crate) fn read_optional(request: &HttpRequest) -> Result<Json, BodyFailure> {
    let is_empty = matches!(request.extensions().get(), Some(Received::Body(body, _)) if body.is_empty());
    if !is_empty {
        return read(request);
    }
    let body = Json::Object(Object::default());
    idempotency::note_body(request, &body);
    Ok(body)
}

/// Whether the body is declared as a JSON merge patch (RFC 7396).
pub(crate) fn is_merge_patch(request: &HttpRequest) -> bool {
    media_type(request).is_some_and(|declared| declared == "application/merge-patch+json")
}

async fn within_limits(payload: Payload, path: &str, limits: Option<&web::Data<Limits>>) -> (Received, Rest) {
    let late = (Received::Refused(BodyFailure::Incomplete), Rest::Unread);
    let Some(limits) = limits else { return late };
    tokio::time::timeout(limits.timeout, collect(payload, limits, limits.most(path))).await.unwrap_or(late)
}

async fn collect(mut payload: Payload, limits: &Limits, most: usize) -> (Received, Rest) {
    let mut body = Vec::new();
    let mut reserved = Vec::new();
    let mut room = FREE_BYTES;
    let mut received = 0;
    while let Some(chunk) = payload.next().await {
        let Ok(chunk) = chunk else { return (Received::Refused(BodyFailure::Incomplete), Rest::Unread) };
        received += chunk.len();
        while received > room && room < most {
            let next = if room < MAX_BYTES { MAX_BYTES } else { most };
            let Some(more) = limits.reserve(next) else {
                return (Received::NotServed(Refusal::NoMemory), Rest::Unread);
            };
            reserved.extend(more);
            body.reserve_exact(next - body.len());
            room = next;
        }
        if received <= most {
            body.extend_from_slice(&chunk);
        } else if received > MAX_DRAINED_BYTES {
            return (Received::Refused(BodyFailure::TooLarge(most)), Rest::Unread);
        }
    }
    let is_too_large = received > most;
    let too_large = || Received::Refused(BodyFailure::TooLarge(most));
    (if is_too_large { too_large() } else { Received::Body(body, reserved) }, Rest::None)
}

/// Whether the request asks for a tunnel or for WebSocket: actix-http ignores the length of its body.
fn is_for_another_protocol(request: &ServiceRequest) -> bool {
    let is_websocket = |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket");
    *request.method() == Method::CONNECT || request.headers().get_all(header::UPGRADE).any(is_websocket)
}

/// Whether the request declares JSON, or no media type.
fn is_json(request: &HttpRequest) -> bool {
    if !request.headers().contains_key(header::CONTENT_TYPE) {
        return true;
    }
    media_type(request).is_some_and(|declared| {
        declared == "application/json" || (declared.starts_with("application/") && declared.ends_with("+json"))
    })
}

/// The declared media type in lower case, without its parameters.
fn media_type(request: &HttpRequest) -> Option<String> {
    let declared = request.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}
