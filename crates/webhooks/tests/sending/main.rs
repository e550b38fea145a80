//! What an endpoint gets, and what its answers mean, over real sockets.

mod endpoint;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::sync::mpsc;
use std::time::Duration;

use endpoint::{Endpoint, GENEROUS, answer};
use roster_domain::{EndpointUrl, Timestamp};
use roster_webhooks::{Attempt, Delivery, Options, Outcome, Secret, Sender, SigningKeys};
use tokio::runtime::{self, Runtime};

/// The message of the tests of Standard Webhooks' own libraries.
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const BODY: &str = r#"{"test": 2432232314}"#;
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NOW: i64 = 1_614_265_330_000;

const FAILED: Outcome = Outcome::Failed { retry_after: None };

fn development() -> Options {
    Options { allow_private: true, timeout: GENEROUS, ..Options::default() }
}

/// A sender and its runtime.
struct Service {
    sender: Sender,
    runtime: Runtime,
}

impl Service {
    fn start(options: Options) -> Self {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { sender: Sender::new(options).expect("a sender"), runtime }
    }

    /// Delivers the message of Standard Webhooks' tests to `url`, once.
    fn deliver(&self, url: &str) -> Attempt {
        let secret = Secret::parse(SECRET).expect("a secret");
        let delivery = Delivery {
            url: &EndpointUrl::restore(url.to_owned()),
            event_id: ID,
            body: BODY,
            keys: SigningKeys { secret: &secret, former_secrets: &[], ed25519: None },
            now: Timestamp::from_millis(NOW).expect("a time"),
        };
        self.runtime.block_on(self.sender.send(&delivery))
    }

    /// Delivers it to an endpoint that writes `answer`.
    fn deliver_to(&self, answer: impl Into<Vec<u8>>) -> Attempt {
        self.deliver(&Endpoint::answering(answer).url("/hooks"))
    }

    /// The next of `messages`, which an endpoint sends: the runtime of the sender runs meanwhile.
    fn wait_for<T: Send + 'static>(&self, messages: mpsc::Receiver<T>) -> T {
        let waiting = self.runtime.spawn_blocking(move || messages.recv_timeout(GENEROUS));
        self.runtime.block_on(waiting).expect("a thread").expect("a message in time")
    }
}

#[test]
fn an_endpoint_gets_a_signed_request() {
    let endpoint = Endpoint::answering(answer("200 OK", "", "thanks"));
    let attempt = Service::start(development()).deliver(&endpoint.url("/hooks/a%20b?key=%2F"));
    let received = endpoint.next();
    assert_eq!(received.line, "POST /hooks/a%20b?key=%2F HTTP/1.1");
    assert_eq!(received.body, BODY);
    let host = endpoint.address().to_string();
    let agent = format!("Roster/{}", env!("CARGO_PKG_VERSION"));
    let mut expected = [
        ("content-type", "application/json"),
        ("webhook-id", ID),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ("x-billing-signature", "t=1614265330,v1=2e37df5d4a028c51a7f3133d64ae1e300d2c2c900f1b1d49d4369ad2530f8964"),
        ("accept", "*/*"),
        ("user-agent", &agent),
        ("host", &host),
        ("content-length", "20"),
    ];
    expected.sort_unstable();
    let mut headers: Vec<_> = received.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    headers.sort_unstable();
    assert_eq!(headers, expected);
    assert_eq!((attempt.outcome, attempt.status), (Outcome::Delivered, Some(200)));
    assert_eq!((attempt.answer.as_str(), attempt.error), ("thanks", None));
}

#[test]
fn connections_are_kept_and_cookies_are_not() {
    let endpoint = Endpoint::answering(answer("200 OK", "Set-Cookie: session=1; Path=/\r\n", "thanks"));
    let service = Service::start(development());
    let mut received = Vec::new();
    for _ in 0..3 {
        service.deliver(&endpoint.url("/hooks"));
        received.push(endpoint.next());
    }
    assert!(received.iter().all(|request| *request == received[0] && request.connection == 1));
    assert_eq!(received[0].header("cookie"), None);
}

#[test]
fn the_status_decides() {
    let service = Service::start(development());
    for (status, outcome) in [
        ("200 OK", Outcome::Delivered),
        ("201 Created", Outcome::Delivered),
        ("202 Accepted", Outcome::Delivered),
        ("204 No Content", Outcome::Delivered),
        ("299 Fine", Outcome::Delivered),
        ("304 Not Modified", FAILED),
        ("400 Bad Request", FAILED),
        ("401 Unauthorized", FAILED),
        ("404 Not Found", FAILED),
        ("410 Gone", Outcome::Gone),
        ("429 Too Many Requests", FAILED),
        ("500 Internal Server Error", FAILED),
        ("503 Service Unavailable", FAILED),
        ("599 Odd", FAILED),
    ] {
        let attempt = service.deliver_to(answer(status, "", ""));
        assert_eq!(attempt.outcome, outcome, "{status}");
        assert_eq!(attempt.status.map(|code| code.to_string()).as_deref(), Some(&status[..3]));
        assert_eq!(attempt.error.is_some(), status.starts_with('3'), "{status}");
    }
}

#[test]
fn informational_answers_are_passed_over() {
    let attempt = Service::start(development())
        .deliver_to(format!("HTTP/1.1 103 Early Hints\r\n\r\n{}", answer("410 Gone", "", "")));
    assert_eq!((attempt.outcome, attempt.status), (Outcome::Gone, Some(410)));
}

#[test]
fn a_redirect_is_a_failure_and_is_not_followed() {
    let service = Service::start(development());
    let elsewhere = Endpoint::answering(answer("200 OK", "", ""));
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let location = format!("Location: {}\r\n", elsewhere.url("/"));
        let attempt = service.deliver_to(answer(status, &location, ""));
        assert_eq!(
            (attempt.outcome, attempt.error.as_deref()),
            (FAILED, Some("redirects are not followed")),
            "{status}"
        );
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[test]
fn a_retry_after_is_reported_with_429_and_503() {
    let service = Service::start(development());
    // NOW is Thu, 25 Feb 2021 15:02:10 GMT.
    for (header, wait) in [
        ("0", Some(0)),
        ("120", Some(120)),
        ("99999999999999999999999", Some(u64::MAX)),
        ("Thu, 25 Feb 2021 15:03:10 GMT", Some(60)),
        ("Thursday, 25-Feb-21 15:03:10 GMT", Some(60)),
        ("Thu Feb 25 15:03:10 2021", Some(60)),
        ("Thu, 25 Feb 2021 15:02:09 GMT", Some(0)),
        ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("", None),
    ] {
        let retry_after = wait.map(Duration::from_secs);
        for status in ["429 Too Many Requests", "503 Service Unavailable"] {
            let attempt = service.deliver_to(answer(status, &format!("Retry-After: {header}\r\n"), ""));
            assert_eq!(attempt.outcome, Outcome::Failed { retry_after }, "{status}, {header:?}");
        }
    }
    for status in ["301 Moved", "400 Bad Request", "500 Internal Server Error", "502 Bad Gateway"] {
        assert_eq!(service.deliver_to(answer(status, "Retry-After: 120\r\n", "")).outcome, FAILED, "{status}");
    }
}

#[test]
fn an_endpoint_that_never_answers_is_given_up() {
    let (closed, given_up) = mpsc::channel();
    let endpoint = Endpoint::start(move |stream| {
        // Returns when the sender closes the connection.
        let end = stream.read(&mut [0]);
        closed.send(end.is_ok_and(|bytes| bytes > 0)).is_ok()
    });
    let service = Service::start(Options { timeout: Duration::from_secs(1), ..development() });
    let attempt = service.deliver(&endpoint.url("/hooks"));
    assert_eq!((attempt.outcome, attempt.status), (FAILED, None));
    assert_eq!(attempt.error.as_deref(), Some("timed out after 1s"));
    assert!(!service.wait_for(given_up), "the sender sent more instead of closing the connection");
}

#[test]
fn the_status_counts_even_if_the_body_does_not_come() {
    // The connection is closed within the body, or only the time-out ends it.
    for (closed, timeout) in [(true, GENEROUS), (false, Duration::from_secs(2))] {
        let endpoint = Endpoint::start(move |stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nthan").is_ok() && !closed
        });
        let attempt = Service::start(Options { timeout, ..development() }).deliver(&endpoint.url("/hooks"));
        assert_eq!((attempt.outcome, attempt.status, attempt.error), (Outcome::Delivered, Some(200), None), "{closed}");
        assert_eq!(attempt.answer, "than");
    }
}

#[test]
fn an_endless_body_costs_1_kib() {
    let (sent, given_up) = mpsc::channel();
    let endpoint = Endpoint::start(move |stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("a written head");
        let mut written = 0_u64;
        while stream.write_all(&[b'a'; 4096]).is_ok() {
            written += 4096;
        }
        sent.send(written).is_err()
    });
    let service = Service::start(development());
    let attempt = service.deliver(&endpoint.url("/hooks"));
    assert_eq!((attempt.outcome, attempt.error), (Outcome::Delivered, None));
    assert_eq!(attempt.answer, "a".repeat(1024));
    // What the buffers of both sockets hold, and no more.
    assert!(service.wait_for(given_up) < 64 * 1024 * 1024);
}

#[test]
fn an_endless_head_is_a_failure() {
    let endpoint = Endpoint::start(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n").expect("a written status");
        while stream.write_all(b"X-More: aaaaaaaaaaaaaaaa\r\n").is_ok() {}
        false
    });
    let attempt = Service::start(development()).deliver(&endpoint.url("/hooks"));
    assert_eq!((attempt.outcome, attempt.status), (FAILED, None));
    assert_eq!(attempt.error.as_deref(), Some("no valid answer: message head is too large"));
}

#[test]
fn an_answer_is_kept_readable_and_short() {
    let service = Service::start(development());
    let of = |body: &str| service.deliver_to(answer("500 Internal Server Error", "", body)).answer;
    assert_eq!(of("a\r\nb\tc\0d\u{7f}e\u{85}f\u{1b}[31mé"), "a  b c d e f [31mé");
    assert_eq!(of(&"a".repeat(1023)).len(), 1023);
    assert_eq!(of(&"a".repeat(1024)).len(), 1024);
    assert_eq!(of(&"a".repeat(1025)).len(), 1024);
    // A character that is cut is not kept in part.
    let cut = of(&format!("{}é", "a".repeat(1023)));
    assert_eq!(cut, "a".repeat(1023));
    let mut bytes = answer("200 OK", "", "").replace("Content-Length: 0", "Content-Length: 1024").into_bytes();
    bytes.extend([0xff; 1024]);
    assert_eq!(service.deliver_to(bytes).answer, "\u{fffd}".repeat(341));
}

#[test]
fn compressed_answers_are_kept_as_they_are() {
    let attempt =
        Service::start(development()).deliver_to(answer("200 OK", "Content-Encoding: gzip\r\n", "not gzip at all"));
    assert_eq!((attempt.outcome, attempt.answer.as_str()), (Outcome::Delivered, "not gzip at all"));
}

#[test]
fn what_is_not_an_answer_is_a_failure() {
    let service = Service::start(development());
    for (bytes, error) in [
        ("SSH-2.0-OpenSSH\r\n\r\n", "no valid answer: invalid HTTP version parsed"),
        ("HTTP/1.1 OK\r\n\r\n", "no valid answer: invalid HTTP status-code parsed"),
        ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "no valid answer: invalid content-length parsed"),
    ] {
        let attempt = service.deliver_to(bytes);
        assert_eq!((attempt.outcome, attempt.status), (FAILED, None), "{bytes}");
        assert_eq!(attempt.error.as_deref(), Some(error));
    }
    let endpoint = Endpoint::start(|stream| stream.shutdown(Shutdown::Both).is_err());
    let attempt = service.deliver(&endpoint.url("/hooks"));
    let error = "no valid answer: connection closed before message completed";
    assert_eq!((attempt.outcome, attempt.error.as_deref()), (FAILED, Some(error)));
}

#[test]
fn an_endpoint_that_cannot_be_reached_is_a_failure() {
    let service = Service::start(development());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    drop(listener);
    // A label of a host name has at most 63 bytes, so the system refuses this one without asking a server.
    let unknown = format!("http://{}/", "a".repeat(64));
    for (url, error) in [
        (format!("http://{address}/hooks"), "could not connect: Connection refused"),
        (unknown, "could not connect: the host name cannot be looked up"),
    ] {
        let attempt = service.deliver(&url);
        assert_eq!((attempt.outcome, attempt.status), (FAILED, None), "{url}");
        let found = attempt.error.expect("an error");
        assert!(found.starts_with(error), "{found}");
    }
}

#[test]
fn a_private_address_is_refused_without_a_connection() {
    let endpoint = Endpoint::answering(answer("200 OK", "", ""));
    let port = endpoint.address().port();
    let service = Service::start(Options { timeout: GENEROUS, ..Options::default() });
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "0177.0.0.1",
        "2130706433",
        "%31%32%37.0.0.1",
        "127.0.0.1.",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[::]",
        "localhost",
        "localhost.",
    ] {
        let attempt = service.deliver(&format!("https://{host}:{port}/hooks"));
        assert_eq!((attempt.outcome, attempt.status), (FAILED, None), "{host}");
        let error = attempt.error.expect("an error");
        assert!(error.starts_with("address refused: it must be a public address: this one is "), "{host}: {error}");
    }
    let attempt = service.deliver(&endpoint.url("/hooks"));
    assert_eq!(attempt.error.as_deref(), Some("address refused: it must be an https:// address"));
    assert_eq!(endpoint.connections(), 0);
}

#[test]
fn a_private_address_can_be_allowed() {
    let endpoint = Endpoint::answering(answer("200 OK", "", ""));
    let port = endpoint.address().port();
    let service = Service::start(development());
    for host in ["127.0.0.1", "0x7f.1", "localhost"] {
        let attempt = service.deliver(&format!("http://{host}:{port}/hooks"));
        assert_eq!(attempt.outcome, Outcome::Delivered, "{host}: {attempt:?}");
    }
}

#[test]
fn no_error_has_the_url_and_debug_has_no_answer() {
    let service = Service::start(development());
    let attempt = service.deliver_to("SSH-2.0-OpenSSH\r\n\r\n");
    assert!(!attempt.error.expect("an error").contains("hooks"));
    let attempt = service.deliver_to(answer("200 OK", "", "ada@example.com"));
    assert!(attempt.answer.contains("ada") && !format!("{attempt:?}").contains("ada"));
}
