//! A store that counts what it is asked, and that can be out of order.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use roster_application::ports::{
    ApiKeyRepository, Claims, CustomerKey, CustomerRepository, MerchantRepository, Store, StoreError,
    SubscriptionRepository, Taken, UnitOfWork, Verdict, Work,
};
use roster_domain::{Customer, CustomerId, Tenant};
use roster_memory::MemoryStore;

/// The memory store, watched.
#[derive(Default)]
pub struct WatchedStore {
    rows: MemoryStore,
    runs: AtomicUsize,
    updates: AtomicUsize,
    out_of_order: AtomicBool,
}

impl WatchedStore {
    /// How many units of work it was given.
    pub fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }

    /// How many customers it was told to update.
    pub fn updates(&self) -> usize {
        self.updates.load(Ordering::SeqCst)
    }

    /// Lets it be unavailable from now on.
    pub fn break_down(&self) {
        self.out_of_order.store(true, Ordering::SeqCst);
    }

    fn enter(&self) -> Result<(), StoreError> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        self.ping()
    }

    fn watch(&self, uow: &mut dyn UnitOfWork, work: &mut Work<'_>) -> Verdict {
        work(&mut WatchedUnitOfWork { uow, updates: &self.updates })
    }
}

impl Store for WatchedStore {
    fn run_transaction(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.enter()?;
        self.rows.run_transaction(&mut |uow| self.watch(uow, work))
    }

    fn run_direct(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.enter()?;
        self.rows.run_direct(&mut |uow| self.watch(uow, work))
    }

    fn ping(&self) -> Result<(), StoreError> {
        if self.out_of_order.load(Ordering::SeqCst) {
            return Err(StoreError::unavailable("out of order"));
        }
        self.rows.ping()
    }
}

struct WatchedUnitOfWork<'a> {
    uow: &'a mut dyn UnitOfWork,
    updates: &'a AtomicUsize,
}

impl UnitOfWork for WatchedUnitOfWork<'_> {
    fn customers(&mut self) -> &mut dyn CustomerRepository {
        self
    }

    fn subscriptions(&mut self) -> &mut dyn SubscriptionRepository {
        self.uow.subscriptions()
    }

    fn merchants(&mut self) -> &mut dyn MerchantRepository {
        self.uow.merchants()
    }

    fn api_keys(&mut self) -> &mut dyn ApiKeyRepository {
        self.uow.api_keys()
    }
}

impl CustomerRepository for WatchedUnitOfWork<'_> {
    fn insert_free(&mut self, customers: &[&Customer]) -> Result<Vec<bool>, StoreError> {
        self.uow.customers().insert_free(customers)
    }

    fn taken(&mut self, claims: &Claims<'_>) -> Result<Taken, StoreError> {
        self.uow.customers().taken(claims)
    }

    fn find(&mut self, keys: &[CustomerKey]) -> Result<Vec<Option<Customer>>, StoreError> {
        self.uow.customers().find(keys)
    }

    fn lock(&mut self, key: &CustomerKey) -> Result<Option<Customer>, StoreError> {
        self.uow.customers().lock(key)
    }

    fn update(&mut self, customer: &Customer, claims: &Claims<'_>) -> Result<(), StoreError> {
        self.updates.fetch_add(1, Ordering::SeqCst);
        self.uow.customers().update(customer, claims)
    }

    fn list(&mut self, tenant: Tenant, before: Option<CustomerId>, limit: usize) -> Result<Vec<Customer>, StoreError> {
        self.uow.customers().list(tenant, before, limit)
    }
}
