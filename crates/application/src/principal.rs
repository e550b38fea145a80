//! Who calls.

use roster_domain::{ApiKeyId, Tenant};

use crate::Scopes;

/// Who calls, for which tenant, and what they may do.
///
/// It is made from a credential, by [`Roster::recognise`](crate::Roster::recognise) or
/// [`Roster::authenticate`](crate::Roster::authenticate), and from nothing else, and is the only source of a [`Tenant`] on
/// any surface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Principal {
    /// Whose customers the caller works with.
    pub tenant: Tenant,
    /// What the caller may do.
    pub scopes: Scopes,
    /// The key that was shown; `None` for a token.
    pub api_key: Option<ApiKeyId>,
}
