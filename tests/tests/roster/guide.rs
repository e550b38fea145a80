//! `docs/guide`: every page does what it shows, and its sign-up service does what a reader would copy it for.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use roster_tests::app::Merchant;
use roster_tests::client::encode;
use roster_tests::deadline::TIMEOUT;
use roster_tests::lines::Stream;
use roster_tests::lock::Lock;
use roster_tests::markdown::{page, project, run_page};
use roster_tests::process::{Finished, Process, run};
use roster_tests::{App, Database, Kind, on_both_databases};
use serde_json::{Value, json};
use tempfile::TempDir;

on_both_databases! {
    every_page_does_what_it_shows,
    each_function_of_the_program_does_what_it_says,
    a_sync_of_10_000_rows_creates_10_000_customers_and_a_second_changes_nothing,
    a_retry_after_a_cut_connection_makes_no_second_customer,
    a_deletion_whose_answer_was_lost_is_repeated,
    a_request_that_finds_the_database_busy_is_sent_again,
    a_request_over_the_limit_is_sent_again_when_the_service_says,
}

fn every_page_does_what_it_shows(database: Database) {
    // A page receives webhooks on this machine.
    let app = App::start_with(database, &[("ROSTER__WEBHOOKS__ALLOW_PRIVATE", "true")]);
    let index = page("docs/guide/README.md");
    let mut run = 0;
    for name in pages() {
        println!("{name}");
        assert!(index.contains(&format!("]({name})")), "{name} is not in the index");
        // The pages make the same customers.
        let merchant = Merchant::create(app.database().url(), &name);
        let compared = run_page(&page(&format!("docs/guide/{name}")), &app, &merchant.sandbox);
        assert!(compared >= 2, "{name} shows hardly any answer: {compared}");
        run += 1;
    }
    assert!(run >= 5, "hardly any page: {run}");
}

/// The names of all pages but the index.
fn pages() -> BTreeSet<String> {
    let files = fs::read_dir(guide()).expect("the guide").map(|entry| entry.expect("a file").file_name());
    let names = files.map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| name.strip_suffix(".md").is_some_and(|page| page != "README")).collect()
}

#[test]
fn the_program_has_less_than_40_lines_of_code() {
    let mut in_docstring = false;
    let is_code = |line: &&str| {
        let line = line.trim();
        let marks = line.matches(r#"""""#).count();
        let is_prose = in_docstring || marks > 0 || line.starts_with('#') || line.is_empty();
        in_docstring ^= marks == 1;
        !is_prose
    };
    let lines = page("docs/guide/signup.py").lines().filter(is_code).count();
    assert!((20..40).contains(&lines), "{lines}");
}

/// Every operation is seen from outside, by another client.
fn each_function_of_the_program_does_what_it_says(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let at = app.address();

    let user = json!({"external_id": "usr/1", "email": "ada@example.com", "name": "Ada", "metadata": {"plan": "pro"}});
    let made = result(at, &app, &format!("signup.sign_up({user})"));
    let id = made["id"].as_str().expect("an id").to_owned();
    let stored = native.get(&format!("/customers/external/{}", encode("usr/1"))).expect(200).json();
    assert_eq!(stored, made);

    let other = json!({"external_id": "usr/1", "email": "eve@example.com", "name": "Eve"});
    assert_eq!(result(at, &app, &format!("signup.sign_up({other})")), stored, "it is there already");

    let updated = result(at, &app, &format!("signup.update('{id}', {{'name': 'Ada Lovelace', 'metadata': {{}}}})"));
    assert_eq!(native.get(&format!("/customers/{id}")).json(), updated);
    assert_eq!(
        (&updated["name"], &updated["metadata"], &updated["version"]),
        (&json!("Ada Lovelace"), &json!({}), &json!(2))
    );
    let cleared = result(at, &app, &format!("signup.update('{id}', {{'name': None}})"));
    assert_eq!(cleared["name"], Value::Null);

    assert_eq!(result(at, &app, "signup.find_by_email('ADA@example.com')"), cleared);
    assert_eq!(result(at, &app, "signup.find_by_email('a+b&c@example.com')"), Value::Null);

    for number in 0..230 {
        native.post("/customers", json!({"email": format!("page-{number}@example.com")})).is(201);
    }
    let all = result(at, &app, "list(signup.customers())");
    let ids: BTreeSet<_> = all.as_array().expect("a list").iter().map(|customer| customer["id"].to_string()).collect();
    assert_eq!((all.as_array().map(Vec::len), ids.len()), (Some(231), 231));
    let some = result(at, &app, "[found['email'] for found in signup.customers(search='page-22', order='asc')]");
    let expected = [22].into_iter().chain(220..230).map(|number| format!("page-{number}@example.com"));
    assert_eq!(some, json!(expected.collect::<Vec<_>>()));

    assert_eq!(result(at, &app, &format!("signup.delete('{id}')")), Value::Null);
    native.get(&format!("/customers/{id}")).is(404);
    let refused = python(at, &app, &format!("signup.delete('{id}')"));
    assert!(!refused.status.success() && refused.err.contains("HTTP Error 404"), "{refused:?}");
}

fn a_sync_of_10_000_rows_creates_10_000_customers_and_a_second_changes_nothing(database: Database) {
    let app = App::start(database);
    let folder = TempDir::new().expect("a temporary folder");
    let mut rows = "external_id,email,name,phone\n".to_owned();
    for row in 0..10_000 {
        // Writing to a text cannot fail.
        let _ = writeln!(rows, "usr_{row},user-{row}@example.com,\"Ünal, \"\"{row}\"\"\",");
    }
    let file = folder.path().join("users.csv");
    fs::write(&file, rows).expect("a file");
    let sync = format!("collections.Counter(result['status'] for result in signup.sync('{}'))", file.display());

    assert_eq!(result(app.address(), &app, &sync), json!({"201": 10_000}));
    let before = all_customers(&app);
    assert_eq!(before.len(), 10_000);
    let first = &before["usr_0"];
    assert_eq!(
        (&first["name"], &first["email"], &first["phone"]),
        (&json!("Ünal, \"0\""), &json!("user-0@example.com"), &Value::Null)
    );

    assert_eq!(result(app.address(), &app, &sync), json!({"200": 10_000}));
    assert!(all_customers(&app) == before, "a sync of the same rows has changed something");
}

/// Every customer, by its external identifier.
fn all_customers(app: &App) -> serde_json::Map<String, Value> {
    let mut all = serde_json::Map::new();
    let mut path = "/customers?limit=100".to_owned();
    loop {
        let page = app.native().get(&path).expect(200).json();
        for customer in page["data"].as_array().expect("customers") {
            let id = customer["external_id"].as_str().expect("an external identifier");
            assert!(all.insert(id.to_owned(), customer.clone()).is_none(), "{id} twice");
        }
        let Some(cursor) = page["next_cursor"].as_str() else { return all };
        path = format!("/customers?limit=100&cursor={}", encode(cursor));
    }
}

/// The service has done the request, but its answer does not arrive.
fn a_retry_after_a_cut_connection_makes_no_second_customer(database: Database) {
    let app = App::start(database);
    let proxy = Cutting::start(app.address(), 1);
    let user = r#"{"external_id": "usr_1", "email": "ada@example.com"}"#;
    let made = result(proxy.address, &app, &format!("signup.sign_up({user})"));

    let requests = proxy.requests();
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert_eq!(requests[0], requests[1], "the same request, with the same key");
    assert!(requests[0].to_ascii_lowercase().contains("\r\nidempotency-key: "), "{requests:?}");
    assert_eq!(app.native().get("/customers").json()["data"], json!([made]));
}

/// Without the key the repeat would be 404.
fn a_deletion_whose_answer_was_lost_is_repeated(database: Database) {
    let app = App::start(database);
    let id = app.native().post("/customers", json!({"email": "ada@example.com"})).expect(201).text_at("/id");
    let proxy = Cutting::start(app.address(), 1);
    assert_eq!(result(proxy.address, &app, &format!("signup.delete('{id}')")), Value::Null);
    assert_eq!(proxy.requests().len(), 2);
    app.native().get(&format!("/customers/{id}")).is(404);
}

#[test]
fn the_program_gives_up_after_five_attempts() {
    let app = App::start(Database::prepared(Kind::Sqlite).expect("a file"));
    let proxy = Cutting::start(app.address(), usize::MAX);
    let finished = python(
        proxy.address,
        &app,
        "[setattr(signup.time, 'sleep', print), signup.sign_up({'email': 'ada@example.com'})]",
    );
    assert!(!finished.status.success(), "{finished:?}");
    assert_eq!(finished.out, "0.1\n0.5\n2.0\n5.0\n", "{}", finished.err);
    assert_eq!(proxy.requests().len(), 5);
}

fn a_request_that_finds_the_database_busy_is_sent_again(database: Database) {
    let app = App::start_with(database, &[("ROSTER__DATABASE__DEADLINE_MS", "500")]);
    let lock = Lock::take(app.database());
    let code = with_waits("signup.sign_up({'external_id': 'usr_1', 'email': 'ada@example.com'})");
    let mut program = Process::spawn(&mut program(app.address(), &app, &code));
    let refused = app.find_in_logs(TIMEOUT, |line| line.contains("\"status\":503").then_some(()));
    refused.expect("an answer 503");
    drop(lock);
    let status = program.wait(TIMEOUT);
    let printed = program.lines().text(Stream::Out);
    assert!(status.success(), "{printed} {}", program.lines().text(Stream::Err));
    assert!(printed.starts_with("waits 1.0\n"), "as long as Retry-After says: {printed}");
    assert_eq!(app.native().get("/customers").json()["data"].as_array().map(Vec::len), Some(1));
}

/// The program sends requests until it was told to wait once.
fn a_request_over_the_limit_is_sent_again_when_the_service_says(database: Database) {
    let app = App::start_with(database, &[("ROSTER__LIMITS__LIVE_KEY_PER_SECOND", "1")]);
    let code = with_waits(
        "next(len(waits) for number in range(100) if signup.sign_up({'email': f'{number}@example.com'}) and waits)",
    );
    let finished = run(&mut program(app.address(), &app, &code));
    assert!(finished.status.success(), "{finished:?}");
    let waits: Vec<_> = finished.out.lines().filter(|line| line.starts_with("waits")).collect();
    assert!(!waits.is_empty() && waits.iter().all(|wait| *wait == "waits 1.0"), "as Retry-After says: {finished:?}");
}

/// Code that prints how long the program waits, and keeps it in `waits`.
fn with_waits(expression: &str) -> String {
    format!(
        "import time\nsleep, waits = time.sleep, []\n\
         time.sleep = lambda wait: [waits.append(wait), print('waits', wait, flush=True), sleep(wait)]\n{expression}"
    )
}

fn guide() -> PathBuf {
    project().join("docs/guide")
}

/// The value of a Python expression about `signup`, with the service at `address`.
fn result(address: SocketAddr, app: &App, expression: &str) -> Value {
    let finished = python(address, app, expression);
    assert!(finished.status.success(), "{expression}: {}\n{}", finished.status, finished.err);
    serde_json::from_str(&finished.out).unwrap_or_else(|error| panic!("{error}: {finished:?}"))
}

fn python(address: SocketAddr, app: &App, expression: &str) -> Finished {
    run(&mut program(address, app, &format!("import collections, json\nprint(json.dumps({expression}))")))
}

/// A Python program that uses `signup` with a live key.
fn program(address: SocketAddr, app: &App, code: &str) -> Command {
    let mut command = Command::new("python3");
    command.args(["-B", "-c", &format!("import signup\n{code}")]).env("PYTHONPATH", guide()).env("no_proxy", "*");
    command.env("ROSTER_URL", format!("http://{address}")).env("KEY", &app.tenants().ours.live);
    command
}

/// A proxy that closes connections when the service has answered, and passes on the answers of later ones only.
struct Cutting {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Cutting {
    /// Cuts the first `cut` connections to `service`. It serves until the test process ends.
    fn start(service: SocketAddr, cut: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for (number, client) in listener.incoming().enumerate() {
                let client = client.expect("a client");
                let (request, answer) = exchange(&client, service).expect("an answer of the service");
                seen.lock().unwrap_or_else(PoisonError::into_inner).push(request);
                if number >= cut {
                    (&client).write_all(&answer).expect("a client that listens");
                }
            }
        });
        Self { address, requests }
    }

    /// All requests so far.
    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Sends what a client sends to the service, until the service has answered and closed the connection, as urllib asks it to.
fn exchange(client: &TcpStream, service: SocketAddr) -> io::Result<(String, Vec<u8>)> {
    let service = TcpStream::connect(service)?;
    let (mut from, mut to) = (client.try_clone()?, service.try_clone()?);
    let sender = thread::spawn(move || {
        let mut request = Vec::new();
        let mut buffer = [0; 16 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            request.extend(&buffer[..read]);
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        String::from_utf8_lossy(&request).into_owned()
    });
    let mut answer = Vec::new();
    (&service).read_to_end(&mut answer)?;
    // Ends the reading of the sender; the client may still read.
    client.shutdown(Shutdown::Read)?;
    let request = sender.join().expect("a sender that does not panic");
    Ok((request, answer))
}
