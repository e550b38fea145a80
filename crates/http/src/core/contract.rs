//! Every store keeps its promise through the batching, too: the cases of `roster-store-contract`, with each customer that
//! is looked for or inserted, and each key and subscription that is looked up, sent by itself as a request of its own, to
//! where the service has it served on that store.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use futures_util::future::join_all;
use roster_application::batch::serve_together;
use roster_application::ports::{
    ApiKeyRepository, ApiKeyUse, Claims, CustomerKey, CustomerRepository, Inserted, MerchantRepository, Store,
    StoreError, SubscriptionCursor, SubscriptionRepository, Taken, UnitOfWork, Work,
};
use roster_application::{ApiKey, Digest};
use roster_domain::{ApiKeyId, Customer, CustomerId, Merchant, MerchantId, Subscription, SubscriptionId, Tenant};

use super::batch::{self, Batch, Waiting};
use super::gathering::Gathering;
use super::line::Line;
use super::{NotDone, Reads};

/// Longer than any case takes.
const DEADLINE: Duration = Duration::from_mins(1);

/// More than any case asks for at a time.
const QUEUE: usize = 10_000;

/// A store behind lines. What is one transaction goes to the store itself.
struct BatchedStore {
    lines: Arc<Lines>,
    threads: Vec<JoinHandle<()>>,
    reads: Reads,
}

struct Lines {
    store: Arc<dyn Store>,
    finds: Line<Waiting<Find>>,
    inserts: Line<Waiting<Insert>>,
    keys: Line<Waiting<FindKey>>,
    subscriptions: Line<Waiting<FindCurrent>>,
}

impl BatchedStore {
    fn over(store: Arc<dyn Store>, reads: Reads) -> Self {
        let lines = Arc::new(Lines {
            store,
            finds: Line::new(QUEUE),
            inserts: Line::new(QUEUE),
            keys: Line::new(QUEUE),
            subscriptions: Line::new(QUEUE),
        });
        let works: [fn(&Lines); 4] = [
            |lines| batch::serve::<Find>(&lines.store, &lines.finds),
            |lines| batch::serve::<Insert>(&lines.store, &lines.inserts),
            |lines| batch::serve::<FindKey>(&lines.store, &lines.keys),
            |lines| batch::serve::<FindCurrent>(&lines.store, &lines.subscriptions),
        ];
        let start = |work: fn(&Lines)| {
            let lines = Arc::clone(&lines);
            thread::spawn(move || work(&lines))
        };
        Self { threads: works.map(start).into(), lines, reads }
    }

    /// Sends each of `inputs` to a line as a request of its own, in their order.
    fn send<B, T>(line: &Line<Waiting<B>>, inputs: impl IntoIterator<Item = B::Input>) -> Result<Vec<T>, StoreError>
    where
        B: Batch<Output = Result<T, StoreError>>,
    {
        answers(inputs.into_iter().map(|input| batch::run(line, DEADLINE, input)))
    }

    /// Sends each of `inputs` to where short reads are done.
    fn read<B, T>(
        &self,
        line: &Line<Waiting<B>>,
        inputs: impl IntoIterator<Item = B::Input>,
    ) -> Result<Vec<T>, StoreError>
    where
        B: Batch<Service = Arc<dyn Store>, Output = Result<T, StoreError>>,
    {
        match self.reads {
            Reads::ByThreads => Self::send(line, inputs),
            Reads::Here => {
                let gathering = Gathering::<B>::new(Arc::clone(&self.lines.store), QUEUE);
                answers(inputs.into_iter().map(|input| gathering.run(DEADLINE, input)))
            }
        }
    }
}

/// What requests that wait at the same time are answered.
fn answers<T>(
    requests: impl Iterator<Item = impl Future<Output = Result<Result<T, StoreError>, NotDone>>>,
) -> Result<Vec<T>, StoreError> {
    let answers = actix_web::rt::System::new().block_on(join_all(requests));
    answers.into_iter().map(|answer| answer.unwrap_or_else(|error| panic!("{error}"))).collect()
}

impl Drop for BatchedStore {
    fn drop(&mut self) {
        self.lines.finds.close();
        self.lines.inserts.close();
        self.lines.keys.close();
        self.lines.subscriptions.close();
        for thread in self.threads.drain(..) {
            // The store must not outlive its case.
            thread.join().expect("a thread that serves");
        }
    }
}

impl Store for BatchedStore {
    fn run_transaction(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.lines.store.run_transaction(work)
    }

    fn run_direct(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        let mut unit_of_work = BatchedUnitOfWork { batched: self, failure: None };
        work(&mut unit_of_work);
        unit_of_work.failure.map_or(Ok(()), Err)
    }

    fn ping(&self) -> Result<(), StoreError> {
        self.lines.store.ping()
    }
}

macro_rules! batches {
    ($($name:ident($one:ident: $input:ty) -> $output:ty = $repository:ident.$call:ident;)+) => {$(
        struct $name;

        impl Batch for $name {
            type Service = Arc<dyn Store>;
            type Input = $input;
            type Output = Result<$output, StoreError>;

            fn run(store: &Arc<dyn Store>, inputs: Vec<$input>) -> Vec<Self::Output> {
                serve_together(&inputs, |$one| store.direct(|uow| uow.$repository().$call($one)))
            }
        }
    )+};
}

batches! {
    Find(keys: CustomerKey) -> Option<Customer> = customers.find;
    Insert(customers: Customer) -> Inserted = customers.insert;
    FindKey(digests: Digest) -> Option<ApiKey> = api_keys.find;
    FindCurrent(customers: (Tenant, CustomerId)) -> Option<Subscription> = subscriptions.current;
}

struct BatchedUnitOfWork<'a> {
    batched: &'a BatchedStore,
    failure: Option<StoreError>,
}

impl BatchedUnitOfWork<'_> {
    fn call<T>(&mut self, call: impl FnOnce(&BatchedStore) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if self.failure.is_some() {
            return Err(StoreError::spent());
        }
        let result = call(self.batched);
        self.failure = result.as_ref().err().cloned();
        result
    }
}

impl UnitOfWork for BatchedUnitOfWork<'_> {
    fn customers(&mut self) -> &mut dyn CustomerRepository {
        self
    }

    fn subscriptions(&mut self) -> &mut dyn SubscriptionRepository {
        self
    }

    fn merchants(&mut self) -> &mut dyn MerchantRepository {
        self
    }

    fn api_keys(&mut self) -> &mut dyn ApiKeyRepository {
        self
    }
}

/// Defines methods that ask the store itself.
macro_rules! ask {
    ($repository:ident: $(fn $name:ident($($argument:ident: $type:ty),*) -> $output:ty;)+) => {$(
        fn $name(&mut self, $($argument: $type),*) -> Result<$output, StoreError> {
            self.call(|batched| batched.lines.store.direct(|uow| uow.$repository().$name($($argument),*)))
        }
    )+};
}

impl CustomerRepository for BatchedUnitOfWork<'_> {
    fn insert(&mut self, customers: &[Customer]) -> Result<Vec<Inserted>, StoreError> {
        self.call(|batched| BatchedStore::send(&batched.lines.inserts, customers.iter().cloned()))
    }

    fn find(&mut self, keys: &[CustomerKey]) -> Result<Vec<Option<Customer>>, StoreError> {
        self.call(|batched| batched.read(&batched.lines.finds, keys.iter().cloned()))
    }

    ask! {
        customers:
        fn insert_free(customers: &[&Customer]) -> Vec<bool>;
        fn taken(claims: &Claims<'_>) -> Taken;
        fn lock(key: &CustomerKey) -> Option<Customer>;
        fn update(customer: &Customer, claims: &Claims<'_>) -> ();
        fn list(tenant: Tenant, before: Option<CustomerId>, limit: usize) -> Vec<Customer>;
    }
}

impl SubscriptionRepository for BatchedUnitOfWork<'_> {
    fn current(&mut self, customers: &[(Tenant, CustomerId)]) -> Result<Vec<Option<Subscription>>, StoreError> {
        self.call(|batched| batched.read(&batched.lines.subscriptions, customers.iter().copied()))
    }

    ask! {
        subscriptions:
        fn find(tenant: Tenant, customer: CustomerId, id: &SubscriptionId) -> Option<Subscription>;
        fn put(tenant: Tenant, customer: CustomerId, subscription: &Subscription) -> ();
        fn list(
            tenant: Tenant, customer: CustomerId, after: Option<&SubscriptionCursor>, limit: usize
        ) -> Vec<Subscription>;
    }
}

impl MerchantRepository for BatchedUnitOfWork<'_> {
    ask! {
        merchants:
        fn insert(merchant: &Merchant) -> ();
        fn find(id: MerchantId) -> Option<Merchant>;
        fn list(after: Option<MerchantId>, limit: usize) -> Vec<Merchant>;
    }
}

impl ApiKeyRepository for BatchedUnitOfWork<'_> {
    fn find(&mut self, digests: &[Digest]) -> Result<Vec<Option<ApiKey>>, StoreError> {
        self.call(|batched| batched.read(&batched.lines.keys, digests.iter().copied()))
    }

    ask! {
        api_keys:
        fn insert(key: &ApiKey) -> ();
        fn tenant_of(id: ApiKeyId) -> Option<Tenant>;
        fn list(tenant: Tenant, after: Option<ApiKeyId>, limit: usize) -> Vec<ApiKey>;
        fn lock(tenant: Tenant, id: ApiKeyId) -> Option<ApiKey>;
        fn update(key: &ApiKey) -> ();
        fn record_uses(uses: &[ApiKeyUse]) -> ();
    }
}

mod on_memory {
    use super::*;
    use roster_memory::MemoryStore;
    use roster_store_contract::Subject;

    fn empty_store() -> Subject {
        Subject::new(Arc::new(BatchedStore::over(Arc::new(MemoryStore::default()), Reads::ByThreads)))
    }

    roster_store_contract::store_contract_tests!(empty_store);
}

mod on_sqlite {
    use super::*;
    use roster_sqlite::{Options, SqliteStore};
    use roster_store_contract::Subject;

    fn empty_store() -> Subject {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options = Options { path: folder.path().join("roster.db"), connections: 4, wait: DEADLINE };
        let store = SqliteStore::open(&options).expect("a new file");
        store.migrate().expect("an empty database");
        Subject::guarded(Arc::new(BatchedStore::over(Arc::new(store), Reads::Here)), folder)
    }

    roster_store_contract::store_contract_tests!(empty_store);
}

mod on_postgres {
    use super::*;
    use roster_postgres::{Options, PostgresStore};
    use roster_store_contract::Subject;
    use roster_test_postgres::Template;

    static MIGRATED: Template = Template::new(|url| {
        store(url).migrate().expect("the migrations apply");
    });

    fn store(url: &str) -> PostgresStore {
        let options = Options { url: url.to_owned(), connections: 16, wait: DEADLINE };
        PostgresStore::connect(&options).expect("the options are usable")
    }

    /// An empty, migrated store; none where there is no server.
    fn empty_store() -> Option<Subject> {
        let database = MIGRATED.database()?;
        let store = BatchedStore::over(Arc::new(store(database.url())), Reads::ByThreads);
        Some(Subject::guarded(Arc::new(store), database))
    }

    roster_store_contract::store_contract_tests!(empty_store);
}
