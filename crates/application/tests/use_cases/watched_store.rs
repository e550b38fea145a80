//! A store that counts its work, and that can fail on request.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use roster_application::ports::{CustomerKey, CustomerQuery, CustomerRef, CustomerRepository, StoreError, Write};
use roster_domain::{Customer, CustomerId};
use roster_memory::{InterceptedStore, Interceptor};

/// The memory store, watched.
pub type WatchedStore = InterceptedStore<Watch>;

/// What is counted, and what goes wrong.
#[derive(Default)]
pub struct Watch {
    runs: AtomicUsize,
    writes: AtomicUsize,
    pages: Mutex<Vec<usize>>,
    is_broken: AtomicBool,
    corrupt: OnceLock<CustomerId>,
    other_writer: Mutex<Option<OtherWriter>>,
    after_read: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

type OtherWriter = Box<dyn FnMut(&mut dyn CustomerRepository) + Send>;

impl Watch {
    /// How many units of work the store was given.
    pub fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }

    /// How many writes of customers it was given.
    pub fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }

    /// How many pages of customers each call has asked for.
    pub fn pages(&self) -> Vec<usize> {
        self.pages.lock().expect("no panic before").clone()
    }

    /// Makes it unavailable from now on.
    pub fn break_down(&self) {
        self.is_broken.store(true, Ordering::SeqCst);
    }

    /// Makes it available again.
    pub fn recover(&self) {
        self.is_broken.store(false, Ordering::SeqCst);
    }

    /// Makes the row of a customer unreadable from now on.
    pub fn corrupt(&self, customer: &Customer) {
        self.corrupt.set(customer.id()).expect("one corrupt row");
    }

    /// Has `other_writer` write just before each batch of writes, as another process could.
    pub fn race(&self, other_writer: impl FnMut(&mut dyn CustomerRepository) + Send + 'static) {
        *self.other_writer.lock().expect("no panic before") = Some(Box::new(other_writer));
    }

    /// Runs `action` once, after the next read and before its caller learns of it.
    pub fn after_next_read(&self, action: impl FnOnce() + Send + 'static) {
        *self.after_read.lock().expect("no panic before") = Some(Box::new(action));
    }

    fn check(&self, mut customers: impl Iterator<Item = CustomerId>) -> Result<(), StoreError> {
        match self.corrupt.get() {
            Some(id) if customers.any(|customer| customer == *id) => {
                Err(StoreError::Corrupt { table: "customers", column: "name", id: id.uuid() })
            }
            _ => Ok(()),
        }
    }
}

impl Interceptor for Watch {
    fn before_work(&self) -> Result<(), StoreError> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        if self.is_broken.load(Ordering::SeqCst) { Err(StoreError::unavailable("broken")) } else { Ok(()) }
    }

    fn before_write(&self, customers: &mut dyn CustomerRepository, writes: &[Write]) -> Result<(), StoreError> {
        self.writes.fetch_add(writes.len(), Ordering::SeqCst);
        self.check(writes.iter().map(|write| write.after().id()))?;
        if let Some(other_writer) = &mut *self.other_writer.lock().expect("no panic before") {
            other_writer(customers);
        }
        Ok(())
    }

    fn before_list(&self, queries: &[CustomerQuery]) -> Result<(), StoreError> {
        self.pages.lock().expect("no panic before").push(queries.len());
        // The page that begins behind a corrupt row.
        self.check(queries.iter().filter_map(|query| query.after.map(|after| after.id)))
    }

    fn after_direct_work(&self) {
        let action = self.after_read.lock().expect("no panic before").take();
        if let Some(action) = action {
            action();
        }
    }

    fn before_find(&self, keys: &[CustomerKey]) -> Result<(), StoreError> {
        self.check(keys.iter().filter_map(|key| match key.customer {
            CustomerRef::Id(id) => Some(id),
            CustomerRef::ExternalId(_) => None,
        }))
    }
}
