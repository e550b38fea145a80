//! API keys: `sk_live_` or `sk_test_`, 30 random characters, and a checksum of 6 characters against typing errors.

use std::fmt;

use roster_domain::{ApiKeyId, Environment, Name, Tenant, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::Scopes;
use crate::ports::{Entropy, EntropyError};

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Random characters of a key: 30 of base62 are 178 bits.
const RANDOM_LENGTH: usize = 30;

/// Characters of the checksum: the CRC-32 of all characters before it, in base62.
const CHECKSUM_LENGTH: usize = 6;

/// A key in the clear, shown once, when it is created; only its owner keeps it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKeySecret(String);

/// A SHA-256: of an API key, under which the key is stored and looked up, or of what a request has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

/// 64 hexadecimal digits: `{digest:x}`.
impl fmt::LowerHex for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl ApiKeySecret {
    /// Creates a key for `environment`.
    ///
    /// # Errors
    /// [`EntropyError`] if the system has no random bytes.
    pub fn generate(environment: Environment, entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        random(prefix(environment), entropy).map(Self)
    }

    /// Parses a key and verifies its checksum. `None` for anything else, which needs no look-up in the store.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut environments = Environment::ALL.into_iter();
        environments.any(|environment| is_well_formed(prefix(environment), text)).then(|| Self(text.to_owned()))
    }

    /// The digest under which the key is stored and looked up.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }

    /// The key in the clear, to show it to its owner.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeySecret(…)")
    }
}

/// An operator's key in the clear: as an API key, with the prefix `sk_admin_`. A type of its own, so that neither is taken for
/// the other.
#[derive(Clone, PartialEq, Eq)]
pub struct OperatorSecret(String);

impl OperatorSecret {
    /// Creates a key.
    ///
    /// # Errors
    /// [`EntropyError`] if the system has no random bytes.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        random(OPERATOR_PREFIX, entropy).map(Self)
    }

    /// Parses a key and verifies its checksum. `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        is_well_formed(OPERATOR_PREFIX, text).then(|| Self(text.to_owned()))
    }

    /// The digest under which the key is stored and looked up.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }

    /// The key in the clear, to show it to its owner.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for OperatorSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperatorSecret(…)")
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

/// The prefix of the keys of `environment`, the same as in billing.io's keys.
fn prefix(environment: Environment) -> &'static str {
    match environment {
        Environment::Live => "sk_live_",
        Environment::Sandbox => "sk_test_",
    }
}

/// The prefix of the keys of operators.
const OPERATOR_PREFIX: &str = "sk_admin_";

/// A key with `prefix`, random characters and their checksum.
fn random(prefix: &str, entropy: &dyn Entropy) -> Result<String, EntropyError> {
    let mut key = String::from(prefix);
    let end = key.len() + RANDOM_LENGTH;
    while key.len() < end {
        let mut byte = [0];
        entropy.fill(&mut byte)?;
        // 248 is the largest multiple of 62 in a byte: higher bytes would make some characters likelier.
        if byte[0] < 248 {
            key.push(char::from(BASE62[usize::from(byte[0] % 62)]));
        }
    }
    let checksum = checksum(&key);
    key.extend(checksum.map(char::from));
    Ok(key)
}

/// Whether `text` is a key with `prefix` whose checksum is right.
fn is_well_formed(prefix: &str, text: &str) -> bool {
    let Some(random) = text.strip_prefix(prefix) else { return false };
    if random.len() != RANDOM_LENGTH + CHECKSUM_LENGTH || !random.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return false;
    }
    let (checked, given) = text.split_at(text.len() - CHECKSUM_LENGTH);
    checksum(checked) == given.as_bytes()
}

fn checksum(text: &str) -> [u8; CHECKSUM_LENGTH] {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut digits = [b'0'; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

/// A key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Identifies the key; it is not secret.
    pub id: ApiKeyId,
    /// The tenant that it gives access to.
    pub tenant: Tenant,
    /// The name that its owner gave it.
    pub name: Option<Name>,
    /// What it allows its holder to do.
    pub scopes: Scopes,
    /// The digest that it is looked up by.
    pub digest: Digest,
    /// When it was created.
    pub created_at: Timestamp,
    /// From this time on it is refused.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, accurate to about [`USE_INTERVAL`](crate::ports::USE_INTERVAL).
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// The key that was created in its place, once it was rotated.
    pub successor: Option<ApiKeyId>,
}

impl ApiKey {
    /// Whether it is accepted at `now`: neither revoked nor expired.
    #[must_use]
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}
