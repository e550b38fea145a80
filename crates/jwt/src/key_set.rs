//! The keys that an issuer publishes (RFC 7517 §5).

use jsonwebtoken::Algorithm;
use roster_application::json;
use roster_domain::{Json, Object};

use crate::key::Key;

/// The largest set that is read, in bytes.
pub(crate) const MAX_SIZE: usize = 256 * 1024;

/// The most keys that a set may have.
const MAX_KEYS: usize = 100;

/// Keys by their `kid`.
#[derive(Debug)]
pub(crate) struct KeySet(Vec<PublishedKey>);

#[derive(Debug)]
struct PublishedKey {
    id: String,
    /// The one algorithm that it is for, if the issuer says so.
    algorithm: Option<Algorithm>,
    key: Key,
}

/// Text that is no set of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeySetError {
    /// It is not an object in JSON with an array `keys`.
    #[error("it is no JWK set")]
    Malformed,
    /// It has more keys than anybody uses.
    #[error("it has more than {MAX_KEYS} keys")]
    TooManyKeys,
}

impl KeySet {
    /// No key.
    pub(crate) const NONE: Self = Self(Vec::new());

    /// Reads a set. Keys of a kind that is not known, without a `kid`, or not for signatures are passed over, as RFC 7517
    /// §5 has it.
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

    /// Whether it has a key with this `kid`.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.0.iter().any(|key| key.id == id)
    }

    /// The key with this `kid` that is for `algorithm`.
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
        self.key.fits(algorithm) && self.algorithm.is_none_or(|said| said == algorithm)
    }
}

/// Whether `key_ops` (RFC 7517 §4.3), if it is there, lets signatures be checked.
fn may_verify(jwk: &Object) -> bool {
    match jwk.get("key_ops") {
        None => true,
        Some(Json::Array(operations)) => operations.contains(&Json::String("verify".to_owned())),
        Some(_) => false,
    }
}
