//! HTTP itself: heads that are too large or broken, old versions, other protocols, and where a connection ends.

use roster_tests::app::create_key;
use roster_tests::client::Surface;
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::raw::{self, Connection, allow_open_files};
use roster_tests::{App, Database, Kind};
use serde_json::{Value, json};

/// Starts the service on SQLite: what is tested here is above any database.
fn start(settings: &[(&'static str, &'static str)]) -> App {
    App::start_with(Database::prepared(Kind::Sqlite).expect("a file"), settings)
}

fn open(app: &App) -> Connection {
    Connection::open(app.address()).expect("a service that listens")
}

/// A head of a request for `path` with so many bytes, and without its end.
fn half_head(path: &str, length: usize) -> Vec<u8> {
    let mut head = format!("GET {path} HTTP/1.1\r\nhost: roster\r\n").into_bytes();
    while head.len() < length {
        let line = format!("x-{}: {}\r\n", head.len(), "x".repeat(2500));
        head.extend(line.into_bytes());
    }
    head.truncate(length);
    head
}

#[test]
fn a_head_that_is_too_large_is_431_in_the_format_of_its_surface() {
    let app = start(&[("ROSTER__HTTP__MAX_HEAD_KIB", "9")]);
    for surface in Surface::ALL {
        let mut connection = open(&app);
        connection.send(&half_head(&format!("{}/customers", surface.base()), 9 << 10)).expect("a service that reads");
        let response = connection.response().expect("a response").expect("a response").expect(431);
        assert_eq!(response.header("content-type"), Some(surface.error_type()), "{response:?}");
        assert_eq!(response.header("connection"), Some("close"), "{response:?}");
        match surface {
            Surface::Native => assert_eq!(response.text_at("/code"), "head_too_large"),
            Surface::Lumen | Surface::Lava => assert!(response.text_at("/error").contains("too large")),
        }
        assert_eq!(connection.rest().expect("the end of the connection"), b"");
    }
    // What a client goes on to send does not keep it from reading the answer.
    let mut connection = open(&app);
    connection.send(&half_head("/livez", 1 << 20)).expect("a service that reads");
    connection.response().expect("a response").expect("a response").is(431);
}

#[test]
fn a_head_of_the_largest_size_is_answered_again_and_again() {
    let app = start(&[]);
    let mut connection = open(&app);
    for length in [16 << 10, 100, 8 << 10, 8193, 16 << 10, 16 << 10] {
        let mut head = half_head("/livez", length - 4);
        head.extend(b"\r\n\r\n");
        connection.send(&head).expect("a service that reads");
        connection.response().expect("a response").expect("a response").is(200);
    }
    // Several requests at once, more than the connection reads ahead.
    let mut head = half_head("/livez", 3000);
    head.extend(b"\r\n\r\n");
    connection.send(&head.repeat(20)).expect("a service that reads");
    for _ in 0..20 {
        connection.response().expect("a response").expect("a response").is(200);
    }
}

#[test]
fn bodies_of_all_sizes_are_read_on_one_connection() {
    let app = start(&[]);
    let mut connection = open(&app);
    let authorization = format!("Bearer {}", app.tenants().ours.live);
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    for length in [2, 8000, 8192, 8193, 20_000, 65_536, 65_537, 100_000, 1_000_000, 2] {
        let mut body = b"{}".to_vec();
        body.resize(length, b' ');
        connection.send(&raw::request("POST", "/v1/customers", &headers, &body)).expect("a service that reads");
        let response = connection.response().expect("a response").expect("a response");
        assert_eq!(response.status, if length > 65_536 { 413 } else { 422 }, "{length}: {response:?}");
    }
}

/// Clients with half a head each.
const HALF_HEADS: usize = 2000;

/// The most memory of a client with half a head, in bytes.
const MEMORY_EACH: u64 = 64 << 10;

#[test]
fn many_half_heads_take_little_memory() {
    allow_open_files();
    let app = start(&[("ROSTER__HTTP__HEAD_TIMEOUT_MS", "300000")]);
    app.root().get("/livez").is(200);
    let before = app.memory().resident();
    app.memory().reset_peak();
    let (large, largest) = (half_head("/v1/customers", 120_000), half_head("/v1/customers", (16 << 10) - 4));
    let mut clients: Vec<_> = (0..HALF_HEADS).map(|_| open(&app)).collect();
    let (largest_clients, large_clients) = clients.split_at_mut(HALF_HEADS / 4);
    for client in largest_clients.iter_mut() {
        client.send(&largest).expect("a service that reads");
    }
    for client in large_clients.iter_mut() {
        // The service may have closed the connection before all of it was sent.
        let _sent = client.send(&large);
    }
    for client in largest_clients {
        client.send(b"\r\n\r\n").expect("a service that reads");
        client.response().expect("a response").expect("a response").is(401);
    }
    let grown = app.memory().peak().saturating_sub(before);
    println!("{HALF_HEADS} clients took {} KiB each", (grown >> 10) / HALF_HEADS as u64);
    assert!(grown < MEMORY_EACH * HALF_HEADS as u64, "the service grew by {grown} bytes");
    for client in large_clients {
        // A client that was too slow to send all of it finds its connection reset.
        assert!(client.response().ok().flatten().is_none_or(|response| response.status == 431));
    }
}

#[test]
fn heads_and_bodies_beyond_the_memory_for_them_are_503_and_others_are_served() {
    let app = start(&[
        ("ROSTER__HTTP__REQUEST_MEMORY_MIB", "1"),
        ("ROSTER__HTTP__HEAD_TIMEOUT_MS", "300000"),
        ("ROSTER__HTTP__BODY_TIMEOUT_MS", "300000"),
    ]);
    let headers = [("content-type", "application/json")];
    let mut body = raw::request("POST", "/v1/customers", &headers, &vec![b' '; 60_000]);
    body.truncate(50_000);
    // 8 KiB for each head, 64 KiB for each body.
    for (begun, fits) in [(half_head("/v1/customers", (16 << 10) - 4), 128), (body, 16)] {
        let mut clients: Vec<_> = (0..2 * fits).map(|_| open(&app)).collect();
        for client in &mut clients {
            client.send(&begun).expect("a service that reads");
        }
        // Those that are refused are those that came last, but which these are depends on the threads of the service.
        let refused = || clients.iter().filter(|client| client.has_response()).count();
        until("those that do not fit are refused", TIMEOUT, || (refused() >= fits).then_some(()));
        app.native().get("/customers").is(200);
        assert_eq!(refused(), fits);
        for client in clients.iter_mut().filter(|client| client.has_response()) {
            let response = client.response().expect("a response").expect("a response").expect(503);
            assert_eq!(response.text_at("/code"), "no_memory");
            assert_eq!(response.header("retry-after"), Some("1"), "{response:?}");
            assert_eq!(client.rest().expect("the end of the connection"), b"");
        }
        drop(clients);
        // Their memory is given back with their connections.
        until("another one fits", TIMEOUT, || {
            let mut client = open(&app);
            let mut head = half_head("/livez", (16 << 10) - 4);
            head.extend(b"\r\n\r\n");
            client.send(&head).expect("a service that reads");
            client.response().expect("a response").filter(|response| response.status == 200).map(drop)
        });
    }
}

#[test]
fn batches_take_at_most_half_of_the_memory_for_bodies() {
    let app = start(&[
        ("ROSTER__HTTP__REQUEST_MEMORY_MIB", "4"),
        ("ROSTER__HTTP__HEAD_TIMEOUT_MS", "300000"),
        ("ROSTER__HTTP__BODY_TIMEOUT_MS", "300000"),
    ]);
    let begun = |path: &str, length: usize, sent: usize| {
        let mut request = raw::request("POST", path, &[("content-type", "application/json")], &vec![b' '; length]);
        request.truncate(request.len() - length + sent);
        request
    };
    // Each that has sent more than an ordinary body may have takes 1 MiB.
    let mut batches: Vec<_> = (0..6).map(|_| open(&app)).collect();
    for client in &mut batches {
        client.send(&begun("/v1/customers/batch", 1 << 20, 100_000)).expect("a service that reads");
    }
    let refused = || batches.iter().filter(|client| client.has_response()).count();
    until("those that do not fit are refused", TIMEOUT, || (refused() >= 4).then_some(()));
    let mut ordinary: Vec<_> = (0..16).map(|_| open(&app)).collect();
    for client in &mut ordinary {
        client.send(&begun("/v1/customers", 60_000, 60_000)).expect("a service that reads");
        client.response().expect("a response").expect("a response").is(401);
    }
    assert_eq!(refused(), 4);
    for client in batches.iter_mut().filter(|client| client.has_response()) {
        assert_eq!(
            client.response().expect("a response").expect("a response").expect(503).text_at("/code"),
            "no_memory"
        );
    }
}

#[test]
fn a_streamed_list_for_http_1_0_ends_with_the_connection() {
    let app = start(&[]);
    for number in 0..3 {
        app.native().post("/customers", json!({"email": format!("{number}@example.com")})).is(201);
    }
    let mut connection = open(&app);
    let credential = format!("authorization: Bearer {}", app.tenants().ours.live);
    let request = format!("GET /api/customers HTTP/1.0\r\n{credential}\r\nconnection: keep-alive\r\n\r\n");
    connection.send(request.as_bytes()).expect("a service that reads");
    let head = connection.head().expect("a response").expect("a response").expect(200);
    assert_eq!(head.header("transfer-encoding"), None, "{head:?}");
    let list: Value = serde_json::from_slice(&connection.rest().expect("the end of the connection")).expect("JSON");
    assert_eq!(list["customers"].as_array().map(Vec::len), Some(3), "{list}");
}

/// No connection ends because the service waits for no answer any more.
const LONG: (&str, &str) = ("ROSTER__HTTP__HEAD_TIMEOUT_MS", "300000");

#[test]
fn a_chunked_body_that_never_ends_ends_with_its_connection() {
    let app = start(&[LONG, ("ROSTER__HTTP__BODY_TIMEOUT_MS", "300")]);
    let mut connection = open(&app);
    let head = "POST /v1/customers HTTP/1.1\r\nhost: roster\r\ntransfer-encoding: chunked\r\n\r\n0\r\n";
    connection.send(head.as_bytes()).expect("a service that reads");
    // Trailers, until the service reads no more.
    until("the connection ends", TIMEOUT, || connection.send(b"x: y\r\n").err());
}

#[test]
fn after_a_body_that_was_late_the_connection_ends() {
    let app = start(&[LONG, ("ROSTER__HTTP__BODY_TIMEOUT_MS", "300")]);
    let mut connection = open(&app);
    let authorization = format!("Bearer {}", app.tenants().ours.live);
    let head = "POST /v1/customers HTTP/1.1\r\nhost: roster\r\ntransfer-encoding: chunked\r\n";
    connection
        .send(format!("{head}authorization: {authorization}\r\n\r\n0\r\n").as_bytes())
        .expect("a service that reads");
    let response = connection.response().expect("a response").expect("a response").expect(408);
    assert_eq!(response.header("connection"), Some("close"), "{response:?}");
    assert_eq!(connection.rest().expect("the end of the connection"), b"");
}

#[test]
fn connect_and_websocket_are_refused_at_once() {
    let app = start(&[LONG, ("ROSTER__HTTP__BODY_TIMEOUT_MS", "300000")]);
    for request in [
        "POST /v1/customers HTTP/1.1\r\nhost: roster\r\nupgrade: WebSocket\r\nconnection: upgrade\r\ncontent-length: 2\r\n\r\n{}",
        "GET /livez HTTP/1.1\r\nhost: roster\r\nupgrade: websocket\r\n\r\n",
        "CONNECT roster:80 HTTP/1.1\r\nhost: roster\r\n\r\n",
        "CONNECT /v1/customers HTTP/1.1\r\nhost: roster\r\ncontent-length: 0\r\n\r\n",
    ] {
        let mut connection = open(&app);
        connection.send(request.as_bytes()).expect("a service that reads");
        let response = connection.response().expect("a response").expect("a response").expect(400);
        assert_eq!(response.text_at("/code"), "other_protocol", "{request}");
        assert_eq!(response.header("connection"), Some("close"), "{response:?}");
        assert_eq!(connection.rest().expect("the end of the connection"), b"", "{request}");
    }
    // Java's client offers HTTP/2 like that. It may be ignored.
    let mut connection = open(&app);
    let offer = "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n";
    connection
        .send(format!("GET /livez HTTP/1.1\r\nhost: roster\r\n{offer}\r\n").as_bytes())
        .expect("a service that reads");
    let response = connection.response().expect("a response").expect("a response").expect(200);
    assert_eq!(response.header("connection"), Some("close"), "{response:?}");
}

#[test]
fn a_request_behind_the_last_one_is_not_served() {
    let app = start(&[LONG]);
    let authorization = format!("Bearer {}", app.tenants().ours.live);
    let create = |connection: &str, email: &str| {
        let headers = [("authorization", authorization.as_str()), ("connection", connection)];
        raw::request("POST", "/v1/customers", &headers, format!(r#"{{"email":"{email}@example.com"}}"#).as_bytes())
    };
    let mut connection = open(&app);
    let requests = [create("keep-alive", "first"), create("close", "last"), create("keep-alive", "behind")].concat();
    connection.send(&requests).expect("a service that reads");
    connection.response().expect("a response").expect("a response").is(201);
    let last = connection.response().expect("a response").expect("a response").expect(201);
    assert_eq!(last.header("connection"), Some("close"), "{last:?}");
    assert_eq!(connection.rest().expect("the end of the connection"), b"");
    let listed = app.native().get("/customers").expect(200).json();
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(2), "{listed}");
}

#[test]
fn two_credentials_in_one_request_are_refused() {
    let app = start(&[]);
    let ours = format!("Bearer {}", app.tenants().ours.live);
    let theirs = format!("Bearer {}", app.tenants().theirs.live);
    for second in [&ours, &theirs] {
        let headers = [("authorization", ours.as_str()), ("authorization", second)];
        let request = raw::request("GET", "/v1/customers", &headers, b"");
        raw::exchange(app.address(), &request).expect("a response").is(401);
    }
}

#[test]
fn broken_heads_and_bodies_log_no_error() {
    let app = start(&[("ROSTER__LOG__LEVEL", "info")]);
    for request in [
        "\0\0\0\0\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET /livez HTTP/1.1\r\n\r\n",
        "GET /livez HTTP/1.1\r\nhost: roster\r\nno colon\r\n\r\n",
        "GET /livez HTTP/1.1\r\nhost: roster\r\ncontent-length: x\r\n\r\n",
        "POST /v1/customers HTTP/1.1\r\nhost: roster\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
    ] {
        let response = raw::exchange(app.address(), request.as_bytes());
        assert!(response.is_some_and(|response| response.status >= 400), "{request:?}");
    }
    // Lines are written in their order.
    app.root().request("GET", "/livez").header("x-request-id", "the-last-one").send().is(200);
    app.find_in_logs(TIMEOUT, |line| line.contains("the-last-one").then_some(())).expect("a log line of the request");
    let errors: Vec<_> = app.logs().into_iter().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(errors, [""; 0]);
}

/// The most faults that an answer lists.
const MAX_LISTED: usize = 50;

#[test]
fn a_request_that_breaks_many_rules_is_answered_with_the_first_50_and_their_number() {
    let app = start(&[("ROSTER__HTTP__MAX_HEAD_KIB", "64")]);
    let parameters: Vec<_> = (0..6000).map(|number| format!("p{number}=x")).collect();
    let query = format!("/customers?{}", parameters.join("&"));
    let fields: Vec<_> = (0..6000).map(|number| format!(r#""f{number}":1"#)).collect();
    let body = format!("{{{}}}", fields.join(","));
    let scopes = format!(r#"{{"scopes":[{}1]}}"#, "1,".repeat(5999));
    let manager = create_key(app.database().url(), &app.tenants().ours.id, "live", &["--scope", "keys:manage"]);
    for (refused, email_faults) in [
        (app.native().get(&query), 0),
        (app.native().post("/customers", body.as_str()), 1),
        (app.native().with_key(&manager.key).post("/api_keys", scopes.as_str()), 0),
    ] {
        let refused = refused.expect(422);
        let problem = refused.json();
        assert_eq!(problem["errors"].as_array().map(Vec::len), Some(MAX_LISTED), "{refused:?}");
        assert_eq!(problem["errors_total"], 6000 + email_faults, "{refused:?}");
        assert!(refused.body.len() < 10_000, "{} bytes", refused.body.len());
    }
    let limits = format!("/customers?{}", vec!["limit=x"; 6000].join("&"));
    let refused = app.lava().get(&limits).expect(400);
    assert!(refused.text_at("/error").ends_with("; these are 50 of 6000 faults"), "{refused:?}");
    // Fewer than that are all listed, and not counted.
    let refused = app.native().get("/customers?a&b").expect(422).json();
    assert_eq!((refused["errors"].as_array().map(Vec::len), refused.get("errors_total")), (Some(2), None));
}
