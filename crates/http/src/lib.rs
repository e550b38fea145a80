//! The three HTTP surfaces over one service.
//!
//! [`native`], [`lumen`] and [`lava`] each hold one contract, in files of the same names: `routes` (paths and handlers),
//! `dto` (what is read and written) and `error` (one total `match` from [`Failure`](failure::Failure) to answers). None
//! knows another. What they share stands beside them: [`body`] and [`fields`] read requests strictly, [`auth`] finds out
//! who calls, [`limits`] how often they may, [`caller`] what they may do, and [`core`] is the one place where async requests meet the synchronous
//! service. [`openapi`] shows what each surface promises.
//!
//! This crate knows actix-web, and neither diesel nor which store is used.

pub(crate) mod access_log;
pub(crate) mod auth;
pub(crate) mod body;
pub(crate) mod browsers;
pub(crate) mod caller;
pub(crate) mod core;
pub(crate) mod failure;
pub(crate) mod fields;
pub(crate) mod health;
pub(crate) mod lava;
pub(crate) mod limits;
pub(crate) mod listener;
pub(crate) mod lumen;
pub(crate) mod native;
pub(crate) mod openapi;
pub(crate) mod path;
pub(crate) mod query;
pub(crate) mod respond;
pub(crate) mod routing;
pub(crate) mod tls;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use roster_application::Roster;

pub use browsers::{Origin, OriginError};
pub use core::ShortReads;
pub use limits::Quotas;
pub use routing::{Route, routes};
pub use tls::{Tls, TlsError};

/// How the service is reached over HTTP.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen. Port 0 takes any free port.
    pub bind: SocketAddr,
    /// TLS, if connections are to be encrypted.
    pub tls: Option<Tls>,
    /// Threads that answer requests.
    pub workers: usize,
    /// Connections that are served at a time, shared equally among the workers.
    pub max_connections: usize,
    /// How long a request may take to send its head.
    pub head_timeout: Duration,
    /// How long a request may take to send its body.
    pub body_timeout: Duration,
    /// How long a client may take nothing of an answer that waits for it.
    pub write_timeout: Duration,
    /// Whose web pages may read answers; empty: nobody's.
    pub cors_origins: Vec<Origin>,
    /// How long requests in flight may take to finish once the service stops; whole seconds.
    pub shutdown_timeout: Duration,
    /// How many requests a second keys and merchants may make of live customers.
    pub live: Quotas,
    /// How many of sandbox customers.
    pub sandbox: Quotas,
    /// Threads that work with the database, at least four; each holds at most one connection.
    pub database_threads: usize,
    /// Requests of one kind that may wait for one of those threads.
    pub database_queue: usize,
    /// How long a request waits for the database, waiting for a thread included.
    pub database_deadline: Duration,
    /// Where short reads of the database are done.
    pub short_reads: ShortReads,
}

/// Serves until `stop` is ready, then accepts no more, finishes what is in flight, and returns. Blocks the calling
/// thread.
///
/// `ready` is called once with the address that is listened on.
///
/// # Errors
/// If the address cannot be listened on, or a thread cannot be started.
pub fn serve(
    roster: &Roster,
    settings: &Settings,
    ready: impl FnOnce(SocketAddr),
    stop: impl Future<Output = ()> + 'static,
) -> io::Result<()> {
    let listener = listener::listen(settings.bind, settings.write_timeout)?;
    let core = core::Core::start(
        roster,
        settings.database_threads,
        settings.database_queue,
        settings.database_deadline,
        settings.short_reads,
    )?;
    let is_secure = settings.tls.is_some();
    let connections_each = (settings.max_connections / settings.workers).max(1);
    let origins = settings.cors_origins.clone();
    let limits = body::Limits { timeout: settings.body_timeout };
    let rates = web::Data::new(limits::RateLimits::new(settings.live, settings.sandbox));
    let running = core.handle();
    let served = actix_web::rt::System::new().block_on(async move {
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::Data::new(running.clone()))
                .app_data(web::Data::new(limits))
                .app_data(rates.clone())
                .configure(routing::configure)
                .wrap(from_fn(body::receive))
                .wrap(browsers::cors(&origins))
                .wrap(from_fn(access_log::record))
                .wrap(browsers::headers(is_secure))
        })
        .workers(settings.workers)
        .max_connections(connections_each)
        // Handshakes are bounded by the connections they are on: with a lower bound, slow ones would keep others waiting.
        .max_connection_rate(connections_each)
        .tls_handshake_timeout(settings.head_timeout)
        .client_request_timeout(settings.head_timeout)
        .shutdown_timeout(settings.shutdown_timeout.as_secs())
        .disable_signals();
        let server = match &settings.tls {
            Some(tls) => server.listen_rustls_0_23(listener, tls.config())?,
            None => server.listen(listener)?,
        };
        if let Some(address) = server.addrs().first() {
            ready(*address);
        }
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(async move {
            stop.await;
            handle.stop(true).await;
        });
        server.await
    });
    core.stop(settings.database_deadline);
    served
}
