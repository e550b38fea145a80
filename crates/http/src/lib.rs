//! The HTTP surfaces over one service: three for callers of merchants, and one for operators.
//!
//! Start with [`surfaces`]: one folder per contract, each with the same files. All surfaces share these modules:
//!
//! - [`routing`]: the table of all paths and methods
//! - [`request`]: reads a request's body, path and query, and authenticates and authorises its caller
//! - [`middleware`]: access log, rate limits and headers for browsers, for every request
//! - [`transport`]: sockets, connections and TLS
//! - [`failure`]: all reasons why a request fails, and [`given`]: what it gave where it broke a rule
//! - [`problems`]: the codes of problems, their responses and their pages
//! - [`api_keys`] and [`paging`]: API keys and pages of lists, as several surfaces show them
//! - [`openapi`]: the documents, made from the routes and the types of requests and responses
//! - [`memory`]: the memory that many requests share
//! - [`observer`]: what is told of each answered request
//! - [`webhooks`] and [`imports`]: what the surfaces of both need from outside
//! - [`pages`]: pages for people, which another crate adds, and the surfaces as they call them
//!
//! This crate depends on actix-web. It must not know diesel or which store is used. It calls use cases through
//! `roster-executor`.

pub(crate) mod api_keys;
pub(crate) mod failure;
pub(crate) mod given;
pub(crate) mod imports;
pub(crate) mod memory;
pub(crate) mod middleware;
pub(crate) mod observer;
pub(crate) mod openapi;
pub(crate) mod pages;
pub(crate) mod paging;
pub(crate) mod problems;
pub(crate) mod request;
pub(crate) mod respond;
pub(crate) mod routing;
pub(crate) mod stream;
pub(crate) mod surfaces;
pub(crate) mod transport;
pub(crate) mod webhooks;

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::{HttpService, Protocol};
use actix_server::Server;
use actix_service::{IntoServiceFactory as _, ServiceFactoryExt as _, fn_service, map_config};
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::{App, Error, web};
use roster_executor::{Handle, Handles};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::memory::Budget;
use crate::middleware::{access_log, browsers, exchange, limits};
use crate::request::body;
use crate::request::caller::ExportTimeout;
use crate::stream::StreamBudget;
use crate::surfaces::Offer;
use crate::surfaces::api_page::ApiPage;
use crate::transport::connection::{Connection, LINGER, Rules};
use crate::transport::listener;
use crate::transport::stop::Stop;

pub use imports::ImportSettings;
pub use middleware::browsers::{Origin, OriginError};
pub use middleware::limits::Quotas;
pub use observer::{Answered, ObserveRequests, Observer};
pub use pages::{InProcess, PagePaths, Pages};
pub use routing::Route;
pub use surfaces::{
    Api, ExportFormat, ExportWriter, ServiceInformation, event_body, routes, subject_document, test_body,
};
pub use transport::tls::{Tls, TlsError};
pub use webhooks::{SendTests, WebhookSettings};

/// How long a connection may be idle between two requests.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// The most waits of one request that may each take as long as the database's deadline: for the keys of a token's
/// issuer, for the caller's credential, for a customer, and for its subscription. At the end of a file the last two are for its last
/// part and for its import. The fifth is for the replica, and for the position of the answer.
const WAITS: u32 = 5;

/// The most calls of the surfaces that a page makes one after another: a form of operators finds out who has sent it, writes, and
/// shows what it finds.
const PAGE_CALLS: u32 = 3;

/// The settings of the HTTP server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen. Port 0 takes any free port.
    pub bind: SocketAddr,
    /// Where to listen for operators. `None`: on the same address as for all others.
    pub admin_bind: Option<SocketAddr>,
    /// The certificate and key for TLS. `None`: connections are not encrypted.
    pub tls: Option<Tls>,
    /// How many threads answer requests.
    pub workers: usize,
    /// The most connections at a time, shared equally among the workers.
    pub max_connections: usize,
    /// How long a client may take to send the head of a request.
    pub head_timeout: Duration,
    /// How long a client may take to send the body of a request.
    pub body_timeout: Duration,
    /// The most bytes of the head of a request, from 8 KiB to 64 KiB.
    pub max_head: usize,
    /// How many bytes of heads and bodies all requests may hold in memory together until they are authenticated, beyond
    /// a small part of each.
    pub request_memory: usize,
    /// How long a client may read nothing of a response before it is disconnected.
    pub write_timeout: Duration,
    /// The origins whose web pages may read responses. Empty: none.
    pub cors_origins: Vec<Origin>,
    /// Whether the API page is served at `/docs`.
    pub api_page: bool,
    /// How long the service goes on as before once it is to stop, and only `/readyz` says that it is stopping.
    pub drain: Duration,
    /// How long running requests may take to finish after that, in whole seconds.
    pub shutdown_timeout: Duration,
    /// The rate limits of keys and merchants in the live environment, in requests per second.
    pub live: Quotas,
    /// The rate limits of keys and merchants in the sandbox, in requests per second.
    pub sandbox: Quotas,
    /// How many bytes all streamed lists may hold in memory together, beyond a small part for each list.
    pub stream_memory: usize,
    /// How long an export may take.
    pub export_timeout: Duration,
    /// The longest that a request waits for the database, once: that of the executor.
    pub deadline: Duration,
    /// How webhooks are managed.
    pub webhooks: WebhookSettings,
    /// How files are imported.
    pub imports: ImportSettings,
    /// Who counts requests.
    pub observer: Observer,
    /// What operators may know of this instance.
    pub service: ServiceInformation,
    /// The pages for people. `None`: there are none.
    pub pages: Option<Pages>,
}

impl Settings {
    /// The longest time between two responses on a connection: it is idle, sends a head and a body, and the request
    /// waits for the database [`WAITS`] times, and for a test event. After that the connection is closed.
    fn answer_timeout(&self) -> Duration {
        let calls = if self.pages.is_some() { PAGE_CALLS } else { 1 };
        KEEP_ALIVE + self.head_timeout + self.body_timeout + calls * WAITS * self.deadline + self.webhooks.timeout
    }
}

/// What all apps of the process share.
#[derive(Clone)]
struct Shared {
    settings: Settings,
    limits: body::Limits,
    streams: web::Data<StreamBudget>,
    rates: web::Data<limits::RateLimits>,
    stopping: Arc<Stop>,
}

/// An app with the surfaces of an offer, and with the pages, if there are any. `handle` is that of the calling thread.
fn app(
    shared: Shared,
    offer: Offer,
    handle: web::Data<Handle>,
    pages: Option<(Pages, InProcess)>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    let Shared { settings, limits, streams, rates, stopping } = shared;
    App::new()
        .app_data(ApiPage { is_served: settings.api_page, offers_operators: offer == Offer::All })
        .app_data(handle)
        .app_data(web::Data::new(limits))
        .app_data(web::Data::from(stopping))
        .app_data(rates)
        .app_data(streams)
        .app_data(ExportTimeout(settings.export_timeout))
        .app_data(web::Data::new(settings.webhooks))
        .app_data(web::Data::new(settings.imports))
        .app_data(web::Data::new(settings.service))
        .app_data(settings.observer)
        .configure(|app| surfaces::configure(offer, app))
        .configure(|app| {
            if let Some((pages, surfaces)) = pages {
                (pages.register)(app, surfaces);
            }
        })
        .wrap(from_fn(body::receive))
        .wrap(browsers::cors(&settings.cors_origins))
        .wrap(from_fn(access_log::record))
        .wrap(browsers::headers(settings.tls.is_some()))
        .wrap(from_fn(exchange::follow))
}

/// Serves requests, which are executed through `handles`, until `stop` is ready, then stops without losing one, and returns.
///
/// It blocks the calling thread. It calls `ready` once, with the address on which it listens, and that for operators if it has one
/// of its own.
///
/// # Errors
/// If it cannot listen on an address, or cannot start a thread.
pub fn serve(
    handles: Handles,
    settings: &Settings,
    ready: impl FnOnce(SocketAddr, Option<SocketAddr>),
    stop: impl Future<Output = ()> + 'static,
) -> io::Result<()> {
    let listen = |address| {
        listener::listen(address, settings.write_timeout)
            .map_err(|error| io::Error::new(error.kind(), format!("{address} cannot be served: {error}")))
    };
    let listener = listen(settings.bind)?;
    let of_operators = settings.admin_bind.map(listen).transpose()?;
    let requests = Budget::new(settings.request_memory);
    let mut limits = body::Limits::new(settings.body_timeout, requests.clone(), settings.request_memory);
    limits.pages = settings.pages.as_ref().map(|pages| pages.paths);
    let stopping = Arc::new(Stop::default());
    let settings = settings.clone();
    let shared = Shared {
        limits,
        streams: web::Data::new(StreamBudget(Budget::new(settings.stream_memory))),
        rates: web::Data::new(limits::RateLimits::new(settings.live, settings.sandbox)),
        stopping: Arc::clone(&stopping),
        settings: settings.clone(),
    };
    actix_web::rt::System::new().block_on(async move {
        let (address, drain) = (listener.local_addr()?, settings.drain);
        let address_of_operators = of_operators.as_ref().map(TcpListener::local_addr).transpose()?;
        let waiting = [&listener].into_iter().chain(&of_operators).map(TcpListener::try_clone);
        let waiting = waiting.collect::<io::Result<Vec<_>>>()?;
        let stopped = Arc::clone(&stopping);
        // Built from the parts of actix's HttpServer, which does not allow our own connection type:
        // docs/adr/0009-connections-of-our-own.md.
        let server = Server::build()
            .workers(settings.workers)
            .max_concurrent_connections((settings.max_connections / settings.workers).max(1))
            .shutdown_timeout(settings.shutdown_timeout.as_secs())
            .disable_signals();
        let service_of = |offer: Offer| {
            let (handles, settings) = (handles.clone(), settings.clone());
            let (shared, requests, stopping) = (shared.clone(), requests.clone(), Arc::clone(&stopping));
            move || {
                let handle = web::Data::new(handles.handle());
                // Pages reach what their own address offers: no page of operators where only merchants are served.
                let pages = settings.pages.clone().map(|pages| {
                    let surfaces = InProcess::new(app(shared.clone(), offer, handle.clone(), None));
                    (pages, surfaces)
                });
                let app = app(shared.clone(), offer, handle, pages);
                let app = app.into_factory().map_err(|error: Error| error.error_response());
                let http = HttpService::build()
                    .keep_alive(KEEP_ALIVE)
                    .client_request_timeout(settings.head_timeout)
                    .client_disconnect_timeout(LINGER)
                    .on_connect_ext(|connection: &Connection, data| {
                        data.insert(Rc::clone(connection.exchange()));
                    })
                    .finish(map_config(app, |()| AppConfig::default()));
                let rules = Rules {
                    answer_timeout: settings.answer_timeout(),
                    max_head: settings.max_head,
                    memory: requests.clone(),
                    refusals: Rc::new(surfaces::refusals(offer)),
                    stop: Arc::clone(&stopping),
                };
                let (tls, head_timeout) = (settings.tls.clone(), settings.head_timeout);
                let accept = fn_service(move |stream: TcpStream| {
                    let (tls, rules) = (tls.clone(), rules.clone());
                    async move {
                        let client = stream.peer_addr().ok();
                        let connection = match tls {
                            Some(tls) => Connection::new(timeout(head_timeout, tls.accept(stream)).await??, rules),
                            None => Connection::new(stream, rules),
                        };
                        Ok::<_, io::Error>((connection, Protocol::Http1, client))
                    }
                });
                accept.map_err(drop).and_then(http.map_err(drop))
            }
        };
        let offer = if of_operators.is_some() { Offer::WithoutAdmin } else { Offer::All };
        let mut server = server.listen("roster", listener, service_of(offer))?;
        if let Some(listener) = of_operators {
            server = server.listen("operators", listener, service_of(Offer::AdminAlone))?;
        }
        ready(address, address_of_operators);
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(async move {
            stop.await;
            stopped.drain(waiting, drain).await;
            handle.stop(true).await;
        });
        server.await
    })
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::pin::Pin;

    use roster_application::ports::AttemptOutcome;
    use roster_application::{Sent, TestEvent};
    use roster_domain::Timestamp;

    use super::*;

    struct Unused;

    impl SendTests for Unused {
        fn send(&self, _: TestEvent, _: String) -> Pin<Box<dyn Future<Output = (AttemptOutcome, Sent)> + '_>> {
            unimplemented!("no test event is sent here")
        }
    }

    #[test]
    fn a_connection_outlives_the_slowest_request_that_is_answered() {
        let second = Duration::from_secs(1);
        let quotas = Quotas { key: NonZeroU32::MIN, merchant: NonZeroU32::MIN };
        let settings = Settings {
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            admin_bind: None,
            tls: None,
            workers: 1,
            max_connections: 1,
            head_timeout: 10 * second,
            body_timeout: 20 * second,
            max_head: 8192,
            request_memory: 1,
            write_timeout: second,
            cors_origins: Vec::new(),
            api_page: true,
            drain: second,
            shutdown_timeout: second,
            live: quotas,
            sandbox: quotas,
            stream_memory: 1,
            export_timeout: Duration::from_secs(1),
            deadline: 60 * second,
            webhooks: WebhookSettings { allow_private: false, timeout: 25 * second, tests: Arc::new(Unused) },
            imports: ImportSettings { max_bytes: 1, timeout: second, begun: Arc::new(|_, _| ()) },
            observer: Observer::default(),
            service: ServiceInformation {
                database: "SQLite",
                started_at: Timestamp::from_millis(0).expect("a time"),
                settings: serde_json::Map::new(),
            },
            pages: None,
        };
        // The issuer's keys, the credential, the customer and its subscription, each just before its deadline.
        assert!(settings.answer_timeout() >= KEEP_ALIVE + 30 * second + 4 * 60 * second);
        // The issuer's keys, the credential, the endpoint, the test event, and the log of it.
        assert!(settings.answer_timeout() >= KEEP_ALIVE + 30 * second + 4 * 60 * second + 25 * second);
    }
}
