//! The memory store with a test in between: the one double of a unit of work, for tests that need faults, counts, or
//! another writer at the right moment.

use std::time::Duration;

use roster_application::ports::{
    ApiKeyRepository, Count, CustomerFilter, CustomerKey, CustomerQuery, CustomerRepository, CustomerState,
    EventRepository, Fact, ImportRepository, Listed, MerchantRepository, OperatorRepository, Position, ReplyRepository,
    SecretRepository, Store, StoreError, SubscriptionRepository, UnitOfWork, UploadRepository, Usage,
    WebhookRepository, Work, Write, Written,
};
use roster_domain::{Customer, Tenant};

use crate::store::MemoryStore;

/// What a test does before calls reach the store. An error takes the place of the call.
pub trait Interceptor: Send + Sync {
    /// Before a unit of work begins.
    ///
    /// # Errors
    /// What the caller is to get.
    fn before_work(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Before `writes` are made; `customers` are those of the store itself.
    ///
    /// # Errors
    /// What the caller is to get.
    fn before_write(&self, customers: &mut dyn CustomerRepository, writes: &[Write]) -> Result<(), StoreError> {
        let _ = (customers, writes);
        Ok(())
    }

    /// Before customers are looked for.
    ///
    /// # Errors
    /// What the caller is to get.
    fn before_find(&self, keys: &[CustomerKey]) -> Result<(), StoreError> {
        let _ = keys;
        Ok(())
    }

    /// Before pages of customers are read with one call.
    ///
    /// # Errors
    /// What the caller is to get.
    fn before_list(&self, queries: &[CustomerQuery]) -> Result<(), StoreError> {
        let _ = queries;
        Ok(())
    }

    /// After work without a transaction, before its caller learns of it.
    fn after_direct_work(&self) {}
}

/// A memory store whose calls pass through an [`Interceptor`].
#[derive(Debug, Default)]
pub struct InterceptedStore<I> {
    store: MemoryStore,
    /// The test's side.
    pub interceptor: I,
}

impl<I: Interceptor> InterceptedStore<I> {
    /// An empty store.
    pub fn new(interceptor: I) -> Self {
        Self { store: MemoryStore::default(), interceptor }
    }
}

impl<I: Interceptor> Store for InterceptedStore<I> {
    fn run_transaction(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.interceptor.before_work()?;
        self.store.run_transaction(&mut |uow| work(&mut Intercepted { uow, interceptor: &self.interceptor }))
    }

    fn run_direct(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.interceptor.before_work()?;
        let done = self.store.run_direct(&mut |uow| work(&mut Intercepted { uow, interceptor: &self.interceptor }));
        self.interceptor.after_direct_work();
        done
    }

    fn run_snapshot(&self, age: Duration, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.interceptor.before_work()?;
        self.store.run_snapshot(age, work)
    }

    fn ping(&self) -> Result<(), StoreError> {
        self.interceptor.before_work()?;
        self.store.ping()
    }

    fn flush_search_index(&self) -> Result<bool, StoreError> {
        self.store.flush_search_index()
    }

    fn inspect(&self, visit: &mut dyn FnMut(Fact)) -> Result<(), StoreError> {
        self.store.inspect(visit)
    }

    fn usage(&self) -> Usage {
        self.store.usage()
    }

    fn migrate(&self) -> Result<Vec<String>, StoreError> {
        self.store.migrate()
    }

    fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        self.store.pending_migrations()
    }

    fn check_connections(&self) -> Result<(), StoreError> {
        self.store.check_connections()
    }

    fn position(&self) -> Result<Option<Position>, StoreError> {
        self.store.position()
    }

    fn is_distributed(&self) -> Result<bool, StoreError> {
        self.store.is_distributed()
    }

    fn distribute(&self) -> Result<Vec<String>, StoreError> {
        self.store.distribute()
    }
}

struct Intercepted<'a> {
    uow: &'a mut dyn UnitOfWork,
    interceptor: &'a dyn Interceptor,
}

impl UnitOfWork for Intercepted<'_> {
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

    fn operators(&mut self) -> &mut dyn OperatorRepository {
        self.uow.operators()
    }

    fn replies(&mut self) -> &mut dyn ReplyRepository {
        self.uow.replies()
    }

    fn events(&mut self) -> &mut dyn EventRepository {
        self.uow.events()
    }

    fn secrets(&mut self) -> &mut dyn SecretRepository {
        self.uow.secrets()
    }

    fn webhooks(&mut self) -> &mut dyn WebhookRepository {
        self.uow.webhooks()
    }

    fn imports(&mut self) -> &mut dyn ImportRepository {
        self.uow.imports()
    }

    fn uploads(&mut self) -> &mut dyn UploadRepository {
        self.uow.uploads()
    }
}

impl CustomerRepository for Intercepted<'_> {
    fn write(&mut self, writes: &[Write]) -> Result<Vec<Written>, StoreError> {
        self.interceptor.before_write(self.uow.customers(), writes)?;
        self.uow.customers().write(writes)
    }

    fn find(&mut self, state: CustomerState, keys: &[CustomerKey]) -> Result<Vec<Option<Customer>>, StoreError> {
        self.interceptor.before_find(keys)?;
        self.uow.customers().find(state, keys)
    }

    fn list(&mut self, query: &CustomerQuery) -> Result<Listed, StoreError> {
        self.interceptor.before_list(std::slice::from_ref(query))?;
        self.uow.customers().list(query)
    }

    fn list_many(&mut self, queries: &[CustomerQuery]) -> Result<Vec<Listed>, StoreError> {
        self.interceptor.before_list(queries)?;
        self.uow.customers().list_many(queries)
    }

    fn count(&mut self, tenant: Tenant, filter: &CustomerFilter, most: usize) -> Result<Count, StoreError> {
        self.uow.customers().count(tenant, filter, most)
    }

    fn index_for_search(&mut self, tenants: &[Tenant], most: usize) -> Result<usize, StoreError> {
        self.uow.customers().index_for_search(tenants, most)
    }
}
