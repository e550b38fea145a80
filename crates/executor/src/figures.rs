//! What is counted of each operation: how long requests wait, and how many share a call.
//!
//! Counters are atomic and are read whenever someone asks; no request waits for that.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The upper bounds of waits, in microseconds.
const WAITS: [u64; 12] = [100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000];

/// The upper bounds of the sizes of batches.
const SIZES: [u64; 8] = [1, 2, 4, 8, 16, 32, 64, 128];

/// What has been counted of an operation since the process started.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// Its name.
    pub operation: &'static str,
    /// Requests that wait now. Those that the calling thread serves in the same turn are not counted.
    pub queued: u64,
    /// Requests that found the queue full.
    pub refused: u64,
    /// How long requests waited until they were served, in seconds.
    pub waits: Distribution,
    /// How many requests shared a call.
    pub sizes: Distribution,
}

/// How values are distributed.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    /// For each upper bound, in ascending order, the number of values that are at most so large.
    pub up_to: Vec<(f64, u64)>,
    /// The number of all values.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
}

/// Counts what happens to the requests of an operation.
pub(crate) struct Meter {
    refused: AtomicU64,
    waits: Counters<12>,
    sizes: Counters<8>,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self { refused: AtomicU64::new(0), waits: Counters::new(WAITS), sizes: Counters::new(SIZES) }
    }

    /// A request found the queue full.
    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    /// A request waited for so long.
    pub(crate) fn waited(&self, wait: Duration) {
        self.waits.add(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX));
    }

    /// So many requests share a call.
    pub(crate) fn batch(&self, requests: usize) {
        self.sizes.add(u64::try_from(requests).unwrap_or(u64::MAX));
    }

    pub(crate) fn read(&self, operation: &'static str, queued: usize) -> Figures {
        Figures {
            operation,
            queued: u64::try_from(queued).unwrap_or(u64::MAX),
            refused: self.refused.load(Relaxed),
            waits: self.waits.read(1e-6),
            sizes: self.sizes.read(1.0),
        }
    }
}

struct Counters<const N: usize> {
    bounds: [u64; N],
    /// The values up to each bound and over the one before.
    counts: [AtomicU64; N],
    over: AtomicU64,
    sum: AtomicU64,
}

impl<const N: usize> Counters<N> {
    fn new(bounds: [u64; N]) -> Self {
        let counts = std::array::from_fn(|_| AtomicU64::new(0));
        Self { bounds, counts, over: AtomicU64::new(0), sum: AtomicU64::new(0) }
    }

    fn add(&self, value: u64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        self.counts.get(place).unwrap_or(&self.over).fetch_add(1, Relaxed);
        self.sum.fetch_add(value, Relaxed);
    }

    /// In units of so many seconds, or requests.
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, and a figure beyond")]
    fn read(&self, unit: f64) -> Distribution {
        let mut count = 0;
        let up_to = self.bounds.iter().zip(&self.counts).map(|(bound, counter)| {
            count += counter.load(Relaxed);
            (*bound as f64 * unit, count)
        });
        let up_to = up_to.collect();
        count += self.over.load(Relaxed);
        Distribution { up_to, count, sum: self.sum.load(Relaxed) as f64 * unit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_up_to_each_bound() {
        let meter = Meter::new();
        for requests in [1, 1, 3, 128, 129] {
            meter.batch(requests);
        }
        for micros in [0, 100, 101, 2_000_000] {
            meter.waited(Duration::from_micros(micros));
        }
        meter.refused();
        let Figures { operation, queued, refused, waits, sizes } = meter.read("find", 3);
        assert_eq!((operation, queued, refused), ("find", 3, 1));
        let counts: Vec<u64> = sizes.up_to.iter().map(|(_, count)| *count).collect();
        assert_eq!((counts, sizes.count), (vec![2, 2, 3, 3, 3, 3, 3, 4], 5));
        assert!((sizes.sum - 262.0).abs() < 1e-9, "{sizes:?}");
        assert_eq!((waits.up_to[0].1, waits.up_to[1].1, waits.up_to[11].1, waits.count), (2, 3, 3, 4));
        assert!((waits.sum - 2.000_201).abs() < 1e-9, "{waits:?}");
    }
}
