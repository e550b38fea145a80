use std::sync::Arc;

use roster_domain::{Tenant, Timestamp};

use crate::Scopes;

/// The claims of a valid token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenClaims {
    /// The tenant that it gives access to. Whether the merchant exists is not checked yet.
    pub tenant: Tenant,
    /// What it allows its holder to do.
    pub scopes: Scopes,
    /// Who holds it.
    pub holder: Arc<TokenHolder>,
}

/// Who holds a token, as its issuer says. For the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenHolder {
    /// The issuer's name in the configuration.
    pub issuer: Arc<str>,
    /// The claim `sub`, cut after [`TokenHolder::MAX_SUBJECT`] characters. `None` if it is not a text.
    pub subject: Option<String>,
}

impl TokenHolder {
    /// The most characters of a subject that are kept.
    pub const MAX_SUBJECT: usize = 255;
}

/// Why a token is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is not valid; the reason is kept from the caller.
    #[error("the token is not valid")]
    Refused(TokenRefusal),
    /// It names an unknown signing key, and the keys of its issuer may be fetched now. If that does not help, it is
    /// refused for this.
    #[error("the token names a key that is not known yet")]
    UnknownKey(TokenRefusal),
}

/// Why a token is refused. For the log, never for the caller: it has nothing of the token itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRefusal {
    /// The rule that the token breaks.
    pub reason: TokenFault,
    /// The issuer's name in the configuration. `None` if the token names none of these.
    pub issuer: Option<Arc<str>>,
}

/// The rule that a token breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFault {
    /// It is malformed, or of a kind that is never accepted, or no token at all.
    NotAToken,
    /// Its issuer is not configured.
    UnknownIssuer,
    /// It is not for this service.
    Audience,
    /// It has expired, or does not say when it expires.
    Expired,
    /// It is not valid yet.
    NotYetValid,
    /// It names no merchant in the form of an identifier.
    Merchant,
    /// It names no environment.
    Environment,
    /// Its scopes are not texts.
    Scope,
    /// Its issuer does not sign with its algorithm.
    Algorithm,
    /// It names a key that its issuer does not publish, or none where it must.
    UnknownKey,
    /// Its signature is not that of its issuer.
    Signature,
    /// The merchant that it names does not exist.
    UnknownMerchant,
}

impl TokenFault {
    /// Its name in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotAToken => "not_a_token",
            Self::UnknownIssuer => "unknown_issuer",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Merchant => "merchant",
            Self::Environment => "environment",
            Self::Scope => "scope",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::UnknownMerchant => "unknown_merchant",
        }
    }
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
