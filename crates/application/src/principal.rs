//! Who calls.

use roster_domain::{ApiKeyId, Tenant};

/// Who calls, and for which tenant.
///
/// It is made by [`Roster::authenticate`](crate::Roster::authenticate) from a credential and from nothing else, and is
/// the only source of a [`Tenant`] on any surface. Other kinds of credential, and what a caller may do, belong here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Principal {
    /// Whose customers the caller works with.
    pub tenant: Tenant,
    /// The key that was shown.
    pub api_key: ApiKeyId,
}
