use roster_domain::metadata::MetadataError;
use roster_domain::{Customer, CustomerEdit, Timestamp};

use super::write_customers::WriteError;
use crate::ports::{CustomerKey, StoreError, Write};
use crate::{Precondition, Revision};

/// A change of a live customer.
#[derive(Debug, Clone)]
pub struct CustomerChange {
    /// The customer.
    pub key: CustomerKey,
    /// What changes.
    pub edit: CustomerEdit,
    /// What the customer must be before it.
    pub precondition: Precondition,
}

impl CustomerChange {
    /// The write that makes the change. One that changes nothing leaves the version as it is.
    pub(super) fn decide(&self, before: Customer, now: Timestamp) -> Result<Write, WriteError> {
        self.precondition.check(Some(Revision::from(&before)))?;
        match before.changed(self.edit.clone(), now) {
            Ok(after) => Ok(Write::change(before, after)),
            Err(MetadataError::Unreadable) => {
                let id = before.id().uuid();
                Err(StoreError::Corrupt { table: "customers", column: "metadata", id }.into())
            }
            Err(error) => Err(WriteError::Metadata(error)),
        }
    }
}
