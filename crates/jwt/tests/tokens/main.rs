//! Tokens that trusted issuers signed, and tokens that attackers made.

mod issuers;
mod refusals;
mod signer;
mod tokens;

use roster_application::ports::{TokenClaims, TokenError, TokenVerifier as _};
use roster_domain::Timestamp;
use roster_jwt::{Issuer, Settings, Tokens};
use serde_json::{Value, json};

use crate::signer::{SECRET, Signer};

const MERCHANT: &str = "org_01h2xcejqtf2nbrexx3vqjhp41";

/// The time at which the tests verify tokens, in seconds since 1970.
const NOW: i64 = 1_800_000_000;

fn now() -> Timestamp {
    at(NOW)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000).expect("a time")
}

/// The settings of an issuer, without keys.
fn settings(algorithms: &[&str]) -> Settings {
    Settings {
        issuer: Some("https://issuer.example".to_owned()),
        audience: vec!["roster".to_owned(), "https://roster.example".to_owned()],
        algorithms: algorithms.iter().map(|&name| name.to_owned()).collect(),
        ..Settings::default()
    }
}

/// The settings of an issuer with a public key.
fn with_key(algorithms: &[&str], signer: &Signer) -> Settings {
    Settings { public_key: Some(signer.pem()), ..settings(algorithms) }
}

/// The settings of an issuer with the secret [`SECRET`].
fn with_secret(algorithms: &[&str]) -> Settings {
    Settings { secret: Some(SECRET.to_owned()), ..settings(algorithms) }
}

fn trusting(settings: Settings) -> Tokens {
    Tokens::start(vec![Issuer::parse(settings).expect("an issuer")]).expect("its keys")
}

/// A valid header.
fn header(algorithm: &str) -> Value {
    json!({ "alg": algorithm, "typ": "JWT" })
}

/// Valid claims.
fn claims() -> Value {
    json!({
        "iss": "https://issuer.example",
        "aud": "roster",
        "exp": NOW + 60,
        "merchant": MERCHANT,
        "environment": "live",
        "scope": "openid customers:read customers:write",
    })
}

/// The same object with the members of `others`; null removes a member.
fn but(mut object: Value, others: &Value) -> Value {
    for (name, value) in others.as_object().expect("an object") {
        match value {
            Value::Null => object.as_object_mut().expect("an object").remove(name),
            value => object.as_object_mut().expect("an object").insert(name.clone(), value.clone()),
        };
    }
    object
}

fn verify(tokens: &Tokens, token: &str) -> Result<TokenClaims, TokenError> {
    tokens.verify(token, now())
}

#[track_caller]
fn assert_accepted(tokens: &Tokens, token: &str) {
    assert!(verify(tokens, token).is_ok(), "refused: {token}");
}

#[track_caller]
fn assert_refused(tokens: &Tokens, token: &str) {
    assert!(is_refused(&verify(tokens, token)), "{token}");
}

/// Whether it is refused for good: fetching keys could not help.
fn is_refused(verified: &Result<TokenClaims, TokenError>) -> bool {
    matches!(verified, Err(TokenError::Refused(_)))
}
