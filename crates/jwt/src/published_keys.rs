//! The keys that an issuer publishes: cached, refreshed, and fetched again when a token names an unknown key.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::key_set::{KeySet, KeySetError, MAX_SIZE};

/// How often keys are fetched, and how long they are cached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FetchPolicy {
    /// The longest that a server may take to answer.
    pub(crate) timeout: Duration,
    /// How long after any fetch a token may cause the next: tokens with unknown keys must not flood the issuer.
    pub(crate) cooldown: Duration,
    /// The interval of the regular fetches from a server.
    pub(crate) refresh: Duration,
    /// How long keys from a server are used while it fails. Keys from a file do not expire.
    pub(crate) max_age: Duration,
}

impl FetchPolicy {
    /// The policy of the program.
    pub(crate) const USUAL: Self = Self {
        timeout: Duration::from_secs(3),
        cooldown: Duration::from_secs(30),
        refresh: Duration::from_mins(5),
        max_age: Duration::from_hours(24),
    };
}

/// The cached keys of one issuer.
pub(crate) struct PublishedKeys {
    issuer: String,
    source: Source,
    policy: FetchPolicy,
    cached: RwLock<Arc<CachedKeys>>,
    fetch: Mutex<Fetch>,
    fetched: Condvar,
}

enum Source {
    File(PathBuf),
    Server { agent: ureq::Agent, url: String },
}

/// The keys of the last successful fetch, and its time.
struct CachedKeys {
    keys: KeySet,
    fetched_at: Instant,
}

/// The running fetch, or the last one.
#[derive(Default)]
struct Fetch {
    started_at: Option<Instant>,
    is_running: bool,
}

/// Why keys could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("the file cannot be read: {0}")]
    File(io::Error),
    #[error("the server does not answer: {0}")]
    Server(Box<ureq::Error>),
    #[error("the server answers {0}")]
    Status(u16),
    #[error("more than {MAX_SIZE} bytes")]
    TooLarge,
    #[error(transparent)]
    KeySet(#[from] KeySetError),
}

impl PublishedKeys {
    /// Reads the keys from a file.
    pub(crate) fn open(issuer: &str, path: &Path, policy: FetchPolicy) -> Result<Self, FetchError> {
        let keys = Self::new(issuer, Source::File(path.to_owned()), policy);
        keys.replace(keys.source.read()?);
        keys.lock_fetch().started_at = Some(Instant::now());
        Ok(keys)
    }

    /// The keys at a URL. The cache is empty until the first fetch.
    pub(crate) fn at(issuer: &str, url: &str, policy: FetchPolicy) -> Self {
        Self::new(issuer, Source::Server { agent: agent(url, policy.timeout), url: url.to_owned() }, policy)
    }

    fn new(issuer: &str, source: Source, policy: FetchPolicy) -> Self {
        let none = CachedKeys { keys: KeySet::NONE, fetched_at: Instant::now() };
        Self {
            issuer: issuer.to_owned(),
            source,
            policy,
            cached: RwLock::new(Arc::new(none)),
            fetch: Mutex::default(),
            fetched: Condvar::new(),
        }
    }

    /// Calls `read` with the cached keys, without waiting for a running fetch.
    pub(crate) fn with<T>(&self, read: impl FnOnce(&KeySet) -> T) -> T {
        let cached = Arc::clone(&self.cached.read().unwrap_or_else(PoisonError::into_inner));
        let expired =
            matches!(self.source, Source::Server { .. }) && cached.fetched_at.elapsed() >= self.policy.max_age;
        read(if expired { const { &KeySet::NONE } } else { &cached.keys })
    }

    /// Whether [`PublishedKeys::fetch_or_wait`] may find an unknown key: a fetch is running, or may be started.
    pub(crate) fn fetch_may_help(&self) -> bool {
        let fetch = self.lock_fetch();
        fetch.is_running || self.is_due(&fetch)
    }

    /// Fetches the keys, at most once in [`FetchPolicy::cooldown`].
    ///
    /// If another thread is fetching them, waits for it instead, at most [`FetchPolicy::timeout`].
    pub(crate) fn fetch_or_wait(&self) {
        let fetch = self.lock_fetch();
        if fetch.is_running {
            let waited = self.fetched.wait_timeout_while(fetch, self.policy.timeout, |fetch| fetch.is_running);
            drop(waited);
        } else if self.is_due(&fetch) {
            self.run(fetch);
        }
    }

    /// Fetches the keys at once, and then at intervals until the sender of `end` is dropped.
    pub(crate) fn refresh_until(&self, end: &Receiver<Infallible>) {
        loop {
            let fetch = self.lock_fetch();
            if !fetch.is_running {
                self.run(fetch);
            }
            if end.recv_timeout(self.policy.refresh) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
        }
    }

    fn is_due(&self, fetch: &Fetch) -> bool {
        fetch.started_at.is_none_or(|started_at| started_at.elapsed() >= self.policy.cooldown)
    }

    fn run(&self, mut fetch: MutexGuard<'_, Fetch>) {
        *fetch = Fetch { started_at: Some(Instant::now()), is_running: true };
        drop(fetch);
        let _guard = FetchGuard(self);
        match self.source.read() {
            Ok(keys) => self.replace(keys),
            // The cached keys stay in use: an outage of the issuer must not refuse its tokens.
            Err(error) => tracing::warn!(issuer = self.issuer, %error, "the keys of an issuer cannot be fetched"),
        }
    }

    fn replace(&self, keys: KeySet) {
        let cached = Arc::new(CachedKeys { keys, fetched_at: Instant::now() });
        *self.cached.write().unwrap_or_else(PoisonError::into_inner) = cached;
    }

    fn lock_fetch(&self) -> MutexGuard<'_, Fetch> {
        self.fetch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Marks the fetch as finished when dropped. Without it, a panic during a fetch would prevent all later fetches.
struct FetchGuard<'a>(&'a PublishedKeys);

impl Drop for FetchGuard<'_> {
    fn drop(&mut self) {
        self.0.lock_fetch().is_running = false;
        self.0.fetched.notify_all();
    }
}

impl Source {
    fn read(&self) -> Result<KeySet, FetchError> {
        let text = match self {
            Self::File(path) => {
                let file = File::open(path).map_err(FetchError::File)?;
                let mut text = Vec::new();
                file.take(MAX_SIZE as u64 + 1).read_to_end(&mut text).map_err(FetchError::File)?;
                text
            }
            Self::Server { agent, url } => get(agent, url)?,
        };
        if text.len() > MAX_SIZE {
            return Err(FetchError::TooLarge);
        }
        Ok(KeySet::read(&text)?)
    }
}

fn get(agent: &ureq::Agent, url: &str) -> Result<Vec<u8>, FetchError> {
    let server = |error| match error {
        ureq::Error::BodyExceedsLimit(_) => FetchError::TooLarge,
        error => FetchError::Server(Box::new(error)),
    };
    let mut answer = agent.get(url).call().map_err(server)?;
    if answer.status() != 200 {
        return Err(FetchError::Status(answer.status().as_u16()));
    }
    answer.body_mut().with_config().limit(MAX_SIZE as u64).read_to_vec().map_err(server)
}

/// An HTTP client that reaches only `url`: no redirects, and no proxy, not even one from the environment.
fn agent(url: &str, timeout: Duration) -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .user_agent("roster")
        .accept("application/jwk-set+json, application/json")
        .timeout_global(Some(timeout));
    // Loading the system's certificate authorities is slow, and plain HTTP needs none.
    let config = if url.starts_with("http:") { config } else { config.tls_config(tls()) };
    config.build().into()
}

/// TLS that trusts the system's certificate authorities.
fn tls() -> TlsConfig {
    let authorities = rustls_native_certs::load_native_certs();
    for error in authorities.errors {
        tracing::warn!(%error, "certificate authorities of the system cannot be read");
    }
    let authorities: Vec<_> = authorities.certs.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&authorities))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::sync::mpsc;
    use std::thread;

    const HOUR: Duration = Duration::from_hours(1);

    /// Longer than any step of these tests takes.
    const GENEROUS: Duration = Duration::from_secs(20);

    /// Only the first fetch is allowed, and no fetch times out.
    const ONCE: FetchPolicy = FetchPolicy { timeout: GENEROUS, cooldown: HOUR, refresh: HOUR, max_age: HOUR };

    /// A fetch is allowed at any time.
    const ANY_TIME: FetchPolicy = FetchPolicy { cooldown: Duration::ZERO, ..ONCE };

    /// An issuer's server, which sends the same response until the test sets another.
    struct Server {
        address: SocketAddr,
        state: Arc<Mutex<State>>,
    }

    struct State {
        /// The complete response. `None`: the server does not respond.
        answer: Option<Vec<u8>>,
        requests: usize,
        hanging: Vec<TcpStream>,
    }

    impl Server {
        fn start(answer: Vec<u8>) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let address = listener.local_addr().expect("its address");
            let state = Arc::new(Mutex::new(State { answer: Some(answer), requests: 0, hanging: Vec::new() }));
            let served = Arc::clone(&state);
            // The thread lives until the test process ends.
            thread::spawn(move || {
                for stream in listener.incoming() {
                    serve(&served, stream.expect("a connection"));
                }
            });
            Self { address, state }
        }

        fn url(&self) -> String {
            format!("http://{}/keys", self.address)
        }

        fn state(&self) -> MutexGuard<'_, State> {
            self.state.lock().expect("no test of this server has failed")
        }

        fn answer(&self, answer: Vec<u8>) {
            self.state().answer = Some(answer);
        }

        fn hang(&self) {
            self.state().answer = None;
        }

        fn requests(&self) -> usize {
            self.state().requests
        }

        fn keys(&self, policy: FetchPolicy) -> PublishedKeys {
            PublishedKeys::at("https://issuer.example", &self.url(), policy)
        }
    }

    fn serve(state: &Mutex<State>, mut stream: TcpStream) {
        let head = BufReader::new(stream.try_clone().expect("the same connection")).lines();
        let asked = head.map_while(Result::ok).take_while(|line| !line.is_empty()).count() > 0;
        let mut state = state.lock().expect("no test of this server has failed");
        if asked {
            state.requests += 1;
            match &state.answer {
                // The client may have closed the connection.
                Some(answer) => drop(stream.write_all(answer)),
                None => state.hanging.push(stream),
            }
        }
    }

    fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
        let length = body.len();
        format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
            .into_bytes()
    }

    fn ok(body: &str) -> Vec<u8> {
        answer("200 OK", "", body)
    }

    /// A JWK set of keys with these `kid`s.
    fn set(ids: &[&str]) -> String {
        let key = |id: &&str| format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"{id}","x":"{}"}}"#, "A".repeat(43));
        format!(r#"{{"keys":[{}]}}"#, ids.iter().map(key).collect::<Vec<_>>().join(","))
    }

    fn has(keys: &PublishedKeys, id: &str) -> bool {
        keys.with(|keys| keys.has(id))
    }

    fn until(what: &str, condition: impl Fn() -> bool) {
        let begun = Instant::now();
        while !condition() {
            assert!(begun.elapsed() < GENEROUS, "timed out: {what}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn keys_are_fetched_once_and_kept() {
        let server = Server::start(ok(&set(&["1", "2"])));
        let keys = server.keys(ONCE);
        assert!(keys.fetch_may_help() && !has(&keys, "1"));
        for _ in 0..10 {
            keys.fetch_or_wait();
            assert!(has(&keys, "1") && has(&keys, "2") && !has(&keys, "3"));
            assert!(!keys.fetch_may_help(), "an unknown key would be asked for again and again");
        }
        assert_eq!(server.requests(), 1);
    }

    #[test]
    fn a_fetch_replaces_all_cached_keys() {
        let server = Server::start(ok(&set(&["1", "2"])));
        let keys = server.keys(ANY_TIME);
        keys.fetch_or_wait();
        server.answer(ok(&set(&["2", "3"])));
        assert!(keys.fetch_may_help());
        keys.fetch_or_wait();
        assert!(!has(&keys, "1") && has(&keys, "2") && has(&keys, "3"));
    }

    #[test]
    fn a_cached_key_is_usable_while_a_fetch_hangs() {
        let server = Server::start(ok(&set(&["1"])));
        let keys = server.keys(ANY_TIME);
        keys.fetch_or_wait();
        server.hang();
        thread::scope(|scope| {
            let first = scope.spawn(|| keys.fetch_or_wait());
            until("the server is asked", || server.requests() == 2);
            let others: Vec<_> = (0..8).map(|_| scope.spawn(|| keys.fetch_or_wait())).collect();
            assert!(has(&keys, "1") && keys.fetch_may_help());
            assert!(!first.is_finished(), "the server did not hang");
            server.answer(answer("500 Internal Server Error", "", ""));
            server.state().hanging.clear();
            first.join().expect("a fetch that failed");
            for other in others {
                other.join().expect("a fetch that failed");
            }
        });
        assert!(has(&keys, "1"));
    }

    #[test]
    fn concurrent_callers_share_one_fetch() {
        let server = Server::start(ok(&set(&[])));
        server.hang();
        let keys = server.keys(ONCE);
        thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(|| keys.fetch_or_wait())).collect();
            until("the server is asked", || server.requests() > 0);
            assert!(keys.fetch_may_help(), "a later caller can wait for the running fetch");
            server.state().hanging.clear();
            for one in all {
                one.join().expect("a fetch that failed");
            }
        });
        assert_eq!(server.requests(), 1);
        assert!(!keys.fetch_may_help());
    }

    #[test]
    fn a_fetch_from_a_server_that_hangs_times_out() {
        let server = Server::start(ok(&set(&["1"])));
        let keys = server.keys(FetchPolicy { timeout: Duration::from_millis(50), ..ANY_TIME });
        server.hang();
        let begun = Instant::now();
        thread::scope(|scope| {
            (0..4).for_each(|_| drop(scope.spawn(|| keys.fetch_or_wait())));
        });
        assert!(begun.elapsed() < GENEROUS);
        assert!(!keys.lock_fetch().is_running);
    }

    #[test]
    fn a_failed_fetch_keeps_the_cached_keys() {
        let server = Server::start(ok(&set(&["1"])));
        let keys = server.keys(ANY_TIME);
        keys.fetch_or_wait();
        let many: Vec<_> = (0..=100).map(|id| id.to_string()).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let broken = [
            answer("500 Internal Server Error", "", &set(&["2"])),
            answer("404 Not Found", "", &set(&["2"])),
            answer("203 Non-Authoritative Information", "", &set(&["2"])),
            b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{".to_vec(),
            b"SSH-2.0-OpenSSH\r\n\r\n".to_vec(),
            ok(""),
            ok("[]"),
            ok("{}"),
            ok(r#"{"keys":{}}"#),
            ok(&set(&["2"]).replacen('{', r#"{"keys":[],"#, 1)),
            ok(&set(&many)),
        ];
        for (place, broken) in broken.into_iter().enumerate() {
            server.answer(broken);
            keys.fetch_or_wait();
            assert!(has(&keys, "1") && !has(&keys, "2"), "answer {place}");
            assert_eq!(server.requests(), place + 2);
        }
        server.answer(ok(&set(&many[1..])));
        keys.fetch_or_wait();
        assert!(has(&keys, "100") && !has(&keys, "0"));
    }

    #[test]
    fn cached_keys_are_not_used_after_their_maximum_age() {
        let server = Server::start(ok(&set(&["1"])));
        let keys = server.keys(FetchPolicy { max_age: Duration::ZERO, ..ONCE });
        keys.fetch_or_wait();
        assert!(!has(&keys, "1"));
        assert_eq!(FetchPolicy::USUAL.max_age, Duration::from_hours(24));
    }

    #[test]
    fn a_redirect_is_not_followed() {
        let elsewhere = Server::start(ok(&set(&["1"])));
        for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
            let server = Server::start(answer(status, &format!("Location: {}\r\n", elsewhere.url()), &set(&["1"])));
            let keys = server.keys(ONCE);
            keys.fetch_or_wait();
            assert_eq!((server.requests(), elsewhere.requests(), has(&keys, "1")), (1, 0, false), "{status}");
        }
    }

    #[test]
    fn a_set_of_more_than_256_kib_is_refused() {
        let set = set(&["1"]);
        for (size, accepted) in [(MAX_SIZE, true), (MAX_SIZE + 1, false)] {
            let padded = format!("{set}{}", " ".repeat(size - set.len()));
            let server = Server::start(ok(&padded));
            let keys = server.keys(ONCE);
            keys.fetch_or_wait();
            assert_eq!(has(&keys, "1"), accepted, "{size} bytes from a server");
            let file = file(&padded);
            let read = PublishedKeys::open("https://issuer.example", file.path(), ONCE);
            assert_eq!(read.is_ok(), accepted, "{size} bytes in a file");
        }
    }

    #[test]
    fn keys_are_fetched_at_the_start_and_at_intervals_until_the_end() {
        let server = Server::start(ok(&set(&["1"])));
        let keys = server.keys(FetchPolicy { refresh: Duration::from_millis(1), ..ONCE });
        let (alive, end) = mpsc::channel();
        thread::scope(|scope| {
            let keys = &keys;
            let thread = scope.spawn(move || keys.refresh_until(&end));
            until("the first keys", || has(keys, "1"));
            server.answer(ok(&set(&["2"])));
            until("the next keys", || has(keys, "2"));
            drop(alive);
            thread.join().expect("the end");
        });
    }

    #[test]
    fn a_server_without_tls_at_an_https_url_is_refused() {
        let server = Server::start(ok(&set(&["1"])));
        let keys = PublishedKeys::at("https://issuer.example", &server.url().replace("http:", "https:"), ONCE);
        assert!(matches!(keys.source.read(), Err(FetchError::Server(_))));
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("a written file");
        file
    }

    #[test]
    fn a_file_is_read_at_the_start_and_again_for_an_unknown_key() {
        let file = file(&set(&["1"]));
        let open = |policy| PublishedKeys::open("https://issuer.example", file.path(), policy).expect("keys");
        let (once, repeated) = (open(FetchPolicy { max_age: Duration::ZERO, ..ONCE }), open(ANY_TIME));
        assert!(!once.fetch_may_help() && has(&once, "1"));
        std::fs::write(file.path(), set(&["2"])).expect("a written file");
        once.fetch_or_wait();
        assert!(has(&once, "1") && !has(&once, "2"));
        repeated.fetch_or_wait();
        assert!(!has(&repeated, "1") && has(&repeated, "2"));
        std::fs::write(file.path(), "{").expect("a written file");
        repeated.fetch_or_wait();
        assert!(has(&repeated, "2"));
    }

    #[test]
    fn a_missing_file_or_one_without_a_key_set_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let refusal = |path: &Path| PublishedKeys::open("i", path, ONCE).err().expect("a refusal").to_string();
        assert!(refusal(&folder.path().join("none")).starts_with("the file cannot be read: No such file"));
        assert!(refusal(folder.path()).starts_with("the file cannot be read: "));
        assert_eq!(refusal(file("not keys").path()), "it is no JWK set");
    }
}
