//! The configuration: what can be set, by which layers, and within which bounds.
//!
//! Later layers win: the built-in `config/default.toml`, the file of `--config`, the environment, `DATABASE_URL`. The
//! defaults are only in that file, and a key that is not in it is refused, so it is also the list of all keys.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::{NonZero, NonZeroU32};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use config::{Value, ValueKind};
use roster_application::UPLOAD_LIFETIME;
use roster_console::LONGEST_SESSION;
use roster_http::{Origin, Quotas};
use roster_jwt::Issuer;
use roster_webhooks::{Ed25519Key, Schedule};

use crate::database_url::DatabaseUrl;
use crate::issuers;
use crate::layers::{Faults, Layers};
use crate::telemetry;

/// Every key with its default and a comment; the first layer.
pub const DEFAULTS: &str = include_str!("../../../config/default.toml");

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How the service is reached.
    pub http: Http,
    /// How operators reach it.
    pub admin: Admin,
    /// Where everything is kept.
    pub database: Database,
    /// Which credentials are accepted.
    pub auth: Auth,
    /// How many requests a second are accepted.
    pub limits: Limits,
    /// How repeats of requests are answered.
    pub idempotency: Idempotency,
    /// How events are kept.
    pub events: Events,
    /// Files that are sent to be imported.
    pub imports: Imports,
    /// How customers are searched for.
    pub search: Search,
    /// How events are sent to webhook endpoints.
    pub webhooks: Webhooks,
    /// The pages for people.
    pub console: Console,
    /// What is logged, and how.
    pub log: Log,
    /// What is told of the process.
    pub telemetry: Telemetry,
    /// All of it by keys, without what may be secret, to be shown to operators.
    pub shown: serde_json::Map<String, serde_json::Value>,
}

/// `http.*`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Where to listen.
    pub bind: SocketAddr,
    /// The file of the certificate and the chain behind it; none: no TLS.
    pub tls_certificate: Option<PathBuf>,
    /// The file of its private key.
    pub tls_key: Option<PathBuf>,
    /// Threads that read requests; 0 is one for each core. See [`Http::workers`].
    pub workers: usize,
    /// Connections of clients that are served at a time.
    pub max_connections: usize,
    /// How long a request may take to send its head.
    pub head_timeout: Duration,
    /// How long a request may take to send its body.
    pub body_timeout: Duration,
    /// How long a client may take nothing of an answer that waits for it.
    pub write_timeout: Duration,
    /// The most KiB of a request's head.
    pub max_head_kib: usize,
    /// MiB that all requests may hold together until they are authenticated.
    pub request_memory_mib: usize,
    /// Whose web pages may read answers.
    pub cors_origins: Vec<Origin>,
    /// Whether `/docs` is served.
    pub api_page: bool,
    /// How long the service goes on after a signal, while `/readyz` says that it is stopping.
    pub drain: Duration,
    /// How long requests in flight may take to finish.
    pub shutdown_timeout: Duration,
    /// MiB that all lists which are being streamed may hold together.
    pub stream_memory_mib: usize,
    /// How long an export may take.
    pub export_timeout: Duration,
}

/// `admin.*`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admin {
    /// Where to listen for operators; none: on the address of all others.
    pub bind: Option<SocketAddr>,
}

/// `database.*`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// Which, and where.
    pub url: DatabaseUrl,
    /// A standby of it, which may serve reads.
    pub replica_url: Option<DatabaseUrl>,
    /// Connections, each with a thread of its own.
    pub connections: u16,
    /// Threads among them that write customers.
    pub writers: u16,
    /// Requests that may wait for one.
    pub queue: usize,
    /// How long a request waits in all.
    pub deadline: Duration,
    /// Whether a schema that is behind is brought up to date, or refused.
    pub migrate_on_start: bool,
}

/// `auth.*`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// How long a key that was looked up is known.
    pub key_cache: Duration,
    /// How much longer it is accepted while the database does not answer.
    pub key_grace: Duration,
    /// Whose tokens are taken besides keys.
    pub issuers: Vec<Issuer>,
}

/// `limits.*`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Requests a second of live customers.
    pub live: Quotas,
    /// Requests a second of sandbox customers.
    pub sandbox: Quotas,
}

/// `events.*`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Events {
    /// How long an event is kept. `None`: for ever.
    pub retention: Option<Duration>,
}

/// `imports.*`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imports {
    /// The most MiB of a file that is sent to be imported.
    pub max_mib: u64,
    /// How long a file may take to be sent.
    pub timeout: Duration,
}

/// `idempotency.*`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idempotency {
    /// How long a reply is kept.
    pub keep: Duration,
}

/// `search.*`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Search {
    /// Whether there is an index for searches, which each write keeps up to date.
    pub enabled: bool,
}

/// `webhooks.*`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhooks {
    /// Whether endpoints may have private addresses and `http://`.
    pub allow_private: bool,
    /// How long an attempt may take.
    pub timeout: Duration,
    /// When attempts are made.
    pub schedule: Schedule,
    /// The most attempts for one endpoint at the same time.
    pub concurrency: usize,
    /// The key of signatures that endpoints can check without a secret.
    pub signing_key: Option<Arc<Ed25519Key>>,
}

/// `console.*`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Console {
    /// Whether it is served. `None`: where only this machine can connect.
    pub enabled: Option<bool>,
    /// Whether its cookies are sent over HTTPS only. `None`: if the service itself speaks TLS.
    pub secure_cookies: Option<bool>,
    /// How long a session lasts.
    pub session: Duration,
}

/// `log.*`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// A level, or a filter in tracing-subscriber's syntax; it parses.
    pub level: String,
    /// How it is written.
    pub format: LogFormat,
}

/// `telemetry.*`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telemetry {
    /// Where metrics are served, if they are.
    pub metrics_bind: Option<SocketAddr>,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Pretty,
    /// For machines, one object a line.
    Json,
}

impl Http {
    /// How many threads read requests.
    pub fn workers(&self) -> usize {
        let cores = || thread::available_parallelism().map_or(1, NonZero::get);
        if self.workers == 0 { cores() } else { self.workers }
    }
}

impl Config {
    /// Whether the console is served: by default where only this machine can connect, to any address of the service.
    pub fn has_console(&self) -> bool {
        let is_local = || [Some(self.http.bind), self.admin.bind].iter().flatten().all(|bind| bind.ip().is_loopback());
        self.console.enabled.unwrap_or_else(is_local)
    }

    /// Lays `variables` (the environment) over `file` over the defaults, and reads the result.
    ///
    /// # Errors
    /// [`Faults`], all at once: a wrong value, an unknown key, a file that cannot be read.
    pub fn load(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Faults> {
        let mut layers = Layers::over(DEFAULTS);
        if let Some(path) = file {
            layers.add_file(path);
        }
        layers.add_variables(variables);
        let config = Self::read(&mut layers);
        if let Err(rule) = config.database.url.check_built_in() {
            layers.refuse("database.url", &rule);
        }
        layers.finish(config)
    }

    fn read(layers: &mut Layers) -> Self {
        Self {
            http: Http {
                bind: layers.read("http.bind", address),
                tls_certificate: layers.read("http.tls_certificate", path),
                tls_key: layers.read("http.tls_key", path),
                workers: layers.read("http.workers", number(0..=256)),
                max_connections: layers.read("http.max_connections", number(100..=1_000_000)),
                head_timeout: layers.read("http.head_timeout_ms", millis(100..=300_000)),
                body_timeout: layers.read("http.body_timeout_ms", millis(100..=300_000)),
                write_timeout: layers.read("http.write_timeout_ms", millis(1000..=300_000)),
                max_head_kib: layers.read("http.max_head_kib", number(8..=64)),
                request_memory_mib: layers.read("http.request_memory_mib", number(0..=65_536)),
                cors_origins: layers.read("http.cors_origins", origins),
                api_page: layers.read("http.api_page", flag),
                drain: layers.read("http.drain_ms", millis(0..=600_000)),
                shutdown_timeout: layers.read("http.shutdown_timeout_ms", millis(1000..=600_000)),
                stream_memory_mib: layers.read("http.stream_memory_mib", number(0..=65_536)),
                export_timeout: layers.read("http.export_timeout_s", seconds(1..=3600)),
            },
            admin: Admin { bind: layers.read("admin.bind", optional_address) },
            database: Database {
                url: layers.read("database.url", |value| DatabaseUrl::parse(text(value)?)),
                replica_url: layers.read("database.replica_url", replica_url),
                connections: layers.read("database.connections", number(1..=256)),
                writers: layers.read("database.writers", number(1..=64)),
                queue: layers.read("database.queue", number(1..=65_536)),
                deadline: layers.read("database.deadline_ms", millis(100..=60_000)),
                migrate_on_start: layers.read("database.migrate_on_start", flag),
            },
            auth: Auth {
                key_cache: layers.read("auth.key_cache_ms", millis(0..=60_000)),
                key_grace: layers.read("auth.key_grace_ms", millis(0..=3_600_000)),
                issuers: layers.read("auth.issuers", issuers::parse),
            },
            limits: Limits {
                live: Quotas {
                    key: layers.read("limits.live_key_per_second", per_second),
                    merchant: layers.read("limits.live_merchant_per_second", per_second),
                },
                sandbox: Quotas {
                    key: layers.read("limits.sandbox_key_per_second", per_second),
                    merchant: layers.read("limits.sandbox_merchant_per_second", per_second),
                },
            },
            idempotency: Idempotency { keep: layers.read("idempotency.keep_seconds", seconds(60..=2_592_000)) },
            events: Events { retention: layers.read("events.retention_days", retention) },
            imports: Imports {
                max_mib: layers.read("imports.max_mib", number(1..=4096)),
                timeout: layers.read("imports.timeout_s", seconds(1..=UPLOAD_LIFETIME.as_secs())),
            },
            search: Search { enabled: layers.read("search.enabled", flag) },
            webhooks: Webhooks {
                allow_private: layers.read("webhooks.allow_private", flag),
                timeout: layers.read("webhooks.timeout_ms", millis(1000..=25_000)),
                schedule: layers.read("webhooks.retry_seconds", schedule),
                concurrency: layers.read("webhooks.concurrency", number(1..=256)),
                signing_key: layers.read("webhooks.signing_key", signing_key),
            },
            console: Console {
                enabled: layers.read("console.enabled", flag_or_auto),
                secure_cookies: layers.read("console.secure_cookies", flag_or_auto),
                session: layers.read("console.session_seconds", seconds(1..=LONGEST_SESSION.as_secs())),
            },
            log: Log { level: layers.read("log.level", level), format: layers.read("log.format", format) },
            telemetry: Telemetry { metrics_bind: layers.read("telemetry.metrics_bind", optional_address) },
            shown: layers.settings(),
        }
    }
}

fn text(value: &Value) -> Result<&str, String> {
    match &value.kind {
        ValueKind::String(text) => Ok(text),
        _ => Err("must be a text".to_owned()),
    }
}

fn address(value: &Value) -> Result<SocketAddr, String> {
    let rule = "must be an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080";
    text(value).ok().and_then(|text| text.parse().ok()).ok_or_else(|| rule.to_owned())
}

/// An address, or an empty text for none.
fn optional_address(value: &Value) -> Result<Option<SocketAddr>, String> {
    if text(value).is_ok_and(str::is_empty) {
        return Ok(None);
    }
    address(value).map(Some).map_err(|rule| format!("{rule}, or empty"))
}

/// The URL of a PostgreSQL standby, or an empty text for none.
fn replica_url(value: &Value) -> Result<Option<DatabaseUrl>, String> {
    let text = text(value)?;
    if text.is_empty() {
        return Ok(None);
    }
    match DatabaseUrl::parse(text) {
        Ok(url @ DatabaseUrl::Postgres(_)) => Ok(Some(url)),
        Ok(DatabaseUrl::Sqlite(_)) | Err(_) => Err("must be postgres://… or postgresql://…, or empty".to_owned()),
    }
}

fn path(value: &Value) -> Result<Option<PathBuf>, String> {
    text(value).map(|text| (!text.is_empty()).then(|| text.into()))
}

/// A whole number within `bounds`; the environment writes it as a text.
fn number<T>(bounds: RangeInclusive<T>) -> impl Fn(&Value) -> Result<T, String>
where
    T: TryFrom<i64> + PartialOrd + std::fmt::Display,
{
    move |value| {
        let number = match &value.kind {
            ValueKind::I64(number) => Some(*number),
            ValueKind::String(text) => text.parse().ok(),
            _ => None,
        };
        number
            .and_then(|number| T::try_from(number).ok())
            .filter(|number| bounds.contains(number))
            .ok_or_else(|| format!("must be a whole number from {} to {}", bounds.start(), bounds.end()))
    }
}

fn millis(bounds: RangeInclusive<u64>) -> impl Fn(&Value) -> Result<Duration, String> {
    let number = number(bounds);
    move |value| number(value).map(Duration::from_millis).map_err(|rule| format!("{rule} (milliseconds)"))
}

fn seconds(bounds: RangeInclusive<u64>) -> impl Fn(&Value) -> Result<Duration, String> {
    let number = number(bounds);
    move |value| number(value).map(Duration::from_secs).map_err(|rule| format!("{rule} (seconds)"))
}

/// At least a week: a consumer that is away for some days must not lose events.
fn retention(value: &Value) -> Result<Option<Duration>, String> {
    const DAY: u64 = 86_400;
    match number(0..=36_500)(value) {
        Ok(0) => Ok(None),
        Ok(days) if days >= 7 => Ok(Some(Duration::from_secs(DAY * days))),
        _ => Err("must be 0, or a whole number from 7 to 36500 (days)".to_owned()),
    }
}

fn per_second(value: &Value) -> Result<NonZeroU32, String> {
    let number = number(1..=1_000_000_u32)(value).map_err(|rule| format!("{rule} (requests a second)"))?;
    NonZeroU32::new(number).ok_or_else(|| "must not be 0".to_owned())
}

fn flag(value: &Value) -> Result<bool, String> {
    let flag = match &value.kind {
        ValueKind::Boolean(flag) => Some(*flag),
        ValueKind::String(text) => text.parse().ok(),
        _ => None,
    };
    flag.ok_or_else(|| "must be true or false".to_owned())
}

/// `None`: the service decides.
fn flag_or_auto(value: &Value) -> Result<Option<bool>, String> {
    match &value.kind {
        ValueKind::String(text) if text == "auto" => Ok(None),
        _ => flag(value).map(Some).map_err(|rule| format!("must be auto, or {rule}").replace("or must be", "or")),
    }
}

fn origins(value: &Value) -> Result<Vec<Origin>, String> {
    let texts = elements(value, |element| text(element).ok().map(str::to_owned)).ok_or("must be a list of texts")?;
    let parsed: Result<_, _> = texts.iter().map(|text| Origin::parse(text)).collect();
    parsed.map_err(|rule| format!("each must be {rule}"))
}

fn schedule(value: &Value) -> Result<Schedule, String> {
    let whole = number(0..=u64::MAX >> 1);
    let delays = elements(value, |element| whole(element).ok()).ok_or("must be a list of whole numbers (seconds)")?;
    if delays.first().is_some_and(|first| *first > 0) {
        return Err("must begin with 0: the first attempt is made at once".to_owned());
    }
    Schedule::new(delays.into_iter().map(Duration::from_secs).collect()).map_err(|rule| rule.to_string())
}

/// What `read` reads of each element of a list: an array in a file, and a text with commas in the environment.
fn elements<T>(value: &Value, read: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    match &value.kind {
        ValueKind::Array(elements) => elements.iter().map(read).collect(),
        ValueKind::String(text) if text.is_empty() => Some(Vec::new()),
        ValueKind::String(text) => text.split(',').map(|element| read(&element.trim().into())).collect(),
        _ => None,
    }
}

fn signing_key(value: &Value) -> Result<Option<Arc<Ed25519Key>>, String> {
    match text(value)? {
        "" => Ok(None),
        text => Ed25519Key::parse(text).map(|key| Some(Arc::new(key))).map_err(|rule| rule.to_string()),
    }
}

fn level(value: &Value) -> Result<String, String> {
    let level = text(value)?;
    telemetry::check_level(level).map(|()| level.to_owned())
}

fn format(value: &Value) -> Result<LogFormat, String> {
    match text(value).ok() {
        Some("auto") => Ok(LogFormat::Auto),
        Some("pretty") => Ok(LogFormat::Pretty),
        Some("json") => Ok(LogFormat::Json),
        _ => Err("must be auto, pretty or json".to_owned()),
    }
}

// The default is a SQLite file, so that without SQLite not even the defaults load.
#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;
    use std::io::Write as _;

    /// Loads a configuration of a file's text and of variables.
    fn load(file: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let mut config = tempfile::NamedTempFile::new().expect("a temporary file");
        config.write_all(file.as_bytes()).expect("a written file");
        let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let loaded = Config::load(Some(config.path()), variables.collect::<Vec<_>>());
        loaded.map_err(|faults| faults.to_string().replace(&config.path().display().to_string(), "FILE"))
    }

    fn faults(file: &str, variables: &[(&str, &str)]) -> String {
        load(file, variables).expect_err("a fault")
    }

    /// What a key is set to by a file and by a variable, and how to see it.
    type Sample = (&'static str, &'static str, &'static str, fn(&Config) -> String);

    const ONE_ISSUER: &str = "[{ issuer = 'https://one.example', audience = 'roster', algorithms = 'HS256', \
                              secret = 'hunter, and as many letters more as it takes' }]";

    const OTHER_ISSUER: &str = "[{ issuer = 'https://other.example', audience = ['a', 'b'], algorithms = ['RS256'], \
                                jwks_url = 'https://other.example/keys', leeway_seconds = 0 }]";

    /// One for each key: a value for the file, another for the variable, and how the key shows.
    const SAMPLES: &[Sample] = &[
        ("http.bind", "\"[::1]:1\"", "127.0.0.1:2", |c| c.http.bind.to_string()),
        ("http.tls_certificate", "\"a.pem\"", "b.pem", |c| shown(c.http.tls_certificate.as_ref())),
        ("http.tls_key", "\"a.key\"", "b.key", |c| shown(c.http.tls_key.as_ref())),
        ("http.workers", "3", "4", |c| c.http.workers.to_string()),
        ("http.max_connections", "108", "109", |c| c.http.max_connections.to_string()),
        ("http.head_timeout_ms", "101", "102", |c| c.http.head_timeout.as_millis().to_string()),
        ("http.body_timeout_ms", "103", "104", |c| c.http.body_timeout.as_millis().to_string()),
        ("http.write_timeout_ms", "1007", "1008", |c| c.http.write_timeout.as_millis().to_string()),
        ("http.max_head_kib", "9", "64", |c| c.http.max_head_kib.to_string()),
        ("http.request_memory_mib", "19", "20", |c| c.http.request_memory_mib.to_string()),
        ("http.cors_origins", "[\"https://a.example\"]", "https://b.example,http://localhost:3000", |c| {
            c.http.cors_origins.iter().map(Origin::to_string).collect::<Vec<_>>().join(",")
        }),
        ("http.api_page", "false", "true", |c| c.http.api_page.to_string()),
        ("http.drain_ms", "1003", "1004", |c| c.http.drain.as_millis().to_string()),
        ("http.shutdown_timeout_ms", "1005", "1006", |c| c.http.shutdown_timeout.as_millis().to_string()),
        ("http.stream_memory_mib", "17", "18", |c| c.http.stream_memory_mib.to_string()),
        ("http.export_timeout_s", "61", "62", |c| c.http.export_timeout.as_secs().to_string()),
        ("database.url", "\"sqlite://a.db\"", "sqlite://b.db", |c| {
            format!("sqlite://{}", &c.database.url.to_string()[7..])
        }),
        ("database.replica_url", "\"postgres://a\"", "postgresql://b", |c| match &c.database.replica_url {
            Some(DatabaseUrl::Postgres(url)) => url.clone(),
            other => format!("{other:?}"),
        }),
        ("database.connections", "7", "9", |c| c.database.connections.to_string()),
        ("database.writers", "2", "3", |c| c.database.writers.to_string()),
        ("database.queue", "10", "11", |c| c.database.queue.to_string()),
        ("database.deadline_ms", "105", "106", |c| c.database.deadline.as_millis().to_string()),
        ("database.migrate_on_start", "false", "true", |c| c.database.migrate_on_start.to_string()),
        ("auth.key_cache_ms", "0", "107", |c| c.auth.key_cache.as_millis().to_string()),
        ("auth.key_grace_ms", "108", "109", |c| c.auth.key_grace.as_millis().to_string()),
        ("auth.issuers", ONE_ISSUER, OTHER_ISSUER, |c| match c.auth.issuers.as_slice() {
            [issuer] if issuer.name() == "https://one.example" => ONE_ISSUER.to_owned(),
            [issuer] if issuer.name() == "https://other.example" => OTHER_ISSUER.to_owned(),
            issuers => format!("{issuers:?}"),
        }),
        ("admin.bind", "\"127.0.0.1:3\"", "[::1]:4", |c| c.admin.bind.expect("an address").to_string()),
        ("limits.live_key_per_second", "11", "12", |c| c.limits.live.key.to_string()),
        ("limits.live_merchant_per_second", "13", "14", |c| c.limits.live.merchant.to_string()),
        ("limits.sandbox_key_per_second", "15", "16", |c| c.limits.sandbox.key.to_string()),
        ("limits.sandbox_merchant_per_second", "17", "18", |c| c.limits.sandbox.merchant.to_string()),
        ("idempotency.keep_seconds", "60", "61", |c| c.idempotency.keep.as_secs().to_string()),
        ("events.retention_days", "7", "8", |c| {
            (c.events.retention.unwrap_or_default().as_secs() / 86_400).to_string()
        }),
        ("imports.max_mib", "1", "2", |c| c.imports.max_mib.to_string()),
        ("imports.timeout_s", "63", "64", |c| c.imports.timeout.as_secs().to_string()),
        ("search.enabled", "false", "true", |c| c.search.enabled.to_string()),
        ("webhooks.allow_private", "true", "false", |c| c.webhooks.allow_private.to_string()),
        ("webhooks.timeout_ms", "1001", "1002", |c| c.webhooks.timeout.as_millis().to_string()),
        ("webhooks.retry_seconds", "[\"0\"]", "0,7", |c| {
            let seconds = c.webhooks.schedule.delays().iter().map(|delay| delay.as_secs().to_string());
            seconds.collect::<Vec<_>>().join(",")
        }),
        ("webhooks.concurrency", "19", "20", |c| c.webhooks.concurrency.to_string()),
        ("webhooks.signing_key", ONE_KEY, OTHER_KEY, |c| match &c.webhooks.signing_key {
            Some(key) if **key == Ed25519Key::parse(ONE_KEY.trim_matches('"')).expect("a key") => {
                bare(ONE_KEY).to_owned()
            }
            Some(key) if **key == Ed25519Key::parse(OTHER_KEY).expect("a key") => OTHER_KEY.to_owned(),
            other => format!("{other:?}"),
        }),
        ("console.enabled", "false", "true", |c| c.console.enabled.expect("set").to_string()),
        ("console.secure_cookies", "true", "false", |c| c.console.secure_cookies.expect("set").to_string()),
        ("console.session_seconds", "60", "61", |c| c.console.session.as_secs().to_string()),
        ("log.level", "\"debug\"", "warn", |c| c.log.level.clone()),
        ("log.format", "\"json\"", "pretty", |c| format!("{:?}", c.log.format).to_lowercase()),
        ("telemetry.metrics_bind", "\"127.0.0.1:9\"", "[::1]:10", |c| {
            c.telemetry.metrics_bind.map_or_else(String::new, |address| address.to_string())
        }),
    ];

    /// The 32 bytes 0, and 1.
    const ONE_KEY: &str = "\"whsk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"";
    const OTHER_KEY: &str = "whsk_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn shown(path: Option<&PathBuf>) -> String {
        path.expect("a path").display().to_string()
    }

    fn as_file(key: &str, value: &str) -> String {
        let (section, name) = key.split_once('.').expect("a section");
        format!("[{section}]\n{name} = {value}\n")
    }

    /// The value of a file's text or list of one text.
    fn bare(in_file: &str) -> &str {
        let element = in_file.strip_prefix("[\"").and_then(|rest| rest.strip_suffix("\"]"));
        element.unwrap_or(in_file.trim_matches('"'))
    }

    fn as_variable(key: &str) -> String {
        format!("ROSTER__{}", key.replace('.', "__").to_uppercase())
    }

    fn quotas(key: u32, merchant: u32) -> Quotas {
        let number = |number| NonZeroU32::new(number).expect("not zero");
        Quotas { key: number(key), merchant: number(merchant) }
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let config = load("", &[]).expect("the defaults");
        assert_eq!(
            config,
            Config {
                http: Http {
                    bind: ([127, 0, 0, 1], 8080).into(),
                    tls_certificate: None,
                    tls_key: None,
                    workers: 0,
                    max_connections: 10_000,
                    head_timeout: Duration::from_secs(5),
                    body_timeout: Duration::from_secs(10),
                    write_timeout: Duration::from_secs(30),
                    max_head_kib: 16,
                    request_memory_mib: 64,
                    cors_origins: Vec::new(),
                    api_page: true,
                    drain: Duration::ZERO,
                    shutdown_timeout: Duration::from_secs(30),
                    stream_memory_mib: 16,
                    export_timeout: Duration::from_mins(10),
                },
                admin: Admin { bind: None },
                database: Database {
                    url: DatabaseUrl::Sqlite("data/roster.db".into()),
                    replica_url: None,
                    connections: 8,
                    writers: 1,
                    queue: 1024,
                    deadline: Duration::from_secs(2),
                    migrate_on_start: true,
                },
                auth: Auth { key_cache: Duration::from_secs(5), key_grace: Duration::ZERO, issuers: Vec::new() },
                limits: Limits { live: quotas(5000, 10_000), sandbox: quotas(500, 1000) },
                idempotency: Idempotency { keep: Duration::from_hours(24) },
                events: Events { retention: None },
                imports: Imports { max_mib: 256, timeout: Duration::from_hours(1) },
                search: Search { enabled: true },
                webhooks: Webhooks {
                    allow_private: false,
                    timeout: Duration::from_secs(15),
                    schedule: Schedule::default(),
                    concurrency: 32,
                    signing_key: None,
                },
                console: Console { enabled: None, secure_cookies: None, session: Duration::from_hours(12) },
                log: Log { level: "info".to_owned(), format: LogFormat::Auto },
                telemetry: Telemetry { metrics_bind: None },
                shown: config.shown.clone(),
            }
        );
    }

    #[test]
    fn every_key_of_the_defaults_is_sampled_here_and_has_a_comment() {
        let layers = Layers::over(DEFAULTS);
        let mut sampled: Vec<&str> = SAMPLES.iter().map(|(key, ..)| *key).collect();
        sampled.sort_unstable();
        assert_eq!(layers.keys(), sampled);
        let lines: Vec<&str> = DEFAULTS.lines().collect();
        for (above, line) in lines.iter().zip(&lines[1..]) {
            assert!(!line.contains(" = ") || line.starts_with('#') || above.starts_with("# "), "{line}");
        }
    }

    #[test]
    fn every_key_is_taken_from_the_file_and_the_environment_wins() {
        for (key, in_file, in_variable, show) in SAMPLES {
            let file = as_file(key, in_file);
            let of_file = load(&file, &[]).expect(key);
            assert_eq!(show(&of_file), bare(in_file), "{key}");
            let of_both = load(&file, &[(&as_variable(key), in_variable)]).expect(key);
            assert_eq!(show(&of_both), *in_variable, "{key}");
        }
    }

    #[test]
    fn settings_are_shown_as_what_they_say_and_without_secrets() {
        let file = format!("[webhooks]\nsigning_key = {ONE_KEY}\n[http]\nworkers = 3\n");
        let variables = [
            ("DATABASE_URL", "sqlite://secret.db"),
            ("ROSTER__DATABASE__QUEUE", "7"),
            ("ROSTER__HTTP__API_PAGE", "false"),
            ("ROSTER__HTTP__CORS_ORIGINS", "https://a.example, https://b.example"),
        ];
        let shown = load(&file, &variables).expect("a configuration").shown;
        let origins = serde_json::json!(["https://a.example", "https://b.example"]);
        for (key, value) in [
            ("http.workers", 3.into()),
            ("http.bind", "127.0.0.1:8080".into()),
            ("database.queue", 7.into()),
            ("http.api_page", false.into()),
            ("http.cors_origins", origins),
        ] {
            assert_eq!(shown[key], value, "{key}");
        }
        for secret in ["database.url", "database.replica_url", "auth.issuers", "webhooks.signing_key"] {
            assert!(!shown.contains_key(secret), "{secret}");
        }
        assert_eq!(shown.len(), SAMPLES.len() - 4);
    }

    #[test]
    fn the_console_is_served_where_only_this_machine_can_connect_unless_a_key_says_otherwise() {
        let is_served = |bind: &str, enabled: &str| {
            let variables = [("ROSTER__HTTP__BIND", bind), ("ROSTER__CONSOLE__ENABLED", enabled)];
            load("", &variables).expect("a configuration").has_console()
        };
        assert!(is_served("127.0.0.1:0", "auto") && is_served("[::1]:0", "auto") && is_served("0.0.0.0:0", "true"));
        assert!(
            !is_served("0.0.0.0:0", "auto") && !is_served("192.0.2.1:0", "auto") && !is_served("127.0.0.1:0", "false")
        );
        let beside = |bind: &str| load("", &[("ROSTER__ADMIN__BIND", bind)]).expect("a configuration").has_console();
        assert!(beside("127.0.0.1:1") && !beside("192.0.2.1:1"));
    }

    #[test]
    fn database_url_wins_over_every_other_layer() {
        let variables = [("DATABASE_URL", "sqlite:///c.db"), ("ROSTER__DATABASE__URL", "sqlite://b.db")];
        let config = load("[database]\nurl = \"sqlite://a.db\"", &variables).expect("a configuration");
        assert_eq!(config.database.url, DatabaseUrl::Sqlite("/c.db".into()));
    }

    #[test]
    fn a_wrong_value_names_its_key_where_it_came_from_and_what_is_allowed() {
        for (key, value, rule) in [
            ("http.bind", "localhost", "must be an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080"),
            ("admin.bind", "8081", "must be an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080, or empty"),
            ("http.workers", "257", "must be a whole number from 0 to 256"),
            ("http.max_connections", "99", "must be a whole number from 100 to 1000000"),
            ("http.head_timeout_ms", "99", "must be a whole number from 100 to 300000 (milliseconds)"),
            ("http.body_timeout_ms", "5s", "must be a whole number from 100 to 300000 (milliseconds)"),
            ("http.write_timeout_ms", "999", "must be a whole number from 1000 to 300000 (milliseconds)"),
            ("http.max_head_kib", "7", "must be a whole number from 8 to 64"),
            ("http.request_memory_mib", "65537", "must be a whole number from 0 to 65536"),
            ("http.drain_ms", "600001", "must be a whole number from 0 to 600000 (milliseconds)"),
            ("http.cors_origins", "*", "each must be an origin as browsers write it: https://app.example, "),
            ("http.shutdown_timeout_ms", "600001", "must be a whole number from 1000 to 600000 (milliseconds)"),
            ("database.url", "sqlite:x", "must be sqlite://relative.db"),
            ("database.replica_url", "sqlite://a.db", "must be postgres://… or postgresql://…, or empty"),
            ("database.connections", "0", "must be a whole number from 1 to 256"),
            ("http.stream_memory_mib", "65537", "must be a whole number from 0 to 65536"),
            ("http.export_timeout_s", "3601", "must be a whole number from 1 to 3600 (seconds)"),
            ("imports.timeout_s", "86401", "must be a whole number from 1 to 86400 (seconds)"),
            ("database.writers", "0", "must be a whole number from 1 to 64"),
            ("database.queue", "-1", "must be a whole number from 1 to 65536"),
            ("database.deadline_ms", "1e3", "must be a whole number from 100 to 60000 (milliseconds)"),
            ("http.api_page", "1", "must be true or false"),
            ("database.migrate_on_start", "yes", "must be true or false"),
            ("auth.key_cache_ms", "60001", "must be a whole number from 0 to 60000 (milliseconds)"),
            ("auth.key_grace_ms", "3600001", "must be a whole number from 0 to 3600000 (milliseconds)"),
            ("auth.issuers", "[1]", "must be an array of tables, each an issuer, in TOML"),
            ("limits.live_key_per_second", "0", "must be a whole number from 1 to 1000000 (requests a second)"),
            (
                "limits.live_merchant_per_second",
                "1000001",
                "must be a whole number from 1 to 1000000 (requests a second)",
            ),
            ("limits.sandbox_key_per_second", "-1", "must be a whole number from 1 to 1000000 (requests a second)"),
            (
                "limits.sandbox_merchant_per_second",
                "many",
                "must be a whole number from 1 to 1000000 (requests a second)",
            ),
            ("webhooks.allow_private", "yes", "must be true or false"),
            ("webhooks.timeout_ms", "25001", "must be a whole number from 1000 to 25000 (milliseconds)"),
            ("webhooks.retry_seconds", "", "must have 1 to 20 delays"),
            ("webhooks.retry_seconds", "0,1h", "must be a list of whole numbers (seconds)"),
            ("webhooks.retry_seconds", "5,0", "must begin with 0: the first attempt is made at once"),
            ("webhooks.retry_seconds", "0,604801", "must not have a delay of more than 7 days (604800 seconds)"),
            ("webhooks.concurrency", "257", "must be a whole number from 1 to 256"),
            ("webhooks.signing_key", "whsk_AA", "must be whsk_ and an Ed25519 key in Base64"),
            ("console.enabled", "yes", "must be auto, or true or false"),
            ("console.secure_cookies", "1", "must be auto, or true or false"),
            ("console.session_seconds", "43201", "must be a whole number from 1 to 43200 (seconds)"),
            ("log.level", "inof", "must be off, error, warn, info, debug, trace, or a filter"),
            ("log.format", "xml", "must be auto, pretty or json"),
        ] {
            let variable = as_variable(key);
            let shown = match key {
                "database.url" => "(not shown, as it may hold a password)",
                "auth.issuers" | "webhooks.signing_key" => "(not shown)",
                _ => &format!("{value:?}"),
            };
            let told = faults("", &[(&variable, value)]);
            let expected = format!("the configuration is wrong\n  {key} = {shown} (from {variable}): {rule}");
            assert!(told.starts_with(&expected), "{told}\n{expected}");
            assert!(faults(&as_file(key, "[[]]"), &[]).contains(&format!("{key} = ")), "{key}");
        }
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let told = faults("[http]\nworkers = -1\nbnid = 1\n[log]\nformat = 3\n", &[("ROSTER__DATABASE__QUEUE", "")]);
        assert_eq!(
            told,
            "the configuration is wrong
  http.bnid (from FILE): no such key; http.bind is one
  http.workers = -1 (from FILE): must be a whole number from 0 to 256
  database.queue = \"\" (from ROSTER__DATABASE__QUEUE): must be a whole number from 1 to 65536
  log.format = 3 (from FILE): must be auto, pretty or json"
        );
    }

    #[test]
    fn an_unknown_key_is_refused_and_the_nearest_one_named() {
        let variables =
            [("ROSTER__HTTP_BIND", "x"), ("ROSTER__", "x"), ("ROSTER__LOG", "x"), ("ROSTER__TLS__PORT", "x")];
        assert_eq!(
            faults("[http.bind]\nport = 1\n", &variables),
            "the configuration is wrong
  http.bind.port (from FILE): no such key
  ROSTER__ (from ROSTER__): no such key
  ROSTER__HTTP_BIND (from ROSTER__HTTP_BIND): no such key; ROSTER__HTTP__BIND is one
  ROSTER__LOG (from ROSTER__LOG): a section, and no value
  ROSTER__TLS__PORT (from ROSTER__TLS__PORT): no such key"
        );
        assert!(faults("http = 3", &[]).contains("http (from FILE): a section, and no value"));
    }

    #[test]
    fn variables_of_others_are_none_of_our_business() {
        assert!(load("", &[("ROSTER_REQUIRE_POSTGRES", "1"), ("PATH", "/bin"), ("roster__http__bind", "x")]).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_not_utf_8_is_refused() {
        use std::os::unix::ffi::OsStringExt as _;
        let variables = vec![(OsString::from("DATABASE_URL"), OsString::from_vec(vec![0xff]))];
        let told = Config::load(None, variables).expect_err("a fault").to_string();
        assert_eq!(told, "the configuration is wrong\n  DATABASE_URL: must be UTF-8");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let told = Config::load(Some(Path::new("/nowhere/roster.toml")), Vec::new()).expect_err("a fault").to_string();
        assert!(told.contains("/nowhere/roster.toml: cannot be read: No such file"), "{told}");
    }

    #[test]
    fn a_file_that_is_no_toml_is_told_by_its_line_and_never_by_its_text() {
        for line in
            ["url = \"postgres://u:hunter@h", "url = postgres://u:hunter@h", "url = \"\\hunter\"", "hunter", "=hunter"]
        {
            let told = faults(&format!("[database]\n{line}\n"), &[]);
            assert!(told.contains("FILE: TOML parse error at line 2, column ") && !told.contains("hunter"), "{told}");
        }
    }

    #[test]
    fn the_secret_of_an_issuer_is_never_told() {
        let unlike = |from: &str, to: &str| ONE_ISSUER.replace(from, to);
        for wrong in [
            unlike("}]", "}"),
            unlike("secret", "secrets"),
            unlike("'hunter", "hunter"),
            unlike("'hunter", "['hunter").replace("' }", "'] }"),
            unlike("'hunter, and as many letters more as it takes'", "'hunter'"),
            unlike("'HS256'", "'RS256'"),
            unlike("secret", "public_key"),
            unlike("secret", "jwks_url"),
            unlike("'https://one.example'", "3"),
        ] {
            for told in [
                faults("", &[("ROSTER__AUTH__ISSUERS", &wrong)]),
                faults("", &[("ROSTER__AUTH__ISSUER", &wrong)]),
                faults("", &[("ROSTER__AUTH__ISSUERS__0__SECRET", &wrong)]),
                faults(&as_file("auth.issuers", &wrong), &[]),
                faults(&as_file("auth.issuers", &format!("{wrong:?}")), &[]),
                faults(&format!("[auth.issuers]\nsecret = {wrong:?}\n"), &[]),
            ] {
                assert!(!told.contains("hunter"), "{told}");
            }
        }
        let config = load("", &[("ROSTER__AUTH__ISSUERS", ONE_ISSUER)]);
        assert!(config.is_ok() && !format!("{config:?}").contains("hunter"));
    }

    #[test]
    fn the_password_of_a_database_is_never_told() {
        let urls = ["mysql://u:hunter@h", "postgres:u:hunter@h", "hunter", "://u:hunter@h"];
        for url in urls {
            for told in [
                faults("", &[("DATABASE_URL", url)]),
                faults("", &[("ROSTER__DATABASE__URL", url)]),
                faults("", &[("ROSTER__DATABASE__URLS", url)]),
                faults(&as_file("database.url", &format!("{url:?}")), &[]),
                faults(&as_file("database.url", &format!("[{url:?}]")), &[]),
                faults(&as_file("database.url", &format!("{{ password = {url:?} }}")), &[]),
            ] {
                assert!(told.contains("database.url") || told.contains("DATABASE__URL"), "{told}");
                assert!(!told.contains("hunter"), "{told}");
            }
        }
        let config = load("", &[("DATABASE_URL", "postgres://u:hunter@h/d")]);
        assert!(!format!("{config:?}").contains("hunter"));
    }

    #[test]
    fn a_database_that_was_not_built_in_is_refused_with_the_way_to_build_it() {
        for (url, built_in, named) in [
            (
                "sqlite://a.db",
                cfg!(feature = "sqlite"),
                "SQLite; build one with it: cargo build --release --features sqlite",
            ),
            (
                "postgres://h/d",
                cfg!(feature = "postgres"),
                "PostgreSQL; build one with it: cargo build --release --features postgres",
            ),
        ] {
            let refusal = load("", &[("DATABASE_URL", url)]).err();
            let expected = (!built_in).then(|| format!("this binary was built without {named}"));
            assert_eq!(refusal.is_some(), expected.is_some(), "{refusal:?}");
            assert!(refusal.unwrap_or_default().contains(&expected.unwrap_or_default()));
        }
    }
}
