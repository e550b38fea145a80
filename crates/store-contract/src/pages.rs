//! Walking the customers of a tenant, page by page.

use std::sync::Arc;

use roster_application::ports::{CustomerFilter, CustomerQuery, CustomerState, Store, Written};
use roster_domain::{Customer, CustomerEdit, CustomerId, Edit, Tenant};

use crate::actions::{
    change, create, delete, ids, insert, list, list_by, list_in, new_tenant, registered, start, walk,
};
use crate::samples::{archived, at, deleted, email, external_id, other_environment, renamed};

pub fn a_list_is_newest_first(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let mut customers = samples.customers(tenant, 5);
    // Inserted in another order than that of their ids, which counts.
    customers.swap(0, 3);
    insert(store, &customers);
    customers.sort_by_key(|customer| std::cmp::Reverse(customer.id()));
    assert_eq!(list(store, tenant, None, 10), customers);
}

pub fn a_page_has_at_most_its_limit(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let customers = samples.customers(tenant, 5);
    insert(store, &customers);
    for (limit, length) in [(1, 1), (4, 4), (5, 5), (6, 5), (501, 5)] {
        assert_eq!(list(store, tenant, None, limit).len(), length, "limit {limit}");
    }
}

pub fn the_list_of_a_tenant_without_customers_is_empty(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    create(store, &[&samples.customer(other_environment(tenant)).build()]);
    let elsewhere = new_tenant(store, &samples);
    create(store, &[&samples.customer(elsewhere).build()]);
    assert_eq!(list(store, tenant, None, 10), []);
    assert_eq!(list(store, tenant, Some(CustomerId::new(samples.uuid())), 10), []);
}

pub fn pages_of_any_size_make_up_the_whole_list(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let other = other_environment(tenant);
    let mut customers = Vec::new();
    for _ in 0..12 {
        customers.push(samples.customer(tenant).build());
        create(store, &[&customers[customers.len() - 1], &samples.customer(other).build()]);
    }
    customers.reverse();
    for limit in [1, 2, 5, 11, 12, 13] {
        assert_eq!(walk_ids(store, tenant, limit), ids(&customers), "limit {limit}");
    }
}

pub fn a_list_of_twelve_hundred_is_walked_to_its_end(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let mut customers = samples.customers(tenant, 1200);
    for batch in customers.chunks(400) {
        assert_eq!(insert(store, batch), vec![Written::Done; 400]);
    }
    customers.reverse();
    for limit in [101, 501] {
        assert_eq!(walk_ids(store, tenant, limit), ids(&customers), "limit {limit}");
    }
}

pub fn a_page_continues_after_a_customer_that_is_gone(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let customers = samples.customers(tenant, 3);
    insert(store, &customers);
    delete(store, &customers[1]);
    assert_eq!(list(store, tenant, Some(customers[1].id()), 10), customers[..1]);
    let missing = CustomerId::new(samples.uuid());
    assert_eq!(ids(&list(store, tenant, Some(missing), 10)), [customers[2].id(), customers[0].id()]);
}

pub fn deleted_customers_take_no_room_on_a_page(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let customers = samples.customers(tenant, 6);
    insert(store, &customers);
    for customer in &customers[2..5] {
        delete(store, customer);
    }
    assert_eq!(ids(&list(store, tenant, None, 2)), [customers[5].id(), customers[1].id()]);
}

pub fn a_walk_has_no_gaps_or_repeats_while_customers_come_and_go(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let customers = samples.customers(tenant, 20);
    insert(store, &customers);
    let mut seen: Vec<CustomerId> = Vec::new();
    let mut oldest = customers[0].clone();
    // Between two pages one customer is created, one that was seen is deleted, and the one that is seen last changes.
    for _ in 0..5 {
        let page = list(store, tenant, seen.last().copied(), 4);
        seen.extend(ids(&page));
        create(store, &[&samples.customer(tenant).build()]);
        delete(store, &page[0]);
        let changed = renamed(&oldest, &format!("version {}", oldest.version() + 1));
        assert_eq!(change(store, &oldest, &changed), Written::Done);
        oldest = changed;
    }
    let newest_first: Vec<_> = customers.iter().rev().map(Customer::id).collect();
    assert_eq!(seen, newest_first);
    assert_eq!(list(store, tenant, seen.last().copied(), 4), []);
}

pub fn a_customer_deleted_before_the_walk_arrives_is_not_seen(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let customers = samples.customers(tenant, 4);
    insert(store, &customers);
    let first = list(store, tenant, None, 2);
    delete(store, &customers[1]);
    let second = list(store, tenant, first.last().map(Customer::id), 2);
    assert_eq!((ids(&first), ids(&second)), (vec![customers[3].id(), customers[2].id()], vec![customers[0].id()]));
}

pub fn pages_in_any_state_make_up_the_whole_list(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let mut customers = Vec::new();
    for n in 0..16 {
        // Runs of one state are longer than some pages.
        let mut customer = samples.customer(tenant).build();
        let elsewhere = samples.customer(other_environment(tenant)).build();
        create(store, &[&customer, &elsewhere]);
        if n % 4 < 2 {
            let archived = archived(&customer);
            assert_eq!(change(store, &customer, &archived), Written::Done);
            customer = archived;
        }
        if n % 8 < 4 {
            delete(store, &customer);
            delete(store, &elsewhere);
        }
        customers.push(if n % 8 < 4 { deleted(&customer) } else { customer });
    }
    customers.reverse();
    for (state, length) in [
        (CustomerState::Live, 8),
        (CustomerState::Active, 4),
        (CustomerState::Archived, 4),
        (CustomerState::Deleted, 8),
        (CustomerState::Any, 16),
    ] {
        let all: Vec<_> = customers.iter().filter(|customer| state.includes(customer)).cloned().collect();
        assert_eq!(all.len(), length, "{state:?}");
        for limit in [1, 3, 8, 15, 16, 17] {
            let page = |last: Option<&Customer>| list_in(store, tenant, state, last.map(Customer::id), limit);
            assert_eq!(walk(limit, page), all, "{state:?}, limit {limit}");
        }
    }
}

pub fn an_offset_skips_customers_of_the_list(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let mut customers = samples.customers(tenant, 9);
    insert(store, &customers);
    for customer in customers.iter_mut().step_by(3) {
        let archived = archived(customer);
        assert_eq!(change(store, customer, &archived), Written::Done);
        *customer = archived;
    }
    delete(store, &customers[7]);
    customers[7] = deleted(&customers[7]);
    customers.reverse();
    for state in [CustomerState::Live, CustomerState::Active, CustomerState::Archived, CustomerState::Any] {
        for before in [None, Some(customers[2].id())] {
            let is_listed =
                |customer: &&Customer| state.includes(customer) && before.is_none_or(|before| customer.id() < before);
            for (offset, limit) in [(0, 2), (1, 2), (3, 9), (8, 1), (9, 1), (10_000, 101)] {
                let after = before.map(registered);
                let query =
                    CustomerQuery { filter: state.into(), after, offset, ..CustomerQuery::newest(tenant, limit) };
                let expected: Vec<_> = customers.iter().filter(is_listed).skip(offset).take(limit).cloned().collect();
                assert_eq!(list_by(store, &query), expected, "{query:?}");
            }
        }
    }
}

pub fn a_walk_in_any_state_continues_after_a_customer_deleted_meanwhile(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let customers = samples.customers(tenant, 4);
    insert(store, &customers);
    let page = |state, before: &Customer| list_in(store, tenant, state, Some(before.id()), 10);
    delete(store, &customers[2]);
    let [first, second, third, _] = customers.as_slice() else { panic!("four customers") };
    assert_eq!(page(CustomerState::Any, third), [second.clone(), first.clone()]);
    assert_eq!(page(CustomerState::Deleted, &customers[3]), [deleted(third)]);
    assert_eq!(page(CustomerState::Deleted, third), []);
    assert_eq!(page(CustomerState::Any, &customers[3]), [deleted(third), second.clone(), first.clone()]);
}

pub fn a_filtered_list_has_what_the_filter_includes_and_nothing_else(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = |external_id: &str| samples.customer(tenant).email("ada@example.com").external_id(external_id);
    let mut customers = vec![
        ada("1").shared().build(),
        // In the middle, one that has the address exclusively: it was there before all that share it.
        ada("2").build(),
        ada("3").shared().build(),
        samples.customer(tenant).external_id("4").build(),
        samples.customer(tenant).email("eda@example.com").external_id("5").build(),
        ada("6").shared().build(),
        ada("7").shared().build(),
    ];
    create(store, &[&customers[1]]);
    create(
        store,
        &customers.iter().enumerate().filter(|(place, _)| *place != 1).map(|(_, one)| one).collect::<Vec<_>>(),
    );
    for other in [other_environment(tenant), new_tenant(store, &samples)] {
        create(store, &[&samples.customer(other).email("ada@example.com").external_id("1").build()]);
    }
    for state in STATES {
        assert_filtered(store, &customers, state);
    }
    for place in [2, 4] {
        let after = archived(&customers[place]);
        assert_eq!(change(store, &customers[place], &after), Written::Done);
        customers[place] = after;
    }
    for place in [1, 5] {
        delete(store, &customers[place]);
        customers[place] = deleted(&customers[place]);
    }
    let edit = CustomerEdit { email: Edit::Set(email("eda@example.org")), ..CustomerEdit::default() };
    let after = customers[6].changed(edit, at(9)).expect("no metadata");
    assert_eq!(change(store, &customers[6], &after), Written::Done);
    customers[6] = after;
    for state in STATES {
        assert_filtered(store, &customers, state);
    }
}

const STATES: [CustomerState; 5] =
    [CustomerState::Live, CustomerState::Active, CustomerState::Archived, CustomerState::Deleted, CustomerState::Any];

/// Lists `customers`, all of one tenant and the oldest first, by each filter, from each place and in pages of each size.
fn assert_filtered(store: &Arc<dyn Store>, customers: &[Customer], state: CustomerState) {
    let addresses = [None, Some("Ada@Example.com"), Some("eda@example.com"), Some("none@example.com")];
    let external_ids = [None, Some("1"), Some("2"), Some("4"), Some("none")];
    for (address, id) in addresses.into_iter().flat_map(|address| external_ids.map(|id| (address, id))) {
        let filter = CustomerFilter {
            state,
            email_key: address.map(|address| email(address).key().to_owned()),
            external_id: id.map(external_id),
            ..CustomerFilter::default()
        };
        for before in [None].into_iter().chain(customers.iter().map(|customer| Some(customer.id()))) {
            let is_listed =
                |customer: &&Customer| filter.includes(customer) && before.is_none_or(|before| customer.id() < before);
            for (offset, limit) in [(0, 1), (0, 2), (1, 2), (2, 10), (0, 10)] {
                let (filter, after) = (filter.clone(), before.map(registered));
                let query =
                    CustomerQuery { filter, after, offset, ..CustomerQuery::newest(customers[0].tenant(), limit) };
                let expected: Vec<_> =
                    customers.iter().rev().filter(is_listed).skip(offset).take(limit).cloned().collect();
                assert_eq!(list_by(store, &query), expected, "{query:?}");
            }
        }
    }
}

/// The ids of the whole list, page by page.
fn walk_ids(store: &Arc<dyn Store>, tenant: Tenant, limit: usize) -> Vec<CustomerId> {
    walk(limit, |last| ids(&list(store, tenant, last.copied(), limit)))
}
