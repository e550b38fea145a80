//! Requests of every kind to one service, before a fault, meanwhile and after it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use roster_tests::deadline::Stopwatch;
use roster_tests::{App, Response};
use serde_json::json;

/// The deadline of the service.
pub(crate) const DEADLINE: Duration = Duration::from_secs(5);

/// The settings of the service. Each request looks its key up, so that no kind of request meets a fault later than the
/// others.
pub(crate) const SETTINGS: [(&str, &str); 2] =
    [("ROSTER__DATABASE__DEADLINE_MS", "5000"), ("ROSTER__AUTH__KEY_CACHE_MS", "0")];

/// Requests that are sent at the same time: as many as the service has connections to the database.
const CALLERS: usize = 8;

/// Requests of each caller that must succeed.
const EACH: usize = 30;

/// Gets, creates and lists customers, and asks whether the service is ready.
pub(crate) struct Traffic<'a> {
    app: &'a App,
    /// The path of a customer that every caller gets.
    target: String,
    sent: AtomicUsize,
    /// The ids of the customers whose creation was answered 201.
    created: Mutex<Vec<String>>,
}

impl<'a> Traffic<'a> {
    /// Asserts that all requests succeed before the fault.
    pub(crate) fn start(app: &'a App) -> Self {
        let target = app.native().post("/customers", json!({"email": "target@example.com"})).expect(201);
        let target = format!("/customers/{}", target.text_at("/id"));
        let traffic = Self { app, target, sent: AtomicUsize::new(0), created: Mutex::default() };
        traffic.all_succeed("before the fault");
        traffic
    }

    /// Calls `fault` while requests are sent, which may fail.
    pub(crate) fn during(&self, fault: impl FnOnce()) {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..CALLERS {
                scope.spawn(|| {
                    while !over.load(Ordering::SeqCst) {
                        let _may_fail = self.send_next();
                    }
                });
            }
            let _over = Over::when_dropped(&over);
            fault();
        });
    }

    /// Asserts that every request succeeds that is sent later than twice the deadline after a fault. Those that are sent
    /// before may fail; without them the service would not notice the fault.
    pub(crate) fn recovers_from(&self, fault: Stopwatch) {
        thread::scope(|scope| {
            for _ in 0..CALLERS {
                scope.spawn(|| {
                    while fault.elapsed() < 2 * DEADLINE {
                        let _may_fail = self.send_next();
                    }
                });
            }
            fault.wait_for(2 * DEADLINE);
            self.all_succeed("later than twice the deadline after the fault");
        });
    }

    /// Asserts that requests of all kinds succeed. A caller stops at its first failure: if all failed, the rest would take
    /// minutes.
    pub(crate) fn all_succeed(&self, when: &str) {
        let failures: Vec<String> = thread::scope(|scope| {
            let first_failure = || (0..EACH).find_map(|_| self.send_next().err());
            let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(first_failure)).collect();
            callers.into_iter().filter_map(|caller| caller.join().expect("a caller")).collect()
        });
        let failed = failures.len();
        assert!(failures.is_empty(), "{failed} of {CALLERS} callers had a request fail {when}: {failures:#?}");
    }

    /// Asserts that each customer is there whose creation was acknowledged.
    pub(crate) fn nothing_is_lost(&self) {
        let created = self.created.lock().expect("no caller has panicked");
        assert!(!created.is_empty());
        for id in created.iter() {
            let found = self.app.native().get(&format!("/customers/{id}"));
            assert_eq!(found.status, 200, "{id} was acknowledged: {found:?}");
        }
    }

    /// Sends the next of all kinds of requests. The error says which request failed, and how.
    fn send_next(&self) -> Result<(), String> {
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        let (app, email) = (self.app, format!("traffic-{number}@example.com"));
        let (native, lava, root) = (app.native(), app.lava(), app.root());
        let (what, request, status) = match number % 5 {
            0 => ("a get", native.request("GET", &self.target), 200),
            1 => ("a create", native.request("POST", "/customers").json(json!({"email": email})), 201),
            2 => ("a list", native.request("GET", "/customers?limit=5"), 200),
            3 => ("a list of Lava", lava.request("GET", "/customers?limit=5"), 200),
            _ => ("/readyz", root.request("GET", "/readyz"), 200),
        };
        let response = request.try_send().map_err(|error| format!("{what}: {error}"))?;
        if response.status != status {
            return Err(format!("{what}: {response:?}"));
        }
        if status == 201 {
            self.created.lock().expect("no caller has panicked").push(response.text_at("/id"));
        }
        Ok(())
    }
}

/// Sets a flag when it is dropped, also by a panic. Threads that go on until the flag is set would keep a test that fails
/// from its end.
pub(crate) struct Over<'a>(&'a AtomicBool);

impl<'a> Over<'a> {
    pub(crate) fn when_dropped(flag: &'a AtomicBool) -> Self {
        Self(flag)
    }
}

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Asserts that a response of the native surface is a 503 with this code.
pub(crate) fn assert_refused(response: &Response, code: &str) {
    assert_eq!(refusal(response), (503, code.to_owned()), "{response:?}");
}

/// The status and the code of a response of the native surface.
pub(crate) fn refusal(response: &Response) -> (u16, String) {
    let code = response.json()["code"].as_str().unwrap_or_default().to_owned();
    (response.status, code)
}
