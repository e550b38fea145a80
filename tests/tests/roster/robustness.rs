//! No request, however broken, causes an error of the service or a log line with personal data.

use roster_tests::client::Surface;
use roster_tests::deadline::TIMEOUT;
use roster_tests::process::Signal;
use roster_tests::{App, Database, Response, on_both_databases, raw};
use serde_json::{Value, json};

use crate::routes::Target;

/// Part of all personal data that the tests send, so that the logs can be searched for it.
const MARKER: &str = "xanthippe";
const PHONE: &str = "+4915112345678";

/// A route that takes a body, and its fields.
struct Writer {
    surface: Surface,
    method: &'static str,
    /// The path without the prefix of the surface. `{id}` is a customer.
    path: &'static str,
    /// Its fields, in parts that writers have in common.
    fields: &'static [&'static [&'static str]],
}

const WRITERS: &[Writer] = &[
    writer(Surface::Native, "POST", "/customers", &[PROFILE, &["allow_missing_email", "on_conflict"]]),
    writer(Surface::Native, "PUT", "/customers/external/Xanthippe", &[PROFILE, &["allow_missing_email"]]),
    writer(Surface::Native, "POST", "/customers/batch", &[BATCH]),
    writer(Surface::Native, "PATCH", "/customers/{id}", &[PROFILE, &["status"]]),
    writer(Surface::Native, "PUT", "/customers/{id}/subscriptions/xanthippe", &[REPORT]),
    writer(Surface::Lumen, "POST", "/customers", &[LUMEN]),
    writer(Surface::Lumen, "POST", "/customers/{id}", &[LUMEN]),
    writer(Surface::Lava, "POST", "/customers", &[LAVA]),
    writer(Surface::Lava, "PATCH", "/customers/{id}", &[LAVA]),
];

/// The fields of a customer that all native bodies have.
const PROFILE: &[&str] = &[
    "email",
    "name",
    "external_id",
    "phone",
    "billing_address",
    "tax_id",
    "business_name",
    "tax_exempt",
    "locale",
    "timezone",
    "currency",
    "metadata",
    "allow_duplicate_email",
];
const BATCH: &[&str] = &["items", "atomic"];
const REPORT: &[&str] = &["plan_id", "name", "status", "started_at", "cancelled_at", "details"];
const LUMEN: &[&str] = &[
    "email",
    "name",
    "userId",
    "externalCustomerId",
    "billingAddressLine1",
    "billingAddressLine2",
    "billingCity",
    "billingPostalCode",
    "billingCountry",
    "taxId",
    "phoneNumber",
    "billingStateProvince",
    "businessName",
    "taxExempt",
    "preferredLanguage",
    "timezone",
    "preferredCurrency",
    "metadata",
    "dangerouslyAllowSameEmailForDifferentCustomers",
    "dangerouslyAllowCustomerWithoutEmail",
];
const LAVA: &[&str] = &["reference_id", "name", "email", "phone", "metadata"];

const fn writer(
    surface: Surface,
    method: &'static str,
    path: &'static str,
    fields: &'static [&'static [&'static str]],
) -> Writer {
    Writer { surface, method, path, fields }
}

impl Writer {
    fn fields(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.fields.iter().copied().flatten().copied()
    }

    fn send(&self, app: &App, target: &Target, body: &[u8]) -> Response {
        let authorization = format!("Bearer {}", app.tenants().ours.live);
        let path = format!("{}{}", self.surface.base(), self.path.replace("{id}", &target.id(self.surface)));
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let request = raw::request(self.method, &path, &headers, body);
        raw::exchange(app.address(), &request).unwrap_or_else(|| panic!("no response to {} {path}", self.method))
    }

    /// A body with every field, each with personal data.
    fn whole(&self) -> Value {
        let mut body = json!({});
        for field in self.fields() {
            body[field] = match field {
                "email" => json!("Xanthippe@example.com"),
                "phone" | "phoneNumber" => json!(PHONE),
                "tax_exempt" | "taxExempt" => json!("reverse"),
                "locale" | "preferredLanguage" => json!("el-GR"),
                "timezone" => json!("Europe/Athens"),
                "currency" | "preferredCurrency" => json!("EUR"),
                "status" => json!("active"),
                "started_at" | "cancelled_at" => json!("2025-01-15T12:00:00Z"),
                "billingCountry" => json!("GR"),
                "billing_address" => json!({"line1": "1 Xanthippe Street", "city": "Xanthippe", "country": "GR"}),
                "metadata" => json!({"xanthippe": ["Xanthippe", {"xanthippe": 1.5}]}),
                "items" => json!([{"op": "create", "body": {"email": "Xanthippe@example.com", "name": "Xanthippe"}}]),
                "on_conflict" => json!("return_existing"),
                "atomic"
                | "allow_duplicate_email"
                | "allow_missing_email"
                | "dangerouslyAllowSameEmailForDifferentCustomers"
                | "dangerouslyAllowCustomerWithoutEmail" => json!(true),
                _ => json!("Xanthippe"),
            };
        }
        body
    }
}

on_both_databases! {
    a_broken_body_is_refused,
    a_value_of_the_wrong_type_is_no_server_error,
    a_number_beyond_the_range_of_floats_is_no_server_error,
    a_broken_path_or_query_is_no_server_error,
    malformed_http_is_no_server_error,
    a_randomly_changed_body_is_no_server_error,
}

fn a_broken_body_is_refused(database: Database) {
    let service = Service::start(database);
    for writer in WRITERS {
        for (what, body) in broken_bodies(writer) {
            let response = writer.send(&service.app, &service.target, &body);
            assert!((400..500).contains(&response.status), "{} {} {what}: {response:?}", writer.method, writer.path);
            assert_is_an_error(writer.surface, &response);
        }
    }
    service.assert_still_works();
}

fn a_value_of_the_wrong_type_is_no_server_error(database: Database) {
    let service = Service::start(database);
    for writer in WRITERS {
        for field in writer.fields() {
            for value in wrong_values() {
                let mut body = writer.whole();
                body[field] = json!("\u{1}here\u{1}");
                let body = body.to_string().replace("\"\\u0001here\\u0001\"", &value);
                let response = writer.send(&service.app, &service.target, body.as_bytes());
                assert!(
                    (200..500).contains(&response.status),
                    "{} {} {body}: {response:?}",
                    writer.method,
                    writer.path
                );
            }
        }
    }
    service.assert_still_works();
}

fn a_number_beyond_the_range_of_floats_is_no_server_error(database: Database) {
    let service = Service::start(database);
    for number in ["1e400", "-1e400", "1e-400", "1e999999", "1E+131073", "1e99999999999999999999", "-0", "-0.0e-0"] {
        let digits = "9".repeat(15_000);
        for number in [number, digits.as_str()] {
            for writer in WRITERS.iter().filter(|writer| writer.fields().any(|field| field == "metadata")) {
                let mut body = writer.whole();
                body["metadata"] = json!("here");
                // Without a reference: Lava would return the customer of the previous round.
                for name in ["external_id", "reference_id"] {
                    body.as_object_mut().expect("an object").remove(name);
                }
                let body = body.to_string().replace("\"here\"", &format!("{{\"n\":[{number}]}}"));
                let response = writer.send(&service.app, &service.target, body.as_bytes());
                assert!((200..500).contains(&response.status), "{number}: {response:?}");
                if response.status < 300 {
                    assert!(response.text().contains(&format!("[{number}]")), "{number}: {response:?}");
                }
            }
        }
    }
    service.assert_still_works();
}

fn a_broken_path_or_query_is_no_server_error(database: Database) {
    let service = Service::start(database);
    let authorization = format!("Bearer {}", service.app.tenants().ours.live);
    for (surface, paths) in [
        (Surface::Native, ["/customers/", "/customers/external/", "/customers/{id}/subscriptions/"].as_slice()),
        (Surface::Lumen, &["/customers/"]),
        (Surface::Lava, &["/customers/", "/customers/{id}/"]),
    ] {
        for path in paths {
            for segment in broken_segments() {
                let path = path.replace("{id}", &service.target.id(surface));
                let path = format!("{}{path}{segment}", surface.base());
                for (method, body) in
                    [("GET", ""), ("DELETE", ""), ("POST", "{}"), ("PATCH", "{}"), ("PUT", "{\"status\":\"active\"}")]
                {
                    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
                    let request = raw::request(method, &path, &headers, body.as_bytes());
                    let response = raw::exchange(service.app.address(), &request).expect("a response");
                    // Only PUT creates something under a name that does not exist.
                    let fine = if method == "PUT" { 200..500 } else { 400..500 };
                    assert!(fine.contains(&response.status), "{method} {path}: {response:?}");
                }
            }
        }
        for query in broken_queries() {
            let path = format!("{}/customers?{query}", surface.base());
            let request = raw::request("GET", &path, &[("authorization", &authorization)], b"");
            let response = raw::exchange(service.app.address(), &request).expect("a response");
            assert!((200..500).contains(&response.status), "{path}: {response:?}");
        }
    }
    service.assert_still_works();
}

fn malformed_http_is_no_server_error(database: Database) {
    let service = Service::start(database);
    let key = service.app.tenants().ours.live.clone();
    let long = "xanthippe".repeat(20_000);
    let requests: Vec<Vec<u8>> = vec![
        b"\r\n\r\n".to_vec(),
        b"xanthippe\r\n\r\n".to_vec(),
        b"GET\r\n\r\n".to_vec(),
        b"GET /v1/customers HTTP/9.9\r\n\r\n".to_vec(),
        b"GET /v1/customers/\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        b"GET /v1/customers/a b HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        b"GET http://xanthippe@[::1/ HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        b"GET * HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        b"POST /v1/customers HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n".to_vec(),
        b"POST /v1/customers HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx".to_vec(),
        b"POST /v1/customers HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xanthippe\r\n\r\n".to_vec(),
        b"POST /v1/customers HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nxanthippe\r\n".to_vec(),
        b"POST /v1/customers HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n".to_vec(),
        format!("GET /v1/customers/{long} HTTP/1.1\r\nhost: x\r\n\r\n").into_bytes(),
        format!("GET /v1/customers HTTP/1.1\r\nhost: x\r\nx-xanthippe: {long}\r\n\r\n").into_bytes(),
        format!("GET /v1/customers HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: xanthippe\r\n".repeat(2_000)).into_bytes(),
        format!("GET /v1/customers HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncookie: xanthippe=1\r\nreferer: /xanthippe\r\n\r\n").into_bytes(),
    ];
    for request in requests {
        // The service may close the connection without a response.
        if let Some(response) = raw::exchange(service.app.address(), &request) {
            let start = String::from_utf8_lossy(&request[..request.len().min(80)]).into_owned();
            assert!((200..500).contains(&response.status), "{start}: {response:?}");
        }
    }
    service.assert_still_works();
}

fn a_randomly_changed_body_is_no_server_error(database: Database) {
    let service = Service::start(database);
    let mut random = Random(0x5eed);
    for writer in WRITERS {
        let whole = writer.whole().to_string().into_bytes();
        for _ in 0..150 {
            let body = random.mutate(&whole);
            let response = writer.send(&service.app, &service.target, &body);
            let text = String::from_utf8_lossy(&body).into_owned();
            assert!((200..500).contains(&response.status), "{} {} {text}: {response:?}", writer.method, writer.path);
        }
    }
    service.assert_still_works();
}

/// A service, and a customer for the routes that need one.
struct Service {
    app: App,
    target: Target,
}

impl Service {
    fn start(database: roster_tests::Database) -> Self {
        let app = App::start(database);
        let target = Target::create(&app.native(), "con_live_", "xanthippe-1");
        Self { app, target }
    }

    /// Asserts that the service still works, and that its log contains no personal data.
    fn assert_still_works(mut self) {
        self.app.root().get("/readyz").is(200);
        self.app.native().post("/customers", json!({"email": "xanthippe-after@example.com"})).is(201);
        self.app.signal(Signal::Terminate);
        assert!(self.app.wait(TIMEOUT).success());
        let key = &self.app.tenants().ours.live;
        let secrets = [MARKER, PHONE.trim_start_matches('+'), key.trim_start_matches("sk_live_")];
        let logs = self.app.logs();
        assert!(logs.len() > 5, "no logs to search: {logs:#?}");
        for line in &logs {
            let lower = line.to_lowercase();
            for secret in secrets {
                assert!(!lower.contains(&secret.to_lowercase()), "{line}");
            }
            assert!(!lower.contains("panicked"), "{line}");
        }
    }
}

fn assert_is_an_error(surface: Surface, response: &Response) {
    let content_type = response.header("content-type").unwrap_or_default();
    assert_eq!(content_type, surface.error_type(), "{response:?}");
    assert!(response.json().is_object(), "{response:?}");
}

/// Bodies that every route must refuse.
fn broken_bodies(writer: &Writer) -> Vec<(String, Vec<u8>)> {
    let whole = writer.whole().to_string();
    let most = if writer.path == "/customers/batch" { 1 << 20 } else { 65_536 };
    let nested = |open: &str, middle: &str, close: &str, levels: usize| {
        format!("{}{middle}{}", open.repeat(levels), close.repeat(levels)).into_bytes()
    };
    let within = |field: &str, value: &str| format!("{},\"{field}\":{value}}}", &whole[..whole.len() - 1]).into_bytes();
    let mut bodies = vec![
        ("empty".to_owned(), Vec::new()),
        ("blank".to_owned(), b" \t\r\n".to_vec()),
        ("60,000 arrays, never closed".to_owned(), b"[".repeat(60_000)),
        ("13,000 objects, never closed".to_owned(), b"{\"a\":".repeat(13_000)),
        ("30,000 arrays".to_owned(), nested("[", "", "]", 30_000)),
        ("60,000 arrays".to_owned(), nested("[", "", "]", 60_000)),
        ("10,000 objects".to_owned(), nested("{\"a\":", "1", "}", 10_000)),
        ("30,000 arrays in a field".to_owned(), within("x", &format!("{}{}", "[".repeat(30_000), "]".repeat(30_000)))),
        ("a byte too many".to_owned(), format!("{whole}{}", " ".repeat(most + 1 - whole.len())).into_bytes()),
        ("10 MB of white space".to_owned(), format!("{whole}{}", " ".repeat(10_000_000)).into_bytes()),
        ("10 MB of text".to_owned(), within("x", &format!("\"{}\"", MARKER.repeat(10_000_000 / MARKER.len())))),
        (
            "not UTF-8".to_owned(),
            whole.replace("anthippe", "\u{1}").bytes().map(|b| if b == 1 { 0xff } else { b }).collect(),
        ),
        ("overlong UTF-8".to_owned(), [&whole.as_bytes()[..whole.len() - 1], b",\"x\":\"\xc0\x80\"}"].concat()),
        ("UTF-16".to_owned(), whole.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("a byte order mark".to_owned(), format!("\u{feff}{whole}").into_bytes()),
        ("NUL".to_owned(), vec![0; 10]),
        ("NUL behind".to_owned(), format!("{whole}\0").into_bytes()),
        ("NUL in a text".to_owned(), within("x", "\"a\0b\"")),
        ("a lone surrogate".to_owned(), within("x", "\"\\ud83d\"")),
        ("surrogates in the wrong order".to_owned(), within("x", "\"\\ude00\\ud83d\"")),
        ("a lone surrogate in a key".to_owned(), within("\\udc00", "1")),
        ("a key twice".to_owned(), within(writer.fields[0][0], "\"xanthippe\"")),
        ("a key twice, far inside".to_owned(), within("x", "[{\"xanthippe\":1,\"xanthippe\":2}]")),
        ("a bad escape".to_owned(), within("x", "\"\\x41\"")),
        ("half an escape".to_owned(), within("x", "\"\\u12\"")),
        ("a comma too many".to_owned(), format!("{},}}", &whole[..whole.len() - 1]).into_bytes()),
        ("a comment".to_owned(), format!("/* xanthippe */{whole}").into_bytes()),
        ("NaN".to_owned(), within("x", "NaN")),
        ("hexadecimal".to_owned(), within("x", "0x1F")),
        ("a leading zero".to_owned(), within("x", "01")),
        ("two values".to_owned(), format!("{whole}{whole}").into_bytes()),
        ("a form".to_owned(), b"email=xanthippe%40example.com&name=Xanthippe".to_vec()),
        ("XML".to_owned(), b"<customer><email>xanthippe@example.com</email></customer>".to_vec()),
    ];
    for value in ["null", "true", "1", "1e400", "\"xanthippe\"", "[]", "[{\"email\":\"xanthippe@example.com\"}]"] {
        bodies.push((format!("{value} at the top"), value.as_bytes().to_vec()));
    }
    for end in (0..whole.len()).step_by(7) {
        bodies.push((format!("cut off at {end}"), whole.as_bytes()[..end].to_vec()));
    }
    bodies
}

/// Values that are wrong for most fields.
fn wrong_values() -> Vec<String> {
    let mut values: Vec<String> = [
        "null",
        "true",
        "false",
        "0",
        "-1",
        "1.5",
        "1e400",
        "123456789012345678901234567890",
        "\"\"",
        "\" \"",
        "[]",
        "{}",
        "[null]",
        "{\"\":\"\"}",
        "{\"xanthippe\":{\"xanthippe\":[]}}",
        "\"\\u0000\"",
        "\"\\u202e\"",
        "\"'\"",
        "\"\\\"\"",
        "\"xanthippe'; drop table customers; --\"",
        "\"%s%n%00\"",
        "\"\u{10ffff}\"",
        "\"con_live_\"",
        "\"../../etc/passwd\"",
        "\"9999-12-31T23:59:60Z\"",
        "\"0000-00-00T00:00:00Z\"",
        "\"+262142-01-01T00:00:00Z\"",
        "\"true\"",
    ]
    .map(str::to_owned)
    .into();
    values.push(format!("\"{}\"", MARKER.repeat(6_000)));
    values.push(format!("\"{}@example.com\"", MARKER.repeat(7)));
    values.push(format!("[{}]", "1,".repeat(10_000) + "1"));
    values.push(format!("{{{}}}", (0..2_000).map(|n| format!("\"k{n}\":{n}")).collect::<Vec<_>>().join(",")));
    values
}

/// Segments of a path that are no existing id.
fn broken_segments() -> Vec<String> {
    let mut segments: Vec<String> = [
        "%",
        "%2",
        "%zz",
        "%00",
        "xanthippe%00",
        "%FF",
        "%C3",
        "%c3%28",
        "%ED%A0%80",
        "%F0%9F%98%80",
        "%0A",
        "%0d%0axanthippe",
        "..%2f..%2fxanthippe",
        "%2e%2e",
        "%2F",
        "%25",
        "%2500",
        "xanthippe%2Fxanthippe",
        "con_live_%00",
        "cus_%FF",
        "cust_%00",
        "con_",
        "con_live_",
        "{id}",
        "[]",
        "xanthippe;a=b",
        "xanthippe'--",
        "~",
        "*",
        "xanthippe@example.com",
        "\u{e9}",
    ]
    .map(str::to_owned)
    .into();
    segments.push(MARKER.repeat(300));
    segments.push("%F0%9F%98%80".repeat(300));
    segments
}

fn broken_queries() -> Vec<String> {
    let mut queries: Vec<String> = [
        "limit=%00",
        "limit=%FF",
        "limit=",
        "limit",
        "limit=0",
        "limit=-1",
        "limit=1e3",
        "limit=99999999999999999999",
        "limit=1&limit=2",
        "limit[]=1",
        "cursor=%00",
        "cursor=%FF",
        "cursor=xanthippe",
        "cursor=",
        "cursor=..%2f",
        "cursor=%",
        "%",
        "=",
        "&&&",
        "%00=%00",
        "%FF=%FF",
        "xanthippe=xanthippe",
        "limit=%EF%BC%91",
        "cursor=00000000000000000000000000",
        "cursor=7zzzzzzzzzzzzzzzzzzzzzzzzz",
        "cursor=8zzzzzzzzzzzzzzzzzzzzzzzzz",
        "\u{e9}",
    ]
    .map(str::to_owned)
    .into();
    queries.push(format!("cursor={}", MARKER.repeat(1_000)));
    queries.push("a=xanthippe&".repeat(1_000));
    queries.push(MARKER.repeat(10_000));
    queries
}

/// Pseudo-random numbers, the same in every run (Marsaglia's xorshift64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).expect("less than a usize")
    }

    /// Makes one to four changes: replaces, inserts or removes a byte, doubles a piece, or cuts off the end.
    fn mutate(&mut self, whole: &[u8]) -> Vec<u8> {
        const BYTES: &[u8] = b"\0\x01\x7f\xff\"\\{}[]:,0-+.eEu 1tfn\xc3\xed";
        let mut body = whole.to_vec();
        for _ in 0..=self.below(4) {
            let place = self.below(body.len());
            let byte = BYTES[self.below(BYTES.len())];
            match self.below(6) {
                0 if !body.is_empty() => body[place] = byte,
                1 => body.insert(place, byte),
                2 if !body.is_empty() => drop(body.remove(place)),
                3 => {
                    let end = (place + self.below(40)).min(body.len());
                    let piece = body[place..end].to_vec();
                    body.splice(place..place, piece);
                }
                4 => body.truncate(place),
                _ => body.rotate_left(place.min(3)),
            }
        }
        body
    }
}
