use roster_domain::Customer;

use crate::Roster;
use crate::ports::{CustomerKey, StoreError};

impl Roster {
    /// Finds live customers; the results stand in the order of the keys.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn find_customers(&self, keys: &[CustomerKey]) -> Result<Vec<Option<Customer>>, StoreError> {
        self.store.direct(|uow| uow.customers().find(keys))
    }

    /// Finds one live customer.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn find_customer(&self, key: CustomerKey) -> Result<Option<Customer>, StoreError> {
        Ok(self.find_customers(&[key])?.into_iter().flatten().next())
    }
}
