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

/// The place of the last row that a page may look at, if there are as many.
fn place_of_last_row<R: CustomerRows>(rows: &mut R, query: &CustomerQuery) -> Result<Option<Place>, R::Error> {
    rows.place(&looked_at(query), query.max_rows.saturating_sub(1))
}

/// The list of all rows that are looked at for a list: those that only a walk leaves out are among them. Archived customers are few, and
/// an index has them in the order of registration, so a walk looks at no others.
fn looked_at(query: &CustomerQuery) -> CustomerQuery {
    let CustomerFilter { state, email_key, .. } = &query.filter;
    let is_served = *state == CustomerState::Archived && email_key.is_none() && !query.filter.is_by_creation();
    let state = if is_served { *state } else { CustomerState::Any };
    let (updated_after, metadata) = (None, Vec::new());
    let filter = CustomerFilter { state, updated_after, metadata, ..query.filter.clone() };
    CustomerQuery { filter, ..query.clone() }
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
    Ok(Listed { customers, stopped_at })
}

/// The rows that are looked at to find out whether many customers have what is searched for.
const SAMPLE: usize = 64;

/// How many of them have it then.
const FREQUENT: usize = 4;

/// A page of the customers in which `term` is found. Those that have a rare term are read at the places that the index names; to
/// find a page with a frequent one, a few hundred rows in the order of the list are enough, and the index would read the places of all.
fn search<R: CustomerRows>(rows: &mut R, query: &CustomerQuery, term: &SearchTerm) -> Result<Listed, R::Error> {
    let sample = rows.page(&looked_at(query), None, 0, SAMPLE)?;
    if sample.len() < SAMPLE && query.filter.state == CustomerState::Archived {
        // There are no others. The index, which has active customers, too, would name many if the term is frequent among them.
        return Ok(Listed { customers: query.page_of(sample), ..Listed::default() });
    }
    if sample.iter().filter(|customer| query.filter.includes(customer)).count() >= FREQUENT {
        return walk(rows, query);
    }
    match places(rows, query, term)? {
        Some(places) => read_in_order(rows, query, places),
        None => walk(rows, query),
    }
}

/// The places of the list where `term` may be found. `None` if they are more than may be looked at.
fn places<R: CustomerRows>(
    rows: &mut R,
    query: &CustomerQuery,
    term: &SearchTerm,
) -> Result<Option<Vec<Place>>, R::Error> {
    let all = CustomerQuery { after: None, ..query.clone() };
    let most = query.max_rows;
    // These first: one that is indexed meanwhile is found twice, and none is missed. They are many until a background job has
    // indexed most of the customers, or if it cannot.
    let mut places = rows.not_in_index(&all, most + 1)?;
    if places.len() > most {
        return Ok(None);
    }
    let found = rows.in_index(&all, term.hashes(query.tenant), most + 1)?;
    if found.len() > most {
        return Ok(None);
    }
    places.extend(found);
    Ok(Some(places))
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use roster_domain::{
        CustomerEdit, CustomerId, CustomerStatus, Email, EmailUse, Environment, MerchantId, Profile, Timestamp,
    };
    use uuid::Uuid;

    use super::*;
    use crate::ports::MAX_ROWS;

    /// The rows of a tenant, the newest first, and what an index for searches says of any term.
    struct Rows {
        customers: Vec<Customer>,
        named: Vec<Place>,
        questions: usize,
    }

    impl CustomerRows for Rows {
        type Error = Infallible;

        fn find(&mut self, _: &CustomerKey) -> Result<Option<Customer>, Infallible> {
            Ok(None)
        }

        fn page(
            &mut self,
            query: &CustomerQuery,
            until: Option<Place>,
            _: usize,
            limit: usize,
        ) -> Result<Vec<Customer>, Infallible> {
            let is_before = |place: Place| until.is_none_or(|until| query.compare(place, until).is_le());
            let is_listed =
                |customer: &&Customer| query.filter.state.includes(customer) && query.reaches((*customer).into());
            let part = self.customers.iter().filter(is_listed);
            Ok(part.filter(|customer| is_before((*customer).into())).take(limit).cloned().collect())
        }

        fn exclusive_holder(&mut self, _: &CustomerQuery) -> Result<Vec<Customer>, Infallible> {
            Ok(Vec::new())
        }

        fn place(&mut self, query: &CustomerQuery, offset: usize) -> Result<Option<Place>, Infallible> {
            Ok(self.page(query, None, 0, offset + 1)?.get(offset).map(Place::from))
        }

        fn number_of_rows(&mut self, _: &CustomerQuery, limit: usize) -> Result<usize, Infallible> {
            Ok(self.customers.len().min(limit))
        }

        fn has_search_index(&self) -> bool {
            true
        }

        fn not_in_index(&mut self, _: &CustomerQuery, _: usize) -> Result<Vec<Place>, Infallible> {
            Ok(Vec::new())
        }

        fn in_index(&mut self, _: &CustomerQuery, _: Vec<i32>, limit: usize) -> Result<Vec<Place>, Infallible> {
            self.questions += 1;
            Ok(self.named.iter().take(limit).copied().collect())
        }

        fn at(&mut self, _: Tenant, places: &[Place]) -> Result<Vec<Customer>, Infallible> {
            let is_one = |customer: &&Customer| places.contains(&(*customer).into());
            Ok(self.customers.iter().filter(is_one).cloned().collect())
        }
    }

    fn tenant() -> Tenant {
        Tenant { merchant: MerchantId::new(Uuid::from_u128(1)), environment: Environment::Live }
    }

    /// 20,000 customers, of whom every so many has an address of `example.com`.
    fn rows(every: u128) -> Rows {
        let customer = |number: u128| {
            let domain = if number.is_multiple_of(every) { "example.com" } else { "example.org" };
            let profile = Profile { email: Email::parse(&format!("c{number}@{domain}")).ok(), ..Profile::default() };
            let at = Timestamp::from_millis(0).expect("a time");
            Customer::register(tenant(), CustomerId::new(Uuid::from_u128(number)), profile, EmailUse::Exclusive, at)
        };
        let customers: Vec<_> = (1..=20_000).rev().map(customer).collect();
        let named = customers.iter().filter(|customer| customer.id().uuid().as_u128().is_multiple_of(every));
        let named = named.map(Place::from).collect();
        Rows { customers, named, questions: 0 }
    }

    /// The same, and each so many is archived.
    fn with_archived(mut rows: Rows, every: u128) -> Rows {
        let at = Timestamp::from_millis(1).expect("a time");
        let archive = CustomerEdit { status: Some(CustomerStatus::Archived), ..CustomerEdit::default() };
        let numbers = |customer: &&mut Customer| customer.id().uuid().as_u128().is_multiple_of(every);
        for customer in rows.customers.iter_mut().filter(numbers) {
            *customer = customer.changed(archive.clone(), at).expect("no metadata");
        }
        rows
    }

    /// The numbers of the first page, and whether the index was asked.
    fn first_page(rows: Rows, max_rows: usize) -> (Vec<u128>, Option<Place>, bool) {
        first_page_of(rows, CustomerState::Live, max_rows)
    }

    fn first_page_of(mut rows: Rows, state: CustomerState, max_rows: usize) -> (Vec<u128>, Option<Place>, bool) {
        let search = SearchTerm::parse("example.com").ok();
        let filter = CustomerFilter { state, search, ..CustomerFilter::default() };
        let query = CustomerQuery { filter, max_rows, ..CustomerQuery::newest(tenant(), 3) };
        let Ok(Listed { customers, stopped_at }) = list(&mut rows, &query);
        let numbers = customers.iter().map(|customer| customer.id().uuid().as_u128()).collect();
        (numbers, stopped_at, rows.questions > 0)
    }

    #[test]
    fn what_many_customers_have_is_found_without_the_index() {
        let (found, stopped_at, is_asked) = first_page(rows(10), MAX_ROWS);
        assert_eq!((found, is_asked), (vec![20_000, 19_990, 19_980], false));
        assert_eq!(stopped_at, None);
    }

    #[test]
    fn what_few_customers_have_is_found_by_the_index() {
        let (found, stopped_at, is_asked) = first_page(rows(7000), MAX_ROWS);
        assert_eq!((found, is_asked), (vec![14_000, 7000], true));
        assert_eq!(stopped_at, None);
    }

    #[test]
    fn archived_customers_are_looked_for_among_themselves() {
        let archived = |every| first_page_of(with_archived(rows(2), every), CustomerState::Archived, 20);
        // Few: all of them are looked at.
        assert_eq!(archived(4000), (vec![20_000, 16_000, 12_000], None, false));
        // Many, and so are those that have it.
        assert_eq!(archived(10), (vec![20_000, 19_990, 19_980], None, false));
    }

    #[test]
    fn a_list_is_walked_if_the_index_names_more_than_may_be_looked_at() {
        let (found, stopped_at, is_asked) = first_page(rows(500), 39);
        assert_eq!((found, is_asked), (vec![20_000], true));
        assert_eq!(stopped_at.map(|place| place.id.uuid().as_u128()), Some(19_962));
    }
}
