//! A stop loses no request: all that were sent on a connection which the system had accepted are answered.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::process::Signal;
use roster_tests::raw::{self, Connection};
use roster_tests::{App, Database, on_both_databases};

on_both_databases! {
    a_stop_under_clients_that_connect_again_and_again_loses_no_request,
    #[ignore = "slow: make faults"]
    twenty_stops_under_load_lose_no_request,
    while_it_drains_a_service_works_as_before_and_says_that_it_is_not_ready,
    a_head_that_was_begun_before_the_stop_is_answered,
}

/// Clients that send requests one after the other.
const CLIENTS: usize = 24;

/// A client that was kept from sending for so long may find its connection closed: half of what an idle connection has.
const MAX_PAUSE: Duration = Duration::from_millis(250);

fn a_stop_under_clients_that_connect_again_and_again_loses_no_request(database: Database) {
    stop_under_load(database, 3, 500);
}

/// The same, often enough to meet rare moments.
fn twenty_stops_under_load_lose_no_request(database: Database) {
    stop_under_load(database, 20, 2500);
}

fn while_it_drains_a_service_works_as_before_and_says_that_it_is_not_ready(database: Database) {
    let mut app = App::start_with(database, &[("ROSTER__HTTP__DRAIN_MS", "600000")]);
    app.root().get("/readyz").is(200);
    app.signal(Signal::Terminate);
    let stopping = until("the service says that it stops", TIMEOUT, || {
        Some(app.root().get("/readyz")).filter(|response| response.status == 503)
    });
    assert_eq!(stopping.text_at("/status"), "stopping");
    assert_eq!(stopping.header("connection"), None, "{stopping:?}");
    app.root().get("/livez").is(200);
    let listed = app.native().get("/customers").expect(200);
    assert_eq!(listed.header("connection"), None, "{listed:?}");
    app.signal(Signal::Terminate);
    app.wait(TIMEOUT);
}

fn a_head_that_was_begun_before_the_stop_is_answered(database: Database) {
    let mut app = App::start_with(database, &[("ROSTER__HTTP__HEAD_TIMEOUT_MS", "300000")]);
    let request = raw::request("GET", "/livez", &[], b"");
    let [mut fresh, mut reused] = [(); 2].map(|()| Connection::open(app.address()).expect("a service that listens"));
    reused.send(&request).expect("a service that reads");
    let first = reused.response().expect("a response").expect("a response").expect(200);
    assert_eq!(first.header("connection"), None, "{first:?}");
    let idle = Connection::open(app.address()).expect("a service that listens");
    for connection in [&mut fresh, &mut reused] {
        connection.send(&request[..20]).expect("a service that reads");
    }
    app.signal(Signal::Terminate);
    // An idle connection is closed, after those with half a head would have been.
    let mut idle = idle;
    assert_eq!(idle.rest().expect("the end of the connection"), b"");
    for mut connection in [fresh, reused] {
        connection.send(&request[20..]).expect("a service that reads");
        let response = connection.response().expect("a response").expect("a response").expect(200);
        assert_eq!(response.header("connection"), Some("close"), "{response:?}");
        assert_eq!(connection.rest().expect("the end of the connection"), b"");
    }
    assert!(app.wait(TIMEOUT).success());
}

/// Stops a service so many times, each time after it has answered `requests`, while clients send more, and fails if any is
/// not answered.
fn stop_under_load(database: Database, times: usize, requests: usize) {
    let mut app = App::start(database);
    let mut total = Counts::default();
    for _ in 0..times {
        let counts = stop_once(&mut app, requests);
        total.answered += counts.answered;
        total.unanswered.extend(counts.unanswered);
        app.restart();
    }
    println!("{} requests were answered in {times} stops", total.answered);
    assert!(
        total.unanswered.is_empty(),
        "{} of {} requests: {:#?}",
        total.unanswered.len(),
        total.answered,
        total.unanswered
    );
}

fn stop_once(app: &mut App, requests: usize) -> Counts {
    let (answered, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let counts = thread::scope(|scope| {
        let client = |number| Client { app, number, answered: &answered, is_over: &is_over, counts: Counts::default() };
        let clients: Vec<_> = (0..CLIENTS).map(|number| scope.spawn(move || client(number).run())).collect();
        until("the service is busy", TIMEOUT, || (answered.load(Ordering::Relaxed) >= requests).then_some(()));
        app.signal(Signal::Terminate);
        let mut all = Counts::default();
        for client in clients {
            let counts = client.join().expect("a client");
            all.answered += counts.answered;
            all.unanswered.extend(counts.unanswered);
        }
        all
    });
    assert!(app.wait(TIMEOUT).success());
    counts
}

#[derive(Debug, Default)]
struct Counts {
    answered: usize,
    unanswered: Vec<String>,
}

/// Sends requests until it cannot connect any more.
struct Client<'a> {
    app: &'a App,
    number: usize,
    answered: &'a AtomicUsize,
    is_over: &'a AtomicBool,
    counts: Counts,
}

impl Client<'_> {
    fn run(mut self) -> Counts {
        while !self.is_over.load(Ordering::Relaxed) {
            match Connection::open(self.app.address()) {
                Ok(connection) => self.use_connection(connection),
                // Refused: the service has stopped.
                Err(_) => self.is_over.store(true, Ordering::Relaxed),
            }
        }
        self.counts
    }

    /// Sends a few requests, until one is answered with the end of the connection.
    fn use_connection(&mut self, mut connection: Connection) {
        for place in 0..5 {
            let since = Instant::now();
            let sent = self.send(&mut connection, place);
            let was_late = since.elapsed() > MAX_PAUSE;
            match sent.and_then(|()| connection.response()) {
                Ok(Some(response)) => {
                    assert!(response.status < 300, "{response:?}");
                    self.counts.answered += 1;
                    self.answered.fetch_add(1, Ordering::Relaxed);
                    if response.header("connection") == Some("close") {
                        return;
                    }
                }
                Ok(None) | Err(_) if was_late => return,
                other => {
                    self.counts.unanswered.push(format!("request {place} of client {}: {other:?}", self.number));
                    return;
                }
            }
        }
    }

    /// Some clients send a head in two parts, some have only one request for each connection.
    fn send(&self, connection: &mut Connection, place: usize) -> std::io::Result<()> {
        let authorization = format!("Bearer {}", self.app.tenants().ours.live);
        let mut headers = vec![("authorization", authorization.as_str()), ("content-type", "application/json")];
        if self.number.is_multiple_of(3) {
            headers.push(("connection", "close"));
        }
        let request = match place % 2 {
            0 => raw::request("POST", "/lava/v1/customers", &headers, br#"{"name":"Ada","email":"ada@example.com"}"#),
            _ => raw::request("GET", "/v1/customers?limit=1", &headers, b""),
        };
        if self.number.is_multiple_of(2) {
            return connection.send(&request);
        }
        let (begin, end) = request.split_at(40);
        connection.send(begin)?;
        thread::yield_now();
        connection.send(end)
    }
}
