//! What the executor and the store count themselves, read whenever someone asks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use roster_application::ports::{Store, Usage};
use roster_executor::{Distribution, Figures, Handles};

/// What has the figures.
pub struct Sources {
    pub handles: Handles,
    pub store: Arc<dyn Store>,
}

/// Reads the figures of an executor and of a store, as long as there are any.
pub struct FiguresOf {
    sources: Arc<Mutex<Option<Sources>>>,
    descriptions: Vec<Desc>,
}

/// Name and help of each metric, with the name of its label.
const OF_OPERATIONS: [(&str, &str); 4] = [
    ("roster_queue_requests", "Requests that wait for the operation now"),
    ("roster_queue_refused_total", "Requests that were refused, because too many waited for the operation"),
    ("roster_queue_wait_seconds", "How long requests waited until the operation began"),
    ("roster_batch_requests", "How many requests shared one call of the operation"),
];
const OF_STORE: [(&str, &str); 4] = [
    ("roster_store_connections_in_use", "Connections of the pool that are in use"),
    ("roster_store_connections_max", "The most connections of the pool that may be in use"),
    ("roster_sqlite_wal_bytes", "Size of the write-ahead log"),
    ("roster_sqlite_wal_restarts_total", "How often the write-ahead log was begun anew, after a complete checkpoint"),
];

const READS: (&str, &str) = (
    "roster_reads_total",
    "Gets and lists of customers, by the server that was read and why; none is counted without a replica",
);

const OF_WEBHOOKS: [(&str, &str); 3] = [
    ("roster_webhook_backlog_events", "Events that are not delivered yet, added up over all active webhook endpoints"),
    ("roster_webhook_backlog_age_seconds", "Age of the oldest event that is not delivered yet to a webhook endpoint"),
    ("roster_webhook_backlog_endpoints", "Active webhook endpoints to which an event is not delivered yet"),
];

impl FiguresOf {
    pub fn new(sources: Arc<Mutex<Option<Sources>>>) -> Self {
        let description = |(name, help): &(&str, &str), labels: &[&str]| {
            let labels = labels.iter().map(|&label| label.to_owned()).collect();
            Desc::new((*name).to_owned(), (*help).to_owned(), labels, HashMap::new()).expect("valid names")
        };
        let of_operations = OF_OPERATIONS.iter().map(|metric| description(metric, &["operation"]));
        let of_store = OF_STORE.iter().chain(&OF_WEBHOOKS).map(|metric| description(metric, &[]));
        let reads = description(&READS, &["place", "reason"]);
        let descriptions = of_operations.chain(of_store).chain([reads]).collect();
        Self { sources, descriptions }
    }
}

impl Collector for FiguresOf {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Sources { handles, store }) = &*sources else { return Vec::new() };
        let figures = handles.figures();
        let [queued, refused, waits, sizes] = OF_OPERATIONS;
        let each = |metric: fn(&Figures) -> Metric| {
            let labelled = |figures: &Figures| labelled(metric(figures), &[("operation", figures.operation)]);
            figures.iter().map(labelled).collect::<Vec<_>>()
        };
        let mut families = vec![
            family(queued, MetricType::GAUGE, each(|figures| gauge(figures.queued))),
            family(refused, MetricType::COUNTER, each(|figures| counter(figures.refused))),
            family(waits, MetricType::HISTOGRAM, each(|figures| histogram(&figures.waits))),
            family(sizes, MetricType::HISTOGRAM, each(|figures| histogram(&figures.sizes))),
        ];
        let Usage { connections, wal } = store.usage();
        let [in_use, most, bytes, restarts] = OF_STORE;
        if let Some(connections) = connections {
            families.push(family(in_use, MetricType::GAUGE, vec![gauge(connections.in_use)]));
            families.push(family(most, MetricType::GAUGE, vec![gauge(connections.most)]));
        }
        if let Some(wal) = wal {
            families.push(family(bytes, MetricType::GAUGE, vec![gauge(wal.bytes)]));
            families.push(family(restarts, MetricType::COUNTER, vec![counter(wal.restarts)]));
        }
        let reads = handles.reads().into_iter().map(|(source, count)| {
            let (place, reason) = source.as_strs();
            labelled(counter(count), &[("place", place), ("reason", reason)])
        });
        families.push(family(READS, MetricType::COUNTER, reads.collect()));
        if let Some(backlog) = handles.event_backlog() {
            let [events, age, endpoints] = OF_WEBHOOKS;
            families.push(family(events, MetricType::GAUGE, vec![gauge(backlog.events.unsigned_abs())]));
            families.push(family(age, MetricType::GAUGE, vec![gauge(backlog.age.as_secs())]));
            families.push(family(endpoints, MetricType::GAUGE, vec![gauge(backlog.endpoints)]));
        }
        families
    }
}

fn labelled(mut metric: Metric, labels: &[(&str, &str)]) -> Metric {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    metric.set_label(labels.iter().map(pair).collect());
    metric
}

fn family((name, help): (&str, &str), kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, and a figure beyond")]
fn gauge(value: u64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value as f64);
    Metric::from_gauge(gauge)
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, and a figure beyond")]
fn counter(value: u64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(value as f64);
    let mut metric = Metric::default();
    metric.set_counter(counter);
    metric
}

fn histogram(distribution: &Distribution) -> Metric {
    let bucket = |(bound, count): &(f64, u64)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(*count);
        bucket
    };
    let mut histogram = Histogram::default();
    histogram.set_sample_count(distribution.count);
    histogram.set_sample_sum(distribution.sum);
    histogram.set_bucket(distribution.up_to.iter().map(bucket).collect());
    let mut metric = Metric::default();
    metric.set_histogram(histogram);
    metric
}
