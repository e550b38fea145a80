//! Signs any header and claims, valid or not, with keys of every type.

use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding,
    RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// Long enough for HS512, which needs 64 bytes.
pub const SECRET: &str = "sixty-four bytes that nobody else knows, and that no one guesses!";

pub static RSA: LazyLock<Signer> = LazyLock::new(|| Signer::rsa(KeySize::Rsa2048));
pub static OTHER_RSA: LazyLock<Signer> = LazyLock::new(|| Signer::rsa(KeySize::Rsa2048));
pub static P256: LazyLock<Signer> =
    LazyLock::new(|| Signer::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key")));
pub static P384: LazyLock<Signer> =
    LazyLock::new(|| Signer::P384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a key")));
pub static ED25519: LazyLock<Signer> = LazyLock::new(|| Signer::Ed25519(Ed25519KeyPair::generate().expect("a key")));

/// A signing key.
pub enum Signer {
    Secret(Vec<u8>),
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    pub fn rsa(size: KeySize) -> Self {
        Self::Rsa(RsaKeyPair::generate(size).expect("a key"))
    }

    pub fn secret(secret: impl AsRef<[u8]>) -> Self {
        Self::Secret(secret.as_ref().to_vec())
    }

    /// A token with this header and these claims, signed with the header's `alg`.
    pub fn token(&self, header: &Value, claims: &Value) -> String {
        self.token_of(&header.to_string(), &claims.to_string(), header["alg"].as_str().unwrap_or_default())
    }

    /// A token of any two texts, signed with `algorithm`.
    pub fn token_of(&self, header: &str, claims: &str, algorithm: &str) -> String {
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = encode(self.sign(&message, algorithm));
        format!("{message}.{signature}")
    }

    fn sign(&self, message: &str, algorithm: &str) -> Vec<u8> {
        let (message, random) = (message.as_bytes(), SystemRandom::new());
        match self {
            Self::Secret(secret) => {
                let algorithm = match algorithm {
                    "HS384" => hmac::HMAC_SHA384,
                    "HS512" => hmac::HMAC_SHA512,
                    _ => hmac::HMAC_SHA256,
                };
                hmac::sign(&hmac::Key::new(algorithm, secret), message).as_ref().to_vec()
            }
            Self::Rsa(key) => {
                let encoding: &dyn RsaEncoding = match algorithm {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    "PS512" => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(encoding, &random, message, &mut signature).expect("a signature");
                signature
            }
            Self::P256(key) | Self::P384(key) => key.sign(&random, message).expect("a signature").as_ref().to_vec(),
            Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    /// Its public key in PEM.
    pub fn pem(&self) -> String {
        let der: PublicKeyX509Der<'_> = match self {
            Self::Secret(_) => panic!("a secret is not public"),
            Self::Rsa(key) => key.public_key().as_der(),
            Self::P256(key) | Self::P384(key) => key.public_key().as_der(),
            Self::Ed25519(key) => key.public_key().as_der(),
        }
        .expect("a public key");
        pem("PUBLIC KEY", der.as_ref())
    }

    /// Its public key as a JWK; the shared secret itself for [`Signer::Secret`].
    pub fn jwk(&self, id: &str) -> Value {
        match self {
            Self::Secret(secret) => json!({ "kty": "oct", "kid": id, "k": encode(secret) }),
            Self::Rsa(key) => {
                let key = key.public_key();
                let (n, e) = (key.modulus(), key.exponent());
                let (n, e) = (n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero());
                json!({ "kty": "RSA", "kid": id, "use": "sig", "n": encode(n), "e": encode(e) })
            }
            Self::P256(key) => point(id, "P-256", key.public_key().as_ref()),
            Self::P384(key) => point(id, "P-384", key.public_key().as_ref()),
            Self::Ed25519(key) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": id, "x": encode(key.public_key().as_ref()) })
            }
        }
    }
}

fn point(id: &str, curve: &str, point: &[u8]) -> Value {
    let (x, y) = point[1..].split_at((point.len() - 1) / 2);
    json!({ "kty": "EC", "crv": curve, "kid": id, "x": encode(x), "y": encode(y) })
}

/// A PEM block (RFC 7468).
pub fn pem(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let lines: Vec<_> = base64.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line)).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
