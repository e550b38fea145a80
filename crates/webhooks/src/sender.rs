//! One attempt to deliver an event to an endpoint.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use roster_domain::{EndpointUrl, Timestamp};
use rustls::{ClientConfig, RootCertStore};

use crate::guard::{ResolveError, Resolver};
use crate::signing::SigningKeys;

/// How requests are sent.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether endpoints may have private addresses and `http://`, as in development. Default false.
    pub allow_private: bool,
    /// The longest that an attempt may take, from the look-up of the host name to the end of the answer. Default 15 s.
    pub timeout: Duration,
    /// The longest that an attempt may take until it has a connection. Default 5 s.
    pub connect_timeout: Duration,
}

/// Sends deliveries. Connections are kept for further ones, so a process needs one sender for all endpoints.
///
/// It does not limit how many attempts run at once: the caller does. It must be used inside a Tokio runtime with I/O
/// and time.
pub struct Sender {
    client: Client,
    options: Options,
}

/// A request about one event.
pub struct Delivery<'a> {
    /// Where it is sent to.
    pub url: &'a EndpointUrl,
    /// The identifier of the event, by which the endpoint recognises repeats.
    pub event_id: &'a str,
    /// The body, in JSON. It is sent and signed as it is.
    pub body: &'a str,
    /// The keys of the endpoint.
    pub keys: SigningKeys<'a>,
    /// The time of this attempt. Endpoints refuse one that is some minutes off.
    pub now: Timestamp,
}

/// What came of one attempt.
#[derive(Clone, PartialEq, Eq)]
pub struct Attempt {
    /// What it means for the event and the endpoint.
    pub outcome: Outcome,
    /// The status of the answer. `None`: there was none.
    pub status: Option<u16>,
    /// How long the attempt took.
    pub duration: Duration,
    /// The start of the answer's body, at most [`Attempt::MAX_ANSWER`] bytes. Control characters are spaces, and what
    /// is not UTF-8 is U+FFFD.
    pub answer: String,
    /// What went wrong besides the status, in words for the owner of the endpoint, at most [`Attempt::MAX_ERROR`]
    /// bytes. It does not contain the URL.
    pub error: Option<String>,
}

/// What an attempt means for the event and the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The endpoint has the event: it answered 2xx.
    Delivered,
    /// The endpoint does not have the event, or did not say so in time: try again.
    Failed {
        /// How long the endpoint asks to wait, in an answer of 429 or 503. It may be any time.
        retry_after: Option<Duration>,
    },
    /// The endpoint wants no more events: it answered 410.
    Gone,
}

/// Why no sender could be made.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The TLS library does not start.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The HTTP client does not start.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
    /// A thread does not start.
    #[error("the thread that delivers cannot be started")]
    Thread(#[source] io::Error),
}

/// How long a connection without requests is kept: shorter than servers keep theirs, which close after 5 s or more.
const KEEP_CONNECTION: Duration = Duration::from_secs(4);

/// How many connections without requests are kept for each endpoint.
const KEPT_CONNECTIONS: usize = 32;

impl Default for Options {
    fn default() -> Self {
        Self { allow_private: false, timeout: Duration::from_secs(15), connect_timeout: Duration::from_secs(5) }
    }
}

impl Sender {
    /// A sender that trusts the certificate authorities of the system, which it reads now.
    ///
    /// # Errors
    /// [`StartError`]
    pub fn new(options: Options) -> Result<Self, StartError> {
        Self::trusting(system_authorities(), options)
    }

    fn trusting(authorities: RootCertStore, options: Options) -> Result<Self, StartError> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls(authorities).map_err(StartError::Tls)?)
            .https_only(!options.allow_private)
            .dns_resolver(Arc::new(Resolver::new(options.allow_private)))
            // A proxy would look host names up itself, and a redirect would lead to a URL that was not checked.
            .no_proxy()
            .redirect(Policy::none())
            .user_agent(concat!("Roster/", env!("CARGO_PKG_VERSION")))
            .timeout(options.timeout)
            .connect_timeout(options.connect_timeout)
            .pool_idle_timeout(KEEP_CONNECTION)
            .pool_max_idle_per_host(KEPT_CONNECTIONS)
            .build()
            .map_err(StartError::Client)?;
        Ok(Self { client, options })
    }

    /// Sends `delivery` once, and waits for the answer, at most [`Options::timeout`].
    ///
    /// The URL is checked again, as the rules may have changed since it was stored. If it is refused, or its host name
    /// leads to no public address, nothing is connected to.
    pub async fn send(&self, delivery: &Delivery<'_>) -> Attempt {
        match delivery.url.check(self.options.allow_private) {
            Ok(url) => self.post(url, delivery).await,
            Err(error) => Attempt::without_answer(Duration::ZERO, &format!("address refused: it {error}")),
        }
    }

    async fn post(&self, url: Url, delivery: &Delivery<'_>) -> Attempt {
        let started = Instant::now();
        let mut request = self.client.post(url).header(CONTENT_TYPE, "application/json");
        for (name, value) in delivery.keys.sign(delivery.event_id, delivery.now, delivery.body) {
            request = request.header(name, value);
        }
        match request.body(delivery.body.to_owned()).send().await {
            Ok(response) => {
                let status = response.status();
                let outcome = outcome(&response, delivery.now);
                let error = status.is_redirection().then(|| "redirects are not followed".to_owned());
                let answer = start_of_body(response).await;
                Attempt { outcome, status: Some(status.as_u16()), duration: started.elapsed(), answer, error }
            }
            Err(error) => Attempt::without_answer(started.elapsed(), &explain(&error, &self.options)),
        }
    }
}

impl Attempt {
    /// The most bytes of an answer that are kept.
    pub const MAX_ANSWER: usize = 1024;
    /// The most bytes of an error.
    pub const MAX_ERROR: usize = 256;

    pub(crate) fn without_answer(duration: Duration, error: &str) -> Self {
        let outcome = Outcome::Failed { retry_after: None };
        // An error of TLS may repeat all names of a certificate, which the endpoint has chosen.
        let error = Some(readable(error, Self::MAX_ERROR));
        Self { outcome, status: None, duration, answer: String::new(), error }
    }
}

impl fmt::Debug for Attempt {
    /// Leaves out the answer, which may repeat what was sent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("outcome", &self.outcome)
            .field("status", &self.status)
            .field("duration", &self.duration)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

fn system_authorities() -> RootCertStore {
    let mut authorities = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in found.errors {
        tracing::warn!(%error, "certificate authorities of the system cannot be read");
    }
    let (_, unusable) = authorities.add_parsable_certificates(found.certs);
    if unusable > 0 {
        tracing::warn!(unusable, "certificate authorities of the system cannot be used");
    }
    if authorities.is_empty() {
        tracing::warn!("the system has no certificate authorities: webhooks to https:// addresses will fail");
    }
    authorities
}

/// TLS by the same cryptographic library as everywhere in the service. The client's own default is another verifier.
fn tls(authorities: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(authorities).with_no_client_auth())
}

fn outcome(response: &Response, now: Timestamp) -> Outcome {
    match response.status() {
        status if status.is_success() => Outcome::Delivered,
        StatusCode::GONE => Outcome::Gone,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            Outcome::Failed { retry_after: header.and_then(|text| retry_after(text, now)) }
        }
        _ => Outcome::Failed { retry_after: None },
    }
}

/// Parses a `Retry-After`: seconds, or a date (RFC 9110 §10.2.3). `None` for anything else.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a long time, too.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    let now = Duration::from_millis(u64::try_from(now.as_millis()).ok()?);
    Some(date.saturating_sub(now))
}

/// The start of a body. What does not come in time, or not at all, is left out: the status has said what counts.
async fn start_of_body(mut response: Response) -> String {
    let mut bytes = Vec::with_capacity(Attempt::MAX_ANSWER);
    // The rest of a longer body is not read: the connection is closed when the response is dropped.
    while bytes.len() < Attempt::MAX_ANSWER
        && let Ok(Some(chunk)) = response.chunk().await
    {
        bytes.extend_from_slice(&chunk[..chunk.len().min(Attempt::MAX_ANSWER - bytes.len())]);
    }
    readable(&String::from_utf8_lossy(&bytes), Attempt::MAX_ANSWER)
}

/// The start of `text`, at most `max` bytes, without control characters.
fn readable(text: &str, max: usize) -> String {
    let start = &text[..text.floor_char_boundary(max)];
    start.replace(char::is_control, " ")
}

/// Says why there was no answer, without the URL, which may be a secret, and without addresses of the local network.
fn explain(error: &reqwest::Error, options: &Options) -> String {
    let causes = causes(error);
    let root = causes.last().map_or_else(String::new, ToString::to_string);
    let resolve = causes.iter().find_map(|cause| cause.downcast_ref::<ResolveError>());
    let tls = causes.iter().find_map(|cause| cause.downcast_ref::<rustls::Error>());
    match (resolve, tls) {
        (Some(refused @ ResolveError::NotPublic { .. }), _) => format!("address refused: {refused}"),
        (Some(unknown), _) => format!("could not connect: {unknown}"),
        (None, Some(tls)) => format!("TLS failed: {tls}"),
        // A time-out of a connection is both.
        (None, None) if error.is_connect() && error.is_timeout() => {
            format!("could not connect: timed out after {:?}", options.connect_timeout)
        }
        (None, None) if error.is_connect() => format!("could not connect: {root}"),
        (None, None) if error.is_timeout() => format!("timed out after {:?}", options.timeout),
        (None, None) => format!("no valid answer: {root}"),
    }
}

/// The causes of `error`, from the nearest to the root.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause);
        // The source of an I/O error is that of the error inside it, so the one inside would be left out.
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = inner.map(|inner| inner as &(dyn Error + 'static)).or_else(|| cause.source());
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection, StreamOwned};
    use tokio::runtime;

    use crate::Secret;

    /// Posts to `url`, whatever the rules of URLs say.
    fn post(sender: &Sender, url: &str) -> Attempt {
        let secret = Secret::from_bytes(&[7; 32]).expect("a secret");
        let delivery = Delivery {
            url: &EndpointUrl::restore(url.to_owned()),
            event_id: "evt_1",
            body: "{}",
            keys: SigningKeys { secret: &secret, former_secrets: &[], ed25519: None },
            now: Timestamp::from_millis(0).expect("a time"),
        };
        let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(sender.post(Url::parse(url).expect("a URL"), &delivery))
    }

    fn sender(authority: Option<&Certificate>, allow_private: bool) -> Sender {
        let mut authorities = RootCertStore::empty();
        authorities.add_parsable_certificates(authority.map(|authority| authority.der().clone()));
        let timeout = Duration::from_secs(20);
        let options = Options { allow_private, timeout, connect_timeout: timeout };
        Sender::trusting(authorities, options).expect("a sender")
    }

    /// A server with a certificate for `localhost`, which answers 200 once, and the authority of that certificate.
    fn tls_server() -> (u16, Certificate) {
        let mut authority = CertificateParams::new([]).expect("no names");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = authority.self_signed(&key).expect("a certificate");
        let issuer = Issuer::new(authority, key);

        let key = KeyPair::generate().expect("a key");
        let names = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        let chain = vec![names.signed_by(&key, &issuer).expect("a certificate").der().clone()];
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .expect("a configuration");

        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a connection");
            let connection = ServerConnection::new(Arc::new(config)).expect("a connection");
            let mut stream = StreamOwned::new(connection, stream);
            // A client that does not trust the certificate closes the connection.
            let mut request = [0; 4096];
            if stream.read(&mut request).is_ok_and(|length| length > 0) {
                drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
            }
        });
        (port, certificate)
    }

    #[test]
    fn a_certificate_of_a_trusted_authority_is_accepted() {
        let (port, authority) = tls_server();
        let attempt = post(&sender(Some(&authority), true), &format!("https://localhost:{port}/"));
        assert_eq!((attempt.outcome, attempt.error), (Outcome::Delivered, None));
    }

    #[test]
    fn a_certificate_of_an_unknown_authority_or_another_host_is_refused() {
        for (trusted, host, error) in [
            (false, "localhost", "TLS failed: invalid peer certificate: UnknownIssuer"),
            (true, "127.0.0.1", "TLS failed: invalid peer certificate: certificate not valid for name \"127.0.0.1\""),
        ] {
            let (port, authority) = tls_server();
            let attempt = post(&sender(trusted.then_some(&authority), true), &format!("https://{host}:{port}/"));
            assert_eq!((attempt.outcome, attempt.status), (Outcome::Failed { retry_after: None }, None));
            let found = attempt.error.expect("an error");
            assert!(found.starts_with(error), "{found}");
        }
    }

    #[test]
    fn a_server_without_tls_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            stream.write_all(b"SSH-2.0-OpenSSH\r\n").expect("a written greeting");
        });
        let attempt = post(&sender(None, true), &format!("https://127.0.0.1:{port}/"));
        let error = attempt.error.expect("an error");
        assert!(error.starts_with("TLS failed: "), "{error}");
    }

    #[test]
    fn what_the_rules_of_urls_let_pass_is_refused_without_a_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a listener that does not wait");
        let port = listener.local_addr().expect("its address").port();
        for (url, error) in [
            ("https://localhost", "address refused: the host name leads to no public address (loopback)"),
            ("http://127.0.0.1", "no valid answer: URL scheme is not allowed"),
        ] {
            let attempt = post(&sender(None, false), &format!("{url}:{port}/"));
            assert_eq!((attempt.outcome, attempt.status), (Outcome::Failed { retry_after: None }, None));
            assert_eq!(attempt.error.as_deref(), Some(error));
            assert_eq!(listener.accept().map(drop).map_err(|error| error.kind()), Err(io::ErrorKind::WouldBlock));
        }
    }

    #[test]
    fn an_error_is_readable_and_short() {
        let attempt = Attempt::without_answer(Duration::ZERO, &format!("a\n\0b{}", "é".repeat(200)));
        assert_eq!(attempt.error, Some(format!("a  b{}", "é".repeat(126))));
    }

    #[test]
    fn the_usual_options_are_for_production() {
        let options = Options::default();
        assert!(!options.allow_private);
        assert_eq!((options.timeout, options.connect_timeout), (Duration::from_secs(15), Duration::from_secs(5)));
    }
}
