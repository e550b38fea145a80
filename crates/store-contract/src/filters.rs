//! Lists with filters and in both orders, compared with what the filters include.

use std::sync::Arc;

use roster_application::ports::{
    Count, CustomerFilter, CustomerQuery, CustomerState, ListOrder, MAX_ROWS, MetadataCondition, Place, Store, Written,
};
use roster_domain::{Customer, CustomerEdit, Edit, SearchTerm, Tenant};

use crate::actions::{change, count, create, delete, list_by, list_part, new_tenant, start};
use crate::samples::{archived, at, deleted, email, external_id, name, other_environment};

pub fn every_combination_of_filters_lists_what_it_includes_in_both_orders(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let customers = varied(store, &samples, tenant);
    for other in [other_environment(tenant), new_tenant(store, &samples)] {
        varied(store, &samples, other);
    }
    for (place, filter) in combinations().into_iter().enumerate() {
        // One order of each, and both of every fourth: a database takes half a minute for all.
        let orders = [ListOrder::Descending, ListOrder::Ascending].into_iter().cycle().skip(place);
        for order in orders.take(if place % 4 == 0 { 2 } else { 1 }) {
            let query = CustomerQuery { filter: filter.clone(), order, ..CustomerQuery::newest(tenant, 100) };
            let expected = query.page_of(customers.iter().cloned());
            assert_eq!(list_by(store, &query), expected, "{query:?}");
            // Pages of which some are cut because the store has looked at enough rows.
            let query = CustomerQuery { limit: 2, max_rows: 3, ..query };
            assert_eq!(walk(store, &query), expected, "{query:?}");
        }
        let number = customers.iter().filter(|customer| filter.includes(customer)).count();
        assert_eq!(count(store, tenant, &filter, MAX_ROWS), Count { number, is_exact: true }, "{filter:?}");
    }
}

pub fn several_pages_at_once_are_as_if_each_was_read_by_itself(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let mut queries = Vec::new();
    for tenant in [tenant, other_environment(tenant), new_tenant(store, &samples)] {
        let customers = varied(store, &samples, tenant);
        let states = [CustomerState::Live, CustomerState::Active, CustomerState::Archived, CustomerState::Any];
        let created_after = Some(at(20));
        let by_creation = CustomerFilter { created_after, ..CustomerFilter::default() };
        let filters = states.map(CustomerFilter::from).into_iter().chain([by_creation]);
        for filter in filters.chain(combinations().into_iter().step_by(9)) {
            for order in [ListOrder::Descending, ListOrder::Ascending] {
                for after in [None, Some(Place::from(&customers[1])), Some(Place::from(&customers[6]))] {
                    let query = CustomerQuery { filter: filter.clone(), order, ..CustomerQuery::newest(tenant, 3) };
                    queries.push(CustomerQuery { after, ..query });
                }
            }
        }
        queries.push(CustomerQuery { offset: 2, ..CustomerQuery::newest(tenant, 3) });
        queries.push(CustomerQuery::newest(tenant, 9));
        queries.push(CustomerQuery::newest(tenant, 9));
    }
    let together = store.direct(|uow| uow.customers().list_many(&queries)).expect("pages");
    assert_eq!(together.len(), queries.len());
    for (query, together) in queries.iter().zip(together) {
        assert_eq!(together, list_part(store, query), "{query:?}");
    }
    assert_eq!(store.direct(|uow| uow.customers().list_many(&[])).expect("no pages"), []);
}

pub fn a_list_by_creation_continues_between_customers_of_one_moment(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    // Registered in the opposite order of their creation, and several at the same time.
    let customers: Vec<_> = (0..9).map(|n| samples.customer(tenant).at(100 - n / 3).build()).collect();
    create(store, &customers.iter().collect::<Vec<_>>());
    for order in [ListOrder::Descending, ListOrder::Ascending] {
        let filter = CustomerFilter { created_after: Some(at(98)), ..CustomerFilter::default() };
        let query = CustomerQuery { filter, order, ..CustomerQuery::newest(tenant, 2) };
        let mut expected = customers.clone();
        expected.sort_by_key(|customer| (customer.created_at(), customer.id()));
        if order == ListOrder::Descending {
            expected.reverse();
        }
        assert_eq!(walk(store, &query), expected, "{order:?}");
        // A place at which no customer is any more.
        let gone = Place { created_at: at(99), id: roster_domain::CustomerId::new(samples.uuid()) };
        let (query, expected) = match order {
            ListOrder::Descending => (CustomerQuery { after: Some(gone), ..query }, &expected[3..5]),
            ListOrder::Ascending => (CustomerQuery { after: Some(gone), ..query }, &expected[6..8]),
        };
        assert_eq!(list_by(store, &query), expected, "{order:?}");
    }
}

pub fn what_more_customers_have_than_a_page_looks_at_is_found_page_by_page(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let sample = |place: usize| samples.customer(tenant).at([0, 10, 20, 30, 40][place]);
    let customers = [
        sample(0).email("ada@example.com").build(),
        sample(1).email("bea@example.com").build(),
        // An index may name it, although it has all parts of the term in another order.
        sample(2).external_id("examplple-xampl").build(),
        sample(3).email("cea@example.org").build(),
        sample(4).email("dea@example.com").build(),
    ];
    create(store, &customers.iter().collect::<Vec<_>>());
    create(store, &[&samples.customer(other_environment(tenant)).email("ada@example.com").build()]);
    delete(store, &customers[4]);
    let search = |term, created_before| CustomerFilter {
        search: SearchTerm::parse(term).ok(),
        created_before,
        ..CustomerFilter::default()
    };
    let query = |filter, max_rows| CustomerQuery { filter, max_rows, ..CustomerQuery::newest(tenant, 10) };
    for (term, places) in [("Example", &[3, 1, 0][..]), ("EXAMPL", &[3, 2, 1, 0])] {
        let expected: Vec<_> = places.iter().map(|place| customers[*place].clone()).collect();
        for max_rows in 1..=3 {
            assert_eq!(walk(store, &query(search(term, None), max_rows)), expected, "{term}, {max_rows}");
        }
        assert_eq!(list_by(store, &query(search(term, None), 6)), expected, "{term}");
    }
    // Shorter terms have their beginnings in the index.
    for term in ["a", "b", "ad"] {
        assert_eq!(list_by(store, &query(search(term, None), 1)).len(), 1, "{term}");
    }
    assert_eq!(list_by(store, &query(search("example.com", None), 2)).len(), 2);
    assert_eq!(list_by(store, &query(search("Example", Some(at(10))), 2)).len(), 2);
    let counted = count(store, tenant, &search("Example", None), 2);
    assert!((1..=2).contains(&counted.number) && !counted.is_exact, "{counted:?}");
}

pub fn a_customer_is_found_by_its_texts_as_they_are_stored_at_the_moment(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let find = |term| {
        let filter = CustomerFilter { search: SearchTerm::parse(term).ok(), ..CustomerFilter::default() };
        list_by(store, &CustomerQuery { filter, ..CustomerQuery::newest(tenant, 10) })
    };
    let ada = samples.customer(tenant).email("ada@example.com").external_id("Ünit-7").build();
    create(store, &[&ada]);
    assert_eq!((find("DA@EX"), find("ünit"), find("ü")), (vec![ada.clone()], vec![ada.clone()], vec![ada.clone()]));
    let edit = CustomerEdit {
        email: Edit::Set(email("bea@example.com")),
        name: Edit::Set(name("Bea Byron")),
        ..CustomerEdit::default()
    };
    let bea = ada.changed(edit, at(1)).expect("no metadata");
    assert_eq!(change(store, &ada, &bea), Written::Done);
    assert_eq!((find("ada@"), find("BYRON"), find("be")), (vec![], vec![bea.clone()], vec![bea.clone()]));
    // A change that leaves the texts alone.
    let archived = archived(&bea);
    assert_eq!(change(store, &bea, &archived), Written::Done);
    assert_eq!((find("byron"), find("nit-")), (vec![archived.clone()], vec![archived.clone()]));
    delete(store, &archived);
    assert_eq!((find("byron"), find("be")), (vec![], vec![]));
}

pub fn a_count_is_exact_up_to_its_limit(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let customers = samples.customers(tenant, 5);
    create(store, &customers.iter().collect::<Vec<_>>());
    delete(store, &customers[2]);
    create(store, &[&samples.customer(other_environment(tenant)).build()]);
    for (state, number) in [(CustomerState::Live, 4), (CustomerState::Deleted, 1), (CustomerState::Any, 5)] {
        for most in 1..7 {
            let expected = Count { number: number.min(most), is_exact: number <= most };
            assert_eq!(count(store, tenant, &state.into(), most), expected, "{state:?}, at most {most}");
        }
    }
    // What is walked is counted among as many rows as may be looked at.
    let filter = CustomerFilter { updated_after: Some(at(0)), ..CustomerFilter::default() };
    let Count { number, is_exact } = count(store, tenant, &filter, 2);
    assert!(number <= 2 && !is_exact, "{number}");
    assert_eq!(count(store, tenant, &filter, 6), Count { number: 4, is_exact: true });
}

/// Follows a list to its end.
pub fn walk(store: &Arc<dyn Store>, query: &CustomerQuery) -> Vec<Customer> {
    let mut all: Vec<Customer> = Vec::new();
    let mut after = query.after;
    for _ in 0..100 {
        let listed = list_part(store, &CustomerQuery { after, ..query.clone() });
        assert!(listed.customers.len() <= query.limit, "{listed:?}");
        let is_full = listed.customers.len() == query.limit;
        let last = listed.customers.last().map(Place::from).filter(|_| is_full);
        all.extend(listed.customers);
        after = last.or(listed.stopped_at);
        if after.is_none() {
            return all;
        }
    }
    panic!("the list does not end: {query:?}");
}

/// Customers that differ in all that lists are filtered by, as they are stored.
fn varied(store: &Arc<dyn Store>, samples: &crate::samples::Samples, tenant: Tenant) -> Vec<Customer> {
    let sample = |place: usize| samples.customer(tenant).at([40, 10, 30, 20, 50, 20, 60, 0][place]);
    let mut customers = vec![
        sample(0).email("ada@example.com").metadata(r#"{"tier":"gold","seats":5}"#).build(),
        sample(1).email("ada@example.com").shared().metadata(r#"{"seats":"5","tier":"gold"}"#).build(),
        sample(2).email("ada@example.com").shared().metadata(r#"{"tier":"golden","seats":51}"#).build(),
        sample(3).external_id("3").metadata(r#"{"in":{"tier":"gold"},"seats":5}"#).build(),
        sample(4).email("ada@example.com").shared().metadata(r#"{"t\"ier":"g\"old\\é","tier":"gold"}"#).build(),
        sample(5).email("eda@example.com").metadata(r#"{"tier":"gold","seats":5}"#).build(),
        sample(6).metadata(r#"{"tier":["gold"],"seats":5,"vip":true}"#).build(),
        sample(7).email("ada@example.com").shared().external_id("7").metadata(r#"{"tier":"gold"}"#).build(),
    ];
    create(store, &customers.iter().collect::<Vec<_>>());
    let renamed = |customer: &Customer, millis| {
        let edit = CustomerEdit { name: Edit::Set(name("Ada")), ..CustomerEdit::default() };
        customer.changed(edit, at(millis)).expect("no metadata")
    };
    let changes = [(1, renamed(&customers[1], 75)), (5, archived(&customers[5])), (6, renamed(&customers[6], 80))];
    for (place, after) in changes {
        assert_eq!(change(store, &customers[place], &after), Written::Done);
        customers[place] = after;
    }
    delete(store, &customers[4]);
    customers[4] = deleted(&customers[4]);
    customers
}

fn combinations() -> Vec<CustomerFilter> {
    let states = [
        CustomerState::Live,
        CustomerState::Active,
        CustomerState::Archived,
        CustomerState::Deleted,
        CustomerState::Any,
    ];
    let metadata: [&[(&str, &str)]; 4] =
        [&[], &[("tier", "gold")], &[("seats", "5"), ("tier", "gold")], &[("t\"ier", "g\"old\\é")]];
    let mut all: Vec<CustomerFilter> = states.into_iter().map(CustomerFilter::from).collect();
    let mut with = |add: &dyn Fn(CustomerFilter) -> Vec<CustomerFilter>| {
        all = all.drain(..).flat_map(|filter| [vec![filter.clone()], add(filter)].concat()).collect();
    };
    with(&|filter| {
        let by_email = CustomerFilter { email_key: Some(email("ada@example.com").key().to_owned()), ..filter.clone() };
        vec![by_email, CustomerFilter { external_id: Some(external_id("7")), ..filter }]
    });
    with(&|filter| {
        let search = |term| CustomerFilter { search: SearchTerm::parse(term).ok(), ..filter.clone() };
        vec![search("DA@EX"), search("7")]
    });
    with(&|filter| {
        let after = CustomerFilter { created_after: Some(at(20)), ..filter.clone() };
        let between = CustomerFilter { created_before: Some(at(40)), ..after.clone() };
        vec![after, between, CustomerFilter { created_before: Some(at(40)), ..filter }]
    });
    with(&|filter| vec![CustomerFilter { updated_after: Some(at(60)), ..filter }]);
    with(&|filter| {
        let condition =
            |&(key, value): &(&str, &str)| MetadataCondition { key: key.to_owned(), value: value.to_owned() };
        let of = |pairs: &&[(&str, &str)]| pairs.iter().map(condition).collect();
        metadata[1..].iter().map(|pairs| CustomerFilter { metadata: of(pairs), ..filter.clone() }).collect()
    });
    all
}
