//! What the cases do with a store. Each action fails its case if the store errs.

use std::fmt::Debug;
use std::sync::Arc;

use roster_application::ApiKey;
use roster_application::ports::{Claims, CustomerKey, CustomerRef, Inserted, Store, StoreError, Taken};
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

pub fn insert(store: &Arc<dyn Store>, customers: &[Customer]) -> Vec<Inserted> {
    let inserted = store.direct(|uow| uow.customers().insert(customers)).expect("a batch that is inserted");
    assert_eq!(inserted.len(), customers.len(), "one result for each customer");
    inserted
}

pub fn insert_one(store: &Arc<dyn Store>, customer: &Customer) -> Inserted {
    insert(store, std::slice::from_ref(customer)).remove(0)
}

/// Inserts customers in whose way nobody stands.
pub fn create(store: &Arc<dyn Store>, customers: &[&Customer]) {
    for customer in customers {
        assert_eq!(insert_one(store, customer), Inserted::Created);
    }
}

pub fn find_all(store: &Arc<dyn Store>, keys: &[CustomerKey]) -> Vec<Option<Customer>> {
    let found = store.direct(|uow| uow.customers().find(keys)).expect("an answer");
    assert_eq!(found.len(), keys.len(), "one answer for each key");
    found
}

pub fn find(store: &Arc<dyn Store>, key: CustomerKey) -> Option<Customer> {
    find_all(store, &[key]).remove(0)
}

pub fn list(store: &Arc<dyn Store>, tenant: Tenant, before: Option<CustomerId>, limit: usize) -> Vec<Customer> {
    store.direct(|uow| uow.customers().list(tenant, before, limit)).expect("a page")
}

pub fn taken(store: &Arc<dyn Store>, claims: &Claims<'_>) -> Taken {
    store.direct(|uow| uow.customers().taken(claims)).expect("an answer")
}

/// Finds and locks a customer in a transaction that does nothing else.
pub fn lock(store: &Arc<dyn Store>, key: &CustomerKey) -> Option<Customer> {
    store.transaction(|uow| uow.customers().lock(key)).expect("an answer")
}

/// Locks `before` and writes `after` in its place, as a change does.
pub fn replace(store: &Arc<dyn Store>, before: &Customer, after: &Customer) -> Result<(), StoreError> {
    store.transaction(|uow| {
        let customers = uow.customers();
        customers.lock(&by_id(before))?;
        customers.update(after, &Claims::of_change(before, after))
    })
}

pub fn delete(store: &Arc<dyn Store>, customer: &Customer) {
    replace(store, customer, &samples::deleted(customer)).expect("a live customer");
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

pub fn put(store: &Arc<dyn Store>, customer: &Customer, subscription: &Subscription) {
    store
        .direct(|uow| uow.subscriptions().put(customer.tenant(), customer.id(), subscription))
        .expect("a subscription of a stored customer");
}

/// The result for a customer whose e-mail address `holder` has.
pub fn email_taken_by(holder: &Customer) -> Inserted {
    Inserted::Taken(Taken { email: Some(holder.id()), external_id: None })
}

/// The result for a customer whose external identifier `holder` has.
pub fn external_id_taken_by(holder: &Customer) -> Inserted {
    Inserted::Taken(Taken { email: None, external_id: Some(Box::new(holder.clone())) })
}

/// Walks a list to its end: `page` gives what stands behind an item. A list that gives an item twice has no end.
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
    fn a_walk_ends_where_a_list_repeats_itself() {
        walk(2, |last: Option<&u32>| (last.copied().unwrap_or(0)..5).take(2).collect());
    }

    #[test]
    #[should_panic(expected = "3 of at most 2")]
    fn a_walk_ends_where_a_page_is_too_long() {
        walk(2, |_: Option<&u32>| vec![0, 1, 2]);
    }
}
