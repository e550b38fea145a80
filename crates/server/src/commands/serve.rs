//! `roster serve`

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use roster_domain::Timestamp;
use roster_executor::{Executor, Reads};
use roster_http::{Observer, ServiceInformation, Tls, TlsError};
use roster_metrics::{Exporter, Metrics};

use crate::compose::{self, Database, Missing};
use crate::config::{self, Config};
use crate::demo::Demo;
use crate::import_worker::ImportWorker;
use crate::layers::Faults;
use crate::signals::Signals;
use crate::{open_files, output};

/// How long the database may take to close: one that hangs must not keep the process running.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves until a signal stops the service.
pub fn run(config: &Config, demo: bool) -> anyhow::Result<()> {
    let signals = Signals::catch().context("signals cannot be caught")?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        bind = %config.http.bind,
        database = %config.database.url,
        "starting"
    );
    let tls = tls(&config.http)?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION"), config.database.url.kind()));
    let mut database = compose::open_up_to_date(config, config.http.workers(), Missing::Create)?;
    if config.telemetry.metrics_bind.is_some() {
        database.store = metrics.observe_store(database.store);
    }
    let roster = compose::with_tokens(database.roster(), &config.auth)?
        .with_key_lifetime(config.auth.key_cache, config.auth.key_grace)
        .with_reply_lifetime(config.idempotency.keep)
        .with_event_retention(config.events.retention);
    compose::check_replica(&roster)?;
    // Read before there are requests, which then need not wait for it.
    roster.cursor_key().context("the key for cursors cannot be read")?;
    let executor = Executor::start(&roster, executor_settings(&config.database, database.reads()?));
    let executor = executor.context("threads cannot be started")?;
    let deliveries = compose::deliver(&config.webhooks, executor.handles())?;
    let imports = ImportWorker::start(roster.clone(), executor.handles())?;
    let surfaces = (compose::webhooks(&config.webhooks, &deliveries), compose::imports(&config.imports, &imports));
    let console = compose::console(config, &roster, Arc::clone(&metrics), tls.is_some())?;
    let mut settings = settings(config, tls, surfaces, roster.now());
    if console.is_some() || config.telemetry.metrics_bind.is_some() {
        settings.observer = Observer::new(metrics.requests());
    }
    settings.pages = console.clone().map(compose::pages);
    let exporter = config.telemetry.metrics_bind.map(|bind| {
        metrics.begin_figures(executor.handles(), Arc::clone(&database.store));
        Exporter::start(bind, Arc::clone(&metrics))
            .with_context(|| format!("metrics cannot be served on {bind} (telemetry.metrics_bind)"))
    });
    let exporter = exporter.transpose()?;
    let demo = demo.then(|| Demo::prepare(&roster, config.http.bind, console));
    let demo = demo.transpose().context("the demo cannot be made")?;
    let stop = signals.stop().context("signals cannot be caught")?;
    let ready = |address: SocketAddr, of_operators: Option<SocketAddr>| {
        tracing::info!(%address, scheme, "listening");
        if let Some(exporter) = &exporter {
            tracing::info!(address = %exporter.address(), "serving metrics");
        }
        if let Some(address) = of_operators {
            tracing::info!(%address, scheme, "listening for operators");
        }
        let greeting = demo.map(|demo| demo.greeting(&format!("{scheme}://{address}")));
        if let Some(Err(error)) = greeting.map(|greeting| output::print(&greeting)) {
            tracing::warn!("{error:#}");
        }
    };
    let served = roster_http::serve(executor.handles(), &settings, ready, stop);
    imports.stop(config.database.deadline);
    deliveries.stop(config.database.deadline);
    executor.stop(config.database.deadline);
    drop((roster, exporter));
    metrics.end_figures();
    close(database);
    served?;
    tracing::info!("stopped");
    Ok(())
}

/// Reads the TLS files, if both are configured.
///
/// Only `serve` reads them: a user who makes an API key needs no access to the certificate's private key.
fn tls(config: &config::Http) -> Result<Option<Tls>, Faults> {
    let (certificate, key) = match (&config.tls_certificate, &config.tls_key) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(_), None) => return Err(Faults::of("http.tls_key", "must be set where http.tls_certificate is")),
        (None, Some(_)) => return Err(Faults::of("http.tls_certificate", "must be set where http.tls_key is")),
    };
    let tls = Tls::read(certificate, key).map_err(|error| match error {
        TlsError::Certificate(problem) => {
            Faults::of("http.tls_certificate", format!("{} {problem}", certificate.display()))
        }
        TlsError::Key(problem) => Faults::of("http.tls_key", format!("{} {problem}", key.display())),
    })?;
    Ok(Some(tls))
}

fn executor_settings(config: &config::Database, reads: Reads) -> roster_executor::Settings {
    roster_executor::Settings {
        threads: config.connections.into(),
        writers: config.writers.into(),
        queue: config.queue,
        deadline: config.deadline,
        reads,
    }
}

fn settings(
    config: &Config,
    tls: Option<Tls>,
    (webhooks, imports): (roster_http::WebhookSettings, roster_http::ImportSettings),
    started_at: Timestamp,
) -> roster_http::Settings {
    let http = &config.http;
    roster_http::Settings {
        bind: http.bind,
        admin_bind: config.admin.bind,
        tls,
        workers: http.workers(),
        max_connections: open_files::for_connections(config),
        head_timeout: http.head_timeout,
        body_timeout: http.body_timeout,
        write_timeout: http.write_timeout,
        max_head: http.max_head_kib << 10,
        request_memory: http.request_memory_mib << 20,
        cors_origins: http.cors_origins.clone(),
        api_page: http.api_page,
        drain: http.drain,
        shutdown_timeout: http.shutdown_timeout,
        live: config.limits.live,
        sandbox: config.limits.sandbox,
        stream_memory: config.http.stream_memory_mib << 20,
        export_timeout: config.http.export_timeout,
        deadline: config.database.deadline,
        webhooks,
        imports,
        pages: None,
        observer: Observer::default(),
        service: ServiceInformation {
            database: config.database.url.kind(),
            started_at,
            settings: config.shown.clone(),
        },
    }
}

/// Closes the database, but waits for it no longer than [`CLOSE_TIMEOUT`].
fn close(database: Database) {
    let (closed, done) = mpsc::channel();
    thread::spawn(move || {
        drop(database);
        // An error means that `close` has stopped waiting and the process is ending.
        let _ = closed.send(());
    });
    if done.recv_timeout(CLOSE_TIMEOUT).is_err() {
        tracing::warn!("the database does not close; what was acknowledged is safe in it");
    }
}
