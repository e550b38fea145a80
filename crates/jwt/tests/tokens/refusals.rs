//! Tokens that are refused.

use std::sync::LazyLock;

use proptest::prelude::*;
use roster_application::ports::{TokenError, TokenFault, TokenRefusal, TokenVerifier as _};
use roster_jwt::{Settings, Tokens};
use serde_json::{Value, json};

use crate::signer::{ED25519, OTHER_RSA, P256, P384, RSA, SECRET, Signer, encode};
use crate::{
    MERCHANT, NOW, assert_accepted, assert_refused, at, but, claims, header, is_refused, settings, trusting, verify,
    with_key, with_secret,
};

/// A verifier that trusts an issuer with a shared secret, and the signer of that issuer.
fn shared() -> (Tokens, Signer) {
    (trusting(with_secret(&["HS256", "HS384", "HS512"])), Signer::secret(SECRET))
}

#[test]
fn without_an_issuer_every_token_is_refused() {
    let tokens = Tokens::start(Vec::new()).expect("nothing to start");
    assert_refused(&tokens, &Signer::secret(SECRET).token(&header("HS256"), &claims()));
    tokens.fetch_keys("a.b.c");
}

#[test]
fn a_refusal_names_the_broken_rule_and_a_configured_issuer() {
    let (tokens, signer) = shared();
    let with = |header: &Value, others: &Value| signer.token(header, &but(claims(), others));
    let usual = header("HS256");
    let ours = Some("https://issuer.example");
    for (token, reason, issuer) in [
        ("a.b.c".to_owned(), TokenFault::NotAToken, None),
        (with(&usual, &json!({ "iss": "https://stranger.example" })), TokenFault::UnknownIssuer, None),
        (with(&usual, &json!({ "aud": "other" })), TokenFault::Audience, ours),
        (with(&usual, &json!({ "exp": NOW - 60 })), TokenFault::Expired, ours),
        (with(&usual, &json!({ "nbf": NOW + 60 })), TokenFault::NotYetValid, ours),
        (with(&usual, &json!({ "merchant": "acme" })), TokenFault::Merchant, ours),
        (with(&usual, &json!({ "environment": "prod" })), TokenFault::Environment, ours),
        (with(&usual, &json!({ "scope": 1 })), TokenFault::Scope, ours),
        (RSA.token(&header("RS256"), &claims()), TokenFault::Algorithm, ours),
        (with(&but(usual.clone(), &json!({ "kid": "x" })), &json!({})), TokenFault::UnknownKey, ours),
        (Signer::secret(&SECRET[1..]).token(&usual, &claims()), TokenFault::Signature, ours),
    ] {
        let refusal = TokenRefusal { reason, issuer: issuer.map(Into::into) };
        assert_eq!(verify(&tokens, &token), Err(TokenError::Refused(refusal)), "{token}");
    }
}

#[test]
fn a_malformed_token_is_refused() {
    let (tokens, signer) = shared();
    let good = signer.token(&header("HS256"), &claims());
    let [head, body, signature] = <[&str; 3]>::try_from(good.split('.').collect::<Vec<_>>()).expect("three parts");
    let padded = |part: &str| format!("{part}=");
    for token in [
        String::new(),
        "..".to_owned(),
        head.to_owned(),
        format!("{head}.{body}"),
        format!("{good}."),
        format!(".{good}"),
        format!(" {good}"),
        format!("{good}\n"),
        format!("{head}.{body}.{signature}.{signature}"),
        format!("{head}..{signature}"),
        format!(".{body}.{signature}"),
        format!("{}.{body}.{signature}", padded(head)),
        format!("{head}.{body}.{}", padded(signature)),
        format!("{head}.{body}.{}", signature.replace(['-', '_'], "+")),
        format!("{head}.{body}.!"),
        signer.token_of("[]", &claims().to_string(), "HS256"),
        signer.token_of("null", &claims().to_string(), "HS256"),
        signer.token_of(&header("HS256").to_string(), "[]", "HS256"),
        signer.token_of(&header("HS256").to_string(), "", "HS256"),
        signer.token_of(&header("HS256").to_string(), &"[".repeat(5_000), "HS256"),
    ] {
        assert_refused(&tokens, &token);
    }
    assert_accepted(&tokens, &good);
}

#[test]
fn a_token_of_more_than_8_kib_is_refused() {
    let (tokens, signer) = shared();
    let of_length = |length: usize| {
        let token = |filling| signer.token(&header("HS256"), &but(claims(), &json!({ "x": "x".repeat(filling) })));
        // Base64 writes three bytes as four characters.
        let short = token(0).len();
        (0..3).map(|more| token((length - short) / 4 * 3 + more)).find(|token| token.len() == length)
    };
    assert_accepted(&tokens, &of_length(8 * 1024).expect("a token"));
    assert_refused(&tokens, &of_length(8 * 1024 + 1).or_else(|| of_length(8 * 1024 + 2)).expect("a token"));
}

#[test]
fn an_unsigned_token_or_an_unknown_algorithm_is_refused() {
    let (tokens, signer) = shared();
    for algorithm in ["none", "None", "NONE", "nOnE", "", "hs256", "HS256 ", "HS1", "A128KW", "ES256K"] {
        let message = format!("{}.{}", encode(header(algorithm).to_string()), encode(claims().to_string()));
        assert_refused(&tokens, &format!("{message}."));
        assert_refused(&tokens, &signer.token(&header(algorithm), &claims()));
    }
    for algorithm in [json!(null), json!(["HS256"]), json!(256), json!({})] {
        assert_refused(&tokens, &signer.token(&but(header("HS256"), &json!({ "alg": algorithm })), &claims()));
    }
}

#[test]
fn a_token_signed_with_the_public_key_as_a_secret_is_refused() {
    for (algorithm, signer) in [("RS256", &*RSA), ("ES256", &*P256), ("ES384", &*P384), ("EdDSA", &*ED25519)] {
        let tokens = trusting(with_key(&[algorithm], signer));
        let pem = signer.pem();
        for known in [pem.as_str(), pem.trim(), &pem.replace('\n', "\r\n"), &signer.jwk("1").to_string()] {
            for confused in ["HS256", "HS384", "HS512"] {
                assert_refused(&tokens, &Signer::secret(known).token(&header(confused), &claims()));
            }
        }
    }
}

#[test]
fn an_algorithm_that_the_issuer_does_not_use_is_refused() {
    let tokens = trusting(with_key(&["RS512", "PS384"], &RSA));
    for algorithm in ["RS256", "RS384", "PS256", "PS512"] {
        assert_refused(&tokens, &RSA.token(&header(algorithm), &claims()));
    }
    assert_accepted(&tokens, &RSA.token(&header("PS384"), &claims()));
    let tokens = trusting(with_secret(&["HS512"]));
    assert_refused(&tokens, &Signer::secret(SECRET).token(&header("HS256"), &claims()));
}

#[test]
fn a_signature_by_another_key_or_algorithm_is_refused() {
    let tokens = trusting(with_key(&["RS256", "PS256"], &RSA));
    assert_refused(&tokens, &OTHER_RSA.token(&header("RS256"), &claims()));
    let swapped = RSA.token_of(&header("RS256").to_string(), &claims().to_string(), "PS256");
    assert_refused(&tokens, &swapped);
    let (tokens, _) = shared();
    let digest = Signer::secret(SECRET).token_of(&header("HS512").to_string(), &claims().to_string(), "HS256");
    assert_refused(&tokens, &digest);
    assert_refused(&tokens, &Signer::secret(&SECRET[1..]).token(&header("HS256"), &claims()));
    let tokens = trusting(with_key(&["ES256"], &P256));
    let message = format!("{}.{}", encode(header("ES256").to_string()), encode(claims().to_string()));
    // CVE-2022-21449: Java accepted an all-zero ECDSA signature for every message.
    for bytes in [0, 64, 96] {
        assert_refused(&tokens, &format!("{message}.{}", encode(vec![0; bytes])));
    }
}

#[test]
fn a_kid_other_than_the_one_of_the_key_is_refused() {
    let named = |id: &Value| but(header("HS256"), &json!({ "kid": id }));
    let strange = [
        "2",
        "",
        "1 ",
        "../../../../dev/null",
        "/dev/null",
        "..\\keys\\1",
        "file:///etc/passwd",
        "https://attacker.example/keys",
        "1' OR '1'='1",
        "1\0",
    ];
    for key_id in [None, Some("1")] {
        let tokens = trusting(Settings { key_id: key_id.map(str::to_owned), ..with_secret(&["HS256"]) });
        let signer = Signer::secret(SECRET);
        assert_accepted(&tokens, &signer.token(&header("HS256"), &claims()));
        assert_eq!(verify(&tokens, &signer.token(&named(&json!("1")), &claims())).is_ok(), key_id.is_some());
        for id in strange {
            assert_refused(&tokens, &signer.token(&named(&json!(id)), &claims()));
            assert_refused(&tokens, &Signer::secret("").token(&named(&json!(id)), &claims()));
        }
        for id in [json!(1), json!(["1"]), json!({}), json!(true)] {
            assert_refused(&tokens, &signer.token(&named(&id), &claims()));
        }
    }
    let file = key_file(&json!({ "keys": [RSA.jwk("1")] }));
    let tokens = trusting(Settings { jwks_file: Some(file.path().to_owned()), ..settings(&["RS256"]) });
    for id in strange {
        assert_refused(&tokens, &RSA.token(&but(header("RS256"), &json!({ "kid": id })), &claims()));
    }
}

fn key_file(set: &Value) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), set.to_string()).expect("a written file");
    file
}

#[test]
fn a_token_that_brings_its_own_key_is_refused() {
    let tokens = trusting(with_key(&["RS256"], &RSA));
    for brought in [
        json!({ "jku": "https://attacker.example/keys" }),
        json!({ "jwk": OTHER_RSA.jwk("1") }),
        json!({ "x5u": "https://attacker.example/chain" }),
        json!({ "x5c": ["MIIB"] }),
        json!({ "crit": ["exp"] }),
        json!({ "crit": [], "b64": false }),
        json!({ "typ": "JWE" }),
        json!({ "typ": 1 }),
    ] {
        // The issuer itself must not bring a key either.
        for signer in [&RSA, &OTHER_RSA] {
            assert_refused(&tokens, &signer.token(&but(header("RS256"), &brought), &claims()));
        }
    }
    // A parameter with the value `null` is present, too.
    let header = r#"{"alg":"RS256","jku":null}"#;
    assert_refused(&tokens, &RSA.token_of(header, &claims().to_string(), "RS256"));
}

#[test]
fn a_duplicate_json_key_is_refused() {
    let (tokens, signer) = shared();
    let (head, body) = (header("HS256").to_string(), claims().to_string());
    for (header, claims) in [
        (head.replacen('{', r#"{"alg":"none","#, 1), body.clone()),
        (head.clone(), body.replacen('{', &format!(r#"{{"merchant":"{MERCHANT}","#), 1)),
        (head.clone(), body.replacen('{', r#"{"e\u0078p":4000000000,"#, 1)),
        (head.clone(), body.replacen('{', r#"{"act":{"a":1,"a":2},"#, 1)),
    ] {
        assert_refused(&tokens, &signer.token_of(&header, &claims, "HS256"));
    }
    assert_accepted(&tokens, &signer.token_of(&head, &body, "HS256"));
}

#[test]
fn a_wrong_or_missing_claim_is_refused() {
    let (tokens, signer) = shared();
    for wrong in [
        json!({ "iss": null }),
        json!({ "iss": "" }),
        json!({ "iss": "https://issuer.example/" }),
        json!({ "iss": "HTTPS://ISSUER.EXAMPLE" }),
        json!({ "iss": ["https://issuer.example"] }),
        json!({ "aud": null }),
        json!({ "aud": "" }),
        json!({ "aud": "other" }),
        json!({ "aud": "Roster" }),
        json!({ "aud": "roster https://roster.example" }),
        json!({ "aud": [] }),
        json!({ "aud": ["other", "another"] }),
        json!({ "aud": ["roster", 1] }),
        json!({ "aud": { "roster": true } }),
        json!({ "exp": null }),
        json!({ "exp": NOW - 30 }),
        json!({ "exp": 0 }),
        json!({ "exp": -1 }),
        json!({ "exp": (NOW + 60).to_string() }),
        json!({ "exp": true }),
        json!({ "exp": [NOW + 60] }),
        json!({ "exp": u64::MAX }),
        json!({ "exp": i64::MAX }),
        json!({ "exp": 1e300 }),
        json!({ "nbf": NOW + 31 }),
        json!({ "nbf": "now" }),
        json!({ "nbf": -1 }),
        json!({ "iat": NOW + 31 }),
        json!({ "iat": (NOW).to_string() }),
        json!({ "merchant": null }),
        json!({ "merchant": "" }),
        json!({ "merchant": MERCHANT.replace("org_", "merchant_") }),
        json!({ "merchant": MERCHANT.replace("org_", "") }),
        json!({ "merchant": MERCHANT.to_uppercase() }),
        json!({ "merchant": [MERCHANT] }),
        json!({ "environment": null }),
        json!({ "environment": "" }),
        json!({ "environment": "Live" }),
        json!({ "environment": "test" }),
        json!({ "environment": ["live"] }),
        json!({ "environment": true }),
        json!({ "scope": 1 }),
        json!({ "scope": { "customers:read": true } }),
        json!({ "scope": ["customers:read", 1] }),
        json!({ "scope": [["customers:read"]] }),
    ] {
        assert_refused(&tokens, &signer.token(&header("HS256"), &but(claims(), &wrong)));
    }
    for (claim, wrong) in [("nbf", "null"), ("iat", "null"), ("scope", "null"), ("nbf", "1.8e9"), ("exp", "NaN")] {
        let claims = but(claims(), &json!({ claim: null })).to_string();
        let claims = claims.replacen('{', &format!("{{{claim:?}:{wrong},"), 1);
        assert_refused(&tokens, &signer.token_of(&header("HS256").to_string(), &claims, "HS256"));
    }
}

#[test]
fn a_published_key_for_another_purpose_is_not_used() {
    let encryption = but(RSA.jwk("enc"), &json!({ "use": "enc" }));
    let wraps = but(RSA.jwk("wraps"), &json!({ "use": null, "key_ops": ["wrapKey"] }));
    let other_algorithm = but(RSA.jwk("ps"), &json!({ "alg": "PS256" }));
    let secret = Signer::secret(SECRET);
    let set = json!({ "keys": [encryption, wraps, other_algorithm, secret.jwk("oct")] });
    let file = key_file(&set);
    let tokens = trusting(Settings { jwks_file: Some(file.path().to_owned()), ..settings(&["RS256", "ES256"]) });
    let named = |algorithm: &str, id: &str| but(header(algorithm), &json!({ "kid": id }));
    for id in ["enc", "wraps", "ps"] {
        assert_refused(&tokens, &RSA.token(&named("RS256", id), &claims()));
    }
    assert_refused(&tokens, &secret.token(&named("HS256", "oct"), &claims()));
}

/// A valid token of each kind, with a verifier that accepts it.
static GOOD: LazyLock<Vec<(Tokens, String)>> = LazyLock::new(|| {
    let secret = Signer::secret(SECRET);
    let signers = [("RS256", &*RSA), ("PS256", &*RSA), ("ES256", &*P256), ("ES384", &*P384), ("EdDSA", &*ED25519)];
    let public = signers.map(|(algorithm, signer)| {
        (trusting(with_key(&[algorithm], signer)), signer.token(&header(algorithm), &claims()))
    });
    let shared = (trusting(with_secret(&["HS256"])), secret.token(&header("HS256"), &claims()));
    public.into_iter().chain([shared]).collect()
});

/// Characters to put into a token; all are legal in an HTTP header.
const LETTERS: &[u8] = b"ABCxyz0189-_.=+/ ";

proptest! {
    #[test]
    fn a_changed_token_is_refused(
        which in 0usize..6,
        places in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(LETTERS)), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
        again in prop::option::of((any::<prop::sample::Index>(), any::<prop::sample::Index>())),
    ) {
        let (tokens, good) = &GOOD[which];
        prop_assert!(verify(tokens, good).is_ok());
        let mut changed = good.clone().into_bytes();
        for (place, letter) in places {
            let place = place.index(changed.len());
            changed[place] = letter;
        }
        if let Some((from, to)) = again {
            let letter = changed[from.index(changed.len())];
            changed.insert(to.index(changed.len()), letter);
        }
        if let Some(end) = cut {
            changed.truncate(end.index(changed.len()) + 1);
        }
        let changed = String::from_utf8(changed).expect("ASCII");
        prop_assume!(changed != *good);
        prop_assert!(is_refused(&verify(tokens, &changed)));
        prop_assert!(is_refused(&tokens.verify(&changed, at(0))));
    }

    #[test]
    fn a_random_text_is_refused(text in "\\PC{0,80}|[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}") {
        prop_assert!(is_refused(&verify(&GOOD[5].0, &text)));
    }
}
