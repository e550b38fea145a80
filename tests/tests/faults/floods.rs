//! Requests without a valid credential, many more than the service has room for, keep no caller out that has one.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use roster_tests::client::{Surface, agent};
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::raw::{self, Connection, allow_open_files};
use roster_tests::{App, Caller, Database, on_both_databases};

use crate::traffic::{Over, refusal};

/// Connections of a flood, if the limit of open files allows as many.
const CONNECTIONS: u64 = 3000;

/// Open files that a test needs beside its connections.
const OTHER_FILES: u64 = 500;

/// Requests that each connection sends before it reads a response.
const PIPELINED: usize = 4;

/// Threads that serve the connections of a flood.
const THREADS: usize = 4;

/// Requests of the callers that have a key.
const REQUESTS: usize = 54;

/// Callers at a time that have a key.
const CALLERS: usize = 6;

/// Requests that may wait in one queue: enough for the callers that have a key, and far too few for a flood, however slow
/// the machine is that sends it.
const SMALL_QUEUE: (&str, &str) = ("ROSTER__DATABASE__QUEUE", "16");

/// A busy machine exceeds neither: what is denied is denied because of the flood.
const LONG_TIMEOUTS: [(&str, &str); 2] =
    [("ROSTER__DATABASE__DEADLINE_MS", "10000"), ("ROSTER__HTTP__HEAD_TIMEOUT_MS", "60000")];

on_both_databases! {
    #[ignore = "slow: make faults"]
    a_flood_of_readyz_denies_no_list,
    #[ignore = "slow: make faults"]
    a_flood_of_unknown_keys_denies_no_known_one,
}

fn a_flood_of_readyz_denies_no_list(database: Database) {
    let app = App::start_with(database, &[&LONG_TIMEOUTS[..], &[SMALL_QUEUE]].concat());
    app.native().get("/customers").is(200);
    let request = raw::request("GET", "/readyz", &[], b"");
    beside_a_flood(&app, |_| request.clone());
}

fn a_flood_of_unknown_keys_denies_no_known_one(database: Database) {
    // The known key is looked up again with nearly each request.
    let short_cache = ("ROSTER__AUTH__KEY_CACHE_MS", "1");
    let app = App::start_with(database, &[&LONG_TIMEOUTS[..], &[SMALL_QUEUE, short_cache]].concat());
    app.native().get("/customers").is(200);
    app.native().with_key(&unknown_key(0)).get("/customers").is(401);
    let request = |number| {
        let authorization = format!("Bearer {}", unknown_key(number));
        raw::request("GET", "/v1/customers", &[("authorization", &authorization)], b"")
    };
    beside_a_flood(&app, request);
}

/// Asserts that each list of a caller with a key is answered 200 beside a flood of `request`s, which get consecutive
/// numbers.
fn beside_a_flood(app: &App, request: impl Fn(usize) -> Vec<u8> + Sync) {
    let connections = usize::try_from(CONNECTIONS.min(allow_open_files() - OTHER_FILES)).expect("a small number");
    let flood = Flood { address: app.address(), sent: AtomicUsize::new(0), over: AtomicBool::new(false) };
    let denied: Vec<String> = thread::scope(|scope| {
        let _over = Over::when_dropped(&flood.over);
        for _ in 0..THREADS {
            scope.spawn(|| flood.run(connections / THREADS, &request));
        }
        let all = connections / THREADS * THREADS * PIPELINED;
        until("all connections have sent", TIMEOUT, || (flood.sent.load(Ordering::SeqCst) >= all).then_some(()));
        let lists = || (0..REQUESTS / CALLERS).filter_map(|_| denial(app)).collect::<Vec<_>>();
        let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(lists)).collect();
        callers.into_iter().flat_map(|caller| caller.join().expect("a caller")).collect()
    });
    let (count, sent) = (denied.len(), flood.sent.load(Ordering::SeqCst));
    assert!(denied.is_empty(), "{count} of {REQUESTS} lists were denied beside {sent} other requests: {denied:?}");
}

/// Lists customers over a connection of its own, and returns what it gets instead of a list. A busy service may close a
/// connection that was used before, because it reads the next request on it too late.
fn denial(app: &App) -> Option<String> {
    let caller = Caller::new(agent(), app.address(), Surface::Native.base()).with_key(&app.tenants().ours.live);
    match caller.request("GET", "/customers?limit=5").try_send() {
        Ok(response) if response.status == 200 => None,
        Ok(response) => Some(format!("{:?}", refusal(&response))),
        Err(error) => Some(error.to_string()),
    }
}

/// Requests over many connections at the same time.
struct Flood {
    address: SocketAddr,
    sent: AtomicUsize,
    over: AtomicBool,
}

impl Flood {
    /// Sends on all connections, then reads on all of them, until the flood is over.
    fn run(&self, connections: usize, request: &(impl Fn(usize) -> Vec<u8> + Sync)) {
        let open = || Connection::open(self.address).expect("a service that listens");
        let mut connections: Vec<_> = (0..connections).map(|_| open()).collect();
        while !self.over.load(Ordering::SeqCst) {
            for connection in &mut connections {
                let first = self.sent.fetch_add(PIPELINED, Ordering::SeqCst);
                let requests: Vec<u8> = (first..first + PIPELINED).flat_map(request).collect();
                if connection.send(&requests).is_err() {
                    *connection = open();
                }
            }
            for connection in &mut connections {
                let is_open = (0..PIPELINED).all(|_| matches!(connection.response(), Ok(Some(_))));
                if !is_open {
                    *connection = open();
                }
            }
        }
    }
}

/// A key that no merchant has, with a correct checksum: docs/SECURITY.md says how keys are made.
fn unknown_key(number: usize) -> String {
    let body = format!("sk_live_{number:030}");
    let checksum = base62(crc32fast::hash(body.as_bytes()));
    body + &checksum
}

/// Six digits to the base of 62.
fn base62(number: u32) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let digit = |place: u32| char::from(DIGITS[(number / 62u32.pow(place) % 62) as usize]);
    // 62 to the power of 5 is less than 2 to the power of 32.
    (0..6).rev().map(digit).collect()
}
