//! A token as the client sent it, and its claims.

use std::sync::Arc;

use jsonwebtoken::Algorithm;
use roster_application::ports::{TokenClaims, TokenFault, TokenHolder};
use roster_application::{Scopes, json};
use roster_domain::{Environment, Json, MerchantId, Number, Object, Tenant, Timestamp};

use crate::issuer::Issuer;
use crate::key::decode;

/// The longest token that is parsed, in bytes.
const MAX_LENGTH: usize = 8 * 1024;

/// Header parameters that bring a key with the token, or change what the signature covers (RFC 7515 §4.1).
const REFUSED_PARAMETERS: [&str; 5] = ["jku", "jwk", "x5u", "x5c", "crit"];

/// A parsed token, whose signature and claims are not checked yet.
pub(crate) struct Token<'a> {
    /// The signed part: header and claims.
    pub(crate) message: &'a str,
    /// The signature, in base64url.
    pub(crate) signature: &'a str,
    /// The algorithm that the header names.
    pub(crate) algorithm: Algorithm,
    /// The key that the header names (`kid`).
    pub(crate) key_id: Option<String>,
    claims: Object,
}

impl<'a> Token<'a> {
    /// Parses the compact form of RFC 7515 §7.1. `None` if it is malformed, or of a kind that is never accepted.
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

    /// The claim `iss`, not verified yet.
    pub(crate) fn issuer(&self) -> Option<&str> {
        text(self.claims.get("iss")?)
    }

    /// The claims, if they are valid for `issuer` at `now`. The caller must check the signature as well.
    ///
    /// # Errors
    /// The first rule that they break.
    pub(crate) fn claims_of(&self, issuer: &Issuer, now: Timestamp) -> Result<TokenClaims, TokenFault> {
        self.check_validity(issuer, now)?;
        let claim = |name: &str| self.claims.get(name);
        let merchant = claim(&issuer.claims.merchant).and_then(text).and_then(|id| MerchantId::parse(id).ok());
        let environment =
            claim(&issuer.claims.environment).and_then(text).and_then(|name| Environment::parse(name).ok());
        let tenant = Tenant {
            merchant: merchant.ok_or(TokenFault::Merchant)?,
            environment: environment.ok_or(TokenFault::Environment)?,
        };
        let scopes = claim(&issuer.claims.scope).map_or(Some(Scopes::NONE), scopes).ok_or(TokenFault::Scope)?;
        Ok(TokenClaims { tenant, scopes, holder: Arc::new(self.holder(issuer)) })
    }

    /// Checks for whom and when the token is valid.
    fn check_validity(&self, issuer: &Issuer, now: Timestamp) -> Result<(), TokenFault> {
        let claim = |name: &str| self.claims.get(name);
        if self.issuer() != Some(&*issuer.name) {
            return Err(TokenFault::UnknownIssuer);
        }
        if !claim("aud").is_some_and(|audience| names_one_of(audience, &issuer.audience)) {
            return Err(TokenFault::Audience);
        }
        if claim("exp").and_then(time).is_none_or(|end| end.plus(issuer.leeway) <= now) {
            return Err(TokenFault::Expired);
        }
        let latest = now.plus(issuer.leeway);
        let started = |name| claim(name).is_none_or(|from| time(from).is_some_and(|from| from <= latest));
        if started("nbf") && started("iat") { Ok(()) } else { Err(TokenFault::NotYetValid) }
    }

    fn holder(&self, issuer: &Issuer) -> TokenHolder {
        let subject = self.claims.get("sub").and_then(text);
        let subject = subject.map(|subject| subject.chars().take(TokenHolder::MAX_SUBJECT).collect());
        TokenHolder { issuer: Arc::clone(&issuer.name), subject }
    }
}

/// Decodes one part of a token: a JSON object without duplicate keys.
fn object(part: &str) -> Option<Object> {
    match json::read(&decode(part)?).ok()? {
        Json::Object(object) => Some(object),
        _ => None,
    }
}

/// Whether the header `typ` is absent, or that of a JSON Web Token or an access token (RFC 9068 §2.1).
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

/// Reads a text, or an array of texts.
fn texts(value: &Json) -> Option<Vec<&str>> {
    match value {
        Json::Array(items) => items.iter().map(text).collect(),
        value => text(value).map(|text| vec![text]),
    }
}

fn names_one_of(audience: &Json, ours: &[String]) -> bool {
    texts(audience).is_some_and(|named| named.iter().any(|one| ours.iter().any(|our| our == one)))
}

/// Reads the scopes that this service knows, from one text (RFC 8693 §4.2) or an array; ignores all others.
fn scopes(value: &Json) -> Option<Scopes> {
    Some(Scopes::parse_known(&texts(value)?.join(" ")))
}

/// Reads seconds since 1970 (RFC 7519 §2), with or without a fraction, truncated to milliseconds.
fn time(value: &Json) -> Option<Timestamp> {
    let Json::Number(number) = value else { return None };
    Timestamp::from_millis(millis(number)?).ok()
}

/// Takes the first three digits after the point as milliseconds. Exact, which a float would not be.
fn millis(seconds: &Number) -> Option<i64> {
    let (whole, fraction) = seconds.as_str().split_once('.').unwrap_or((seconds.as_str(), ""));
    if !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let millis: i64 = format!("{fraction:0<3}")[..3].parse().ok()?;
    whole.parse::<i64>().ok()?.checked_mul(1000)?.checked_add(millis)
}
