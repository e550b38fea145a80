//! Tokens of an issuer beside keys.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use roster_tests::client::Surface;
use roster_tests::deadline::{GENEROUS, until};
use roster_tests::{Answer, App, Database, on_both_databases};
use serde_json::{Value, json};

use crate::routes::assert_error;
use crate::scopes::assert_lacks;

on_both_databases! {
    a_token_opens_the_tenant_it_names_on_every_surface,
    a_token_that_is_not_in_order_is_refused_in_the_format_of_the_surface,
    a_token_lets_its_holder_do_what_its_scopes_say,
    a_token_of_a_merchant_that_does_not_exist_is_refused,
    without_an_issuer_every_token_is_refused,
    published_keys_are_fetched_and_one_that_is_not_there_holds_up_nobody_else,
}

const SECRET: &str = "a secret that issuer and service share";

static RSA: LazyLock<RsaKeyPair> = LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"));
static STRANGER: LazyLock<RsaKeyPair> = LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"));

/// An app that trusts an issuer with a public key, and one that shares a secret.
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

/// Seconds since 1970, as the service's own clock has them.
#[expect(clippy::disallowed_methods, reason = "the program under test reads the clock, and so must who signs for it")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs()
}

fn header() -> Value {
    json!({ "alg": "RS256", "typ": "JWT", "kid": "1" })
}

/// Claims of a good token of ours.
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

/// The same object with some members set, or taken out where the other is null.
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

fn assert_unauthorized(surface: Surface, answer: &Answer) {
    assert_error(surface, answer, 401);
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{answer:?}");
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
            let answer = app.surface(surface).with_key(token).get("/customers").expect(200);
            answer.text().contains(&email)
        };
        let ours = &app.tenants().ours;
        // A token and a key of the same tenant see the same.
        assert!(sees(&live) && sees(&shared) && sees(&ours.live));
        assert!(!sees(&sandbox) && !sees(&ours.sandbox) && !sees(&app.tenants().theirs.live));
    }
    let logs = app.logs().concat();
    for secret in [SECRET, &live, live.rsplit('.').next().expect("a signature")] {
        assert!(!logs.contains(secret), "{logs}");
    }
}

fn a_token_that_is_not_in_order_is_refused_in_the_format_of_the_surface(database: Database) {
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
        &["nbf", "iat"].map(|name| with_claims(json!({ name: now() + 60 }))),
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

fn a_token_lets_its_holder_do_what_its_scopes_say(database: Database) {
    let app = start(database);
    let with = |scope: Value| sign(&RSA, &header(), &but(claims(&app), &json!({ "scope": scope })));
    let (reader, writer) = (with(json!("customers:read")), with(json!(["customers:write", "profile"])));
    let (nobody, manager) = (with(json!(null)), with(json!("keys:manage")));
    for surface in Surface::ALL {
        let caller = |token: &str| app.surface(surface).with_key(token);
        let customer = |name: &str| json!({ "email": format!("{name}-{surface:?}@example.com") });
        caller(&reader).get("/customers").is(200);
        assert_lacks(surface, &caller(&reader).post("/customers", customer("reader")), "customers:write");
        caller(&writer).post("/customers", customer("writer")).is(201);
        assert_lacks(surface, &caller(&writer).get("/customers"), "customers:read");
        assert_lacks(surface, &caller(&nobody).get("/customers"), "customers:read");
    }
    let native = |token: &str| app.native().with_key(token);
    assert_lacks(Surface::Native, &native(&reader).get("/api_keys"), "keys:manage");
    let made = native(&manager).post("/api_keys", json!({ "scopes": [] })).expect(201).json();
    assert_eq!(made["org_id"], json!(app.tenants().ours.id));
    // Who may manage keys gives away no scope that the token lacks.
    let refused = native(&manager).post("/api_keys", json!({ "scopes": ["customers:read"] }));
    assert_error(Surface::Native, &refused, 403);
}

fn a_token_of_a_merchant_that_does_not_exist_is_refused(database: Database) {
    let app = start(database);
    let nobody = json!({ "merchant": "org_01h2xcejqtf2nbrexx3vqjhp41" });
    let token = sign(&RSA, &header(), &but(claims(&app), &nobody));
    for surface in Surface::ALL {
        for _ in 0..2 {
            assert_unauthorized(surface, &app.surface(surface).with_key(&token).get("/customers"));
        }
    }
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

/// A server that publishes the key of an issuer, until it is told to hang.
struct KeyServer {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    hangs: Arc<AtomicBool>,
}

impl KeyServer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (requests, hangs) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (counted, hanging) = (Arc::clone(&requests), Arc::clone(&hangs));
        thread::spawn(move || {
            let mut left_hanging = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                read_head(&stream);
                counted.fetch_add(1, Ordering::SeqCst);
                if hanging.load(Ordering::SeqCst) {
                    left_hanging.push(stream);
                } else {
                    let set = json!({ "keys": [jwk(&RSA, "1")] }).to_string();
                    let length = set.len();
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
                    // Whoever asked may have left.
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

fn published_keys_are_fetched_and_one_that_is_not_there_holds_up_nobody_else(database: Database) {
    let server = KeyServer::start();
    let issuers = format!(
        "[{{ issuer = 'https://issuer.example', audience = 'roster', algorithms = ['RS256'], \
             jwks_url = 'http://{}/keys' }}]",
        server.address
    );
    let app = App::start_with(database, &[("ROSTER__AUTH__ISSUERS", issuers.leak())]);
    let known = sign(&RSA, &header(), &claims(&app));
    let unknown = sign(&STRANGER, &but(header(), &json!({ "kid": "2" })), &claims(&app));
    for surface in Surface::ALL {
        app.surface(surface).with_key(&known).get("/customers").is(200);
        assert_unauthorized(surface, &app.surface(surface).with_key(&unknown).get("/customers"));
        let unnamed = sign(&RSA, &but(header(), &json!({ "kid": null })), &claims(&app));
        assert_unauthorized(surface, &app.surface(surface).with_key(&unnamed).get("/customers"));
    }
    // Asked for at the start, and not again for each token with an unknown key.
    assert_eq!(server.requests(), 1);

    server.hangs.store(true, Ordering::SeqCst);
    let (app, server) = (restarted(app), &server);
    thread::scope(|scope| {
        let stranger = scope.spawn(|| app.native().with_key(&unknown).get("/customers"));
        until("the issuer is asked", GENEROUS, || (server.requests() > 1).then_some(()));
        let begun = Instant::now();
        for surface in Surface::ALL {
            app.surface(surface).get("/customers").is(200);
        }
        assert!(begun.elapsed() < Duration::from_secs(2), "a key waited for the issuer of tokens");
        // Whether its key is good nobody knows: it is refused, or told to come again.
        assert!(matches!(stranger.join().expect("an answer").status, 401 | 503));
    });
}

/// The same app, started again, so that it knows no keys.
fn restarted(mut app: App) -> App {
    app.restart();
    app
}
