//! The three HTTP surfaces over one service.
//!
//! [`native`], [`lumen`] and [`lava`] each hold one contract, in files of the same names: `routes` (paths and handlers),
//! `dto` (what is read and written) and `error` (one total `match` from [`Failure`](failure::Failure) to answers). None
//! knows another. What they share stands beside them: [`body`] and [`fields`] read requests strictly, [`auth`] finds out
//! who calls, [`limits`] how often they may, [`caller`] what they may do, and [`core`] is the one place where async
//! requests meet the synchronous service. [`openapi`] shows what each surface promises.
//!
//! This crate knows actix-web, and neither diesel nor which store is used.

pub(crate) mod access_log;
pub(crate) mod auth;
pub(crate) mod body;
pub(crate) mod browsers;
pub(crate) mod caller;
pub(crate) mod connection;
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

use actix_http::{HttpService, Protocol};
use actix_server::Server;
use actix_service::{IntoServiceFactory as _, ServiceFactoryExt as _, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::middleware::from_fn;
use actix_web::{App, Error, web};
use roster_application::Roster;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::connection::Connection;

pub use browsers::{Origin, OriginError};
pub use core::Reads;
pub use limits::Quotas;
pub use routing::{Route, routes};
pub use tls::{Tls, TlsError};

/// How long a connection may be idle between two requests.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// How long what a client sends on after it was refused is read and thrown away, so that it reads the refusal.
const LINGER: Duration = Duration::from_secs(1);

/// How often a request waits as long as for the database, at most: for the keys of a token's issuer, to be recognised, for
/// a customer, and for what is shown with it.
const WAITS: u32 = 4;

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
    /// Threads that serve requests from the database, at least five; each holds at most one connection. Two more do what no
    /// request waits for, and where reads are done [here](Reads::Here) each of `workers` may hold a connection.
    pub database_threads: usize,
    /// Requests of one kind that may wait for one of those threads.
    pub database_queue: usize,
    /// How long a request waits for the database, waiting for a thread included.
    pub database_deadline: Duration,
    /// Where the database is read.
    pub reads: Reads,
}

impl Settings {
    /// The longest that may pass between two answers on a connection: it is idle, a head comes, a body comes, and the
    /// database is waited for, [`WAITS`] times.
    fn patience(&self) -> Duration {
        KEEP_ALIVE + self.head_timeout + self.body_timeout + WAITS * self.database_deadline
    }
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
        settings.reads,
    )?;
    let (entrance, deadline) = (core.entrance(), settings.database_deadline);
    let rates = web::Data::new(limits::RateLimits::new(settings.live, settings.sandbox));
    let settings = settings.clone();
    let served = actix_web::rt::System::new().block_on(async move {
        let address = listener.local_addr()?;
        // What HttpServer is made of, around connections of our own: docs/adr/0009-connections-of-our-own.md.
        let server = Server::build()
            .workers(settings.workers)
            .max_concurrent_connections((settings.max_connections / settings.workers).max(1))
            .shutdown_timeout(settings.shutdown_timeout.as_secs())
            .disable_signals();
        let stopping = server.graceful_shutdown_signal();
        let server = server.listen("roster", listener, move || {
            let app = App::new()
                .app_data(web::Data::new(entrance.handle()))
                .app_data(web::Data::new(body::Limits { timeout: settings.body_timeout }))
                .app_data(rates.clone())
                .configure(routing::configure)
                .wrap(from_fn(body::receive))
                .wrap(browsers::cors(&settings.cors_origins))
                .wrap(from_fn(access_log::record))
                .wrap(browsers::headers(settings.tls.is_some()));
            let app = app.into_factory().map_err(|error: Error| error.error_response());
            let stopping = stopping.clone();
            let http = HttpService::build()
                .keep_alive(KEEP_ALIVE)
                .client_request_timeout(settings.head_timeout)
                .client_disconnect_timeout(LINGER)
                // Connections that are idle when the service stops are closed at once.
                .graceful_shutdown_signal(move || {
                    let stopping = stopping.clone();
                    async move { stopping.notified().await }
                })
                .finish(map_config(app, |()| AppConfig::default()));
            let (tls, head_timeout, patience) = (settings.tls.clone(), settings.head_timeout, settings.patience());
            let accept = fn_service(move |stream: TcpStream| {
                let tls = tls.clone();
                async move {
                    let client = stream.peer_addr().ok();
                    let connection = match tls {
                        Some(tls) => Connection::new(timeout(head_timeout, tls.accept(stream)).await??, patience),
                        None => Connection::new(stream, patience),
                    };
                    Ok::<_, io::Error>((connection, Protocol::Http1, client))
                }
            });
            accept.map_err(drop).and_then(http.map_err(drop))
        })?;
        ready(address);
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(async move {
            stop.await;
            handle.stop(true).await;
        });
        server.await
    });
    core.stop(deadline);
    served
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn a_connection_outlives_the_slowest_request_that_is_answered() {
        let second = Duration::from_secs(1);
        let quotas = Quotas { key: NonZeroU32::MIN, merchant: NonZeroU32::MIN };
        let settings = Settings {
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: None,
            workers: 1,
            max_connections: 1,
            head_timeout: 10 * second,
            body_timeout: 20 * second,
            write_timeout: second,
            cors_origins: Vec::new(),
            shutdown_timeout: second,
            live: quotas,
            sandbox: quotas,
            database_threads: 5,
            database_queue: 1,
            database_deadline: 60 * second,
            reads: Reads::ByThreads,
        };
        // The issuer's keys, the credential, the customer and its subscription, each at the last moment.
        assert!(settings.patience() >= KEEP_ALIVE + 30 * second + 4 * 60 * second);
    }
}
