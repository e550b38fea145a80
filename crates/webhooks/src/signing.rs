//! Signatures of requests: those of Standard Webhooks 1.0, and that of billing.io.
//!
//! An endpoint that checks one of them knows that the request is from this service, is unchanged, and is as old as its
//! timestamp says. The names of the headers and what is signed are those of
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>, and of the function
//! `verify_webhook_signature` in billing.io's client libraries.

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use roster_domain::Timestamp;
use sha2::Sha256;

/// The header with the identifier of the event, the same at each attempt.
pub const ID_HEADER: &str = "webhook-id";
/// The header with the time of the attempt, in seconds since 1970.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// The header with the signatures of Standard Webhooks, separated by spaces.
pub const SIGNATURE_HEADER: &str = "webhook-signature";
/// The header with the signature of billing.io.
pub const BILLING_HEADER: &str = "x-billing-signature";

const SECRET_PREFIX: &str = "whsec_";
const PRIVATE_KEY_PREFIX: &str = "whsk_";
const PUBLIC_KEY_PREFIX: &str = "whpk_";

/// The keys that the requests to one endpoint are signed with.
#[derive(Debug, Clone)]
pub struct SigningKeys<'a> {
    /// The secret in use.
    pub secret: &'a Secret,
    /// Secrets that were replaced and have not expired yet: an endpoint may still check with one of them.
    pub former_secrets: &'a [Secret],
    /// The Ed25519 key, if the endpoint has one.
    pub ed25519: Option<&'a Ed25519Key>,
}

/// A secret that the service shares with an endpoint: `whsec_` and 24 to 64 bytes in Base64.
#[derive(Clone)]
pub struct Secret {
    text: String,
    /// The HMAC of Standard Webhooks, whose key is the bytes.
    standard: Hmac<Sha256>,
    /// The HMAC of billing.io, whose key is the whole text.
    billing: Hmac<Sha256>,
}

/// A key pair for signatures that an endpoint can check without a secret.
pub struct Ed25519Key {
    pair: Ed25519KeyPair,
    text: String,
}

/// Why a text or bytes are not a key. The text is not in it, as it may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not the form of a [`Secret`].
    #[error("must be whsec_ and 24 to 64 bytes in Base64")]
    Secret,
    /// Not the form of an [`Ed25519Key`], or its halves do not belong together.
    #[error("must be whsk_ and an Ed25519 key in Base64: its 32 bytes, or these and the 32 of its public key")]
    Ed25519,
}

impl SigningKeys<'_> {
    /// The headers, names and values, of a request about the event `event_id` that is sent at `now`.
    ///
    /// The identifier must not contain a `.`, which separates it from the time in what is signed. Billing.io's header
    /// has room for one signature, so that is made with the secret in use only.
    #[must_use]
    pub fn sign(&self, event_id: &str, now: Timestamp, body: &str) -> [(&'static str, String); 4] {
        let seconds = now.as_millis().div_euclid(1000).to_string();
        let message = [event_id, ".", &seconds, ".", body];
        let secrets = [self.secret].into_iter().chain(self.former_secrets);
        let mut signatures: Vec<_> = secrets.map(|secret| secret.standard(&message)).collect();
        signatures.extend(self.ed25519.map(|key| key.sign(&message)));
        let billing = format!("t={seconds},v1={}", self.secret.billing(&message[2..]));
        [
            (ID_HEADER, event_id.to_owned()),
            (TIMESTAMP_HEADER, seconds),
            (SIGNATURE_HEADER, signatures.join(" ")),
            (BILLING_HEADER, billing),
        ]
    }
}

impl Secret {
    /// The fewest bytes, by Standard Webhooks.
    pub const MIN_BYTES: usize = 24;
    /// The most bytes, by Standard Webhooks.
    pub const MAX_BYTES: usize = 64;

    /// A secret of random bytes.
    ///
    /// # Errors
    /// [`KeyError::Secret`] if these are not 24 to 64 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        Self::parse(&format!("{SECRET_PREFIX}{}", STANDARD.encode(bytes)))
    }

    /// Parses the text of a secret.
    ///
    /// # Errors
    /// [`KeyError::Secret`] for any other text.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let encoded = text.strip_prefix(SECRET_PREFIX).ok_or(KeyError::Secret)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| KeyError::Secret)?;
        if !(Self::MIN_BYTES..=Self::MAX_BYTES).contains(&bytes.len()) {
            return Err(KeyError::Secret);
        }
        // An HMAC takes keys of any length.
        let hmac = |key: &[u8]| Hmac::new_from_slice(key).map_err(|_| KeyError::Secret);
        Ok(Self { text: text.to_owned(), standard: hmac(&bytes)?, billing: hmac(text.as_bytes())? })
    }

    /// The text in the clear, to store it or to show it to the owner of the endpoint.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// The signature `v1` of Standard Webhooks.
    fn standard(&self, message: &[&str]) -> String {
        format!("v1,{}", STANDARD.encode(mac(&self.standard, message)))
    }

    /// The signature of billing.io, in hexadecimal digits.
    fn billing(&self, message: &[&str]) -> String {
        let digits = mac(&self.billing, message).into_iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
    }
}

impl Ed25519Key {
    /// The bytes of a private key.
    pub const BYTES: usize = 32;

    /// The key whose private half is `bytes`, which must be random.
    ///
    /// # Errors
    /// [`KeyError::Ed25519`] if the cryptographic library refuses it.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(bytes).map_err(|_| KeyError::Ed25519)?;
        let both = [bytes, pair.public_key().as_ref()].concat();
        Ok(Self { text: format!("{PRIVATE_KEY_PREFIX}{}", STANDARD.encode(both)), pair })
    }

    /// Parses `whsk_` and the private key in Base64. The public key may follow it there, and must belong to it.
    ///
    /// # Errors
    /// [`KeyError::Ed25519`] for any other text.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let encoded = text.strip_prefix(PRIVATE_KEY_PREFIX).ok_or(KeyError::Ed25519)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| KeyError::Ed25519)?;
        let (private, public) = bytes.split_first_chunk().ok_or(KeyError::Ed25519)?;
        let key = Self::from_bytes(private)?;
        if public.is_empty() || public == key.pair.public_key().as_ref() { Ok(key) } else { Err(KeyError::Ed25519) }
    }

    /// The private key in the clear, with the public one, to store it: `whsk_` and both in Base64.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// The public key, to show it to the owner of the endpoint: `whpk_` and its bytes in Base64.
    #[must_use]
    pub fn public_key(&self) -> String {
        format!("{PUBLIC_KEY_PREFIX}{}", STANDARD.encode(self.pair.public_key()))
    }

    /// The signature `v1a` of Standard Webhooks.
    fn sign(&self, message: &[&str]) -> String {
        format!("v1a,{}", STANDARD.encode(self.pair.sign(message.concat().as_bytes())))
    }
}

impl PartialEq for Ed25519Key {
    fn eq(&self, other: &Self) -> bool {
        self.public_key() == other.public_key()
    }
}

impl Eq for Ed25519Key {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl fmt::Debug for Ed25519Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ed25519Key").field(&self.public_key()).finish()
    }
}

fn mac(keyed: &Hmac<Sha256>, message: &[&str]) -> [u8; 32] {
    let mut mac = keyed.clone();
    for part in message {
        mac.update(part.as_bytes());
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

    /// The message and the secret of the tests of Standard Webhooks' own libraries, which have this signature.
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &str = r#"{"test": 2432232314}"#;
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    /// The key of the tests of Svix, who wrote the specification: it gives this signature of the same message.
    const PRIVATE: &str =
        "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
    const PUBLIC: &str = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
    const SIGNATURE_A: &str =
        "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";

    /// From Python: `hmac.new(SECRET.encode(), b'1614265330.{"test": 2432232314}', hashlib.sha256).hexdigest()`, and
    /// accepted by billing.io's `verify_webhook_signature`.
    const BILLING: &str = "t=1614265330,v1=2e37df5d4a028c51a7f3133d64ae1e300d2c2c900f1b1d49d4369ad2530f8964";

    fn secret() -> Secret {
        Secret::parse(SECRET).expect("a secret")
    }

    fn now() -> Timestamp {
        // The milliseconds are cut off.
        Timestamp::from_millis(1_614_265_330_999).expect("a time")
    }

    fn signature(former_secrets: &[Secret], ed25519: Option<&Ed25519Key>) -> String {
        let keys = SigningKeys { secret: &secret(), former_secrets, ed25519 };
        let [_, _, (_, signature), _] = keys.sign(ID, now(), BODY);
        signature
    }

    #[test]
    fn the_headers_are_those_of_known_messages() {
        let keys = SigningKeys { secret: &secret(), former_secrets: &[], ed25519: None };
        let headers = [
            ("webhook-id", ID),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", SIGNATURE),
            ("x-billing-signature", BILLING),
        ];
        assert_eq!(keys.sign(ID, now(), BODY), headers.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn an_ed25519_key_signs_besides() {
        let key = Ed25519Key::parse(PRIVATE).expect("a key");
        assert_eq!(signature(&[], Some(&key)), format!("{SIGNATURE} {SIGNATURE_A}"));
        assert_eq!((key.reveal(), key.public_key().as_str()), (PRIVATE, PUBLIC));
    }

    #[test]
    fn every_secret_of_a_rotation_signs_but_billing_io_gets_one_signature() {
        let newest = Secret::from_bytes(&[7; 32]).expect("a secret");
        let [old, older] = [secret(), Secret::from_bytes(&[8; 24]).expect("a secret")];
        let alone = |secret| SigningKeys { secret, former_secrets: &[], ed25519: None }.sign(ID, now(), BODY);
        let [_, _, (_, first), billing] = alone(&newest);
        let [_, _, (_, third), _] = alone(&older);
        let keys = SigningKeys { secret: &newest, former_secrets: &[old, older], ed25519: None };
        let [_, _, (_, all), only] = keys.sign(ID, now(), BODY);
        assert_eq!(all, format!("{first} {SIGNATURE} {third}"));
        assert_eq!(only, billing);
    }

    #[test]
    fn what_is_signed_is_the_identifier_the_time_and_the_body() {
        let keys = SigningKeys { secret: &secret(), former_secrets: &[], ed25519: None };
        let later = now().plus(std::time::Duration::from_millis(1));
        let [_, _, (_, standard), (_, billing)] = keys.sign(ID, now(), BODY);
        for (id, now, body) in [("msg_2", now(), BODY), (ID, later, BODY), (ID, now(), "{}")] {
            let [_, _, (_, other), (_, other_billing)] = keys.sign(id, now, body);
            assert_ne!(other, standard);
            assert_eq!(other_billing == billing, id != ID, "billing.io does not sign the identifier");
        }
    }

    #[test]
    fn a_secret_has_24_to_64_bytes_in_base64() {
        for (length, accepted) in [(0, false), (23, false), (24, true), (32, true), (64, true), (65, false)] {
            let made = Secret::from_bytes(&vec![7; length]);
            assert_eq!(made.is_ok(), accepted, "{length} bytes");
            if let Ok(made) = made {
                assert_eq!(Secret::parse(made.reveal()).expect("the same secret").reveal(), made.reveal());
            }
        }
        let bare = &SECRET["whsec_".len()..];
        let texts = ["", "whsec_", bare, "whsec_%", "WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"].map(str::to_owned);
        for text in texts.iter().chain(&[format!("{SECRET} "), format!("whsk_{bare}"), SECRET.replace('M', "-")]) {
            assert_eq!(Secret::parse(text).err(), Some(KeyError::Secret), "{text}");
        }
    }

    #[test]
    fn an_ed25519_key_is_read_with_its_public_key_or_without() {
        let bytes = STANDARD.decode(&PRIVATE["whsk_".len()..]).expect("Base64");
        let encoded = |bytes: &[u8]| format!("whsk_{}", STANDARD.encode(bytes));
        assert_eq!(Ed25519Key::parse(&encoded(&bytes[..32])).expect("a key").reveal(), PRIVATE);
        let mut stranger = bytes.clone();
        stranger[63] ^= 1;
        for text in [encoded(&stranger), encoded(&bytes[..31]), encoded(&bytes[..63]), encoded(&[]), SECRET.to_owned()]
        {
            assert_eq!(Ed25519Key::parse(&text).err(), Some(KeyError::Ed25519), "{text}");
        }
    }

    #[test]
    fn the_public_key_verifies_what_a_new_key_signs() {
        let key = Ed25519Key::from_bytes(&[7; 32]).expect("a key");
        let signatures = signature(&[], Some(&key));
        let (_, signature) = signatures.split_once(" v1a,").expect("a signature");
        let public = STANDARD.decode(&key.public_key()["whpk_".len()..]).expect("Base64");
        let message = format!("{ID}.1614265330.{BODY}");
        let signature = STANDARD.decode(signature).expect("Base64");
        assert!(UnparsedPublicKey::new(&ED25519, public).verify(message.as_bytes(), &signature).is_ok());
    }

    #[test]
    fn debug_shows_no_secret() {
        let (secret, key) = (secret(), Ed25519Key::parse(PRIVATE).expect("a key"));
        let keys = SigningKeys { secret: &secret, former_secrets: &[], ed25519: Some(&key) };
        let shown = format!("{keys:?}");
        assert!(
            !shown.contains(&SECRET[6..12]) && !shown.contains(&PRIVATE[5..11]) && shown.contains(PUBLIC),
            "{shown}"
        );
    }
}
