use roster_domain::{Customer, Timestamp};

use super::write_customers::WriteError;
use crate::ports::{CustomerKey, Write};
use crate::{Precondition, Revision};

/// The deletion of a live customer: its row is kept, its identifiers are free again.
#[derive(Debug, Clone)]
pub struct CustomerDeletion {
    /// The customer.
    pub key: CustomerKey,
    /// What the customer must be before it.
    pub precondition: Precondition,
}

impl CustomerDeletion {
    /// The write that deletes it.
    pub(super) fn decide(&self, before: Customer, now: Timestamp) -> Result<Write, WriteError> {
        self.precondition.check(Some(Revision::from(&before)))?;
        let after = before.deleted(now);
        Ok(Write::change(before, after))
    }
}
