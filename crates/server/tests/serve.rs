//! `roster serve`: its start, its demo and its end.
#![cfg(feature = "sqlite")]

mod program;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use program::{DEADLINE, Program, Running};
use serde_json::{Value, json};

/// A program that listens on any free port.
fn program() -> Program {
    Program::new().with("ROSTER__HTTP__BIND", "127.0.0.1:0").with("ROSTER__LOG__FORMAT", "json")
}

/// Waits until the service listens, and returns its address.
fn address(service: &Running) -> String {
    let log = Running::lines_until(&service.err, "\"listening\"");
    let line: Value = serde_json::from_str(log.last().expect("a line")).expect("JSON");
    line["address"].as_str().expect("an address").to_owned()
}

fn greeting(service: &Running, last: &str) -> String {
    Running::lines_until(&service.out, last).join("\n")
}

fn key_in(greeting: &str) -> &str {
    greeting.lines().map(str::trim).find(|line| line.starts_with("sk_test_")).expect("a key")
}

/// Sends the request of one `curl` command of the greeting, and returns the status of the response.
fn paste(command: &str) -> u16 {
    let quoted: Vec<&str> = command.split('\'').collect();
    let [start, authorization, _, content_type, _, body, _] = quoted[..] else { panic!("{command}") };
    let url = start.split_whitespace().find(|word| word.starts_with("http")).expect("a URL");
    let header = |line: &str| line.split_once(": ").map(|(_, value)| value.to_owned()).expect("a header");
    let request =
        ureq::post(url).header("authorization", header(authorization)).header("content-type", header(content_type));
    request.send(body).expect("an answer").status().as_u16()
}

#[test]
fn the_demo_prints_a_key_and_a_working_request_for_each_surface() {
    let program = program();
    let service = program.start(&["serve", "--demo"]);
    let address = address(&service);
    let greeting = greeting(&service, "jane@example.com");
    for base in ["/v1", "/api", "/lava/v1"] {
        assert!(greeting.contains(&format!("  http://{address}{base}\n")), "{greeting}");
    }
    let commands: Vec<&str> = greeting.split("curl ").skip(1).collect();
    assert_eq!(commands.iter().map(|command| paste(command)).collect::<Vec<_>>(), [201, 201, 201]);
    assert_eq!(greeting.matches(key_in(&greeting)).count(), 4);
}

#[test]
fn a_second_demo_makes_no_merchant_and_explains_how_to_make_a_key() {
    let program = program();
    let first = program.start(&["serve", "--demo"]);
    let key = key_in(&greeting(&first, "jane@example.com")).to_owned();
    first.signal("TERM");
    assert!(first.wait().0.success());
    let second = program.start(&["serve", "--demo"]);
    let greeting = greeting(&second, "keys create --merchant");
    assert!(greeting.contains("shown on the first start") && !greeting.contains("sk_test_"), "{greeting}");
    let merchants = program.run(&["merchants", "list", "--json"]).expect_json();
    let [merchant] = &merchants["data"].as_array().expect("a list")[..] else { panic!("{merchants}") };
    assert!(greeting.contains(merchant["id"].as_str().expect("an id")), "{greeting}");
    // The key of the first start is still valid.
    let url = format!("http://{}/v1/customers", address(&second));
    let answer = ureq::get(url).header("authorization", format!("Bearer {key}")).call().expect("an answer");
    assert_eq!(answer.status(), 200);
}

#[test]
fn no_demo_merchant_is_made_where_other_machines_can_connect() {
    let program = Program::new().with("ROSTER__HTTP__BIND", "0.0.0.0:0").with("ROSTER__LOG__FORMAT", "json");
    let service = program.start(&["serve", "--demo"]);
    let greeting = greeting(&service, "keys create --merchant");
    assert!(greeting.contains("No demo merchant was made"), "{greeting}");
    assert_eq!(program.run(&["merchants", "list", "--json"]).expect_json(), json!({"data": []}));
}

#[test]
fn the_console_is_served_only_where_only_this_machine_can_connect() {
    for (bind, status) in [("127.0.0.1:0", 200), ("0.0.0.0:0", 404)] {
        let program = Program::new().with("ROSTER__HTTP__BIND", bind).with("ROSTER__LOG__FORMAT", "json");
        let service = program.start(&["serve"]);
        let address = address(&service).replace("0.0.0.0", "127.0.0.1");
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let answer = agent.get(format!("http://{address}/console/sign-in")).call().expect("an answer");
        assert_eq!(answer.status(), status, "{bind}");
    }
}

#[test]
fn without_demo_nothing_is_made_and_nothing_is_printed() {
    let program = program();
    let service = program.start(&["serve"]);
    address(&service);
    service.signal("TERM");
    assert_eq!(Running::rest_of(&service.out), [""; 0]);
    assert_eq!(program.run(&["merchants", "list", "--json"]).expect_json(), json!({"data": []}));
}

#[test]
fn either_signal_stops_the_service_and_every_log_line_is_json() {
    for signal in ["TERM", "INT"] {
        let program = program();
        let service = program.start(&["serve"]);
        address(&service);
        service.signal(signal);
        let (status, log) = service.wait();
        assert_eq!(status.code(), Some(0), "{log:#?}");
        let lines: Vec<Value> = log.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines.last().map(|line| &line["message"]), Some(&json!("stopped")));
    }
}

#[test]
fn the_limit_of_open_files_is_raised_for_the_connections() {
    let program = program().with("ROSTER__HTTP__MAX_CONNECTIONS", "2000");
    let service = program.start_within("-S -n 400", &["serve"]);
    address(&service);
    assert!(service.open_files() >= 2000);
}

#[test]
fn a_low_limit_of_open_files_means_fewer_connections_and_a_warning() {
    let program = program().with("ROSTER__HTTP__WORKERS", "1");
    let service = program.start_within("-n 400", &["serve"]);
    let log = Running::lines_until(&service.err, "\"listening\"");
    let warning = log.iter().find(|line| line.contains("allows fewer open files")).expect("a warning");
    let warning: Value = serde_json::from_str(warning).expect("JSON");
    assert_eq!(
        (&warning["level"], &warning["wanted"], &warning["open_files"]),
        (&json!("WARN"), &json!(10_000), &json!(400))
    );
    assert!((1..400).contains(&warning["possible"].as_u64().expect("a number")), "{warning}");
}

/// Sends the head of a request, and returns once the service waits for the body.
fn request_in_flight(program: &Program, address: &str) -> TcpStream {
    let merchant = program.run(&["merchants", "create", "Acme", "--json"]).expect_json();
    let merchant = merchant["id"].as_str().expect("an id");
    let create = ["keys", "create", "--merchant", merchant, "--environment", "sandbox", "--json"];
    let key = program.run(&create).expect_json();
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(DEADLINE)).expect("a deadline");
    write!(
        stream,
        "POST /lava/v1/customers HTTP/1.1\r\nHost: roster\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n",
        key["key"].as_str().expect("a key")
    )
    .expect("a written head");
    let mut answer = [0; 25];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

#[test]
fn a_request_in_flight_is_finished_after_the_first_signal() {
    let program = program();
    let service = program.start(&["serve"]);
    let mut request = request_in_flight(&program, &address(&service));
    service.signal("TERM");
    Running::lines_until(&service.err, "another signal ends at once");
    request.write_all(b"{}").expect("a written body");
    let mut answer = String::new();
    request.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"), "{answer}");
    assert_eq!(service.wait().0.code(), Some(0));
}

#[test]
fn a_second_signal_ends_the_service_at_once() {
    let program = program().with("ROSTER__HTTP__BODY_TIMEOUT_MS", "300000");
    let service = program.start(&["serve"]);
    let _request = request_in_flight(&program, &address(&service));
    service.signal("TERM");
    Running::lines_until(&service.err, "another signal ends at once");
    service.signal("INT");
    let (status, log) = service.wait();
    assert_eq!(status.code(), Some(130), "{log:#?}");
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let program = Program::new().with("ROSTER__HTTP__BIND", &address);
    let message = program.run(&["serve"]).expect_failure(1);
    assert!(message.contains(&format!("roster: {address} cannot be served: ")), "{message}");
}
