//! Keys that check signatures.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::{aws_lc, verify};
use jsonwebtoken::{Algorithm, DecodingKey};
use roster_domain::{Json, Object};

/// A key, whose type decides the algorithms that it is used with.
///
/// This prevents algorithm confusion: an attacker cannot have a public key used as an HMAC secret, or a key of one
/// curve used with another.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Key {
    /// An HMAC secret that the issuer shares with this service.
    Secret(Vec<u8>),
    /// An RSA key: modulus and exponent, big-endian.
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    /// A point on P-256, uncompressed.
    P256(Vec<u8>),
    /// A point on P-384, uncompressed.
    P384(Vec<u8>),
    /// An Ed25519 key.
    Ed25519(Vec<u8>),
}

/// The shortest RSA modulus that is accepted, in bytes: 2048 bits (RFC 7518 §3.3).
const SHORTEST_MODULUS: usize = 256;

/// The labels of the PEM blocks that hold a public key (RFC 7468 §13, RFC 8017 A.1.1).
const PEM_LABELS: [&str; 2] = ["-----BEGIN PUBLIC KEY-----", "-----BEGIN RSA PUBLIC KEY-----"];

impl Key {
    /// Reads one PEM block with a public key. `None` for anything else, also for a private key or a certificate.
    pub(crate) fn from_pem(pem: &str) -> Option<Self> {
        let pem = pem.trim();
        let is_public = PEM_LABELS.iter().any(|label| pem.starts_with(label)) && pem.matches("-----BEGIN").count() == 1;
        let bytes = |key: &DecodingKey| key.try_get_as_bytes().map(<[u8]>::to_vec).ok();
        let pem = pem.as_bytes();
        if !is_public {
            None
        } else if let Ok(key) = DecodingKey::from_rsa_pem(pem) {
            let components = aws_lc::DEFAULT_PROVIDER.key_utils.rsa_pub_components_from_public_key;
            components(&bytes(&key)?).ok().and_then(|(modulus, exponent)| Self::rsa(modulus, exponent))
        } else if let Ok(key) = DecodingKey::from_ec_pem(pem) {
            Self::point(bytes(&key)?)
        } else {
            DecodingKey::from_ed_pem(pem).ok().and_then(|key| Self::ed25519(bytes(&key)?))
        }
    }

    /// Reads a public JWK (RFC 7517). `None` for anything else, also for a symmetric key: a published one is no secret.
    pub(crate) fn from_jwk(jwk: &Object) -> Option<Self> {
        let text = |name: &str| match jwk.get(name) {
            Some(Json::String(text)) => Some(text.as_str()),
            _ => None,
        };
        let bytes = |name: &str| text(name).and_then(decode);
        match (text("kty")?, text("crv")) {
            ("RSA", _) => Self::rsa(bytes("n")?, bytes("e")?),
            ("EC", Some(curve @ ("P-256" | "P-384"))) => {
                let (x, y) = (bytes("x")?, bytes("y")?);
                let width = if curve == "P-256" { 32 } else { 48 };
                (x.len() == width && y.len() == width).then(|| Self::point([vec![4], x, y].concat()))?
            }
            ("OKP", Some("Ed25519")) => Self::ed25519(bytes("x")?),
            _ => None,
        }
    }

    fn rsa(modulus: Vec<u8>, exponent: Vec<u8>) -> Option<Self> {
        let long_enough = modulus.iter().skip_while(|byte| **byte == 0).count() >= SHORTEST_MODULUS;
        long_enough.then_some(Self::Rsa { modulus, exponent })
    }

    fn point(point: Vec<u8>) -> Option<Self> {
        match (point.len(), point.first()) {
            (65, Some(4)) => Some(Self::P256(point)),
            (97, Some(4)) => Some(Self::P384(point)),
            _ => None,
        }
    }

    fn ed25519(key: Vec<u8>) -> Option<Self> {
        (key.len() == 32).then_some(Self::Ed25519(key))
    }

    /// Whether this key may check signatures of `algorithm`.
    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::Secret(_) => matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512),
            Self::Rsa { .. } => matches!(
                algorithm,
                Algorithm::RS256
                    | Algorithm::RS384
                    | Algorithm::RS512
                    | Algorithm::PS256
                    | Algorithm::PS384
                    | Algorithm::PS512
            ),
            Self::P256(_) => algorithm == Algorithm::ES256,
            Self::P384(_) => algorithm == Algorithm::ES384,
            Self::Ed25519(_) => algorithm == Algorithm::EdDSA,
        }
    }

    /// Whether `signature`, in base64url, is this key's signature of `message` with `algorithm`.
    pub(crate) fn has_signed(&self, message: &str, signature: &str, algorithm: Algorithm) -> bool {
        let key = match self {
            Self::Secret(secret) => DecodingKey::from_secret(secret),
            Self::Rsa { modulus, exponent } => DecodingKey::from_rsa_raw_components(modulus, exponent),
            Self::P256(point) | Self::P384(point) => DecodingKey::from_ec_der(point),
            Self::Ed25519(key) => DecodingKey::from_ed_der(key),
        };
        self.fits(algorithm) && verify(signature, message.as_bytes(), &key, algorithm).unwrap_or(false)
    }
}

impl fmt::Debug for Key {
    /// Shows the type of the key, never the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret(_) => "Secret",
            Self::Rsa { .. } => "Rsa",
            Self::P256(_) => "P256",
            Self::P384(_) => "P384",
            Self::Ed25519(_) => "Ed25519",
        })
    }
}

/// Decodes base64url without padding (RFC 7515 §2). Only the canonical encoding of the bytes is accepted.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
