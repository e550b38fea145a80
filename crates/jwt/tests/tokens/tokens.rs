//! Tokens that are accepted, and the claims that they return.

use roster_application::ports::{TokenHolder, TokenVerifier as _};
use roster_application::{Scope, Scopes};
use roster_domain::{Environment, MerchantId};
use roster_jwt::{Issuer, Settings, Tokens};
use serde_json::json;

use crate::signer::{ED25519, P256, P384, RSA, SECRET, Signer};
use crate::{
    MERCHANT, NOW, assert_accepted, assert_refused, at, but, claims, header, is_refused, settings, trusting, verify,
    with_key, with_secret,
};

const RSA_ALGORITHMS: [&str; 6] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];

#[test]
fn a_token_of_every_algorithm_is_accepted() {
    let secret = Signer::secret(SECRET);
    let hmac = ["HS256", "HS384", "HS512"];
    let keys: [(&[&str], &Signer); 5] =
        [(&hmac, &secret), (&RSA_ALGORITHMS, &RSA), (&["ES256"], &P256), (&["ES384"], &P384), (&["EdDSA"], &ED25519)];
    for (algorithms, signer) in keys {
        let inline = match signer {
            Signer::Secret(_) => with_secret(algorithms),
            _ => with_key(algorithms, signer),
        };
        let tokens = trusting(inline);
        for algorithm in algorithms {
            assert_accepted(&tokens, &signer.token(&header(algorithm), &claims()));
        }
    }
}

#[test]
fn a_token_carries_merchant_environment_and_scopes() {
    let (tokens, signer) = (trusting(with_secret(&["HS256"])), Signer::secret(SECRET));
    let read = |others| verify(&tokens, &signer.token(&header("HS256"), &but(claims(), &others))).expect("a token");
    let found = read(json!({}));
    assert_eq!(found.tenant.merchant, MerchantId::parse(MERCHANT).expect("an id"));
    assert_eq!(found.tenant.environment, Environment::Live);
    assert_eq!(found.scopes, [Scope::ReadCustomers, Scope::WriteCustomers].into_iter().collect());
    assert_eq!(read(json!({ "environment": "sandbox" })).tenant.environment, Environment::Sandbox);
    let listed = read(json!({ "scope": ["customers:read", "profile", "keys:manage"] })).scopes;
    assert_eq!(listed, [Scope::ReadCustomers, Scope::ManageKeys].into_iter().collect());
    for none in [json!(null), json!(""), json!([]), json!("customers:reads"), json!("openid profile")] {
        assert_eq!(read(json!({ "scope": none })).scopes, Scopes::NONE);
    }
}

#[test]
fn a_token_names_its_issuer_and_its_subject() {
    let (tokens, signer) = (trusting(with_secret(&["HS256"])), Signer::secret(SECRET));
    let long = "é".repeat(TokenHolder::MAX_SUBJECT);
    for (claim, subject) in [
        (json!("worker-7"), Some("worker-7")),
        (json!(format!("{long}x")), Some(&*long)),
        (json!(null), None),
        (json!(7), None),
    ] {
        let token = signer.token(&header("HS256"), &but(claims(), &json!({ "sub": claim })));
        let holder = verify(&tokens, &token).expect("a token").holder;
        assert_eq!((&*holder.issuer, holder.subject.as_deref()), ("https://issuer.example", subject));
    }
}

#[test]
fn the_names_of_the_claims_can_be_configured() {
    let (tokens, signer) = (
        trusting(Settings {
            merchant_claim: Some("https://roster.example/org".to_owned()),
            environment_claim: Some("env".to_owned()),
            scope_claim: Some("scp".to_owned()),
            ..with_secret(&["HS256"])
        }),
        Signer::secret(SECRET),
    );
    let named = json!({ "https://roster.example/org": MERCHANT, "env": "sandbox", "scp": ["customers:read"] });
    let found = verify(&tokens, &signer.token(&header("HS256"), &but(claims(), &named))).expect("a token");
    assert_eq!(found.tenant.environment, Environment::Sandbox);
    assert_eq!(found.scopes, [Scope::ReadCustomers].into_iter().collect());
    // The default names have no meaning then.
    assert_refused(&tokens, &signer.token(&header("HS256"), &claims()));
}

#[test]
fn one_common_audience_is_enough() {
    let (tokens, signer) = (trusting(with_secret(&["HS256"])), Signer::secret(SECRET));
    for audience in [json!("roster"), json!("https://roster.example"), json!(["other", "roster"]), json!(["roster"])] {
        assert_accepted(&tokens, &signer.token(&header("HS256"), &but(claims(), &json!({ "aud": audience }))));
    }
}

#[test]
fn a_token_is_valid_from_nbf_or_iat_to_exp_plus_minus_the_leeway() {
    let signer = Signer::secret(SECRET);
    let token = |exp: i64, from: &str, begin: i64| {
        signer.token(&header("HS256"), &but(claims(), &json!({ "exp": exp, from: begin })))
    };
    for leeway in [0, 10, 30] {
        let tokens = trusting(Settings { leeway_seconds: Some(leeway), ..with_secret(&["HS256"]) });
        for from in ["nbf", "iat"] {
            let token = token(NOW + 60, from, NOW);
            for (seconds, accepted) in
                [(-leeway - 1, false), (-leeway, true), (59 + leeway, true), (60 + leeway, false), (99_999, false)]
            {
                let shown = tokens.verify(&token, at(NOW + seconds));
                assert_eq!(shown.is_ok(), accepted, "{from}, {leeway} s of leeway, {seconds} s after");
            }
        }
    }
    let usual = trusting(with_secret(&["HS256"]));
    assert!(usual.verify(&token(NOW, "nbf", NOW), at(NOW + 29)).is_ok());
    assert!(usual.verify(&token(NOW, "nbf", NOW), at(NOW + 30)).is_err());
}

#[test]
fn a_fractional_time_is_truncated_to_milliseconds() {
    let tokens = trusting(Settings { leeway_seconds: Some(0), ..with_secret(&["HS256"]) });
    let claims = claims().to_string().replace(&(NOW + 60).to_string(), &format!("{NOW}.0019"));
    let token = Signer::secret(SECRET).token_of(&header("HS256").to_string(), &claims, "HS256");
    let millis = |millis| roster_domain::Timestamp::from_millis(NOW * 1000 + millis).expect("a time");
    assert!(tokens.verify(&token, millis(0)).is_ok());
    assert!(is_refused(&tokens.verify(&token, millis(1))));
}

#[test]
fn typ_may_be_absent_or_a_token_type_in_any_letter_case() {
    let (tokens, signer) = (trusting(with_secret(&["HS256"])), Signer::secret(SECRET));
    for typ in [json!(null), json!("jwt"), json!("at+JWT"), json!("application/at+jwt")] {
        assert_accepted(&tokens, &signer.token(&but(header("HS256"), &json!({ "typ": typ })), &claims()));
    }
}

#[test]
fn each_issuer_has_its_own_keys() {
    let other = Settings { issuer: Some("https://other.example".to_owned()), ..with_key(&["RS256"], &RSA) };
    let issuers = [with_secret(&["HS256"]), other].map(|settings| Issuer::parse(settings).expect("an issuer"));
    let tokens = Tokens::start(issuers.into()).expect("their keys");
    let of_other = but(claims(), &json!({ "iss": "https://other.example" }));
    assert_accepted(&tokens, &Signer::secret(SECRET).token(&header("HS256"), &claims()));
    assert_accepted(&tokens, &RSA.token(&header("RS256"), &of_other));
    assert_refused(&tokens, &RSA.token(&header("RS256"), &claims()));
    assert_refused(&tokens, &Signer::secret(SECRET).token(&header("HS256"), &of_other));
}

#[test]
fn a_key_in_a_file_is_found_by_its_kid() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let set = json!({ "keys": [RSA.jwk("rsa"), P256.jwk("p256"), P384.jwk("p384"), ED25519.jwk("ed"), 1, {}] });
    std::fs::write(file.path(), set.to_string()).expect("a written file");
    let algorithms = [&RSA_ALGORITHMS[..], &["ES256", "ES384", "EdDSA"]].concat();
    let tokens = trusting(Settings { jwks_file: Some(file.path().to_owned()), ..settings(&algorithms) });
    let keys: [(&str, &Signer, &str); 4] =
        [("RS256", &RSA, "rsa"), ("ES256", &P256, "p256"), ("ES384", &P384, "p384"), ("EdDSA", &ED25519, "ed")];
    for (algorithm, signer, id) in keys {
        let named = but(header(algorithm), &json!({ "kid": id }));
        assert_accepted(&tokens, &signer.token(&named, &claims()));
        assert_refused(&tokens, &signer.token(&header(algorithm), &claims()));
        for (_, _, other) in keys.iter().filter(|(_, _, other)| *other != id) {
            let misnamed = but(header(algorithm), &json!({ "kid": other }));
            assert_refused(&tokens, &signer.token(&misnamed, &claims()));
        }
    }
}
