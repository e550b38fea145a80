//! What is wanted, held against what was measured. Nothing fails when a goal is not reached: it is said.

use std::fmt;

use crate::database::Kind;
use crate::plan::Target;
use crate::reading::{Reading, Series};
use crate::text::{grouped, millis};
use crate::throughput::Results;
use crate::workload::Operation::{Create, Get, Live};

/// The most memory that a service may have at the end, in MiB.
const MEMORY: f64 = 64.0;

/// Something wanted, and what was measured.
pub struct Goal {
    /// What is wanted, in words.
    pub wanted: String,
    /// What was measured.
    pub measured: String,
    /// Whether that is good enough. `None` if it was not measured.
    pub is_reached: Option<bool>,
}

impl Goal {
    /// Reached, or not.
    pub fn verdict(&self) -> &'static str {
        match self.is_reached {
            Some(true) => "reached",
            Some(false) => "not reached",
            None => "not measured",
        }
    }

    fn new(wanted: String, measured: Option<(String, bool)>) -> Self {
        let is_reached = measured.as_ref().map(|(_, is_reached)| *is_reached);
        Self { wanted, measured: measured.map(|(text, _)| text).unwrap_or_default(), is_reached }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.verdict(), self.wanted, self.measured)
    }
}

/// All goals.
pub fn evaluate(results: &Results) -> Vec<Goal> {
    let mut goals = Vec::new();
    for (operation, connections, times) in [(Get, 64, 1.2), (Get, 256, 1.5), (Create, 64, 1.5), (Create, 256, 2.0)] {
        let wanted = format!("{} at {connections}: at least {times:.1} × best pgbench", operation.name());
        let ratio = ratio(results, Target::Service(Kind::Postgres), operation, connections);
        goals.push(Goal::new(wanted, ratio.map(|ratio| (format!("{ratio:.2} ×"), ratio >= times))));
    }
    for (operation, most) in [(Get, 10_000.0), (Create, 25_000.0)] {
        let wanted = format!("{} at 64: p99 at most {} ms", operation.name(), millis(most));
        let p99 = median(results, Target::Service(Kind::Postgres), operation, 64, |reading| reading.p99);
        goals.push(Goal::new(wanted, p99.map(|p99| (format!("{} ms", millis(p99)), p99 <= most))));
    }
    goals.push(added_latency(results));
    for (operation, least) in [(Get, 40_000.0), (Create, 8_000.0)] {
        let wanted = format!("{} on SQLite at 64: at least {} a second", operation.name(), grouped(least));
        let rate = median(results, Target::Service(Kind::Sqlite), operation, 64, |reading| reading.per_second);
        goals.push(Goal::new(wanted, rate.map(|rate| (grouped(rate), rate >= least))));
    }
    for (kind, now, _) in &results.memory {
        let wanted = format!("resident memory on {} after the run: at most {MEMORY} MiB", kind.name());
        goals.push(Goal::new(wanted, Some((format!("{now:.1} MiB"), *now <= MEMORY))));
    }
    goals
}

/// How much longer one request takes than the statement alone.
fn added_latency(results: &Results) -> Goal {
    let mean = |target| median(results, target, Get, 1, |reading| reading.mean);
    let added = mean(Target::Service(Kind::Postgres)).zip(mean(Target::Pgbench)).map(|(ours, alone)| ours - alone);
    let wanted = format!("{} at 1: at most 60 µs more than pgbench takes", Get.name());
    Goal::new(wanted, added.map(|added| (format!("{added:.0} µs"), added <= 60.0)))
}

/// How often as fast as the best that `pgbench` reached: with the same operation, or with a get where nothing is asked
/// for. `None` for what `pgbench` does not do.
pub fn ratio(
    results: &Results,
    target: Target,
    operation: crate::workload::Operation,
    connections: u32,
) -> Option<f64> {
    let rate = median(results, target, operation, connections, |reading| reading.per_second)?;
    let yardstick = if operation == Live { Get } else { operation };
    Some(rate / results.best_pgbench(yardstick)?)
}

fn median(
    results: &Results,
    target: Target,
    operation: crate::workload::Operation,
    connections: u32,
    figure: impl Fn(&Reading) -> f64,
) -> Option<f64> {
    results.series(target, operation, connections).map(|series: &Series| series.median(figure))
}
