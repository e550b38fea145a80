//! The list of Lumen is sent completely, however long it is, and however slowly the client reads it.

use std::thread;

use roster_tests::app::create_key;
use roster_tests::program::roster;
use roster_tests::raw::{self, Connection};
use roster_tests::{App, Database, on_both_databases};
use serde_json::{Value, json};

const CUSTOMERS: usize = 200_000;
const MEMORY: u64 = 32 << 20;

/// No connection ends because a test does not read while it does something else.
const LONG_WRITE_TIMEOUT: (&str, &str) = ("ROSTER__HTTP__WRITE_TIMEOUT_MS", "300000");

on_both_databases! {
    a_list_of_200_000_customers_takes_at_most_32_mebibytes,
    a_client_that_reads_slowly_or_disconnects_blocks_no_other,
    a_customer_that_changes_during_the_list_is_listed_once,
    a_list_ends_when_its_key_is_revoked,
}

fn a_list_of_200_000_customers_takes_at_most_32_mebibytes(database: Database) {
    roster_tests::bulk::load_customers(&database, CUSTOMERS);
    let app = App::start_with(database, &[LONG_WRITE_TIMEOUT]);
    // The memory that any first request needs does not count.
    app.lumen().with_key(&app.tenants().theirs.live).get("/customers").is(200);
    let before = app.memory().resident();
    app.memory().reset_peak();

    let mut list = open_list(&app);
    let mut elements = Elements::default();
    while let Some(chunk) = list.chunk().expect("the list goes on") {
        elements.read(&chunk);
    }
    elements.assert_complete(CUSTOMERS);
    let grown = app.memory().peak().saturating_sub(before);
    assert!(grown < MEMORY, "the service grew by {grown} bytes");
}

fn a_client_that_reads_slowly_or_disconnects_blocks_no_other(database: Database) {
    // Far more than all buffers between the service and its client can hold.
    roster_tests::bulk::load_customers(&database, 40_000);
    // One connection to the database: a single slow client that held it would block all others.
    let app = App::start_with(database, &[("ROSTER__DATABASE__CONNECTIONS", "1"), LONG_WRITE_TIMEOUT]);
    let mut slow: Vec<_> = (0..3).map(|_| open_list(&app)).collect();
    for list in &mut slow {
        list.chunk().expect("the list begins").expect("a first chunk");
    }
    assert_serves(&app, "slow");
    // One disconnects, the others read to the end.
    slow.truncate(2);
    assert_serves(&app, "gone");
    thread::scope(|scope| {
        for mut list in slow {
            scope.spawn(move || while list.chunk().expect("the list goes on").is_some() {});
        }
    });
    assert_serves(&app, "done");
}

fn a_customer_that_changes_during_the_list_is_listed_once(database: Database) {
    roster_tests::bulk::load_customers(&database, 20_000);
    let app = App::start_with(database, &[LONG_WRITE_TIMEOUT]);
    let mut list = open_list(&app);
    let first = list.chunk().expect("the list begins").expect("a first chunk");
    for number in 0..20 {
        let id = app.native().get(&format!("/customers/external/bulk-{}", 1 + number * 1_000)).text_at("/id");
        app.native().patch(&format!("/customers/{id}"), json!({"name": "Changed"})).is(200);
    }
    let mut elements = Elements::default();
    elements.read(&first);
    while let Some(chunk) = list.chunk().expect("the list goes on") {
        elements.read(&chunk);
    }
    elements.assert_complete(20_000);
}

fn a_list_ends_when_its_key_is_revoked(database: Database) {
    // Far more than all buffers between the service and its client can hold.
    roster_tests::bulk::load_customers(&database, 60_000);
    // Without the cache, a key that a command has revoked is refused at once, too.
    let app = App::start_with(database, &[("ROSTER__AUTH__KEY_CACHE_MS", "0"), LONG_WRITE_TIMEOUT]);
    let (url, merchant) = (app.database().url(), &app.tenants().ours.id);
    let manager = create_key(url, merchant, "live", &["--scope", "keys:manage"]);
    let by_request = create_key(url, merchant, "live", &[]);
    let by_command = create_key(url, merchant, "live", &[]);
    let mut lists = [&by_request, &by_command].map(|key| open_list_with(&app, &key.key));
    for list in &mut lists {
        list.chunk().expect("the list begins").expect("a first chunk");
    }
    let mut other = open_list(&app);
    app.native().with_key(&manager.key).delete(&format!("/api_keys/{}", by_request.id)).is(204);
    let revoked = roster(url, &[], &["keys", "revoke", &by_command.id]);
    assert!(revoked.status.success(), "{revoked:?}");
    for mut list in lists {
        let error = std::iter::from_fn(|| list.chunk().transpose()).find_map(Result::err);
        assert!(error.is_some(), "the list went on to its end");
    }
    while other.chunk().expect("the list goes on").is_some() {}
    let errors: Vec<_> = app.logs().into_iter().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(errors, [""; 0]);
}

/// Requests the list and reads the head of the response.
fn open_list(app: &App) -> Connection {
    open_list_with(app, &app.tenants().ours.live)
}

fn open_list_with(app: &App, key: &str) -> Connection {
    let authorization = format!("Bearer {key}");
    let mut connection = Connection::open(app.address()).expect("a service that listens");
    let request = raw::request("GET", "/api/customers", &[("authorization", &authorization)], b"");
    connection.send(&request).expect("a service that reads");
    let head = connection.head().expect("a response").expect("a response").expect(200);
    assert_eq!(head.header("transfer-encoding"), Some("chunked"), "{head:?}");
    connection
}

fn assert_serves(app: &App, name: &str) {
    for number in 0..10 {
        app.lumen().post("/customers", json!({"email": format!("{name}-{number}@example.com")})).is(201);
        app.native().get("/customers?limit=1").is(200);
    }
}

/// Parses `{"customers":[…]}` chunk by chunk and keeps one element at a time.
#[derive(Default)]
struct Elements {
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// All bytes outside the elements.
    frame: Vec<u8>,
    /// The bytes of the current element.
    element: Vec<u8>,
    count: usize,
    last_number: Option<usize>,
}

impl Elements {
    fn read(&mut self, chunk: &[u8]) {
        for &byte in chunk {
            // The first two levels are the frame, deeper levels are elements.
            let outside = self.depth < 3 && !matches!((self.depth, byte), (2, b'{'));
            if outside {
                self.frame.push(byte);
            } else {
                self.element.push(byte);
            }
            if self.in_string {
                self.in_string = self.escaped || byte != b'"';
                self.escaped = !self.escaped && byte == b'\\';
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth -= 1;
                    if !outside && self.depth == 2 {
                        self.finish_element();
                    }
                }
                _ => {}
            }
        }
    }

    fn finish_element(&mut self) {
        // Only every thousandth: parsing all would take longer than the rest of the test.
        if self.count.is_multiple_of(1_000) {
            let element: Value = serde_json::from_slice(&self.element).expect("an element is JSON");
            let user = element["userId"].as_str().expect("an element has a userId").to_owned();
            let number: usize = user.trim_start_matches("bulk-").parse().expect("a number");
            assert_eq!(element["email"], format!("bulk-{number}@example.com"));
            // The list may be in either order.
            let distance = self.last_number.replace(number).map(|last| last.abs_diff(number));
            assert!(distance.is_none_or(|distance| distance == 1_000), "{distance:?} customers instead of 1,000");
        }
        self.count += 1;
        self.element.clear();
    }

    fn assert_complete(&self, count: usize) {
        let frame = String::from_utf8_lossy(&self.frame);
        assert_eq!((self.count, self.depth, self.element.len()), (count, 0, 0), "{}", frame.len());
        assert_eq!(frame, format!("{{\"customers\":[{}]}}", ",".repeat(count - 1)));
    }
}
