//! Principals: authenticated callers.

use std::sync::Arc;

use roster_domain::{ApiKeyId, Tenant, Timestamp};

use crate::Scopes;
use crate::ports::TokenHolder;

/// An authenticated caller: its tenant and its scopes.
///
/// Only [`Roster::recognise`](crate::Roster::recognise) and [`Roster::authenticate`](crate::Roster::authenticate) make
/// one, from a credential. It is the only source of a [`Tenant`] on any surface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The tenant whose customers the caller may use.
    pub tenant: Tenant,
    /// What the caller may do.
    pub scopes: Scopes,
    /// From this time on its key is refused; `None`: never, or the caller sent a token.
    pub expires_at: Option<Timestamp>,
    /// The key that the caller sent; `None` for a token.
    pub api_key: Option<ApiKeyId>,
    /// Who holds the token that the caller sent; `None` for a key.
    pub token: Option<Arc<TokenHolder>>,
}

/// What a caller may give to the keys that it makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// The scopes that they may have.
    pub scopes: Scopes,
    /// The latest time at which they may expire; `None`: they need not expire.
    pub until: Option<Timestamp>,
}

impl From<&Principal> for Grant {
    /// No scope that the caller lacks, and no time after its key has expired: a key that was meant to end, or that leaked
    /// and was rotated, must not leave another one behind.
    ///
    /// A token has no end here: it lives for minutes, and its issuer decides for how long it issues further ones.
    fn from(principal: &Principal) -> Self {
        Self { scopes: principal.scopes, until: principal.expires_at }
    }
}

impl From<Scopes> for Grant {
    /// These scopes, for ever.
    fn from(scopes: Scopes) -> Self {
        Self { scopes, until: None }
    }
}

impl Grant {
    /// When this grant ends, if a key that expires at `expires_at` would outlive it.
    pub(crate) fn exceeded_by(self, expires_at: Option<Timestamp>) -> Option<Timestamp> {
        self.until.filter(|until| expires_at.is_none_or(|end| end > *until))
    }
}
