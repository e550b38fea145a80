use std::iter::repeat_n;

use roster_domain::Customer;

use crate::Roster;
use crate::batch::serve_together;
use crate::ports::{Count, CustomerQuery, Listed, MAX_ROWS, Place, StoreError};

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
        self.store.direct(|uow| {
            let wanted = Wanted::of(query);
            let page = wanted.page(uow.customers().list(&wanted.query)?)?;
            let count = with_total.then(|| uow.customers().count(query.tenant, &query.filter, MAX_ROWS));
            Ok(CustomerPage { total: count.transpose()?, ..page })
        })
    }

    /// Several pages without totals, in the order of `queries`. A page that is asked for several times is read once.
    #[must_use]
    pub fn list_customers_together(&self, queries: &[CustomerQuery]) -> Vec<Result<CustomerPage, ListError>> {
        let mut wanted: Vec<Wanted> = Vec::with_capacity(queries.len());
        let mut place_of = |query| {
            let one = Wanted::of(query);
            let known = wanted.iter().position(|other| *other == one);
            known.unwrap_or_else(|| {
                wanted.push(one);
                wanted.len() - 1
            })
        };
        let places: Vec<usize> = queries.iter().map(&mut place_of).collect();
        let asked: Vec<CustomerQuery> = wanted.iter().map(|wanted| wanted.query.clone()).collect();
        let listed = serve_together(&asked, |asked| self.store.direct(|uow| uow.customers().list_many(asked)));
        let pages = wanted.iter().zip(listed).map(|(wanted, listed)| wanted.page(listed?));
        let callers = |wanted: usize| places.iter().filter(|place| **place == wanted).count();
        let mut pages: Vec<_> = pages.enumerate().map(|(place, page)| repeat_n(page, callers(place))).collect();
        places.iter().filter_map(|place| pages[*place].next()).collect()
    }
}

/// What a store is asked for a page: one customer more tells whether others follow.
#[derive(PartialEq, Eq)]
struct Wanted {
    query: CustomerQuery,
    /// The customers of the page.
    limit: usize,
    /// How many of those that are listed come before it. Where a store stops, it does not say how many it has skipped until then,
    /// so that they are a part of the list here.
    skipped: usize,
}

impl Wanted {
    fn of(query: &CustomerQuery) -> Self {
        let mut query = query.clone();
        let limit = query.limit;
        let skipped = if query.filter.is_walked() { std::mem::take(&mut query.offset) } else { 0 };
        query.limit += skipped + 1;
        Self { query, limit, skipped }
    }

    fn page(&self, mut listed: Listed) -> Result<CustomerPage, ListError> {
        if listed.customers.len() < self.skipped && listed.stopped_at.is_some() {
            return Err(ListError::TooDeep);
        }
        listed.customers.drain(..self.skipped.min(listed.customers.len()));
        let mut next = listed.stopped_at;
        if listed.customers.len() > self.limit {
            listed.customers.truncate(self.limit);
            next = listed.customers.last().map(Place::from);
        }
        Ok(CustomerPage { customers: listed.customers, next, total: None })
    }
}
