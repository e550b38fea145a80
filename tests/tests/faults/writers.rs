//! Writers that repeat each request until it is answered: what they were answered is there afterwards, once.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use roster_tests::client::Surface;
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::{App, Response};
use serde_json::{Value, json};

use crate::traffic::Over;

/// Writers at a time: as many as the service has connections to the database.
const WRITERS: usize = 8;

/// The least customers that are written before a fault, and after it.
const ENOUGH: usize = 50;

/// The pause before a request is repeated. Without it, repeats of refused requests would keep the processors busy.
const PAUSE: Duration = Duration::from_millis(5);

/// Creates customers, changes and reads each of them, and follows the list and the events.
pub(crate) struct Writers<'a> {
    app: &'a App,
    begun: AtomicUsize,
    /// What was acknowledged of each customer, by its external identifier.
    written: Mutex<BTreeMap<String, Written>>,
}

/// A customer whose creation and change were acknowledged.
struct Written {
    id: String,
    at: Instant,
}

impl<'a> Writers<'a> {
    pub(crate) fn new(app: &'a App) -> Self {
        Self { app, begun: AtomicUsize::new(0), written: Mutex::default() }
    }

    /// Calls `fault` while customers are written. Each customer that was begun is written to its end, although requests
    /// meanwhile may be answered 503, and with nothing else.
    pub(crate) fn during<T>(&self, fault: impl FnOnce() -> T) -> T {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let _over = Over::when_dropped(&over);
            for _ in 0..WRITERS {
                scope.spawn(|| {
                    while !over.load(Ordering::SeqCst) {
                        self.write_next();
                    }
                });
            }
            fault()
        })
    }

    /// Waits until customers are acknowledged that no request was sent for before this call. Returns the time until the
    /// first acknowledgement.
    pub(crate) fn until_written(&self) -> Duration {
        let (start, begun) = (Instant::now(), self.begun.load(Ordering::SeqCst));
        until("customers are written again", TIMEOUT, || {
            let written = self.written.lock().expect("no writer has panicked");
            let is_new =
                |name: &String| name.rsplit_once('-').is_some_and(|(_, n)| n.parse().is_ok_and(|n: usize| n >= begun));
            (written.keys().filter(|name| is_new(name)).count() >= ENOUGH).then_some(())
        });
        let written = self.written.lock().expect("no writer has panicked");
        let first = written.values().map(|written| written.at).filter(|at| *at >= start).min();
        first.expect("a customer").duration_since(start)
    }

    /// Asserts that the customers are there that were acknowledged, with their change, and no others; and that there is one
    /// event for each creation and each change, in a log without gaps. Returns how many customers there are.
    pub(crate) fn assert_each_is_there_once(&self) -> usize {
        let written = self.written.lock().expect("no writer has panicked");
        let expected: BTreeMap<String, String> =
            written.iter().map(|(name, written)| (written.id.clone(), name.clone())).collect();
        let mut stored = BTreeMap::new();
        for customer in self.all("/customers?limit=100", "cursor") {
            assert_eq!((&customer["name"], &customer["version"]), (&json!("changed"), &json!(2)), "{customer}");
            stored.insert(text(&customer, "id"), text(&customer, "external_id"));
        }
        assert_eq!(stored, expected, "what is stored differs from what was acknowledged");
        let mut events: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (number, event) in self.all("/events?order=asc&limit=1000", "after").into_iter().enumerate() {
            assert_eq!(event["seq"], json!(number + 1), "{event}");
            events.entry(text(&event, "customer_id")).or_default().push(text(&event, "type"));
        }
        let once = ["customer.created", "customer.updated"].map(str::to_owned).to_vec();
        assert_eq!(events, expected.into_keys().map(|id| (id, once.clone())).collect());
        stored.len()
    }

    /// Creates a customer, changes it and reads it.
    fn write_next(&self) {
        let number = self.begun.fetch_add(1, Ordering::SeqCst);
        let name = format!("written-{number:06}");
        let create = json!({"external_id": name, "email": format!("{name}@example.com"), "name": "created"});
        let created = self.until_answered("POST", "/customers", Some(&create), &format!("create-{name}"), 201);
        let id = created.text_at("/id");
        let path = format!("/customers/{id}");
        let change = json!({"name": "changed"});
        self.until_answered("PATCH", &path, Some(&change), &format!("change-{name}"), 200);
        let written = Written { id, at: Instant::now() };
        self.written.lock().expect("no writer has panicked").insert(name, written);
        let read = self.until_answered("GET", &path, None, "", 200);
        assert_eq!(read.json()["name"], json!("changed"), "an older version was read than was written: {read:?}");
        self.until_answered("GET", "/customers?limit=5", None, "", 200);
        self.until_answered("GET", "/events?limit=5", None, "", 200);
    }

    /// Sends a request until it is answered with `status`. 503 is the only other answer that it may get.
    fn until_answered(&self, method: &str, path: &str, body: Option<&Value>, key: &str, status: u16) -> Response {
        let native = self.app.surface(Surface::Native);
        let start = Instant::now();
        loop {
            let mut request = native.request(method, path);
            if let Some(body) = body {
                request = request.json(body.clone()).header("idempotency-key", key);
            }
            let response = request.send();
            if response.status == status {
                return response;
            }
            assert_eq!(response.status, 503, "{method} {path}: {response:?}");
            assert!(start.elapsed() < TIMEOUT, "{method} {path} was answered 503 for {TIMEOUT:?}: {response:?}");
            thread::sleep(PAUSE);
        }
    }

    /// All items of a list, page by page. `next` is the parameter that takes the cursor of the page before.
    fn all(&self, first: &str, next: &str) -> Vec<Value> {
        let (mut items, mut path) = (Vec::new(), first.to_owned());
        loop {
            let page = self.app.native().get(&path).expect(200).json();
            let data = page["data"].as_array().expect("a page").clone();
            items.extend(data);
            if page["has_more"] != json!(true) {
                return items;
            }
            path = format!("{first}&{next}={}", page["next_cursor"].as_str().expect("a cursor"));
        }
    }
}

fn text(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap_or_else(|| panic!("no {field}: {object}")).to_owned()
}
