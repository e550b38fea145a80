use roster_domain::Customer;

use crate::Roster;
use crate::ports::{Count, CustomerQuery, MAX_ROWS, Place, StoreError};

/// Some customers of a list, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerPage {
    /// The customers. There may be fewer than were asked for, even none, although more follow: a store stops looking after
    /// [`CustomerQuery::max_rows`].
    pub customers: Vec<Customer>,
    /// The place after which the next page begins. `None` if no customers follow.
    pub next: Option<Place>,
    /// How many the whole list has, if that was asked for.
    pub total: Option<Count>,
}

/// Why a list was not read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ListError {
    /// The store looked at [`CustomerQuery::max_rows`] without finding the customers that are to be skipped.
    #[error("too many rows would have to be looked at to skip customers")]
    TooDeep,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Roster {
    /// A page of customers; `with_total`: with the number of all customers of the list, exact up to [`MAX_ROWS`].
    ///
    /// # Errors
    /// [`ListError`]
    pub fn list_customers(&self, query: &CustomerQuery, with_total: bool) -> Result<CustomerPage, ListError> {
        let mut one_more = CustomerQuery { limit: query.limit + 1, ..query.clone() };
        let mut skipped = 0;
        if query.filter.is_walked() {
            // Where a store stops, it does not say how many it has skipped until then. So they are a part of the list here.
            skipped = std::mem::take(&mut one_more.offset);
            one_more.limit += skipped;
        }
        self.store.direct(|uow| {
            let mut listed = uow.customers().list(&one_more)?;
            if listed.customers.len() < skipped && listed.stopped_at.is_some() {
                return Err(ListError::TooDeep);
            }
            listed.customers.drain(..skipped.min(listed.customers.len()));
            let mut next = listed.stopped_at;
            if listed.customers.len() > query.limit {
                listed.customers.truncate(query.limit);
                next = listed.customers.last().map(Place::from);
            }
            let count = with_total.then(|| uow.customers().count(query.tenant, &query.filter, MAX_ROWS));
            Ok(CustomerPage { customers: listed.customers, next, total: count.transpose()? })
        })
    }
}
