//! Clients that send one byte per second, or do not read their response, are disconnected and block no other client.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::raw::{self, Connection, allow_open_files};
use roster_tests::{App, Database, on_both_databases};
use serde_json::json;

on_both_databases! {
    a_thousand_slow_clients_block_no_other,
    a_thousand_slow_clients_are_disconnected,
    an_unfinished_second_request_is_disconnected,
    a_client_that_does_not_read_its_response_is_disconnected,
    one_connection_more_than_configured_waits_until_another_ends,
}

/// Half of them send their heads slowly, half their bodies.
const SLOW: usize = 1000;

/// No slow client is disconnected, however long a busy machine takes.
const LONG_TIMEOUTS: [(&str, &str); 2] =
    [("ROSTER__HTTP__HEAD_TIMEOUT_MS", "300000"), ("ROSTER__HTTP__BODY_TIMEOUT_MS", "300000")];

/// Longer than a slow client pauses between two bytes: a timeout that each byte started again would never end.
const SHORT_TIMEOUTS: [(&str, &str); 2] =
    [("ROSTER__HTTP__HEAD_TIMEOUT_MS", "3000"), ("ROSTER__HTTP__BODY_TIMEOUT_MS", "3000")];

/// The most memory of a connection, in bytes.
const MEMORY_EACH: u64 = 32 << 10;

fn a_thousand_slow_clients_block_no_other(database: Database) {
    allow_open_files();
    let app = App::start_with(database, &LONG_TIMEOUTS);
    serve_another(&app, 0);
    let (sockets, before) = (app.sockets(), app.memory().resident());
    app.memory().reset_peak();
    let mut slow = SlowClient::open_all(&app);
    until("all are accepted", TIMEOUT, || (app.sockets() >= sockets + SLOW).then_some(()));
    for number in 1..=5 {
        slow.iter_mut().for_each(SlowClient::send);
        serve_another(&app, number);
    }
    let ended = slow.iter_mut().filter_map(SlowClient::end).count();
    assert_eq!(ended, 0, "slow clients were disconnected, and may have blocked others until then");
    let grown = app.memory().peak().saturating_sub(before);
    assert!(grown < MEMORY_EACH * SLOW as u64, "the service grew by {grown} bytes");
}

fn a_thousand_slow_clients_are_disconnected(database: Database) {
    allow_open_files();
    let app = App::start_with(database, &SHORT_TIMEOUTS);
    let ended = send_slowly(SlowClient::open_all(&app));
    for response in &ended {
        assert!(response.is_empty() || response.starts_with("HTTP/1.1 408 "), "{response}");
    }
    let answered = ended.iter().filter(|response| !response.is_empty()).count();
    assert!(answered > SLOW / 2, "only {answered} were answered 408");
    serve_another(&app, 0);
}

fn an_unfinished_second_request_is_disconnected(database: Database) {
    // Their sum limits the second request. The first alone limits the first request, which a busy machine may delay.
    let timeouts = [
        ("ROSTER__HTTP__HEAD_TIMEOUT_MS", "10000"),
        ("ROSTER__HTTP__BODY_TIMEOUT_MS", "1000"),
        ("ROSTER__DATABASE__DEADLINE_MS", "1000"),
    ];
    let app = App::start_with(database, &timeouts);
    let first = raw::request("GET", "/livez", &[], b"");
    let second = b"GET /livez HTTP/1.1\r\nhost: roster\r\nx-slow: ";
    let mut clients: Vec<_> =
        (0..10).map(|_| SlowClient::open(app.address(), &[&first[..], second].concat(), &[b'x'; 1000])).collect();
    // The clients above send both requests at once. `patient` waits for the first response before it sends the second
    // request, and `silent` sends no byte more.
    let silent = SlowClient::open(app.address(), &[&first[..], second].concat(), b"");
    let mut patient = SlowClient::open(app.address(), &first, b"");
    until("the first response", TIMEOUT, || {
        patient.end();
        patient.response.starts_with(b"HTTP/1.1 200 ").then_some(())
    });
    patient.stream.write_all(second).expect("half a head");
    patient.rest = &[b'x'; 1000];
    clients.push(patient);
    clients.push(silent);
    for response in send_slowly(clients) {
        assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
        assert_eq!(response.matches("HTTP/1.1").count(), 1, "{response}");
    }
}

fn a_client_that_does_not_read_its_response_is_disconnected(database: Database) {
    // Far more than all buffers between the service and its client can hold.
    roster_tests::bulk::load_customers(&database, 60_000);
    // One connection to the database, made by the first request: the number of sockets changes only with the clients.
    let one = ("ROSTER__DATABASE__CONNECTIONS", "1");
    let app = App::start_with(database, &[("ROSTER__HTTP__WRITE_TIMEOUT_MS", "5000"), one]);
    let authorization = format!("Bearer {}", app.tenants().ours.live);
    let request = raw::request("GET", "/api/customers", &[("authorization", &authorization)], b"");
    let [mut silent, mut slow] = [(); 2].map(|()| Connection::open(app.address()).expect("a service that listens"));
    for connection in [&mut silent, &mut slow] {
        connection.send(&request).expect("a request that is read");
        let head = connection.head().expect("a response").expect("a response");
        assert_eq!(head.status, 200);
        connection.chunk().expect("the list begins").expect("a first chunk");
    }
    // `slow` reads a little again and again, `silent` nothing.
    let both = app.sockets();
    until("the silent client is disconnected", TIMEOUT, || {
        slow.chunk().expect("the list goes on").expect("more of it");
        thread::sleep(Duration::from_millis(100));
        (app.sockets() < both).then_some(())
    });
    // It can still read what arrived before, but the end of the list is missing.
    let error = std::iter::from_fn(|| silent.chunk().transpose()).find_map(Result::err);
    assert!(error.is_some(), "an incomplete list looks complete");
    while slow.chunk().expect("the list goes on").is_some() {}
}

fn one_connection_more_than_configured_waits_until_another_ends(database: Database) {
    let few = [
        ("ROSTER__HTTP__MAX_CONNECTIONS", "100"),
        ("ROSTER__HTTP__WORKERS", "1"),
        // No connection ends by itself, however long a busy machine takes.
        ("ROSTER__HTTP__HEAD_TIMEOUT_MS", "300000"),
    ];
    let app = App::start_with(database, &few);
    let others = app.sockets();
    let mut first: Vec<_> = (0..99).map(|_| SlowClient::open(app.address(), b"GET / HTTP/1.1\r\n", b"")).collect();
    let mut busy = Connection::open(app.address()).expect("a service that listens");
    until("all are accepted", TIMEOUT, || (app.sockets() >= others + 100).then_some(()));
    let mut last = SlowClient::open(app.address(), &raw::request("GET", "/livez", &[], b""), b"");
    // A service that exceeds its limit serves the connection before all of these, which it gets later.
    for _ in 0..100 {
        busy.send(&raw::request("GET", "/livez", &[], b"")).expect("a service that reads");
        busy.response().expect("a response").expect("a response").is(200);
    }
    // Until the rest of this arrives, it is not idle either.
    busy.send(b"GET / HTTP/1.1\r\n").expect("a service that reads");
    assert!(last.end().is_none() && last.response.is_empty(), "a connection too many was served");
    drop(busy);
    until("the last connection is served", TIMEOUT, || {
        last.end();
        last.response.starts_with(b"HTTP/1.1 200 ").then_some(())
    });
    assert!(first.iter_mut().all(|client| client.end().is_none()), "another connection was closed for it");
}

/// Creates, reads and deletes a customer.
fn serve_another(app: &App, number: usize) {
    let native = app.native();
    let made = native.post("/customers", json!({"email": format!("other-{number}@example.com")})).expect(201);
    let path = format!("/customers/{}", made.text_at("/id"));
    native.get(&path).is(200);
    native.delete(&path).is(204);
}

/// A client that sends its request byte by byte.
pub(crate) struct SlowClient {
    stream: TcpStream,
    /// The bytes that it has not sent yet.
    rest: &'static [u8],
    /// The bytes that it has read so far.
    response: Vec<u8>,
}

impl SlowClient {
    fn open_all(app: &App) -> Vec<Self> {
        let authorization = format!("Bearer {}", app.tenants().ours.live);
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let in_body = raw::request("POST", "/v1/customers", &headers, &[b' '; 1000]);
        let (head, _) = in_body.split_at(in_body.len() - 1000);
        let open = |number| {
            if number % 2 == 0 {
                Self::open(app.address(), b"GET /v1/customers HTTP/1.1\r\nhost: roster\r\nx-slow: ", &[b'x'; 1000])
            } else {
                Self::open(app.address(), head, &[b' '; 1000])
            }
        };
        (0..SLOW).map(open).collect()
    }

    /// Connects and sends `first`. `rest` is sent by [`SlowClient::send`].
    pub(crate) fn open(address: SocketAddr, first: &[u8], rest: &'static [u8]) -> Self {
        let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).expect("a service that listens");
        stream.write_all(first).expect("a service that reads");
        stream.set_nonblocking(true).expect("a socket");
        Self { stream, rest, response: Vec::new() }
    }

    /// Sends one more byte.
    fn send(&mut self) {
        if let [byte, rest @ ..] = self.rest {
            // If the service has closed the connection, `end` notices it.
            let _sent = self.stream.write(&[*byte]);
            self.rest = rest;
        }
    }

    /// Reads what has arrived. `None` while the connection is open, and all that it has read at its end.
    pub(crate) fn end(&mut self) -> Option<String> {
        let mut buffer = [0; 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(read @ 1..) => self.response.extend(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Ok(0) | Err(_) => return Some(String::from_utf8_lossy(&self.response).into_owned()),
            }
        }
    }
}

/// Sends one byte per second of each client until all are disconnected, and returns what they have read.
fn send_slowly(mut clients: Vec<SlowClient>) -> Vec<String> {
    let mut ended = Vec::new();
    let start = Instant::now();
    let mut next_byte = start;
    while !clients.is_empty() {
        assert!(start.elapsed() < TIMEOUT, "{} are still open", clients.len());
        let is_time = Instant::now() >= next_byte;
        if is_time {
            next_byte += Duration::from_secs(1);
        }
        clients.retain_mut(|client| {
            // Reads before it sends: a byte to a closed connection resets it, and a response that was not read is lost.
            let end = client.end();
            if is_time && end.is_none() {
                client.send();
            }
            let is_open = end.is_none();
            ended.extend(end);
            is_open
        });
        thread::sleep(Duration::from_millis(50));
    }
    ended
}
