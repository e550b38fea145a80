//! The listener, which serves the metrics and nothing else.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::{App, HttpResponse, HttpServer, rt, web};

use crate::Metrics;

/// How long a client may take to send a request.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The most connections at a time. Beyond that, clients wait.
const MAX_CONNECTIONS: usize = 16;

/// The media type of the text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A running listener. It ends when this is dropped.
pub struct Exporter {
    address: SocketAddr,
    server: ServerHandle,
}

impl Exporter {
    /// Serves `GET /metrics` on a thread of its own, without a credential.
    ///
    /// # Errors
    /// If it cannot listen on the address.
    pub fn start(bind: SocketAddr, metrics: Arc<Metrics>) -> io::Result<Self> {
        let listener = TcpListener::bind(bind)?;
        let address = listener.local_addr()?;
        let metrics = web::Data::from(metrics);
        let (report, started) = mpsc::channel();
        let serve = move || {
            rt::System::new().block_on(async move {
                match server(listener, metrics) {
                    Ok(server) => {
                        // An error means that `start` has gone, here and below.
                        let _ = report.send(Ok(server.handle()));
                        if let Err(error) = server.await {
                            tracing::error!(%error, "metrics are served no longer");
                        }
                    }
                    Err(error) => drop(report.send(Err(error))),
                }
            });
        };
        thread::Builder::new().name("metrics".to_owned()).spawn(serve)?;
        let server = started.recv().map_err(io::Error::other)??;
        Ok(Self { address, server })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        // The call tells the server to stop; nothing waits for the end.
        drop(self.server.stop(false));
    }
}

fn server(listener: TcpListener, metrics: web::Data<Metrics>) -> io::Result<Server> {
    let app = move || App::new().app_data(metrics.clone()).service(web::resource("/metrics").get(show));
    let server = HttpServer::new(app)
        .workers(1)
        .worker_max_blocking_threads(1)
        .max_connections(MAX_CONNECTIONS)
        .client_request_timeout(TIMEOUT)
        .client_disconnect_timeout(TIMEOUT)
        .disable_signals();
    Ok(server.listen(listener)?.run())
}

async fn show(metrics: web::Data<Metrics>) -> HttpResponse {
    HttpResponse::Ok().content_type(TEXT).body(metrics.text())
}
