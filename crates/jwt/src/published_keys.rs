//! Keys that an issuer publishes: fetched, kept, and fetched again when a token names one that is not there.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::key_set::{KeySet, KeySetError, MAX_SIZE};

/// How often keys are fetched, and how long they are kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// How long a server may take.
    pub(crate) timeout: Duration,
    /// How long after one fetch a token may cause another.
    pub(crate) pause: Duration,
    /// How long after one fetch from a server the next is made unasked.
    pub(crate) refresh: Duration,
    /// How long keys from a server are used when it cannot be asked for new ones.
    pub(crate) keep: Duration,
}

impl Pace {
    /// That of the program.
    pub(crate) const USUAL: Self = Self {
        timeout: Duration::from_secs(3),
        pause: Duration::from_secs(30),
        refresh: Duration::from_mins(5),
        keep: Duration::from_hours(24),
    };
}

/// The keys of one issuer.
pub(crate) struct PublishedKeys {
    issuer: String,
    source: Source,
    pace: Pace,
    known: RwLock<Arc<Known>>,
    fetch: Mutex<Fetch>,
    fetched: Condvar,
}

enum Source {
    File(PathBuf),
    Server { agent: ureq::Agent, url: String },
}

/// The keys that were fetched last, and when.
struct Known {
    keys: KeySet,
    since: Instant,
}

/// The fetch that runs, or was the last.
#[derive(Default)]
struct Fetch {
    begun: Option<Instant>,
    runs: bool,
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
    /// Reads the keys in a file.
    pub(crate) fn open(issuer: &str, path: &Path, pace: Pace) -> Result<Self, FetchError> {
        let keys = Self::new(issuer, Source::File(path.to_owned()), pace);
        keys.replace(keys.source.read()?);
        keys.fetch().begun = Some(Instant::now());
        Ok(keys)
    }

    /// The keys that a server has. None is known until they are fetched.
    pub(crate) fn at(issuer: &str, url: &str, pace: Pace) -> Self {
        Self::new(issuer, Source::Server { agent: agent(url, pace.timeout), url: url.to_owned() }, pace)
    }

    fn new(issuer: &str, source: Source, pace: Pace) -> Self {
        let none = Known { keys: KeySet::NONE, since: Instant::now() };
        Self {
            issuer: issuer.to_owned(),
            source,
            pace,
            known: RwLock::new(Arc::new(none)),
            fetch: Mutex::default(),
            fetched: Condvar::new(),
        }
    }

    /// Uses the keys that are known; waits for nobody who fetches others.
    pub(crate) fn with<T>(&self, read: impl FnOnce(&KeySet) -> T) -> T {
        let known = Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner));
        let too_old = matches!(self.source, Source::Server { .. }) && known.since.elapsed() >= self.pace.keep;
        read(if too_old { const { &KeySet::NONE } } else { &known.keys })
    }

    /// Whether [`PublishedKeys::fetch_or_wait`] may bring a key that is not known: whether they are being fetched, or may
    /// be.
    pub(crate) fn may_bring_more(&self) -> bool {
        let fetch = self.fetch();
        fetch.runs || self.is_due(&fetch)
    }

    /// Fetches the keys, unless that was done a moment ago. Where somebody else fetches them, waits until that is done.
    pub(crate) fn fetch_or_wait(&self) {
        let fetch = self.fetch();
        if fetch.runs {
            let waited = self.fetched.wait_timeout_while(fetch, self.pace.timeout, |fetch| fetch.runs);
            drop(waited);
        } else if self.is_due(&fetch) {
            self.run(fetch);
        }
    }

    /// Fetches the keys at once and then at intervals, until `end` is closed.
    pub(crate) fn keep_fresh(&self, end: &Receiver<Infallible>) {
        loop {
            let fetch = self.fetch();
            if !fetch.runs {
                self.run(fetch);
            }
            if end.recv_timeout(self.pace.refresh) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
        }
    }

    fn is_due(&self, fetch: &Fetch) -> bool {
        fetch.begun.is_none_or(|begun| begun.elapsed() >= self.pace.pause)
    }

    fn run(&self, mut fetch: MutexGuard<'_, Fetch>) {
        *fetch = Fetch { begun: Some(Instant::now()), runs: true };
        drop(fetch);
        let _end = Running(self);
        match self.source.read() {
            Ok(keys) => self.replace(keys),
            // What is known may still do.
            Err(error) => tracing::warn!(issuer = self.issuer, %error, "the keys of an issuer cannot be fetched"),
        }
    }

    fn replace(&self, keys: KeySet) {
        let known = Arc::new(Known { keys, since: Instant::now() });
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
    }

    fn fetch(&self) -> MutexGuard<'_, Fetch> {
        self.fetch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A fetch that runs, and is over when this is dropped, by a panic as well.
struct Running<'a>(&'a PublishedKeys);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch().runs = false;
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

/// An agent that goes to the one URL and nowhere else, whatever the server and the environment say.
fn agent(url: &str, timeout: Duration) -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .user_agent("roster")
        .accept("application/jwk-set+json, application/json")
        .timeout_global(Some(timeout));
    // To read the authorities takes a moment, and plain HTTP needs none.
    let config = if url.starts_with("http:") { config } else { config.tls_config(tls()) };
    config.build().into()
}

/// TLS that trusts those whom the system trusts.
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

    /// Longer than anything here takes.
    const GENEROUS: Duration = Duration::from_secs(20);

    /// A token may cause a fetch only once, and nothing takes long enough to be given up.
    const ONCE: Pace = Pace { timeout: GENEROUS, pause: HOUR, refresh: HOUR, keep: HOUR };

    /// A token may cause a fetch at any time.
    const AT_ONCE: Pace = Pace { pause: Duration::ZERO, ..ONCE };

    /// An issuer's server, which answers every request as it was told last.
    struct Server {
        address: SocketAddr,
        state: Arc<Mutex<State>>,
    }

    struct State {
        /// A whole answer, or none: then requests are left hanging.
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
            // It lives as long as the tests.
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

        fn keys(&self, pace: Pace) -> PublishedKeys {
            PublishedKeys::at("https://issuer.example", &self.url(), pace)
        }
    }

    fn serve(state: &Mutex<State>, mut stream: TcpStream) {
        let head = BufReader::new(stream.try_clone().expect("the same connection")).lines();
        let asked = head.map_while(Result::ok).take_while(|line| !line.is_empty()).count() > 0;
        let mut state = state.lock().expect("no test of this server has failed");
        if asked {
            state.requests += 1;
            match &state.answer {
                // Whoever asked may have left.
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

    /// A set of keys with these names.
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
            assert!(begun.elapsed() < GENEROUS, "waited in vain: {what}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn keys_are_fetched_once_and_kept() {
        let server = Server::start(ok(&set(&["1", "2"])));
        let keys = server.keys(ONCE);
        assert!(keys.may_bring_more() && !has(&keys, "1"));
        for _ in 0..10 {
            keys.fetch_or_wait();
            assert!(has(&keys, "1") && has(&keys, "2") && !has(&keys, "3"));
            assert!(!keys.may_bring_more(), "an unknown key would be asked for again and again");
        }
        assert_eq!(server.requests(), 1);
    }

    #[test]
    fn new_keys_take_the_place_of_old_ones() {
        let server = Server::start(ok(&set(&["1", "2"])));
        let keys = server.keys(AT_ONCE);
        keys.fetch_or_wait();
        server.answer(ok(&set(&["2", "3"])));
        assert!(keys.may_bring_more());
        keys.fetch_or_wait();
        assert!(!has(&keys, "1") && has(&keys, "2") && has(&keys, "3"));
    }

    #[test]
    fn a_server_that_hangs_holds_up_nobody_whose_key_is_known() {
        let server = Server::start(ok(&set(&["1"])));
        let keys = server.keys(AT_ONCE);
        keys.fetch_or_wait();
        server.hang();
        thread::scope(|scope| {
            let first = scope.spawn(|| keys.fetch_or_wait());
            until("the server is asked", || server.requests() == 2);
            let others: Vec<_> = (0..8).map(|_| scope.spawn(|| keys.fetch_or_wait())).collect();
            assert!(has(&keys, "1") && keys.may_bring_more());
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
    fn all_who_wait_share_one_fetch() {
        let server = Server::start(ok(&set(&[])));
        server.hang();
        let keys = server.keys(ONCE);
        thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(|| keys.fetch_or_wait())).collect();
            until("the server is asked", || server.requests() > 0);
            assert!(keys.may_bring_more(), "those who come now may wait, too");
            server.state().hanging.clear();
            for one in all {
                one.join().expect("a fetch that failed");
            }
        });
        assert_eq!(server.requests(), 1);
        assert!(!keys.may_bring_more());
    }

    #[test]
    fn a_server_that_hangs_is_given_up() {
        let server = Server::start(ok(&set(&["1"])));
        let keys = server.keys(Pace { timeout: Duration::from_millis(50), ..AT_ONCE });
        server.hang();
        let begun = Instant::now();
        thread::scope(|scope| {
            (0..4).for_each(|_| drop(scope.spawn(|| keys.fetch_or_wait())));
        });
        assert!(begun.elapsed() < GENEROUS);
        assert!(!keys.fetch().runs);
    }

    #[test]
    fn a_server_that_fails_takes_no_key_away() {
        let server = Server::start(ok(&set(&["1"])));
        let keys = server.keys(AT_ONCE);
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
    fn keys_that_could_not_be_fetched_again_for_too_long_are_not_used() {
        let server = Server::start(ok(&set(&["1"])));
        let keys = server.keys(Pace { keep: Duration::ZERO, ..ONCE });
        keys.fetch_or_wait();
        assert!(!has(&keys, "1"));
        assert_eq!(Pace::USUAL.keep, Duration::from_hours(24));
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
        for (size, taken) in [(MAX_SIZE, true), (MAX_SIZE + 1, false)] {
            let padded = format!("{set}{}", " ".repeat(size - set.len()));
            let server = Server::start(ok(&padded));
            let keys = server.keys(ONCE);
            keys.fetch_or_wait();
            assert_eq!(has(&keys, "1"), taken, "{size} bytes from a server");
            let file = file(&padded);
            let read = PublishedKeys::open("https://issuer.example", file.path(), ONCE);
            assert_eq!(read.is_ok(), taken, "{size} bytes in a file");
        }
    }

    #[test]
    fn keys_are_fetched_at_once_and_again_until_the_end() {
        let server = Server::start(ok(&set(&["1"])));
        let keys = server.keys(Pace { refresh: Duration::from_millis(1), ..ONCE });
        let (alive, end) = mpsc::channel();
        thread::scope(|scope| {
            let keys = &keys;
            let thread = scope.spawn(move || keys.keep_fresh(&end));
            until("the first keys", || has(keys, "1"));
            server.answer(ok(&set(&["2"])));
            until("the next keys", || has(keys, "2"));
            drop(alive);
            thread.join().expect("the end");
        });
    }

    #[test]
    fn a_server_that_speaks_no_tls_is_not_believed() {
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
    fn a_file_is_read_at_the_start_and_again_for_a_key_that_is_not_there() {
        let file = file(&set(&["1"]));
        let open = |pace| PublishedKeys::open("https://issuer.example", file.path(), pace).expect("keys");
        let (once, at_once) = (open(Pace { keep: Duration::ZERO, ..ONCE }), open(AT_ONCE));
        assert!(!once.may_bring_more() && has(&once, "1"));
        std::fs::write(file.path(), set(&["2"])).expect("a written file");
        once.fetch_or_wait();
        assert!(has(&once, "1") && !has(&once, "2"));
        at_once.fetch_or_wait();
        assert!(!has(&at_once, "1") && has(&at_once, "2"));
        std::fs::write(file.path(), "{").expect("a written file");
        at_once.fetch_or_wait();
        assert!(has(&at_once, "2"));
    }

    #[test]
    fn a_file_that_is_not_there_or_holds_no_keys_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let told = |path: &Path| PublishedKeys::open("i", path, ONCE).err().expect("a refusal").to_string();
        assert!(told(&folder.path().join("none")).starts_with("the file cannot be read: No such file"));
        assert!(told(folder.path()).starts_with("the file cannot be read: "));
        assert_eq!(told(file("not keys").path()), "it is no JWK set");
    }
}
