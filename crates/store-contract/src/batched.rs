//! A store that is called as the service calls it: through the batching of `roster-executor`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use roster_application::batch::serve_together;
use roster_application::ports::{
    ApiKeyRepository, ApiKeyUse, Attempt, AttemptKey, Count, CustomerFilter, CustomerKey, CustomerQuery,
    CustomerRepository, CustomerState, DeliveryRecord, EventQuery, EventRepository, Extent, Fact, FirstError,
    ImportRepository, Lane, Lease, Listed, MerchantRepository, OperatorRepository, Position, ReplyKey, ReplyRepository,
    RevokedOperator, SavedReply, SecretRepository, Store, StoreError, StoredEndpoint, SubscriptionCursor,
    SubscriptionKey, SubscriptionRepository, UnitOfWork, UploadRepository, Usage, WebhookRepository, Work, Write,
    Written,
};
use roster_application::{ApiKey, Digest, Event, Import, LogEntry, Operator, PartKind, Upload};
use roster_domain::{
    ApiKeyId, AttemptId, Customer, CustomerId, Endpoint, EndpointId, ImportId, LogEntryId, Merchant, MerchantId,
    OperatorId, Subscription, Tenant, Timestamp, UploadId,
};
use roster_executor::Reads;
use roster_executor::batched::{Batched, Limits, Operation, Workers};
use roster_executor::threads::Threads;
use tokio::task::LocalSet;

/// A deadline that is longer than any case takes, and a queue that is longer than any case needs.
const LIMITS: Limits = Limits { queue: 10_000, deadline: Duration::from_mins(1) };

/// Sends each item of a direct call as a request of its own, so that items of several calls share a batch and items of
/// one call may be split. Transactions, and what the service does not batch, go to the store itself.
pub struct BatchedStore {
    store: Arc<dyn Store>,
    writes: Batched<WriteCustomer>,
    customers: Batched<FindCustomer>,
    subscriptions: Batched<FindSubscription>,
    current: Batched<CurrentSubscription>,
    keys: Batched<FindKey>,
    threads: Option<Threads>,
}

impl BatchedStore {
    /// Starts the workers over `store`.
    pub fn new(store: Arc<dyn Store>, reads: Reads) -> Self {
        let mut batched = Self {
            writes: operation(&store, Workers::threads(1)),
            customers: operation(&store, readers(reads)),
            subscriptions: operation(&store, readers(reads)),
            current: operation(&store, readers(reads)),
            keys: operation(&store, readers(reads)),
            threads: None,
            store,
        };
        let workers = [
            batched.writes.workers(),
            batched.customers.workers(),
            batched.subscriptions.workers(),
            batched.current.workers(),
            batched.keys.workers(),
        ];
        let workers = workers.into_iter().flatten().collect();
        batched.threads = Some(Threads::start(workers, LIMITS.deadline).expect("threads"));
        batched
    }
}

fn operation<O: Operation<Service = Arc<dyn Store>>>(store: &Arc<dyn Store>, workers: Workers<O::Input>) -> Batched<O> {
    Batched::new(Arc::clone(store), LIMITS, workers)
}

fn readers<I>(reads: Reads) -> Workers<I> {
    match reads {
        Reads::ByWorkers | Reads::ByWorkersOfTenants => Workers::threads(1),
        Reads::ByCallers => Workers::Callers,
    }
}

impl Drop for BatchedStore {
    fn drop(&mut self) {
        self.writes.close();
        self.customers.close();
        self.subscriptions.close();
        self.current.close();
        self.keys.close();
        if let Some(threads) = self.threads.take() {
            // A worker holds the store, which must not outlive its case.
            threads.join(Instant::now() + LIMITS.deadline);
        }
    }
}

impl Store for BatchedStore {
    fn run_transaction(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.store.run_transaction(work)
    }

    fn run_direct(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        let mut uow = BatchedUnitOfWork { batched: self, first_error: FirstError::default() };
        work(&mut uow);
        uow.first_error.into_result()
    }

    fn run_snapshot(&self, age: Duration, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.store.run_snapshot(age, work)
    }

    fn ping(&self) -> Result<(), StoreError> {
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

/// Sends each of `inputs` as a request of its own, all at the same time and in their order.
fn send<O, T>(operation: &Batched<O>, inputs: impl IntoIterator<Item = O::Input>) -> Result<Vec<T>, StoreError>
where
    O: Operation<Output = Result<T, StoreError>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let outputs = LocalSet::new().block_on(&runtime, async {
        let local = operation.local();
        join_all(inputs.into_iter().map(|input| local.call(input))).await
    });
    outputs.into_iter().map(|output| output.unwrap_or_else(|error| panic!("{error}"))).collect()
}

/// Declares operations: what one request asks for, what it gets, and the call that serves a batch.
macro_rules! operations {
    ($($operation:ident($input:ty) -> $output:ty, $serve:expr;)+) => {$(
        struct $operation;

        impl Operation for $operation {
            const NAME: &str = stringify!($operation);
            const MAX_BATCH: usize = 128;
            type Service = Arc<dyn Store>;
            type Input = $input;
            type Output = Result<$output, StoreError>;

            fn run(store: &Arc<dyn Store>, inputs: Vec<$input>) -> Vec<Self::Output> {
                let serve: fn(&mut dyn UnitOfWork, &[$input]) -> Result<Vec<$output>, StoreError> = $serve;
                serve_together(&inputs, |inputs| store.direct(|uow| serve(uow, inputs)))
            }
        }
    )+};
}

operations! {
    WriteCustomer(Write) -> Written, |uow, writes| uow.customers().write(writes);
    FindCustomer(CustomerKey) -> Option<Customer>, |uow, keys| uow.customers().find(CustomerState::Live, keys);
    FindSubscription(SubscriptionKey) -> Option<(Customer, Option<Subscription>)>,
        |uow, keys| uow.subscriptions().find(keys);
    CurrentSubscription((Tenant, CustomerId)) -> Option<Subscription>,
        |uow, customers| uow.subscriptions().current(customers);
    FindKey(Digest) -> Option<ApiKey>, |uow, digests| uow.api_keys().find(digests);
}

struct BatchedUnitOfWork<'a> {
    batched: &'a BatchedStore,
    first_error: FirstError,
}

impl BatchedUnitOfWork<'_> {
    /// One call of a repository. After the first error every call fails.
    fn call<T>(&mut self, call: impl FnOnce(&BatchedStore) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.first_error.guard(|| call(self.batched))
    }
}

/// Defines methods that call the store itself.
macro_rules! unbatched {
    ($repository:ident: $(fn $name:ident($($argument:ident: $type:ty),*) -> $output:ty;)+) => {$(
        fn $name(&mut self, $($argument: $type),*) -> Result<$output, StoreError> {
            self.call(|batched| batched.store.direct(|uow| uow.$repository().$name($($argument),*)))
        }
    )+};
}

impl CustomerRepository for BatchedUnitOfWork<'_> {
    fn write(&mut self, writes: &[Write]) -> Result<Vec<Written>, StoreError> {
        self.call(|batched| send(&batched.writes, writes.iter().cloned()))
    }

    fn find(&mut self, state: CustomerState, keys: &[CustomerKey]) -> Result<Vec<Option<Customer>>, StoreError> {
        self.call(|batched| match state {
            CustomerState::Live => send(&batched.customers, keys.iter().cloned()),
            // The service looks up only live customers in batches.
            CustomerState::Active | CustomerState::Archived | CustomerState::Deleted | CustomerState::Any => {
                batched.store.direct(|uow| uow.customers().find(state, keys))
            }
        })
    }

    unbatched! {
        customers:
        fn list(query: &CustomerQuery) -> Listed;
        fn list_many(queries: &[CustomerQuery]) -> Vec<Listed>;
        fn count(tenant: Tenant, filter: &CustomerFilter, most: usize) -> Count;
        fn index_for_search(tenants: &[Tenant], most: usize) -> usize;
    }
}

impl SubscriptionRepository for BatchedUnitOfWork<'_> {
    fn find(&mut self, keys: &[SubscriptionKey]) -> Result<Vec<Option<(Customer, Option<Subscription>)>>, StoreError> {
        self.call(|batched| send(&batched.subscriptions, keys.iter().cloned()))
    }

    fn current(&mut self, customers: &[(Tenant, CustomerId)]) -> Result<Vec<Option<Subscription>>, StoreError> {
        self.call(|batched| send(&batched.current, customers.iter().copied()))
    }

    unbatched! {
        subscriptions:
        fn list(
            tenant: Tenant, customer: CustomerId, after: Option<&SubscriptionCursor>, limit: usize
        ) -> Vec<Subscription>;
    }
}

impl MerchantRepository for BatchedUnitOfWork<'_> {
    unbatched! {
        merchants:
        fn insert(merchant: &Merchant) -> ();
        fn find(id: MerchantId) -> Option<Merchant>;
        fn list(after: Option<MerchantId>, limit: usize) -> Vec<Merchant>;
        fn search(text: &str, after: Option<MerchantId>, limit: usize) -> Vec<Merchant>;
        fn disabled(ids: &[MerchantId]) -> Vec<MerchantId>;
        fn lock(id: MerchantId) -> Option<Merchant>;
        fn update(merchant: &Merchant) -> ();
    }
}

impl OperatorRepository for BatchedUnitOfWork<'_> {
    unbatched! {
        operators:
        fn insert(operator: &Operator) -> ();
        fn find(digest: &Digest) -> Option<Operator>;
        fn list(after: Option<OperatorId>, limit: usize) -> Vec<Operator>;
        fn revoke(id: OperatorId, at: Timestamp) -> Option<RevokedOperator>;
        fn record_use(id: OperatorId, at: Timestamp) -> ();
        fn log(entry: &LogEntry) -> ();
        fn entries(before: Option<LogEntryId>, limit: usize) -> Vec<LogEntry>;
        fn delete_entries(oldest: LogEntryId, limit: usize) -> usize;
    }
}

impl SecretRepository for BatchedUnitOfWork<'_> {
    unbatched! {
        secrets:
        fn get_or_insert(name: &str, candidate: [u8; 32]) -> [u8; 32];
    }
}

impl ApiKeyRepository for BatchedUnitOfWork<'_> {
    fn find(&mut self, digests: &[Digest]) -> Result<Vec<Option<ApiKey>>, StoreError> {
        self.call(|batched| send(&batched.keys, digests.iter().copied()))
    }

    unbatched! {
        api_keys:
        fn insert(key: &ApiKey) -> ();
        fn tenant_of(id: ApiKeyId) -> Option<Tenant>;
        fn list(tenant: Tenant, after: Option<ApiKeyId>, limit: usize) -> Vec<ApiKey>;
        fn lock(tenant: Tenant, id: ApiKeyId) -> Option<ApiKey>;
        fn update(key: &ApiKey) -> ();
        fn record_uses(uses: &[ApiKeyUse]) -> ();
    }
}

impl EventRepository for BatchedUnitOfWork<'_> {
    unbatched! {
        events:
        fn list(query: &EventQuery) -> Vec<Event>;
        fn extents(tenants: &[Tenant]) -> Vec<Extent>;
        fn lower_bounds(tenant: Tenant, times: &[Timestamp]) -> Vec<i64>;
        fn older_than(tenants: &[Tenant], time: Timestamp) -> Vec<Tenant>;
        fn prune(tenant: Tenant, last: i64) -> ();
    }
}

impl ImportRepository for BatchedUnitOfWork<'_> {
    unbatched! {
        imports:
        fn insert(import: &Import) -> ();
        fn list(tenant: Tenant, limit: usize) -> Vec<Import>;
        fn lock(tenant: Tenant, id: ImportId) -> Option<Import>;
        fn update(import: &Import) -> ();
        fn forget_before(tenant: Tenant, oldest: ImportId) -> ();
    }
}

impl UploadRepository for BatchedUnitOfWork<'_> {
    unbatched! {
        uploads:
        fn insert(upload: &Upload) -> ();
        fn find(tenant: Tenant, id: UploadId) -> Option<Upload>;
        fn list(tenant: Tenant, before: Option<UploadId>, limit: usize) -> Vec<Upload>;
        fn unended(tenants: &[Tenant]) -> Vec<(Tenant, UploadId)>;
        fn lock(tenant: Tenant, id: UploadId) -> Option<Upload>;
        fn update(upload: &Upload) -> ();
        fn delete(tenant: Tenant, id: UploadId) -> ();
        fn forget_before(tenant: Tenant, oldest: UploadId) -> ();
        fn add_part(tenant: Tenant, id: UploadId, kind: PartKind, number: u32, bytes: &[u8]) -> ();
        fn part(tenant: Tenant, id: UploadId, kind: PartKind, number: u32) -> Option<Vec<u8>>;
        fn delete_parts(tenant: Tenant, id: UploadId, kind: PartKind) -> ();
    }
}

impl WebhookRepository for BatchedUnitOfWork<'_> {
    unbatched! {
        webhooks:
        fn insert(endpoint: &Endpoint, cursor: i64) -> ();
        fn find(tenant: Tenant, id: EndpointId) -> Option<StoredEndpoint>;
        fn list(tenant: Tenant, after: Option<EndpointId>, limit: usize) -> Vec<StoredEndpoint>;
        fn lock(tenant: Tenant, id: EndpointId) -> Option<StoredEndpoint>;
        fn update(endpoint: &Endpoint) -> ();
        fn delete(tenant: Tenant, id: EndpointId) -> bool;
        fn rewind(tenant: Tenant, id: EndpointId, cursor: i64) -> bool;
        fn open_lane(tenant: Tenant, id: EndpointId, lane: &Lane) -> bool;
        fn lease(now: Timestamp, until: Timestamp, limit: usize) -> Vec<StoredEndpoint>;
        fn renew(lease: &Lease, until: Timestamp) -> Option<StoredEndpoint>;
        fn record(lease: &Lease, record: &DeliveryRecord) -> bool;
        fn lanes(tenant: Tenant, id: EndpointId, until: Timestamp, limit: usize) -> Vec<Lane>;
        fn first_in_lanes(tenant: Tenant, id: EndpointId) -> Option<i64>;
        fn log(attempt: &Attempt) -> ();
        fn attempts(tenant: Tenant, id: EndpointId, before: Option<AttemptId>, limit: usize) -> Vec<Attempt>;
        fn outdated_attempts(
            tenants: &[Tenant], oldest: AttemptId, most: usize, limit: usize
        ) -> Vec<AttemptKey>;
        fn delete_attempts(keys: &[AttemptKey]) -> ();
    }
}

impl ReplyRepository for BatchedUnitOfWork<'_> {
    unbatched! {
        replies:
        fn find(keys: &[ReplyKey], now: Timestamp) -> Vec<Option<SavedReply>>;
        fn save(replies: &[SavedReply]) -> Vec<bool>;
        fn of_customer(tenant: Tenant, customer: Option<CustomerId>, after: Option<Digest>, limit: usize) -> Vec<SavedReply>;
        fn expired(tenants: &[Tenant], now: Timestamp, limit: usize) -> Vec<ReplyKey>;
        fn delete_expired(keys: &[ReplyKey], now: Timestamp) -> ();
    }
}
