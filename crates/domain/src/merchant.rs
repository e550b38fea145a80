//! Merchants: who owns customers.

use crate::{MerchantId, Timestamp, text::text};

text!(
    /// What a merchant is called, 1 to 256 characters.
    MerchantName, 1..=256
);

/// A merchant, whose customers live in a live and a sandbox environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merchant {
    /// Its identifier.
    pub id: MerchantId,
    /// What it is called.
    pub name: MerchantName,
    /// When it was made.
    pub created_at: Timestamp,
}
