//! The settings of issuers: which are valid, and the faults of the others.

use roster_jwt::{Issuer, Settings, Tokens};

use crate::signer::{ED25519, P256, P384, RSA, SECRET, pem};
use crate::{settings, with_key, with_secret};

/// The faults of the settings, as `field: rule`.
fn faults(settings: Settings) -> Vec<String> {
    let faults = Issuer::parse(settings).err().unwrap_or_default();
    faults.into_iter().map(|fault| format!("{}: {}", fault.field, fault.rule)).collect()
}

#[track_caller]
fn assert_fault(settings: Settings, expected: &str) {
    let found = faults(settings);
    assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?} instead of {expected}");
}

#[test]
fn all_faults_are_reported_together() {
    let found =
        faults(Settings { leeway_seconds: Some(31), scope_claim: Some("exp".to_owned()), ..Settings::default() });
    assert_eq!(
        found,
        [
            "algorithms: must be one or more of HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, \
             ES384 and EdDSA",
            "leeway_seconds: must be a whole number from 0 to 30",
            "audience: must be one or more texts, one of which the claim aud names",
            "issuer: must be the name that the claim iss has",
            "scope_claim: must be the name of a claim that means nothing else",
            "secret, public_key, jwks_file, jwks_url: exactly one of them must be there",
        ]
    );
}

#[test]
fn names_and_bounds_are_checked() {
    let good = || with_secret(&["HS256"]);
    assert_eq!(faults(good()), Vec::<String>::new());
    assert_fault(Settings { issuer: Some(String::new()), ..good() }, "issuer: ");
    assert_fault(Settings { audience: vec!["a".to_owned(), String::new()], ..good() }, "audience: ");
    for leeway in [-1, 31, i64::MAX] {
        assert_fault(Settings { leeway_seconds: Some(leeway), ..good() }, "leeway_seconds: ");
    }
    for algorithm in ["none", "hs256", "ES512", "Ed25519", ""] {
        assert_fault(with_secret(&["HS256", algorithm]), "algorithms: ");
    }
    for claim in ["", "iss", "aud", "exp", "nbf", "iat", "environment", "scope"] {
        let found = faults(Settings { merchant_claim: Some(claim.to_owned()), ..good() });
        assert_eq!(found.len(), 1, "{claim}: {found:?}");
    }
    assert_eq!(faults(Settings { merchant_claim: Some("sub".to_owned()), ..good() }), Vec::<String>::new());
}

#[test]
fn a_secret_shorter_than_its_longest_digest_is_refused() {
    for (algorithms, shortest) in [(&["HS256"][..], 32), (&["HS256", "HS384"], 48), (&["HS512", "HS256"], 64)] {
        let of_length = |length: usize| Settings { secret: Some("s".repeat(length)), ..settings(algorithms) };
        assert_eq!(faults(of_length(shortest)), Vec::<String>::new());
        assert_eq!(faults(of_length(shortest - 1)), [format!("secret: must have at least {shortest} bytes")]);
    }
}

#[test]
fn an_algorithm_that_does_not_fit_the_key_is_refused() {
    let expected = "algorithms: must be such as the key can be used with";
    for wrong in ["RS256", "PS512", "ES256", "EdDSA"] {
        assert_fault(with_secret(&["HS256", wrong]), expected);
    }
    for (signer, wrong) in [(&RSA, "ES256"), (&P256, "ES384"), (&P384, "ES256"), (&ED25519, "ES256")] {
        assert_fault(with_key(&[wrong], signer), expected);
        assert_fault(with_key(&["HS256"], signer), expected);
    }
    let published = Settings { jwks_url: Some("https://issuer.example/keys".to_owned()), ..settings(&["HS256"]) };
    assert_fault(published, expected);
    let in_file = Settings { jwks_file: Some("keys.json".into()), ..settings(&["RS256", "HS256"]) };
    assert_fault(in_file, expected);
}

#[test]
fn anything_but_one_public_key_in_pem_is_refused() {
    let good = RSA.pem();
    let der = [0x30, 0x03, 0x02, 0x01, 0x01];
    let wrong = [
        String::new(),
        good.replace("PUBLIC", "PRIVATE"),
        good.replace("PUBLIC KEY", "CERTIFICATE"),
        good[..100].to_owned(),
        good.replace("MII", "MIA"),
        format!("{good}{}", P256.pem()),
        format!("# the key of our issuer\n{good}"),
        pem("PUBLIC KEY", &der),
        pem("RSA PUBLIC KEY", &der),
        SECRET.to_owned(),
    ];
    for pem in wrong {
        let settings = Settings { public_key: Some(pem), ..settings(&["RS256"]) };
        assert_fault(settings, "public_key: must be one public key in PEM");
    }
    let windows = Settings { public_key: Some(format!("\n{}\n", good.replace('\n', "\r\n"))), ..settings(&["RS256"]) };
    assert_eq!(faults(windows), Vec::<String>::new());
}

#[test]
fn an_issuer_has_one_kind_of_key_and_only_a_single_key_has_a_key_id() {
    let both = Settings { public_key: Some(RSA.pem()), ..with_secret(&["HS256"]) };
    assert_fault(both, "secret, public_key, jwks_file, jwks_url: exactly one");
    let two = Settings {
        jwks_file: Some("keys.json".into()),
        jwks_url: Some("https://issuer.example/keys".to_owned()),
        ..settings(&["RS256"])
    };
    assert_fault(two, "secret, public_key, jwks_file, jwks_url: exactly one");
    let named = Settings {
        key_id: Some("1".to_owned()),
        jwks_url: Some("https://issuer.example/keys".to_owned()),
        ..settings(&["RS256"])
    };
    assert_fault(named, "key_id: ");
    assert_fault(Settings { key_id: Some(String::new()), ..with_secret(&["HS256"]) }, "key_id: ");
}

#[test]
fn a_jwks_url_is_https_or_on_this_machine() {
    let at = |url: &str| Settings { jwks_url: Some(url.to_owned()), ..settings(&["RS256"]) };
    for url in [
        "https://issuer.example/.well-known/jwks.json?v=1",
        "https://10.0.0.1:8443/keys",
        "http://localhost:8080/keys",
        "http://127.0.0.1/keys",
        "http://[::1]:8080/keys",
    ] {
        assert_eq!(faults(at(url)), Vec::<String>::new(), "{url}");
    }
    for url in [
        "",
        "keys.json",
        "/etc/keys.json",
        "//issuer.example/keys",
        "file:///etc/keys.json",
        "ftp://issuer.example/keys",
        "http://issuer.example/keys",
        "http://localhost.example/keys",
        "http://127.0.0.1.example/keys",
        "http://0.0.0.0/keys",
        "http://[::ffff:10.0.0.1]/keys",
        "https://user:password@issuer.example/keys",
        "http://127.0.0.1@issuer.example/keys",
        "https:///keys",
        "https://issuer example/keys",
    ] {
        assert_fault(at(url), "jwks_url: must be an https URL without a user");
    }
}

#[test]
fn debug_output_and_faults_contain_no_secret() {
    let issuer = Issuer::parse(with_secret(&["HS256"])).expect("an issuer");
    let wrong = Settings { leeway_seconds: Some(-1), ..with_secret(&["HS256"]) };
    let faults = Issuer::parse(wrong.clone()).expect_err("a fault");
    for shown in [format!("{issuer:?}"), format!("{wrong:?}"), format!("{faults:?}")] {
        assert!(!shown.contains("nobody else knows") && !shown.contains("115, 105"), "{shown}");
    }
}

#[test]
fn a_file_that_cannot_be_read_stops_the_start_and_names_its_issuer() {
    let missing = Settings { jwks_file: Some("/nowhere/keys.json".into()), ..settings(&["RS256"]) };
    let refused = Tokens::start(vec![Issuer::parse(missing).expect("an issuer")]).err().expect("a refusal");
    let message = refused.to_string();
    assert!(
        message.starts_with("the keys of https://issuer.example: the file cannot be read: No such file"),
        "{message}"
    );
}
