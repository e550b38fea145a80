//! JWK sets: the keys that an issuer publishes (RFC 7517 §5).

use jsonwebtoken::Algorithm;
use roster_application::json;
use roster_domain::{Json, Object};

use crate::key::Key;

/// The largest set that is read, in bytes.
pub(crate) const MAX_SIZE: usize = 256 * 1024;

/// The largest number of keys in a set.
const MAX_KEYS: usize = 100;

/// Keys by their `kid`.
#[derive(Debug)]
pub(crate) struct KeySet(Vec<PublishedKey>);

#[derive(Debug)]
struct PublishedKey {
    id: String,
    /// The only algorithm that the key may be used with, if the set names one.
    algorithm: Option<Algorithm>,
    key: Key,
}

/// Why a text is not a usable JWK set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeySetError {
    /// It is not a JSON object with an array `keys`.
    #[error("it is no JWK set")]
    Malformed,
    /// It has more than [`MAX_KEYS`] keys.
    #[error("it has more than {MAX_KEYS} keys")]
    TooManyKeys,
}

impl KeySet {
    /// The empty set.
    pub(crate) const NONE: Self = Self(Vec::new());

    /// Reads a set. Skips keys that have an unknown type or no `kid`, or are not for signatures (RFC 7517 §5).
    pub(crate) fn read(text: &[u8]) -> Result<Self, KeySetError> {
        let Ok(Json::Object(mut set)) = json::read(text) else { return Err(KeySetError::Malformed) };
        match set.take("keys") {
            Some(Json::Array(keys)) if keys.len() <= MAX_KEYS => {
                Ok(Self(keys.iter().filter_map(PublishedKey::read).collect()))
            }
            Some(Json::Array(_)) => Err(KeySetError::TooManyKeys),
            _ => Err(KeySetError::Malformed),
        }
    }

    /// Whether the set has a key with this `kid`.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.0.iter().any(|key| key.id == id)
    }

    /// The key with this `kid` that may be used with `algorithm`.
    pub(crate) fn key(&self, id: &str, algorithm: Algorithm) -> Option<&Key> {
        self.0.iter().find(|key| key.id == id && key.is_for(algorithm)).map(|key| &key.key)
    }
}

impl PublishedKey {
    fn read(jwk: &Json) -> Option<Self> {
        let Json::Object(jwk) = jwk else { return None };
        let text = |name: &str| match jwk.get(name) {
            None => Some(None),
            Some(Json::String(text)) => Some(Some(text.as_str())),
            Some(_) => None,
        };
        let for_signatures = text("use")?.is_none_or(|purpose| purpose == "sig") && may_verify(jwk);
        let id = text("kid")?.filter(|id| !id.is_empty() && for_signatures)?.to_owned();
        let algorithm = text("alg")?.map(str::parse).transpose().ok()?;
        Some(Self { id, algorithm, key: Key::from_jwk(jwk)? })
    }

    fn is_for(&self, algorithm: Algorithm) -> bool {
        self.key.fits(algorithm) && self.algorithm.is_none_or(|only| only == algorithm)
    }
}

/// Whether `key_ops` (RFC 7517 §4.3) is absent or allows checking signatures.
fn may_verify(jwk: &Object) -> bool {
    match jwk.get("key_ops") {
        None => true,
        Some(Json::Array(operations)) => operations.contains(&Json::String("verify".to_owned())),
        Some(_) => false,
    }
}
