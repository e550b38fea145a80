use roster_domain::{Customer, Timestamp};

use crate::ports::{CustomerKey, Write};

/// The deletion of a live customer: its row is kept, its identifiers are free again.
#[derive(Debug, Clone)]
pub struct CustomerDeletion {
    /// The customer.
    pub key: CustomerKey,
}

impl CustomerDeletion {
    /// The write that deletes it.
    pub(super) fn decide(before: Customer, now: Timestamp) -> Write {
        let after = before.deleted(now);
        Write::change(before, after)
    }
}
