use roster_domain::{Tenant, Timestamp};

use crate::Scopes;

/// The claims of a valid token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenClaims {
    /// The tenant that it gives access to. Whether the merchant exists is not checked yet.
    pub tenant: Tenant,
    /// What it allows its holder to do.
    pub scopes: Scopes,
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is not valid; the reason is kept from the caller.
    #[error("the token is not valid")]
    Refused,
    /// It names an unknown signing key, and the keys of its issuer may be fetched now.
    #[error("the token names a key that is not known yet")]
    UnknownKey,
}

/// Verifies tokens of configured issuers (JSON Web Tokens, RFC 7519).
pub trait TokenVerifier: Send + Sync {
    /// Verifies a token without waiting for its issuer.
    ///
    /// # Errors
    /// [`TokenError::UnknownKey`] if [`TokenVerifier::fetch_keys`] may help, [`TokenError::Refused`] otherwise.
    fn verify(&self, token: &str, now: Timestamp) -> Result<TokenClaims, TokenError>;

    /// Fetches the keys of the issuer that `token` names, unless that was done a moment ago.
    ///
    /// It blocks for a bounded time. Verify the token again to find out whether it helped.
    fn fetch_keys(&self, token: &str);
}
