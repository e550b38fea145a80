use roster_domain::Customer;

use crate::ports::{CustomerQuery, EmailQuery, StoreError};
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

    /// A page of the live customers that have an e-mail address, newest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn list_customers_with_email(&self, query: &EmailQuery) -> Result<Page<Customer>, StoreError> {
        let one_more = EmailQuery { limit: query.limit + 1, ..query.clone() };
        let customers = self.store.direct(|uow| uow.customers().list_with_email(&one_more))?;
        Ok(Page::cut(customers, query.limit))
    }
}
