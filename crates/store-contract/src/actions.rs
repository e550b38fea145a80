//! The calls that cases make on a store. Each fails its case if the store returns an error.

use std::fmt::Debug;
use std::slice;
use std::sync::Arc;

use roster_application::ApiKey;
use roster_application::ports::{
    Count, CustomerFilter, CustomerKey, CustomerQuery, CustomerRef, CustomerState, Listed, Place, Store, StoreError,
    Taken, Write, Written,
};
use roster_domain::{Customer, CustomerId, Merchant, Subscription, Tenant};

use crate::samples::{self, Samples, live};

/// The samples of a case, and a tenant whose merchant is stored.
pub fn start(store: &Arc<dyn Store>) -> (Samples, Tenant) {
    let samples = Samples::default();
    let tenant = new_tenant(store, &samples);
    (samples, tenant)
}

/// The live tenant of a merchant that is stored.
pub fn new_tenant(store: &Arc<dyn Store>, samples: &Samples) -> Tenant {
    let merchant = samples.merchant();
    insert_merchant(store, &merchant).expect("a new merchant");
    live(&merchant)
}

pub fn insert_merchant(store: &Arc<dyn Store>, merchant: &Merchant) -> Result<(), StoreError> {
    store.direct(|uow| uow.merchants().insert(merchant))
}

pub fn insert_api_key(store: &Arc<dyn Store>, key: &ApiKey) -> Result<(), StoreError> {
    store.direct(|uow| uow.api_keys().insert(key))
}

pub fn write_all(store: &Arc<dyn Store>, writes: &[Write]) -> Vec<Written> {
    let written = store.direct(|uow| uow.customers().write(writes)).expect("a batch that is written");
    assert_eq!(written.len(), writes.len(), "one result for each write");
    written
}

pub fn write_one(store: &Arc<dyn Store>, write: &Write) -> Written {
    write_all(store, slice::from_ref(write)).remove(0)
}

pub fn insert(store: &Arc<dyn Store>, customers: &[Customer]) -> Vec<Written> {
    write_all(store, &customers.iter().map(samples::creation).collect::<Vec<_>>())
}

pub fn insert_one(store: &Arc<dyn Store>, customer: &Customer) -> Written {
    write_one(store, &samples::creation(customer))
}

/// Inserts customers whose identifiers are free.
pub fn create(store: &Arc<dyn Store>, customers: &[&Customer]) {
    for customer in customers {
        assert_eq!(insert_one(store, customer), Written::Done);
    }
}

pub fn change(store: &Arc<dyn Store>, before: &Customer, after: &Customer) -> Written {
    write_one(store, &samples::change_of(before, after))
}

/// Deletes a live customer in its current version.
pub fn delete(store: &Arc<dyn Store>, customer: &Customer) {
    assert_eq!(write_one(store, &samples::deletion(customer)), Written::Done);
}

/// Stores a subscription of a live customer in place of `before`.
pub fn record(
    store: &Arc<dyn Store>,
    customer: &Customer,
    before: Option<&Subscription>,
    after: &Subscription,
) -> Written {
    write_one(store, &samples::report(customer, before, after))
}

pub fn find_in(store: &Arc<dyn Store>, state: CustomerState, keys: &[CustomerKey]) -> Vec<Option<Customer>> {
    let found = store.direct(|uow| uow.customers().find(state, keys)).expect("an answer");
    assert_eq!(found.len(), keys.len(), "one answer for each key");
    found
}

pub fn find_all(store: &Arc<dyn Store>, keys: &[CustomerKey]) -> Vec<Option<Customer>> {
    find_in(store, CustomerState::Live, keys)
}

pub fn find(store: &Arc<dyn Store>, key: CustomerKey) -> Option<Customer> {
    find_all(store, &[key]).remove(0)
}

/// A customer, live or deleted.
pub fn find_any(store: &Arc<dyn Store>, customer: &Customer) -> Option<Customer> {
    find_in(store, CustomerState::Any, &[by_id(customer)]).remove(0)
}

pub fn list_in(
    store: &Arc<dyn Store>,
    tenant: Tenant,
    state: CustomerState,
    before: Option<CustomerId>,
    limit: usize,
) -> Vec<Customer> {
    let after = before.map(registered);
    list_by(store, &CustomerQuery { filter: state.into(), after, ..CustomerQuery::newest(tenant, limit) })
}

/// A page of a list in which the store need not stop looking before the page is full.
pub fn list_by(store: &Arc<dyn Store>, query: &CustomerQuery) -> Vec<Customer> {
    let listed = list_part(store, query);
    assert_eq!(listed.stopped_at, None, "{query:?}");
    listed.customers
}

pub fn list_part(store: &Arc<dyn Store>, query: &CustomerQuery) -> Listed {
    store.direct(|uow| uow.customers().list(query)).expect("a page")
}

pub fn count(store: &Arc<dyn Store>, tenant: Tenant, filter: &CustomerFilter, most: usize) -> Count {
    store.direct(|uow| uow.customers().count(tenant, filter, most)).expect("a number")
}

/// The place of a customer, which need not exist, in a list in the order of registration.
pub fn registered(id: CustomerId) -> Place {
    Place { created_at: samples::at(0), id }
}

pub fn list(store: &Arc<dyn Store>, tenant: Tenant, before: Option<CustomerId>, limit: usize) -> Vec<Customer> {
    list_in(store, tenant, CustomerState::Live, before, limit)
}

/// The subscriptions of a customer, the last started first.
pub fn subscriptions_of(store: &Arc<dyn Store>, customer: &Customer) -> Vec<Subscription> {
    store.direct(|uow| uow.subscriptions().list(customer.tenant(), customer.id(), None, 1000)).expect("a page")
}

/// The key that names a customer by its id.
pub fn by_id(customer: &Customer) -> CustomerKey {
    CustomerKey { tenant: customer.tenant(), customer: CustomerRef::Id(customer.id()) }
}

/// The key that names a customer by an external identifier.
pub fn by_external_id(tenant: Tenant, id: &str) -> CustomerKey {
    CustomerKey { tenant, customer: CustomerRef::ExternalId(samples::external_id(id)) }
}

pub fn ids(customers: &[Customer]) -> Vec<CustomerId> {
    customers.iter().map(Customer::id).collect()
}

/// The result of a write that claims the e-mail address of `holder`.
pub fn email_taken_by(holder: &Customer) -> Written {
    Written::Taken(Taken { email: Some(holder.id()), external_id: None })
}

/// The result of a write that claims the external identifier of `holder`.
pub fn external_id_taken_by(holder: &Customer) -> Written {
    Written::Taken(Taken { email: None, external_id: Some(Box::new(holder.clone())) })
}

/// Walks a list to its end: `page` gives the items after one. Fails if a list gives an item twice, as it may have no end.
pub fn walk<T: PartialEq + Debug>(limit: usize, page: impl Fn(Option<&T>) -> Vec<T>) -> Vec<T> {
    let mut all: Vec<T> = Vec::new();
    loop {
        let items = page(all.last());
        assert!(items.len() <= limit, "{} of at most {limit}", items.len());
        if items.is_empty() {
            return all;
        }
        for item in items {
            assert!(!all.contains(&item), "given twice: {item:?}");
            all.push(item);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::walk;

    #[test]
    fn a_walk_ends_with_the_list() {
        let page = |last: Option<&u32>| (last.map_or(0, |last| last + 1)..5).take(2).collect();
        assert_eq!(walk(2, page), [0, 1, 2, 3, 4]);
    }

    #[test]
    #[should_panic(expected = "given twice: 1")]
    fn a_walk_fails_where_a_list_repeats_itself() {
        walk(2, |last: Option<&u32>| (last.copied().unwrap_or(0)..5).take(2).collect());
    }

    #[test]
    #[should_panic(expected = "3 of at most 2")]
    fn a_walk_fails_where_a_page_is_too_long() {
        walk(2, |_: Option<&u32>| vec![0, 1, 2]);
    }
}
