use crate::Roster;
use crate::ports::{Claims, CustomerKey, StoreError};

/// Why a customer was not deleted.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DeleteError {
    /// No live customer of the tenant has that identifier.
    #[error("there is no such customer")]
    NotFound,
    /// The store failed.
    #[error("the customer could not be deleted")]
    Store(#[from] StoreError),
}

impl Roster {
    /// Deletes a live customer: its row is kept, its identifiers are free again.
    ///
    /// # Errors
    /// [`DeleteError`]; nothing has changed then.
    pub fn delete_customer(&self, key: &CustomerKey) -> Result<(), DeleteError> {
        let now = self.clock.now();
        self.store.transaction(|uow| {
            let customers = uow.customers();
            let before = customers.lock(key)?.ok_or(DeleteError::NotFound)?;
            let after = before.deleted(now);
            customers.update(&after, &Claims::of_change(&before, &after))?;
            Ok(())
        })
    }
}
