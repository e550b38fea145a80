//! The only place where adapters meet ports.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use roster_application::ports::{AttemptOutcome, Replica, Store};
use roster_application::{ReplicaError, Roster, Sent, TestEvent};
use roster_console::{Console, RequestStep};
use roster_executor::{Handles, Reads};
use roster_http::{ImportSettings, PagePaths, Pages, SendTests, WebhookSettings};
use roster_jwt::Tokens;
use roster_metrics::{Metrics, RecentStep};
use roster_webhooks::{Courier, Options as SenderOptions, Worker};

use crate::clock::SystemClock;
use crate::config::{self, Config};
use crate::database_url::DatabaseUrl;
use crate::entropy::SystemEntropy;
use crate::ids::UuidV7;
use crate::import_worker::ImportWorker;
use crate::layers::Faults;

#[cfg(feature = "sqlite")]
use roster_sqlite::SqliteStore;
#[cfg(feature = "postgres")]
use {
    roster_postgres::{PostgresReplica, PostgresStore},
    std::error::Error as _,
    std::time::Duration,
};

/// The longest that a store waits for a connection to PostgreSQL. A request's own deadline is over it.
#[cfg(feature = "postgres")]
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// A store, and how it is read.
pub struct Database {
    /// The store, behind its port.
    pub store: Arc<dyn Store>,
    /// A replica of it, if there is one.
    pub replica: Option<Arc<dyn Replica>>,
    /// Which threads read it, unless the tenants are on several servers.
    reads: Reads,
}

/// What to do if there is no SQLite file at the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Make it, and its folder.
    Create,
    /// Refuse: a command in the wrong folder must not leave an empty database there, and answer as if there were nothing.
    Refuse,
}

#[cfg(not(any(feature = "sqlite", feature = "postgres")))]
compile_error!("a service without a database: build with the feature sqlite, postgres, or both");

impl Database {
    /// Opens the store that the URL names. PostgreSQL is reached with the first call.
    ///
    /// Each of the `workers` that answer requests reads a SQLite file over its own connection, so that none waits for
    /// one. The check of the database has one more, and all other readers share another.
    #[cfg_attr(
        not(feature = "sqlite"),
        expect(unused_variables, reason = "only a file may be missing, or read by workers")
    )]
    pub fn open(config: &Config, workers: usize, missing: Missing) -> anyhow::Result<Self> {
        let search_index = config.search.enabled;
        let config = &config.database;
        let config::Database { url, deadline, .. } = config;
        match url {
            #[cfg(feature = "sqlite")]
            DatabaseUrl::Sqlite(path) => {
                let connections = u32::try_from(workers).unwrap_or(u32::MAX).saturating_add(2);
                if missing == Missing::Refuse && !path.exists() {
                    bail!("there is no file {}: `roster migrate` makes one there, or name another", path.display());
                }
                if config.replica_url.is_some() {
                    let rule = "must be empty where database.url is a SQLite file: only PostgreSQL has replicas";
                    return Err(Faults::of("database.replica_url", rule).into());
                }
                let create = missing == Missing::Create;
                // Half for a connection, and half for another process that writes.
                let wait = *deadline / 2;
                let options = roster_sqlite::Options { path: path.clone(), create, connections, wait, search_index };
                let store = SqliteStore::open(&options).with_context(|| format!("{url} cannot be opened"))?;
                Ok(Self { store: Arc::new(store), replica: None, reads: Reads::ByCallers })
            }
            #[cfg(feature = "postgres")]
            DatabaseUrl::Postgres(url) => {
                let (url, connections, deadline) = (url.clone(), config.connections.into(), *deadline);
                let wait = deadline.min(LONGEST_WAIT);
                let options = roster_postgres::Options { url, connections, wait, deadline, search_index };
                let replica = replica(config, &options)?;
                // No connection is made yet, so what can be wrong is the URL.
                let store = PostgresStore::connect(&options)
                    .map_err(|error| Faults::of("database.url", error.source().unwrap_or(&error)))?;
                Ok(Self { store: Arc::new(store), replica, reads: Reads::ByWorkers })
            }
            #[cfg(not(all(feature = "sqlite", feature = "postgres")))]
            url => bail!(url.check_built_in().err().unwrap_or_default()),
        }
    }

    /// Which threads read it: looks whether the tenants are on several servers.
    pub fn reads(&self) -> anyhow::Result<Reads> {
        if !self.store.is_distributed().context("the database does not say whether its tables are distributed")? {
            return Ok(self.reads);
        }
        tracing::info!("the tables are distributed by Citus: each batch is of one merchant");
        Ok(Reads::ByWorkersOfTenants)
    }

    /// Refuses a database whose schema is behind, or that cannot be used through what is in between.
    pub fn require_up_to_date(&self) -> anyhow::Result<()> {
        self.require_usable()?;
        let pending = self.store.pending_migrations().context("the state of the schema cannot be read")?;
        if !pending.is_empty() {
            bail!("the schema is behind: run `roster migrate` (it lacks {})", pending.join(", "));
        }
        Ok(())
    }

    fn require_usable(&self) -> anyhow::Result<()> {
        self.store.check_connections().context("the database cannot be used")
    }

    /// The service over this store, with the system's clock and randomness, as the command line uses it.
    pub fn roster(&self) -> Roster {
        let store = Arc::clone(&self.store);
        let roster = Roster::new(store, Arc::new(SystemClock), Arc::new(UuidV7::default()), Arc::new(SystemEntropy));
        match &self.replica {
            Some(replica) => roster.with_replica(Arc::clone(replica)),
            None => roster,
        }
    }
}

/// The replica that the configuration names, reached as `store` is, and given up sooner: the primary is read after it.
#[cfg(feature = "postgres")]
fn replica(config: &config::Database, store: &roster_postgres::Options) -> anyhow::Result<Option<Arc<dyn Replica>>> {
    let Some(DatabaseUrl::Postgres(url)) = &config.replica_url else { return Ok(None) };
    let deadline = roster_executor::replica_deadline(store.deadline);
    let options =
        roster_postgres::Options { url: url.clone(), wait: store.wait.min(deadline), deadline, ..store.clone() };
    let replica = PostgresReplica::connect(&options)
        .map_err(|error| Faults::of("database.replica_url", error.source().unwrap_or(&error)))?;
    Ok(Some(Arc::new(replica)))
}

/// Says whether the replica can be read, if there is one. The service starts without it, but not with the replica of another
/// database, which no later moment would cure.
pub fn check_replica(roster: &Roster) -> Result<(), Faults> {
    if !roster.has_replica() {
        return Ok(());
    }
    match roster.check_replica() {
        Ok(_) => tracing::info!("reads that allow it go to the replica"),
        Err(error @ ReplicaError::OtherDatabase) => return Err(Faults::of("database.replica_url", error)),
        // The executor looks again, and logs it.
        Err(error @ (ReplicaError::TakesWrites | ReplicaError::Store(_))) => {
            tracing::warn!(%error, "the replica (database.replica_url) cannot be read at present; the primary serves all reads");
        }
    }
    Ok(())
}

/// Copies the database into a new file. Returns the size of the file in bytes.
#[cfg_attr(not(feature = "sqlite"), expect(unused_variables, reason = "only files are copied"))]
pub fn back_up(config: &Config, to: &Path, progress: &mut dyn FnMut(u64, u64)) -> anyhow::Result<u64> {
    match &config.database.url {
        #[cfg(feature = "sqlite")]
        DatabaseUrl::Sqlite(path) => Ok(roster_sqlite::back_up(path, to, progress)?),
        url => bail!("{url}: `roster backup` copies SQLite files; PostgreSQL has pg_dump (docs/operations.md)"),
    }
}

/// Replaces the database with a backup. Returns the names of the migrations that the backup lacks.
#[cfg_attr(not(feature = "sqlite"), expect(unused_variables, reason = "only files are copied"))]
pub fn restore(
    config: &Config,
    from: &Path,
    force: bool,
    progress: &mut dyn FnMut(u64, u64),
) -> anyhow::Result<Vec<String>> {
    match &config.database.url {
        #[cfg(feature = "sqlite")]
        DatabaseUrl::Sqlite(path) => roster_sqlite::restore(path, from, force, progress).map_err(|error| match error {
            roster_sqlite::BackupError::NotEmpty(_) => {
                anyhow::Error::from(error).context("--force replaces a database")
            }
            other => other.into(),
        }),
        url => bail!("{url}: `roster restore` replaces SQLite files; PostgreSQL has pg_restore (docs/operations.md)"),
    }
}

/// The service with the tokens of the configured issuers, if there are any.
pub fn with_tokens(roster: Roster, auth: &config::Auth) -> anyhow::Result<Roster> {
    if auth.issuers.is_empty() {
        return Ok(roster);
    }
    let tokens = Tokens::start(auth.issuers.clone()).context("tokens cannot be checked")?;
    Ok(roster.with_tokens(Arc::new(tokens)))
}

/// How deliveries to webhook endpoints are sent.
pub fn sender(config: &config::Webhooks) -> SenderOptions {
    let SenderOptions { connect_timeout, .. } = SenderOptions::default();
    let timeout = config.timeout;
    SenderOptions { allow_private: config.allow_private, timeout, connect_timeout: connect_timeout.min(timeout) }
}

/// Starts to deliver to webhook endpoints.
pub fn deliver(config: &config::Webhooks, handles: Handles) -> anyhow::Result<Worker> {
    if let Some(key) = &config.signing_key {
        tracing::info!(public_key = key.public_key(), "deliveries to webhooks are signed with a key, too");
    }
    let settings = roster_webhooks::Settings {
        sender: sender(config),
        schedule: config.schedule.clone(),
        concurrency: config.concurrency,
        ed25519: config.signing_key.clone(),
        write_body: roster_http::event_body,
    };
    Worker::start(handles, settings).context("events cannot be delivered to webhooks")
}

/// Sends test events over the connections of the worker.
struct Tests(Courier);

impl SendTests for Tests {
    fn send(&self, test: TestEvent, body: String) -> Pin<Box<dyn Future<Output = (AttemptOutcome, Sent)> + '_>> {
        Box::pin(self.0.send_test(test, body))
    }
}

/// How webhooks are managed over HTTP.
pub fn webhooks(config: &config::Webhooks, worker: &Worker) -> WebhookSettings {
    let (allow_private, timeout) = (config.allow_private, config.timeout);
    WebhookSettings { allow_private, timeout, tests: Arc::new(Tests(worker.courier())) }
}

/// How files are imported over HTTP.
pub fn imports(config: &config::Imports, worker: &ImportWorker) -> ImportSettings {
    ImportSettings { max_bytes: config.max_mib << 20, timeout: config.timeout, begun: worker.begun() }
}

/// The console, if it is served. `is_tls` says whether the service itself speaks TLS.
pub fn console(
    config: &Config,
    roster: &Roster,
    metrics: Arc<Metrics>,
    is_tls: bool,
) -> anyhow::Result<Option<Console>> {
    if !config.has_console() {
        return Ok(None);
    }
    let clock = roster.clone();
    Ok(Some(Console::new(roster_console::Settings {
        secret: roster.console_secret().context("the secret of the console cannot be read")?,
        lifetime: config.console.session,
        secure: config.console.secure_cookies.unwrap_or(is_tls),
        api_page: config.http.api_page,
        now: Box::new(move || clock.now().as_millis().div_euclid(1000)),
        requests: Box::new(move || metrics.recent_requests().into_iter().map(request_step).collect()),
    })))
}

fn request_step(step: RecentStep) -> RequestStep {
    let p99_micros = u64::try_from(step.p99.as_micros()).unwrap_or(u64::MAX);
    RequestStep { requests: step.requests, p99_micros }
}

/// The console as pages of the HTTP server: a client of the surfaces in the same thread.
pub fn pages(console: Console) -> Pages {
    let paths = PagePaths { base: roster_console::BASE, takes_file: roster_console::takes_file };
    Pages::new(paths, move |app, surfaces| {
        console.register(app, move |page, request| {
            let surfaces = surfaces.clone();
            async move { surfaces.call(&page, request.method, &request.uri, request.headers, request.body).await }
        });
    })
}

/// As [`Database::open`], with the schema up to date: brings it there if `database.migrate_on_start` says so, and refuses
/// otherwise.
pub fn open_up_to_date(config: &Config, workers: usize, missing: Missing) -> anyhow::Result<Database> {
    let database = Database::open(config, workers, missing)?;
    if config.database.migrate_on_start {
        // Not before: what migrations rely on is kept by every pooler.
        database.store.migrate().context("the schema cannot be brought up to date")?;
        database.require_usable()?;
        return Ok(database);
    }
    database.require_up_to_date()?;
    Ok(database)
}
