use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Timestamp;

/// The key with which deliveries to an endpoint are signed: `whsec_` and the Base64 of 32 random bytes.
///
/// The service must sign with it, so it is stored as it is, and not as a digest. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointSecret(String);

impl EndpointSecret {
    /// What the text begins with.
    pub const PREFIX: &str = "whsec_";

    /// The secret of 32 random bytes.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(format!("{}{}", Self::PREFIX, STANDARD.encode(bytes)))
    }

    /// Takes the secret of a row that this service wrote. `None` if it is none.
    #[must_use]
    pub fn restore(text: String) -> Option<Self> {
        let secret = Self(text);
        (secret.0.starts_with(Self::PREFIX) && !secret.key().is_empty()).then_some(secret)
    }

    /// The whole text: shown to its owner once, and the key of billing.io's signature.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The 32 bytes: the key of a signature of Standard Webhooks.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        let encoded = self.0.strip_prefix(Self::PREFIX).unwrap_or_default();
        STANDARD.decode(encoded).unwrap_or_default()
    }
}

impl fmt::Debug for EndpointSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndpointSecret(…)")
    }
}

/// The secret before the last rotation, with which deliveries are signed, too, for some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerSecret {
    /// The secret.
    pub secret: EndpointSecret,
    /// From this time on nothing is signed with it.
    pub until: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_round_trips_and_hides_itself() {
        let secret = EndpointSecret::new(&[7; 32]);
        assert_eq!(secret.reveal(), "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
        assert_eq!(secret.key(), [7; 32]);
        assert_eq!(EndpointSecret::restore(secret.reveal().to_owned()), Some(secret.clone()));
        assert_eq!(format!("{secret:?}"), "EndpointSecret(…)");
        for text in ["", "whsec_", "whsec_*", "BwcH"] {
            assert_eq!(EndpointSecret::restore(text.to_owned()), None, "{text}");
        }
    }
}
