//! JSON Web Tokens of an issuer, which are accepted besides API keys.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use roster_tests::client::Surface;
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::program::roster_json;
use roster_tests::{App, Database, Response, on_both_databases};
use serde_json::{Value, json};

use crate::operators::assert_disabled;
use crate::routes::assert_error;
use crate::scopes::assert_lacks;

on_both_databases! {
    a_token_opens_the_tenant_it_names_on_every_surface,
    an_invalid_token_is_refused_in_the_format_of_the_surface,
    a_token_permits_what_its_scopes_name,
    a_token_of_a_merchant_that_does_not_exist_is_refused,
    a_token_of_a_disabled_merchant_is_refused,
    a_log_line_says_why_a_token_was_refused_and_has_nothing_of_it,
    the_log_line_of_a_request_names_the_issuer_and_the_subject_of_its_token,
    without_an_issuer_every_token_is_refused,
    published_keys_are_fetched_and_a_slow_issuer_delays_no_api_key,
}

const SECRET: &str = "a secret that issuer and service share";

static RSA: LazyLock<RsaKeyPair> = LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"));
static STRANGER: LazyLock<RsaKeyPair> = LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"));

/// An app that trusts an issuer with a public key and an issuer with a shared secret.
fn start(database: Database) -> App {
    let key = pem(&RSA).replace('\n', "\\n");
    let issuers = format!(
        "[{{ issuer = 'https://issuer.example', audience = 'roster', algorithms = ['RS256'], public_key = \"{key}\", \
             key_id = '1' }}, \
          {{ issuer = 'https://shared.example', audience = 'roster', algorithms = 'HS256', secret = '{SECRET}' }}]"
    );
    App::start_with(database, &[("ROSTER__AUTH__ISSUERS", issuers.leak())])
}

fn pem(key: &RsaKeyPair) -> String {
    let der: PublicKeyX509Der<'_> = key.public_key().as_der().expect("a public key");
    let base64 = STANDARD.encode(der.as_ref());
    let lines: Vec<_> = base64.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Seconds since 1970, by the clock that the service reads too.
#[expect(clippy::disallowed_methods, reason = "the program under test reads this clock too")]
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs()
}

fn header() -> Value {
    json!({ "alg": "RS256", "typ": "JWT", "kid": "1" })
}

/// The claims of a valid token of the merchant `ours`.
fn claims(app: &App) -> Value {
    json!({
        "iss": "https://issuer.example",
        "aud": "roster",
        "exp": now() + 600,
        "merchant": app.tenants().ours.id,
        "environment": "live",
        "scope": "openid customers:read customers:write",
    })
}

/// The same object with the members of `others`; null removes a member.
fn but(mut object: Value, others: &Value) -> Value {
    let members = object.as_object_mut().expect("an object");
    for (name, value) in others.as_object().expect("an object") {
        members.insert(name.clone(), value.clone());
    }
    members.retain(|_, value| !value.is_null());
    object
}

fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encode(header.to_string()), encode(claims.to_string()))
}

fn sign(key: &RsaKeyPair, header: &Value, claims: &Value) -> String {
    let message = message(header, claims);
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).expect("a signature");
    format!("{message}.{}", encode(signature))
}

fn sign_with_secret(secret: &str, header: &Value, claims: &Value) -> String {
    let message = message(header, claims);
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), message.as_bytes());
    format!("{message}.{}", encode(signature))
}

fn assert_unauthorized(surface: Surface, response: &Response) {
    assert_error(surface, response, 401);
    assert_eq!(response.header("www-authenticate"), Some("Bearer"), "{response:?}");
}

fn a_token_opens_the_tenant_it_names_on_every_surface(database: Database) {
    let app = start(database);
    let live = sign(&RSA, &header(), &claims(&app));
    let sandbox = sign(&RSA, &header(), &but(claims(&app), &json!({ "environment": "sandbox" })));
    let shared = json!({ "iss": "https://shared.example" });
    let shared = sign_with_secret(SECRET, &json!({ "alg": "HS256" }), &but(claims(&app), &shared));
    for surface in Surface::ALL {
        let email = format!("{surface:?}@example.com").to_lowercase();
        app.surface(surface).with_key(&live).post("/customers", json!({ "email": email })).is(201);
        let sees = |token: &str| {
            let response = app.surface(surface).with_key(token).get("/customers").expect(200);
            response.text().contains(&email)
        };
        let ours = &app.tenants().ours;
        // A token and a key of the same tenant see the same customers.
        assert!(sees(&live) && sees(&shared) && sees(&ours.live));
        assert!(!sees(&sandbox) && !sees(&ours.sandbox) && !sees(&app.tenants().theirs.live));
    }
    let logs = app.logs().concat();
    for secret in [SECRET, &live, live.rsplit('.').next().expect("a signature")] {
        assert!(!logs.contains(secret), "{logs}");
    }
}

fn an_invalid_token_is_refused_in_the_format_of_the_surface(database: Database) {
    let app = start(database);
    let claims = claims(&app);
    let good = sign(&RSA, &header(), &claims);
    let with_header = |others: Value| sign(&RSA, &but(header(), &others), &claims);
    let with_claims = |others: Value| sign(&RSA, &header(), &but(claims.clone(), &others));
    let unsigned = |algorithm: &str| {
        let header = but(header(), &json!({ "alg": algorithm }));
        [format!("{}.", message(&header, &claims)), sign(&RSA, &header, &claims)]
    };
    let confused = |secret: &str| sign_with_secret(secret, &but(header(), &json!({ "alg": "HS256" })), &claims);
    let (head, signature) = good.rsplit_once('.').expect("a signature");
    let bad = [
        &["none", "None", "NONE", "nOnE"].map(unsigned).concat()[..],
        &[confused(&pem(&RSA)), confused(pem(&RSA).trim()), confused(SECRET)],
        &["2", "../../../dev/null", "/dev/null", "", "1\0"].map(|id| with_header(json!({ "kid": id }))),
        &["jku", "x5u"].map(|name| with_header(json!({ name: "https://attacker.example/keys" }))),
        &[with_header(json!({ "jwk": jwk(&STRANGER, "1") })), with_header(json!({ "crit": ["exp"] }))],
        &[json!(null), json!("other"), json!(["other"]), json!([])].map(|aud| with_claims(json!({ "aud": aud }))),
        &[json!(null), json!("https://other.example")].map(|iss| with_claims(json!({ "iss": iss }))),
        &[json!(null), json!(now() - 60), json!("4000000000")].map(|exp| with_claims(json!({ "exp": exp }))),
        // Far enough in the future that the time has not come when a busy machine sends the last of them.
        &["nbf", "iat"].map(|name| with_claims(json!({ name: now() + 500 }))),
        &[json!(null), json!("org_x"), json!("*")].map(|merchant| with_claims(json!({ "merchant": merchant }))),
        &[json!(null), json!("test")].map(|environment| with_claims(json!({ "environment": environment }))),
        &[with_claims(json!({ "iss": "https://shared.example" })), sign(&STRANGER, &header(), &claims)],
        &[
            format!("{head}."),
            format!("{head}.{}", encode([0; 256])),
            format!("{good}A"),
            format!("{good}.{signature}"),
        ],
        &[format!("{head}.{}", signature.to_lowercase()), "a.b.c".to_owned(), "..".to_owned()],
    ]
    .concat();
    for surface in Surface::ALL {
        app.surface(surface).with_key(&good).get("/customers").is(200);
        for token in &bad {
            let caller = app.surface(surface).with_key(token);
            assert_unauthorized(surface, &caller.get("/customers"));
        }
        let caller = app.surface(surface).with_key(&bad[0]);
        assert_unauthorized(surface, &caller.post("/customers", json!({ "email": "ada@example.com" })));
        assert_unauthorized(surface, &caller.delete("/customers/nobody"));
    }
}

fn a_token_permits_what_its_scopes_name(database: Database) {
    let app = start(database);
    let with = |scope: Value| sign(&RSA, &header(), &but(claims(&app), &json!({ "scope": scope })));
    let (reader, writer) = (with(json!("customers:read")), with(json!(["customers:write", "profile"])));
    let (without_scopes, manager) = (with(json!(null)), with(json!("keys:manage")));
    for surface in Surface::ALL {
        let caller = |token: &str| app.surface(surface).with_key(token);
        let customer = |name: &str| json!({ "email": format!("{name}-{surface:?}@example.com") });
        caller(&reader).get("/customers").is(200);
        assert_lacks(surface, &caller(&reader).post("/customers", customer("reader")), "customers:write");
        caller(&writer).post("/customers", customer("writer")).is(201);
        assert_lacks(surface, &caller(&writer).get("/customers"), "customers:read");
        assert_lacks(surface, &caller(&without_scopes).get("/customers"), "customers:read");
    }
    let native = |token: &str| app.native().with_key(token);
    assert_lacks(Surface::Native, &native(&reader).get("/api_keys"), "keys:manage");
    let made = native(&manager).post("/api_keys", json!({ "scopes": [] })).expect(201).json();
    assert_eq!(made["org_id"], json!(app.tenants().ours.id));
    // A token that may manage keys cannot give a key a scope that it lacks itself.
    let refused = native(&manager).post("/api_keys", json!({ "scopes": ["customers:read"] }));
    assert_error(Surface::Native, &refused, 403);
}

fn a_token_of_a_merchant_that_does_not_exist_is_refused(database: Database) {
    let app = start(database);
    let unknown = json!({ "merchant": "org_01h2xcejqtf2nbrexx3vqjhp41" });
    let token = sign(&RSA, &header(), &but(claims(&app), &unknown));
    for surface in Surface::ALL {
        for _ in 0..2 {
            assert_unauthorized(surface, &app.surface(surface).with_key(&token).get("/customers"));
        }
    }
}

fn a_token_of_a_disabled_merchant_is_refused(database: Database) {
    let app = start(database);
    let token = sign(&RSA, &header(), &claims(&app));
    let merchant = &app.tenants().ours.id;
    app.native().with_key(&token).get("/customers").is(200);
    drop(roster_json(app.database().url(), &["merchants", "disable", merchant, "--json"]));
    for surface in Surface::ALL {
        let caller = app.surface(surface).with_key(&token);
        let refused = until("the token is refused", TIMEOUT, || {
            Some(caller.get("/customers")).filter(|response| response.status != 200)
        });
        assert_disabled(surface, &refused);
    }
}

fn a_log_line_says_why_a_token_was_refused_and_has_nothing_of_it(database: Database) {
    let app = start(database);
    let with_claims = |others: Value| sign(&RSA, &header(), &but(claims(&app), &others));
    let unknown = json!({ "merchant": "org_01h2xcejqtf2nbrexx3vqjhp41" });
    let ours = json!("https://issuer.example");
    for (token, reason, issuer) in [
        ("a.b.c".to_owned(), "not_a_token", json!(null)),
        (with_claims(json!({ "iss": "https://stranger.example" })), "unknown_issuer", json!(null)),
        (with_claims(json!({ "exp": now() - 60 })), "expired", ours.clone()),
        (with_claims(json!({ "aud": "other" })), "audience", ours.clone()),
        (sign(&STRANGER, &header(), &claims(&app)), "signature", ours.clone()),
        (sign(&RSA, &but(header(), &json!({ "kid": "2" })), &claims(&app)), "unknown_key", ours.clone()),
        (with_claims(unknown), "unknown_merchant", ours),
    ] {
        let request_id = format!("refused-{reason}");
        let caller = app.native().with_key(&token);
        caller.request("GET", "/customers").header("X-Request-Id", &request_id).send().is(401);
        let line = logged(&app, |line| line["message"] == "a token was refused" && line["reason"] == *reason);
        assert_eq!((&line["issuer"], &line["level"]), (&issuer, &json!("INFO")), "{line}");
        assert_eq!(line["span"]["request_id"], *request_id, "{line}");
        let logs = app.logs().concat();
        for part in token.split('.').filter(|part| part.len() > 1) {
            assert!(!logs.contains(part), "{part} in {logs}");
        }
        assert!(!logs.contains("stranger.example"), "an issuer that is not configured is the caller's text: {logs}");
    }
}

fn the_log_line_of_a_request_names_the_issuer_and_the_subject_of_its_token(database: Database) {
    let app = start(database);
    for (number, (claim, subject)) in
        [(json!("worker-7\"\n"), json!("worker-7\"\n")), (json!(null), json!(null))].into_iter().enumerate()
    {
        let request_id = format!("accepted-{number}");
        let token = sign(&RSA, &header(), &but(claims(&app), &json!({ "sub": claim })));
        let caller = app.native().with_key(&token);
        caller.request("GET", "/customers").header("X-Request-Id", &request_id).send().is(200);
        let line = logged(&app, |line| line["request_id"] == *request_id);
        assert_eq!((&line["issuer"], &line["subject"]), (&json!("https://issuer.example"), &subject), "{line}");
        assert_eq!((&line["merchant"], &line["api_key"]), (&json!(app.tenants().ours.id), &json!(null)), "{line}");
    }
}

/// The first line of the log that `is_it`.
fn logged(app: &App, is_it: impl Fn(&Value) -> bool) -> Value {
    let find = |line: &str| serde_json::from_str::<Value>(line).ok().filter(&is_it);
    app.find_in_logs(TIMEOUT, find).expect("a line of the log")
}

fn without_an_issuer_every_token_is_refused(database: Database) {
    let app = App::start(database);
    let token = sign(&RSA, &header(), &claims(&app));
    for surface in Surface::ALL {
        assert_unauthorized(surface, &app.surface(surface).with_key(&token).get("/customers"));
    }
}

fn jwk(key: &RsaKeyPair, id: &str) -> Value {
    let (n, e) = (key.public_key().modulus(), key.public_key().exponent());
    let (n, e) = (n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero());
    json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": id, "n": encode(n), "e": encode(e) })
}

/// A server that publishes the key of an issuer.
struct KeyServer {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    /// Whether it accepts requests and does not answer them.
    hangs: Arc<AtomicBool>,
}

impl KeyServer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (requests, hangs) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (counted, hanging) = (Arc::clone(&requests), Arc::clone(&hangs));
        thread::spawn(move || {
            let mut unanswered = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                read_head(&stream);
                counted.fetch_add(1, Ordering::SeqCst);
                if hanging.load(Ordering::SeqCst) {
                    unanswered.push(stream);
                } else {
                    let set = json!({ "keys": [jwk(&RSA, "1")] }).to_string();
                    let length = set.len();
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
                    // The service may have closed the connection.
                    let _ = stream.write_all((head + &set).as_bytes());
                }
            }
        });
        Self { address, requests, hangs }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn read_head(stream: &TcpStream) {
    let lines = BufReader::new(stream.try_clone().expect("the same connection")).lines();
    lines.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
}

fn published_keys_are_fetched_and_a_slow_issuer_delays_no_api_key(database: Database) {
    let server = KeyServer::start();
    let issuers = format!(
        "[{{ issuer = 'https://issuer.example', audience = 'roster', algorithms = ['RS256'], \
             jwks_url = 'http://{}/keys' }}]",
        server.address
    );
    let start = Instant::now();
    let mut app = App::start_with(database, &[("ROSTER__AUTH__ISSUERS", issuers.leak())]);
    let known = sign(&RSA, &header(), &claims(&app));
    let unknown = sign(&STRANGER, &but(header(), &json!({ "kid": "2" })), &claims(&app));
    for surface in Surface::ALL {
        // On a busy machine the first fetch may time out. The next one is 30 s later.
        until("the keys are fetched", TIMEOUT, || {
            (app.surface(surface).with_key(&known).get("/customers").status == 200).then_some(())
        });
        assert_unauthorized(surface, &app.surface(surface).with_key(&unknown).get("/customers"));
        let unnamed = sign(&RSA, &but(header(), &json!({ "kid": null })), &claims(&app));
        assert_unauthorized(surface, &app.surface(surface).with_key(&unnamed).get("/customers"));
    }
    // Once at the start, and then for tokens with an unknown key at most every 30 s. They are counted before the time is
    // read, so that none is made in between.
    let requests = server.requests();
    let allowed = 1 + usize::try_from(start.elapsed().as_secs() / 30).expect("a short test");
    assert!((1..=allowed).contains(&requests), "{requests} requests, and {allowed} are allowed");

    server.hangs.store(true, Ordering::SeqCst);
    // Several times: on a busy machine the fetch may time out, after 3 s, before the keys are served.
    let is_delayed = (0..5).all(|_| !api_keys_overtake_a_token(&mut app, &server, &unknown));
    assert!(!is_delayed, "requests with an API key waited for the issuer of tokens");
}

/// Whether requests with an API key are answered while a request with a token waits for its issuer.
fn api_keys_overtake_a_token(app: &mut App, server: &KeyServer, token: &str) -> bool {
    let before = server.requests();
    // After the restart no key is cached.
    app.restart();
    let app = &*app;
    thread::scope(|scope| {
        let waiting = scope.spawn(move || app.native().with_key(token).get("/customers"));
        until("the issuer is asked", TIMEOUT, || (server.requests() > before).then_some(()));
        for surface in Surface::ALL {
            app.surface(surface).get("/customers").is(200);
        }
        let is_waiting = !waiting.is_finished();
        // The service does not know whether the token is valid.
        assert!(matches!(waiting.join().expect("a response").status, 401 | 503));
        is_waiting
    })
}
