//! Merchants, the owners of customers.

use crate::{MerchantId, Timestamp, text::text};

text!(
    /// A merchant's display name, 1 to 256 characters.
    MerchantName, 1..=256
);

/// A merchant, which has customers in a live and a sandbox environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merchant {
    /// Its identifier.
    pub id: MerchantId,
    /// Its display name.
    pub name: MerchantName,
    /// When it was created.
    pub created_at: Timestamp,
    /// Since when its credentials are refused; `None`: they are accepted.
    pub disabled_at: Option<Timestamp>,
}
