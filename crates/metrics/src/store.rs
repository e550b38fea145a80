//! A store around another, which counts its calls.

use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};
use roster_application::ports::{Fact, Position, Retry, Store, StoreError, Usage, Work};

use crate::requests::DURATIONS;

/// What is counted of the calls of a store.
pub struct StoreCalls {
    transaction: Call,
    direct: Call,
    snapshot: Call,
    ping: Call,
    errors: IntCounterVec,
}

struct Call {
    number: IntCounter,
    duration: Histogram,
}

impl StoreCalls {
    pub fn new(registry: &Registry) -> Self {
        let calls = Opts::new("roster_store_calls_total", "Calls of the store, those that failed among them");
        let calls = IntCounterVec::new(calls, &["call"]).expect("valid names");
        let durations = HistogramOpts::new(
            "roster_store_call_duration_seconds",
            "How long calls of the store took, with their waits for a connection",
        );
        let durations = HistogramVec::new(durations.buckets(DURATIONS.to_vec()), &["call"]).expect("valid names");
        let errors = Opts::new("roster_store_errors_total", "Calls of the store that failed, by the kind of the error");
        let errors = IntCounterVec::new(errors, &["kind"]).expect("valid names");
        registry.register(Box::new(calls.clone())).expect("this name is of no other metric");
        registry.register(Box::new(durations.clone())).expect("this name is of no other metric");
        registry.register(Box::new(errors.clone())).expect("this name is of no other metric");
        for kind in KINDS {
            errors.with_label_values(&[kind]);
        }
        let call =
            |name| Call { number: calls.with_label_values(&[name]), duration: durations.with_label_values(&[name]) };
        let [transaction, direct, snapshot, ping] = ["transaction", "direct", "snapshot", "ping"].map(call);
        Self { transaction, direct, snapshot, ping, errors }
    }

    fn count(&self, call: &Call, run: impl FnOnce() -> Result<(), StoreError>) -> Result<(), StoreError> {
        let begun = Instant::now();
        let result = run();
        call.number.inc();
        call.duration.observe(begun.elapsed().as_secs_f64());
        if let Err(error) = &result {
            self.errors.with_label_values(&[kind(error)]).inc();
        }
        result
    }
}

const KINDS: [&str; 7] = ["duplicate", "lost_race", "unavailable", "locked", "read_only", "corrupt", "internal"];

const fn kind(error: &StoreError) -> &'static str {
    match error {
        StoreError::Duplicate { .. } => "duplicate",
        StoreError::Unavailable { retry: Retry::Now, .. } => "lost_race",
        StoreError::Unavailable { retry: Retry::Later, .. } => "unavailable",
        StoreError::Locked { .. } => "locked",
        StoreError::ReadOnly => "read_only",
        StoreError::Corrupt { .. } => "corrupt",
        StoreError::Internal { .. } => "internal",
    }
}

/// A store whose calls are counted.
pub struct ObservedStore {
    store: Arc<dyn Store>,
    calls: Arc<StoreCalls>,
}

impl ObservedStore {
    pub(crate) fn new(store: Arc<dyn Store>, calls: Arc<StoreCalls>) -> Self {
        Self { store, calls }
    }
}

impl Store for ObservedStore {
    fn run_transaction(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.calls.count(&self.calls.transaction, || self.store.run_transaction(work))
    }

    fn run_direct(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.calls.count(&self.calls.direct, || self.store.run_direct(work))
    }

    fn run_snapshot(&self, age: Duration, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.calls.count(&self.calls.snapshot, || self.store.run_snapshot(age, work))
    }

    fn ping(&self) -> Result<(), StoreError> {
        self.calls.count(&self.calls.ping, || self.store.ping())
    }

    fn position(&self) -> Result<Option<Position>, StoreError> {
        self.store.position()
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

    fn is_distributed(&self) -> Result<bool, StoreError> {
        self.store.is_distributed()
    }

    fn distribute(&self) -> Result<Vec<String>, StoreError> {
        self.store.distribute()
    }
}
