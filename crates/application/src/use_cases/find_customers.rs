use roster_domain::Customer;

use crate::Roster;
use crate::batch::serve_together;
use crate::ports::{CustomerKey, CustomerState, StoreError};

impl Roster {
    /// Finds live customers, each by itself; the results are in the order of the keys.
    #[must_use]
    pub fn find_customers(&self, keys: &[CustomerKey]) -> Vec<Result<Option<Customer>, StoreError>> {
        serve_together(keys, |keys| self.store.direct(|uow| uow.customers().find(CustomerState::Live, keys)))
    }
}
