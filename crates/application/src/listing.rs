//! Lists of customers, for stores that read rows: which statements make up a page, and when a page stops looking.

use roster_domain::{Customer, SearchTerm, Tenant};

use crate::ports::{Count, CustomerFilter, CustomerKey, CustomerQuery, CustomerRef, CustomerState, Listed, Place};

/// The statements that lists are made of.
pub trait CustomerRows {
    /// What they fail with.
    type Error;

    /// The live customer that `key` names.
    ///
    /// # Errors
    /// If it cannot be read.
    fn find(&mut self, key: &CustomerKey) -> Result<Option<Customer>, Self::Error>;

    /// The next `limit` rows of a list, after the first `offset`, up to the place `until`, in the order of the list. All that
    /// its filter includes are among its rows; others may be, too. With an address, they are those that share it.
    ///
    /// # Errors
    /// If they cannot be read.
    fn page(
        &mut self,
        query: &CustomerQuery,
        until: Option<Place>,
        offset: usize,
        limit: usize,
    ) -> Result<Vec<Customer>, Self::Error>;

    /// The row of the list whose customer has the address exclusively: at most one.
    ///
    /// # Errors
    /// If it cannot be read.
    fn exclusive_holder(&mut self, query: &CustomerQuery) -> Result<Vec<Customer>, Self::Error>;

    /// The place of the row behind the first `offset` of a list, if there is one.
    ///
    /// # Errors
    /// If it cannot be read.
    fn place(&mut self, query: &CustomerQuery, offset: usize) -> Result<Option<Place>, Self::Error>;

    /// The number of rows of the list, up to `limit`.
    ///
    /// # Errors
    /// If they cannot be counted.
    fn number_of_rows(&mut self, query: &CustomerQuery, limit: usize) -> Result<usize, Self::Error>;

    /// Whether searches use an index.
    fn has_search_index(&self) -> bool;

    /// The places of at most `limit` rows of the list that this index lacks, in any order.
    ///
    /// # Errors
    /// If they cannot be read.
    fn not_in_index(&mut self, query: &CustomerQuery, limit: usize) -> Result<Vec<Place>, Self::Error>;

    /// The places of at most `limit` rows of the list that this index has with all of `hashes`, in any order.
    ///
    /// # Errors
    /// If they cannot be read.
    fn in_index(&mut self, query: &CustomerQuery, hashes: Vec<i32>, limit: usize) -> Result<Vec<Place>, Self::Error>;

    /// The customers at some places, as far as there are any.
    ///
    /// # Errors
    /// If they cannot be read.
    fn at(&mut self, tenant: Tenant, places: &[Place]) -> Result<Vec<Customer>, Self::Error>;
}

/// A page of customers.
///
/// # Errors
/// If it cannot be read.
pub fn list<R: CustomerRows>(rows: &mut R, query: &CustomerQuery) -> Result<Listed, R::Error> {
    let filter = &query.filter;
    if let Some(id) = &filter.external_id {
        let key = CustomerKey { tenant: query.tenant, customer: CustomerRef::ExternalId(id.clone()) };
        let customers = query.page_of(rows.find(&key)?);
        return Ok(Listed { customers, ..Listed::default() });
    }
    if let Some(term) = filter.indexed_search().filter(|_| rows.has_search_index()) {
        return search(rows, query, term);
    }
    if filter.email_key.is_some() || filter.is_walked() {
        return walk(rows, query);
    }
    Ok(Listed { customers: rows.page(query, None, query.offset, query.limit)?, ..Listed::default() })
}

/// How many customers a list has, up to `most`.
///
/// # Errors
/// If they cannot be counted.
pub fn count<R: CustomerRows>(
    rows: &mut R,
    tenant: Tenant,
    filter: &CustomerFilter,
    most: usize,
) -> Result<Count, R::Error> {
    let query = CustomerQuery { filter: filter.clone(), max_rows: most, ..CustomerQuery::newest(tenant, most + 1) };
    if filter.external_id.is_some() || filter.email_key.is_some() || filter.is_walked() {
        return Ok(list(rows, &query)?.count(most));
    }
    Ok(Count::of_at_most(most, rows.number_of_rows(&query, most + 1)?))
}

/// The most rows that are read at once where few of them may be found.
const CHUNK: usize = 500;

/// A page of a list whose rows are checked again after they were read, or are in two indexes.
fn walk<R: CustomerRows>(rows: &mut R, query: &CustomerQuery) -> Result<Listed, R::Error> {
    // Before the page is read: what is added or deleted meanwhile does not move the place.
    let end = if query.filter.is_walked() { place_of_last_row(rows, query)? } else { None };
    let mut listed = walk_on(rows, query, end)?;
    while let Some(place) = listed.stopped_at.filter(|place| Some(*place) != end) {
        let limit = query.limit - listed.customers.len();
        let rest = CustomerQuery { after: Some(place), offset: 0, limit, ..query.clone() };
        let more = walk_on(rows, &rest, end)?;
        listed.customers.extend(more.customers);
        listed.stopped_at = more.stopped_at;
    }
    Ok(listed)
}

/// The place of the last row that a page may look at, if there are as many: rows that only a walk leaves out are looked at, too.
fn place_of_last_row<R: CustomerRows>(rows: &mut R, query: &CustomerQuery) -> Result<Option<Place>, R::Error> {
    let (state, updated_after, metadata) = (CustomerState::Any, None, Vec::new());
    let filter = CustomerFilter { state, updated_after, metadata, ..query.filter.clone() };
    rows.place(&CustomerQuery { filter, ..query.clone() }, query.max_rows.saturating_sub(1))
}

/// The next part of the same, up to `end` at most.
fn walk_on<R: CustomerRows>(rows: &mut R, query: &CustomerQuery, end: Option<Place>) -> Result<Listed, R::Error> {
    let wanted = query.offset + query.limit;
    let wanted = if query.filter.search.is_some() { wanted.max(CHUNK) } else { wanted };
    let mut candidates = rows.page(query, end, 0, wanted)?;
    let last = candidates.last().filter(|_| candidates.len() == wanted).map(Place::from);
    let read_until = last.or(end);
    if query.filter.email_key.is_some() {
        let is_read = |place: Place| read_until.is_none_or(|end| query.compare(place, end).is_le());
        candidates.extend(rows.exclusive_holder(query)?.into_iter().filter(|holder| is_read(holder.into())));
        // Between the two statements a customer may have given the address up and taken it again, in the other way.
        candidates.sort_unstable_by_key(Customer::id);
        candidates.dedup_by_key(|customer| customer.id());
    }
    let customers = query.page_of(candidates);
    // A row that the statement found and the filter does not include has taken the place of another.
    let stopped_at = read_until.filter(|_| customers.len() < query.limit);
    Ok(Listed { customers, stopped_at, ..Listed::default() })
}

/// A page of the customers in which `term` is found, by the index.
fn search<R: CustomerRows>(rows: &mut R, query: &CustomerQuery, term: &SearchTerm) -> Result<Listed, R::Error> {
    let all = CustomerQuery { after: None, ..query.clone() };
    let most = query.max_rows;
    // These first: one that is indexed meanwhile is found twice, and none is missed.
    let mut places = rows.not_in_index(&all, most + 1)?;
    if places.len() > most {
        // Until a background job has indexed most of the customers, or if it cannot.
        return walk(rows, query);
    }
    let found = rows.in_index(&all, term.hashes(query.tenant), most + 1)?;
    if found.len() > most {
        return Ok(Listed { is_too_broad: true, ..Listed::default() });
    }
    places.extend(found);
    read_in_order(rows, query, places)
}

/// Reads customers at some places, in the order of the list, until the page is full.
fn read_in_order<R: CustomerRows>(rows: &mut R, query: &CustomerQuery, places: Vec<Place>) -> Result<Listed, R::Error> {
    let wanted = query.offset + query.limit;
    let mut customers: Vec<Customer> = Vec::new();
    for some in query.in_order(places).chunks(wanted.min(CHUNK)) {
        let found = rows.at(query.tenant, some)?;
        customers.extend(found.into_iter().filter(|customer| query.filter.includes(customer)));
        if customers.len() >= wanted {
            break;
        }
    }
    Ok(Listed { customers: query.page_of(customers), ..Listed::default() })
}
