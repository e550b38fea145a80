//! Trusted issuers: their keys, and what their tokens must contain.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Algorithm, AlgorithmFamily};
use ureq::http::Uri;

use crate::key::Key;

/// The configuration of one issuer, not checked yet.
#[derive(Clone, Default)]
pub struct Settings {
    /// Its name. The claim `iss` must be exactly this.
    pub issuer: Option<String>,
    /// The claim `aud` must contain one of these.
    pub audience: Vec<String>,
    /// The algorithms that its tokens may be signed with, by their names in RFC 7518 §3.1 and RFC 8037 §3.1.
    pub algorithms: Vec<String>,
    /// A secret that the issuer shares with this service.
    pub secret: Option<String>,
    /// Its public key, in PEM.
    pub public_key: Option<String>,
    /// The `kid` of the secret or the public key. Without it, a token with a header `kid` is refused.
    pub key_id: Option<String>,
    /// The path of a file with its public keys, a JWK set (RFC 7517 §5).
    pub jwks_file: Option<PathBuf>,
    /// The URL where it publishes its public keys, a JWK set.
    pub jwks_url: Option<String>,
    /// The claim that names the merchant. Default `merchant`.
    pub merchant_claim: Option<String>,
    /// The claim that names the environment. Default `environment`.
    pub environment_claim: Option<String>,
    /// The claim that names the scopes. Default `scope`.
    pub scope_claim: Option<String>,
    /// How far its clock may differ from ours, in seconds, 0 to 30. Default 30.
    pub leeway_seconds: Option<i64>,
}

/// An issuer whose tokens are accepted; its settings are valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    pub(crate) name: Arc<str>,
    pub(crate) audience: Vec<String>,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) keys: Keys,
    pub(crate) claims: ClaimNames,
    pub(crate) leeway: Duration,
}

/// Where the keys of an issuer come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Keys {
    /// One key, in the configuration.
    One { key: Key, id: Option<String> },
    /// A file with a JWK set.
    File(PathBuf),
    /// A URL where the issuer publishes a JWK set.
    Url(String),
}

/// The names of an issuer's claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimNames {
    pub(crate) merchant: String,
    pub(crate) environment: String,
    pub(crate) scope: String,
}

/// A rule that a field of [`Settings`] breaks. The value is not in it, as it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The field's name, or the names of several fields that belong together.
    pub field: &'static str,
    /// The rule that the field breaks.
    pub rule: String,
}

/// Claims whose meaning is fixed (RFC 7519 §4.1): no setting may give them another.
const RESERVED_CLAIMS: [&str; 5] = ["iss", "aud", "exp", "nbf", "iat"];

/// The largest leeway, and the default, in seconds.
const MAX_LEEWAY: u64 = 30;

impl fmt::Debug for Settings {
    /// Shows only the issuer's name, as other fields may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Issuer {
    /// Checks the settings of an issuer.
    ///
    /// # Errors
    /// All [`Fault`]s, not only the first.
    pub fn parse(settings: Settings) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let algorithms = faults.keep("algorithms", algorithms(&settings.algorithms)).unwrap_or_default();
        let leeway = faults.keep("leeway_seconds", leeway(settings.leeway_seconds));
        let audience = faults.keep("audience", audience(&settings.audience));
        let name = faults.keep("issuer", name(settings.issuer.as_deref()));
        let claims = claim_names(&settings, &mut faults);
        let keys = keys(settings, &algorithms, &mut faults);
        match (name, audience, keys, claims, leeway) {
            (Some(name), Some(audience), Some(keys), Some(claims), Some(leeway)) if faults.0.is_empty() => {
                Ok(Self { name, audience, algorithms, keys, claims, leeway })
            }
            _ => Err(faults.0),
        }
    }

    /// The issuer's name, which is the claim `iss` of its tokens.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The faults found so far.
#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, field: &'static str, rule: impl Into<String>) {
        self.0.push(Fault { field, rule: rule.into() });
    }

    /// Returns a field's value, or notes the rule that it breaks.
    fn keep<T>(&mut self, field: &'static str, read: Result<T, String>) -> Option<T> {
        read.map_err(|rule| self.add(field, rule)).ok()
    }
}

fn name(name: Option<&str>) -> Result<Arc<str>, String> {
    let name = name.filter(|name| !name.is_empty()).ok_or("must be the name that the claim iss has")?;
    Ok(name.into())
}

fn audience(audience: &[String]) -> Result<Vec<String>, String> {
    let named = !audience.is_empty() && audience.iter().all(|one| !one.is_empty());
    named
        .then(|| audience.to_vec())
        .ok_or_else(|| "must be one or more texts, one of which the claim aud names".to_owned())
}

fn algorithms(names: &[String]) -> Result<Vec<Algorithm>, String> {
    let rule = "must be one or more of HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 and \
                EdDSA";
    let algorithms: Result<Vec<Algorithm>, _> = names.iter().map(|name| name.parse()).collect();
    algorithms.ok().filter(|algorithms| !algorithms.is_empty()).ok_or_else(|| rule.to_owned())
}

fn leeway(seconds: Option<i64>) -> Result<Duration, String> {
    let seconds = seconds.map_or(Some(MAX_LEEWAY), |seconds| u64::try_from(seconds).ok());
    let seconds = seconds.filter(|seconds| *seconds <= MAX_LEEWAY);
    seconds.map(Duration::from_secs).ok_or_else(|| format!("must be a whole number from 0 to {MAX_LEEWAY}"))
}

fn claim_names(settings: &Settings, faults: &mut Faults) -> Option<ClaimNames> {
    let mut taken: Vec<String> = RESERVED_CLAIMS.map(str::to_owned).into();
    let mut read = |field, given: &Option<String>, default: &str| {
        let name = given.clone().unwrap_or_else(|| default.to_owned());
        let free = !name.is_empty() && !taken.contains(&name);
        taken.push(name.clone());
        faults.keep(field, free.then_some(name).ok_or("must be the name of a claim that means nothing else".to_owned()))
    };
    let merchant = read("merchant_claim", &settings.merchant_claim, "merchant");
    let environment = read("environment_claim", &settings.environment_claim, "environment");
    let scope = read("scope_claim", &settings.scope_claim, "scope");
    Some(ClaimNames { merchant: merchant?, environment: environment?, scope: scope? })
}

/// Reads the keys: exactly one kind must be set, and every algorithm must fit it.
fn keys(settings: Settings, algorithms: &[Algorithm], faults: &mut Faults) -> Option<Keys> {
    let id = settings.key_id;
    let keys = match (settings.secret, settings.public_key, settings.jwks_file, settings.jwks_url) {
        (Some(secret), None, None, None) => {
            let key = faults.keep("secret", shared_secret(secret, algorithms))?;
            Keys::One { key, id: id.clone() }
        }
        (None, Some(pem), None, None) => {
            let rule = "must be one public key in PEM: RSA of at least 2048 bits, P-256, P-384 or Ed25519";
            let key = faults.keep("public_key", Key::from_pem(&pem).ok_or_else(|| rule.to_owned()))?;
            Keys::One { key, id: id.clone() }
        }
        (None, None, Some(path), None) => Keys::File(path),
        (None, None, None, Some(url)) => Keys::Url(faults.keep("jwks_url", checked_url(url))?),
        _ => {
            faults.add("secret, public_key, jwks_file, jwks_url", "exactly one of them must be there");
            return None;
        }
    };
    if id.as_deref() == Some("") || (id.is_some() && !matches!(keys, Keys::One { .. })) {
        faults.add("key_id", "must be the kid of a secret or a public_key; those of a JWK set name themselves");
    }
    if !algorithms.iter().all(|algorithm| may_be_used(*algorithm, &keys)) {
        faults.add("algorithms", "must be such as the key can be used with: HS with a secret, and no other with one");
    }
    Some(keys)
}

fn may_be_used(algorithm: Algorithm, keys: &Keys) -> bool {
    match keys {
        Keys::One { key, .. } => key.fits(algorithm),
        // A published key is not secret: with HMAC, every reader of the set could sign tokens.
        Keys::File(_) | Keys::Url(_) => algorithm.family() != AlgorithmFamily::Hmac,
    }
}

/// Checks that a secret is at least as long as the digests that are made with it (RFC 7518 §3.2).
fn shared_secret(secret: String, algorithms: &[Algorithm]) -> Result<Key, String> {
    let length = |algorithm: &Algorithm| match algorithm {
        Algorithm::HS512 => 64,
        Algorithm::HS384 => 48,
        _ => 32,
    };
    let shortest = algorithms.iter().map(length).max().unwrap_or(32);
    let long_enough = secret.len() >= shortest;
    long_enough.then(|| Key::Secret(secret.into_bytes())).ok_or_else(|| format!("must have at least {shortest} bytes"))
}

/// Checks that no machine on the network path can forge the answer: https, or http to this machine.
fn checked_url(url: String) -> Result<String, String> {
    let uri: Option<Uri> = url.parse().ok();
    let safe = uri.and_then(|uri| {
        let authority = uri.authority()?;
        let named = !authority.host().is_empty() && !authority.as_str().contains('@');
        let safe = match uri.scheme_str()? {
            "https" => true,
            "http" => is_loopback(authority.host()),
            _ => false,
        };
        Some(named && safe)
    });
    let rule = "must be an https URL without a user; http only to localhost or a loopback address";
    if safe == Some(true) { Ok(url) } else { Err(rule.to_owned()) }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address: IpAddr| address.is_loopback())
}
