//! Stores and values for these tests.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use diesel::prelude::*;
use roster_application::ports::{
    CustomerKey, CustomerQuery, CustomerRef, CustomerState, Store, StoreError, UnitOfWork, Write, Written,
};
use roster_domain::{
    Customer, CustomerId, Email, EmailUse, Environment, ExternalId, Merchant, MerchantId, MerchantName, Profile,
    Tenant, Timestamp,
};
use roster_sqlite::{Options, SqliteStore};
use uuid::Uuid;

/// Far longer than anything takes in these tests, even on a busy machine.
pub const LONG: Duration = Duration::from_mins(5);

pub fn options(path: &Path) -> Options {
    Options { path: path.to_owned(), create: true, connections: 2, wait: LONG, search_index: true }
}

pub fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(&options(path)).expect("a file that can be opened")
}

/// A migrated store, as its port.
pub fn open_migrated(path: &Path) -> Arc<dyn Store> {
    let store = open(path);
    store.migrate().expect("the migrations apply");
    Arc::new(store)
}

/// A connection of its own, without the settings of the store.
pub fn raw(path: &Path) -> SqliteConnection {
    SqliteConnection::establish(path.to_str().expect("UTF-8")).expect("a database")
}

pub fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_736_942_400_000 + millis).expect("a time of this century")
}

/// An identifier that no other call returns.
fn uuid() -> Uuid {
    static MADE: AtomicU64 = AtomicU64::new(1);
    Uuid::from_u128(u128::from(MADE.fetch_add(1, Ordering::Relaxed)))
}

/// The live tenant of a new merchant, which is stored.
pub fn new_tenant(store: &Arc<dyn Store>) -> Tenant {
    let merchant = Merchant {
        id: MerchantId::new(uuid()),
        name: MerchantName::parse("M").expect("a name"),
        created_at: at(0),
        disabled_at: None,
    };
    store.direct(|uow| uow.merchants().insert(&merchant)).expect("a new merchant");
    Tenant { merchant: merchant.id, environment: Environment::Live }
}

pub fn customer(tenant: Tenant, external_id: &str, email: &str) -> Customer {
    let profile = Profile {
        external_id: ExternalId::parse(external_id).ok(),
        email: Email::parse(email).ok(),
        ..Profile::default()
    };
    Customer::register(tenant, CustomerId::new(uuid()), profile, EmailUse::Exclusive, at(0))
}

pub fn insert(store: &Arc<dyn Store>, customer: &Customer) -> Result<Written, StoreError> {
    store.direct(|uow| insert_in(uow, customer))
}

pub fn insert_in(uow: &mut dyn UnitOfWork, customer: &Customer) -> Result<Written, StoreError> {
    Ok(uow.customers().write(&[Write::create(customer.clone())])?.remove(0))
}

pub fn list_in(uow: &mut dyn UnitOfWork, tenant: Tenant) -> Result<Vec<Customer>, StoreError> {
    Ok(uow.customers().list(&CustomerQuery::newest(tenant, 10))?.customers)
}

pub fn find(store: &Arc<dyn Store>, customer: &Customer) -> Result<Option<Customer>, StoreError> {
    let key = CustomerKey { tenant: customer.tenant(), customer: CustomerRef::Id(customer.id()) };
    let found = store.direct(|uow| uow.customers().find(CustomerState::Live, std::slice::from_ref(&key)))?;
    Ok(found.into_iter().next().expect("one answer for each key"))
}
