//! Principals: authenticated callers.

use roster_domain::{ApiKeyId, Tenant};

use crate::Scopes;

/// An authenticated caller: its tenant and its scopes.
///
/// Only [`Roster::recognise`](crate::Roster::recognise) and [`Roster::authenticate`](crate::Roster::authenticate) make
/// one, from a credential. It is the only source of a [`Tenant`] on any surface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Principal {
    /// The tenant whose customers the caller may use.
    pub tenant: Tenant,
    /// What the caller may do.
    pub scopes: Scopes,
    /// The key that the caller sent; `None` for a token.
    pub api_key: Option<ApiKeyId>,
}
