//! Clients that send a byte a second, or take nothing of their answer, slow nobody down and are ended.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use roster_tests::deadline::{GENEROUS, until};
use roster_tests::raw::{self, Connection};
use roster_tests::{App, Database, on_both_databases};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

on_both_databases! {
    a_thousand_clients_that_send_a_byte_a_second_are_ended_and_slow_nobody_down,
    a_second_request_that_never_ends_is_ended,
    whoever_takes_nothing_of_an_answer_is_ended,
    beyond_the_configured_connections_others_wait_until_one_ends,
}

/// Half of them are slow in their heads, half in their bodies.
const SLOW: usize = 1000;

/// Long enough that all of them are there for a while.
const DEADLINES: [(&str, &str); 2] =
    [("ROSTER__HTTP__HEAD_TIMEOUT_MS", "10000"), ("ROSTER__HTTP__BODY_TIMEOUT_MS", "10000")];

/// As many requests of others are served, at least, before the first slow one is ended.
const OTHERS: usize = 50;

/// A busy machine may take its time over a page; how long a request waits is judged elsewhere.
const PATIENT: (&str, &str) = ("ROSTER__DATABASE__DEADLINE_MS", "20000");

/// What a connection may cost, in bytes.
const MEMORY_EACH: u64 = 32 << 10;

fn a_thousand_clients_that_send_a_byte_a_second_are_ended_and_slow_nobody_down(database: Database) {
    allow_open_files();
    let app = App::start_with(database, &DEADLINES);
    serve_another(&app, 0);
    let before = app.memory().resident();
    app.memory().forget_peak();
    let slow = SlowClient::open_all(&app);
    let ended = thread::scope(|scope| {
        let slow = scope.spawn(|| send_slowly(slow));
        let mut served = Vec::new();
        while !slow.is_finished() {
            serve_another(&app, served.len() + 1);
            served.push(Instant::now());
        }
        let ended = slow.join().expect("slow clients");
        let first_end = ended.iter().map(|ended| ended.at).min().expect("some");
        let meanwhile = served.iter().filter(|at| **at < first_end).count();
        assert!(meanwhile >= OTHERS, "only {meanwhile} requests were served beside the slow ones");
        ended
    });
    for Ended { answer, .. } in &ended {
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    let told = ended.iter().filter(|ended| !ended.answer.is_empty()).count();
    assert!(told > SLOW / 2, "only {told} were told why");
    let grown = app.memory().peak().saturating_sub(before);
    assert!(grown < MEMORY_EACH * SLOW as u64, "the service grew by {grown} bytes");
    serve_another(&app, usize::MAX);
}

fn a_second_request_that_never_ends_is_ended(database: Database) {
    let brief = [
        ("ROSTER__HTTP__HEAD_TIMEOUT_MS", "300"),
        ("ROSTER__HTTP__BODY_TIMEOUT_MS", "300"),
        ("ROSTER__DATABASE__DEADLINE_MS", "1000"),
    ];
    let app = App::start_with(database, &brief);
    let first = raw::request("GET", "/livez", &[], b"");
    let second = b"GET /livez HTTP/1.1\r\nhost: roster\r\nx-slow: ";
    let mut clients: Vec<_> =
        (0..10).map(|_| SlowClient::open(app.address(), &[&first[..], second].concat(), &[b'x'; 1000])).collect();
    // One sends both at once and one the second when it has the first answer; one sends not even a byte more.
    let silent = SlowClient::open(app.address(), &[&first[..], second].concat(), b"");
    let mut patient = SlowClient::open(app.address(), &first, b"");
    until("the first answer", GENEROUS, || {
        patient.end();
        patient.answer.starts_with(b"HTTP/1.1 200 ").then_some(())
    });
    patient.stream.write_all(second).expect("half a head");
    patient.rest = &[b'x'; 1000];
    clients.push(patient);
    clients.push(silent);
    for Ended { answer, .. } in send_slowly(clients) {
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
}

fn whoever_takes_nothing_of_an_answer_is_ended(database: Database) {
    // Far more than all the buffers between the service and its client hold.
    roster_tests::bulk::load_customers(&database, 60_000);
    // One connection to the database, which is there from the first request on: of all sockets only the clients' end.
    let one = ("ROSTER__DATABASE__CONNECTIONS", "1");
    let app = App::start_with(database, &[("ROSTER__HTTP__WRITE_TIMEOUT_MS", "2000"), one, PATIENT]);
    let authorization = format!("Bearer {}", app.tenants().ours.live);
    let request = raw::request("GET", "/api/customers", &[("authorization", &authorization)], b"");
    let [mut silent, mut slow] = [(); 2].map(|()| Connection::open(app.address()).expect("a service that listens"));
    for connection in [&mut silent, &mut slow] {
        connection.send(&request).expect("a request that is read");
        let head = connection.head().expect("an answer").expect("an answer");
        assert_eq!(head.status, 200);
        connection.chunk().expect("the list begins").expect("a first chunk");
    }
    // One takes a little again and again, the other nothing.
    let both = app.sockets();
    until("the silent one is ended", GENEROUS, || {
        slow.chunk().expect("the list goes on").expect("more of it");
        thread::sleep(Duration::from_millis(100));
        (app.sockets() < both).then_some(())
    });
    // What had arrived before is there, and the end is missing.
    let rest = std::iter::from_fn(|| silent.chunk().transpose()).find_map(Result::err);
    assert!(rest.is_some(), "half a list passed for a whole one");
    while slow.chunk().expect("the list goes on").is_some() {}
}

fn beyond_the_configured_connections_others_wait_until_one_ends(database: Database) {
    let few = [("ROSTER__HTTP__MAX_CONNECTIONS", "100"), ("ROSTER__HTTP__WORKERS", "1"), DEADLINES[0]];
    let app = App::start_with(database, &few);
    let mut first: Vec<_> = (0..100).map(|_| SlowClient::open(app.address(), b"GET / HTTP/1.1\r\n", b"")).collect();
    let mut last = SlowClient::open(app.address(), &raw::request("GET", "/livez", &[], b""), b"");
    thread::sleep(Duration::from_millis(500));
    assert!(last.end().is_none() && last.answer.is_empty(), "one too many was served");
    first.truncate(99);
    until("the place that is free is taken", Duration::from_secs(5), || {
        last.end();
        last.answer.starts_with(b"HTTP/1.1 200 ").then_some(())
    });
    assert!(first.iter_mut().all(|client| client.end().is_none()), "somebody else was ended for it");
}

/// A customer is made, read and deleted, as ever.
fn serve_another(app: &App, number: usize) {
    let native = app.native();
    let made = native.post("/customers", json!({"email": format!("other-{number}@example.com")})).expect(201);
    let path = format!("/customers/{}", made.text_at("/id"));
    native.get(&path).is(200);
    native.delete(&path).is(204);
}

/// A client that has more to send than anybody waits for.
struct SlowClient {
    stream: TcpStream,
    rest: &'static [u8],
    answer: Vec<u8>,
}

/// How the service took leave of a slow client, and when.
struct Ended {
    answer: String,
    at: Instant,
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

    fn open(address: SocketAddr, first: &[u8], rest: &'static [u8]) -> Self {
        let mut stream = TcpStream::connect_timeout(&address, GENEROUS).expect("a service that listens");
        stream.write_all(first).expect("a beginning");
        stream.set_nonblocking(true).expect("a socket");
        Self { stream, rest, answer: Vec::new() }
    }

    /// Sends one more byte.
    fn send(&mut self) {
        if let [byte, rest @ ..] = self.rest {
            // Whoever hung up is noticed when its answer is read.
            let _sent = self.stream.write(&[*byte]);
            self.rest = rest;
        }
    }

    /// Reads what there is, and says how it ended if it did.
    fn end(&mut self) -> Option<Ended> {
        let mut buffer = [0; 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(read @ 1..) => self.answer.extend(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Ok(0) | Err(_) => {
                    let answer = String::from_utf8_lossy(&self.answer).into_owned();
                    return Some(Ended { answer, at: Instant::now() });
                }
            }
        }
    }
}

/// Sends a byte of each a second until all of them are ended.
fn send_slowly(mut clients: Vec<SlowClient>) -> Vec<Ended> {
    let mut ended = Vec::new();
    let start = Instant::now();
    for second in 0.. {
        assert!(start.elapsed() < Duration::from_secs(10) + GENEROUS, "{} are still open", clients.len());
        clients.iter_mut().for_each(SlowClient::send);
        while start.elapsed() < Duration::from_secs(second + 1) {
            clients.retain_mut(|client| match client.end() {
                Some(end) => {
                    ended.push(end);
                    false
                }
                None => true,
            });
            if clients.is_empty() {
                return ended;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
    ended
}

/// Lets this process have as many open files as the system permits; a shell often starts with a thousand.
pub(crate) fn allow_open_files() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("a limit within the hard one");
}
