//! A credential that no request can revoke: a token. A key would end with the first request that revokes it.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use roster_tests::App;
use roster_tests::app::SCOPES;
use roster_tests::program::roster_json;
use serde_json::{Value, json};

/// The issuer that the service trusts.
pub const ISSUERS: &str = "[{ issuer = 'https://issuer.example', audience = 'roster', algorithms = 'HS256', secret = \
                           'a secret that issuer and service share' }]";

const SECRET: &[u8] = b"a secret that issuer and service share";

/// Longer than any run. A token without an end is refused.
const VALID_SECONDS: u64 = 24 * 60 * 60;

/// A token with every scope of the sandbox of the first merchant.
#[expect(clippy::disallowed_methods, reason = "the program under test reads this clock too")]
pub fn token(app: &App) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs();
    let claims = json!({
        "iss": "https://issuer.example",
        "aud": "roster",
        "exp": now + VALID_SECONDS,
        "merchant": app.tenants().ours.id,
        "environment": "sandbox",
        "scope": SCOPES.join(" "),
    });
    let encode = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", encode(json!({ "alg": "HS256", "typ": "JWT" })), encode(claims));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The key of an operator, which no request can revoke, either.
pub fn operator(app: &App) -> String {
    let made = roster_json(app.database().url(), &["operators", "create", "Ada", "--json"]);
    made["key"].as_str().expect("a key").to_owned()
}
