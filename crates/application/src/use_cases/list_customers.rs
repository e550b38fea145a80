use roster_domain::Customer;

use crate::ports::{CustomerQuery, StoreError};
use crate::{Page, Roster};

impl Roster {
    /// A page of customers, newest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn list_customers(&self, query: &CustomerQuery) -> Result<Page<Customer>, StoreError> {
        let one_more = CustomerQuery { limit: query.limit + 1, ..query.clone() };
        let customers = self.store.direct(|uow| uow.customers().list(&one_more))?;
        Ok(Page::cut(customers, query.limit))
    }
}
