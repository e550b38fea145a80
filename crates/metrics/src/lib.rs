//! Metrics in the format of Prometheus, and the listener that serves them.
//!
//! [`Metrics`] has all of them. The requests are told by the port of `roster-http`
//! ([`roster_http::ObserveRequests`]), the calls of the store by a store around it ([`ObservedStore`]); what the executor and the store
//! count themselves is read when someone asks. No label has a value of a merchant, a customer or a path. Only this crate knows
//! Prometheus.

mod exporter;
mod figures;
mod recent;
mod requests;
mod store;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::{Encoder as _, IntGauge, Opts, Registry, TextEncoder};
use roster_application::ports::Store;
use roster_executor::Handles;
use roster_http::ObserveRequests;

pub use exporter::Exporter;
pub use recent::RecentStep;
pub use store::ObservedStore;

use figures::{FiguresOf, Sources};
use requests::Requests;
use store::StoreCalls;

/// All metrics of a process.
pub struct Metrics {
    registry: Registry,
    requests: Arc<Requests>,
    calls: Arc<StoreCalls>,
    sources: Arc<Mutex<Option<Sources>>>,
}

impl Metrics {
    /// All metrics of a process of `version` on a database of the product `database`, with those of the process itself.
    ///
    /// # Panics
    /// If two metrics have one name; they are part of the program.
    #[must_use]
    pub fn new(version: &str, database: &str) -> Self {
        let registry = Registry::new();
        let opts = Opts::new("roster_build_info", "Always 1; the labels say which program it is")
            .const_label("version", version)
            .const_label("database", database);
        gauge(&registry, opts).set(1);
        add_process(&registry);
        let (requests, calls) = (Arc::new(Requests::new(&registry)), Arc::new(StoreCalls::new(&registry)));
        let sources = Arc::default();
        let figures = FiguresOf::new(Arc::clone(&sources));
        registry.register(Box::new(figures)).expect("these names are of no other metric");
        Self { registry, requests, calls, sources }
    }

    /// What counts requests.
    #[must_use]
    pub fn requests(&self) -> Arc<dyn ObserveRequests> {
        Arc::clone(&self.requests) as Arc<dyn ObserveRequests>
    }

    /// The requests of the surfaces in the last hour, in 360 steps of ten seconds, the oldest first.
    #[must_use]
    pub fn recent_requests(&self) -> Vec<RecentStep> {
        self.requests.recent()
    }

    /// The same store, whose calls are counted.
    #[must_use]
    pub fn observe_store(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        Arc::new(ObservedStore::new(store, Arc::clone(&self.calls)))
    }

    /// Also exports what the executor and the store count, until [`Metrics::end_figures`].
    pub fn begin_figures(&self, handles: Handles, store: Arc<dyn Store>) {
        *self.sources() = Some(Sources { handles, store });
    }

    /// Lets go of the executor and the store, which are to be closed.
    pub fn end_figures(&self) {
        *self.sources() = None;
    }

    /// Ignores lock poisoning: nothing that can panic is done under the lock.
    fn sources(&self) -> MutexGuard<'_, Option<Sources>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All metrics as text, in version 0.0.4 of the format.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        // Only a metric with invalid names could fail, and writing to memory cannot.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        String::from_utf8(text).unwrap_or_default()
    }
}

fn gauge(registry: &Registry, opts: Opts) -> IntGauge {
    let gauge = IntGauge::with_opts(opts).expect("a valid name");
    registry.register(Box::new(gauge.clone())).expect("this name is of no other metric");
    gauge
}

/// Memory, processor time, open files and threads of the process, under the names that all programs have for them.
#[cfg(target_os = "linux")]
fn add_process(registry: &Registry) {
    let process = prometheus::process_collector::ProcessCollector::for_self();
    registry.register(Box::new(process)).expect("these names are of no other metric");
}

#[cfg(not(target_os = "linux"))]
fn add_process(_: &Registry) {}
