//! A token as it was shown, and what it claims.

use jsonwebtoken::Algorithm;
use roster_application::ports::TokenClaims;
use roster_application::{Scopes, json};
use roster_domain::{Environment, Json, MerchantId, Number, Object, Tenant, Timestamp};

use crate::issuer::Issuer;
use crate::key::decode;

/// The longest token that is read, in bytes.
const MAX_LENGTH: usize = 8 * 1024;

/// Header parameters by which a token would bring its own key, or change what a signature means (RFC 7515 §4.1).
const REFUSED_PARAMETERS: [&str; 5] = ["jku", "jwk", "x5u", "x5c", "crit"];

/// A token, read but not believed.
pub(crate) struct Token<'a> {
    /// What is signed.
    pub(crate) message: &'a str,
    /// The signature, in base64url.
    pub(crate) signature: &'a str,
    /// How it is said to be signed.
    pub(crate) algorithm: Algorithm,
    /// The key that it is said to be signed with.
    pub(crate) key_id: Option<String>,
    claims: Object,
}

impl<'a> Token<'a> {
    /// Reads a token in the compact form of RFC 7515 §7.1. `None` if it is none, or one of a kind that is never taken.
    pub(crate) fn read(token: &'a str) -> Option<Self> {
        if token.len() > MAX_LENGTH {
            return None;
        }
        let (message, signature) = token.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let header = object(header)?;
        if REFUSED_PARAMETERS.iter().any(|name| header.get(name).is_some()) || !is_token_type(header.get("typ")) {
            return None;
        }
        let algorithm = text(header.get("alg")?)?.parse().ok()?;
        let key_id = match header.get("kid") {
            None => None,
            Some(id) => Some(text(id)?.to_owned()),
        };
        Some(Self { message, signature, algorithm, key_id, claims: object(claims)? })
    }

    /// Who is said to have issued it.
    pub(crate) fn issuer(&self) -> Option<&str> {
        text(self.claims.get("iss")?)
    }

    /// What it says, if that is in order. Whether its issuer says it is for the signature to show.
    pub(crate) fn claims_of(&self, issuer: &Issuer, now: Timestamp) -> Option<TokenClaims> {
        let claim = |name: &str| self.claims.get(name);
        let meant = self.issuer() == Some(&issuer.name) && names_one_of(claim("aud")?, &issuer.audience);
        let ended = time(claim("exp")?)?.plus(issuer.leeway) <= now;
        let latest = now.plus(issuer.leeway);
        let begun = |name| claim(name).is_none_or(|from| time(from).is_some_and(|from| from <= latest));
        if !meant || ended || !begun("nbf") || !begun("iat") {
            return None;
        }
        let merchant = MerchantId::parse(text(claim(&issuer.claims.merchant)?)?).ok()?;
        let environment = Environment::parse(text(claim(&issuer.claims.environment)?)?).ok()?;
        let scopes = claim(&issuer.claims.scope).map_or(Some(Scopes::NONE), scopes)?;
        Some(TokenClaims { tenant: Tenant { merchant, environment }, scopes })
    }
}

/// One part of a token: an object in JSON, in which no key stands twice.
fn object(part: &str) -> Option<Object> {
    match json::read(&decode(part)?).ok()? {
        Json::Object(object) => Some(object),
        _ => None,
    }
}

/// Whether the header `typ`, if it is there, is that of a JSON Web Token or of an access token (RFC 9068 §2.1).
fn is_token_type(typ: Option<&Json>) -> bool {
    let known = |typ: &str| {
        let name = typ.to_ascii_lowercase();
        matches!(name.strip_prefix("application/").unwrap_or(&name), "jwt" | "at+jwt")
    };
    typ.is_none_or(|typ| text(typ).is_some_and(known))
}

fn text(value: &Json) -> Option<&str> {
    match value {
        Json::String(text) => Some(text),
        _ => None,
    }
}

/// A text, or an array of texts.
fn texts(value: &Json) -> Option<Vec<&str>> {
    match value {
        Json::Array(items) => items.iter().map(text).collect(),
        value => text(value).map(|text| vec![text]),
    }
}

fn names_one_of(audience: &Json, ours: &[String]) -> bool {
    texts(audience).is_some_and(|named| named.iter().any(|one| ours.iter().any(|our| our == one)))
}

/// The scopes of this service that are named, as one text (RFC 8693 §4.2) or as an array.
fn scopes(value: &Json) -> Option<Scopes> {
    Some(Scopes::parse_known(&texts(value)?.join(" ")))
}

/// Reads seconds since 1970 (RFC 7519 §2), in whole or with a fraction; what is finer than a millisecond is cut off.
fn time(value: &Json) -> Option<Timestamp> {
    let Json::Number(number) = value else { return None };
    Timestamp::from_millis(millis(number)?).ok()
}

/// Exact, as a float would not be: the first three digits after the point are the milliseconds.
fn millis(seconds: &Number) -> Option<i64> {
    let (whole, fraction) = seconds.as_str().split_once('.').unwrap_or((seconds.as_str(), ""));
    if !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let millis: i64 = format!("{fraction:0<3}")[..3].parse().ok()?;
    whole.parse::<i64>().ok()?.checked_mul(1000)?.checked_add(millis)
}
