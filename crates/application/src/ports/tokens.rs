use roster_domain::{Tenant, Timestamp};

use crate::Scopes;

/// What a token says that was found to be in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenClaims {
    /// Whose customers it opens. Whether there is such a merchant is not known yet.
    pub tenant: Tenant,
    /// What it lets its holder do.
    pub scopes: Scopes,
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is not in order; what is wrong with it is nobody's business.
    #[error("the token is not valid")]
    Refused,
    /// It names a key that is not known, and its issuer may be asked for its keys now.
    #[error("the token names a key that is not known yet")]
    UnknownKey,
}

/// Checks tokens that others have issued (JSON Web Tokens, RFC 7519).
pub trait TokenVerifier: Send + Sync {
    /// Checks a token without waiting for anybody.
    ///
    /// # Errors
    /// [`TokenError::UnknownKey`] if [`TokenVerifier::fetch_keys`] may help, [`TokenError::Refused`] otherwise.
    fn verify(&self, token: &str, now: Timestamp) -> Result<TokenClaims, TokenError>;

    /// Asks the issuer that `token` names for its keys, unless that was done a moment ago, and returns when that is
    /// done. It takes a bounded time, and whether it helped is seen by verifying again.
    fn fetch_keys(&self, token: &str);
}
