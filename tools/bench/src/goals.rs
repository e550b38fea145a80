//! Compares the results with the goals. A goal that is not reached is reported and is no failure.

use std::fmt;

use crate::database::Kind;
use crate::plan::Target;
use crate::reading::{Reading, Series};
use crate::text::{grouped, millis};
use crate::throughput::Results;
use crate::workload::Operation::{
    self, Create, CreateBatch, CreateInOne, CreateInOneOnTwo, CreateOnTwo, CreateWithKey, Deliver, Get, GetNotModified,
    List, ListLargest, Live, ReadFeed, Stream, Update,
};

/// The least rates of the service, as multiples of the best rate of PostgreSQL itself: database of the service,
/// operation, requests at a time, multiple.
const LEAST_RATIOS: [(Kind, Operation, u32, f64); 12] = [
    (Kind::Postgres, Get, 16, 0.60),
    (Kind::Postgres, Get, 64, 0.93),
    (Kind::Postgres, Create, 64, 1.40),
    (Kind::Sqlite, Create, 64, 1.00),
    (Kind::Postgres, CreateWithKey, 64, 1.20),
    (Kind::Postgres, Update, 64, 1.30),
    (Kind::Postgres, Update, 256, 1.60),
    (Kind::Sqlite, Update, 64, 1.00),
    (Kind::Postgres, List, 64, 0.80),
    (Kind::Sqlite, List, 64, 1.10),
    (Kind::Postgres, ListLargest, 1, 0.80),
    (Kind::Sqlite, ListLargest, 1, 1.00),
];

/// The least events per second that one reader of the feed gets.
const FEED: f64 = 100_000.0;

/// The least events per second that one webhook endpoint gets.
const WEBHOOKS: f64 = 5_000.0;

/// The latest that an event is in the stream, in microseconds after the response to its write.
const IN_STREAM: f64 = 50_000.0;

/// The most resident memory of the service after the run, in MiB.
const MEMORY: f64 = 64.0;

/// A goal and its result.
pub struct Goal {
    /// The goal.
    pub wanted: String,
    /// The result.
    pub measured: String,
    /// Whether the goal is reached. `None` if it was not measured.
    pub is_reached: Option<bool>,
}

impl Goal {
    /// The verdict in the report.
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
    for (kind, operation, connections, times) in LEAST_RATIOS {
        let compared = if operation == ListLargest { "rows of `COPY`" } else { "best pgbench" };
        let (name, database) = (operation.name(), kind.name());
        let wanted = format!("{name} on {database} at {connections}: at least {times:.2} × {compared}");
        let ratio = ratio(results, Target::Service(kind), operation, connections);
        goals.push(Goal::new(wanted, ratio.map(|ratio| (format!("{ratio:.2} ×"), ratio >= times))));
    }
    for (operation, most) in [(Get, 10_000.0), (Create, 25_000.0)] {
        let wanted = format!("{} at 64: p99 at most {} ms", operation.name(), millis(most));
        let p99 = median(results, Target::Service(Kind::Postgres), operation, 64, |reading| reading.p99);
        goals.push(Goal::new(wanted, p99.map(|p99| (format!("{} ms", millis(p99)), p99 <= most))));
    }
    for kind in Kind::ALL {
        goals.push(not_modified(results, kind));
        let service = Target::Service(kind);
        for (operation, least, rate) in [
            (ReadFeed, FEED, median(results, service, ReadFeed, 1, |reading| reading.rows_per_second)),
            (Deliver, WEBHOOKS, median(results, service, Deliver, 1, |reading| reading.per_second)),
        ] {
            let wanted = format!("{} on {}: at least {} events/s", operation.name(), kind.name(), grouped(least));
            goals.push(Goal::new(wanted, rate.map(|rate| (format!("{}/s", grouped(rate)), rate >= least))));
        }
        let wanted = format!("{} on {}: p99 at most {} ms", Stream.name(), kind.name(), millis(IN_STREAM));
        let p99 = median(results, service, Stream, 1, |reading| reading.p99);
        goals.push(Goal::new(wanted, p99.map(|p99| (format!("{} ms", millis(p99)), p99 <= IN_STREAM))));
    }
    goals.push(added_latency(results));
    for (kind, now, _) in &results.memory {
        let wanted = format!("resident memory on {} after the run: at most {MEMORY} MiB", kind.name());
        goals.push(Goal::new(wanted, Some((format!("{now:.1} MiB"), *now <= MEMORY))));
    }
    goals
}

/// Two measurements of the same differ by some hundredths.
const AS_FAST: f64 = 0.97;

/// How a get that finds nothing new compares with one that does.
fn not_modified(results: &Results, kind: Kind) -> Goal {
    let rate = |operation| median(results, Target::Service(kind), operation, 64, |reading| reading.per_second);
    let ratio = rate(GetNotModified).zip(rate(Get)).map(|(new, old)| new / old);
    let wanted = format!("{} on {} at 64: not slower than {}", GetNotModified.name(), kind.name(), Get.name());
    Goal::new(wanted, ratio.map(|ratio| (format!("{ratio:.2} ×"), ratio >= AS_FAST)))
}

/// The latency that the service adds to that of the statement alone.
fn added_latency(results: &Results) -> Goal {
    let mean = |target| median(results, target, Get, 1, |reading| reading.mean);
    let added = mean(Target::Service(Kind::Postgres)).zip(mean(Target::Pgbench)).map(|(ours, alone)| ours - alone);
    let wanted = format!("{} at 1: at most 60 µs more than pgbench takes", Get.name());
    Goal::new(wanted, added.map(|added| (format!("{added:.0} µs"), added <= 60.0)))
}

/// The rate as a multiple of the best rate of PostgreSQL itself with the same operation; with a get for liveness and for what is
/// not modified, and with a create for one with a key. For the full list of the largest merchant, which grows during a run, and
/// for a batch, it is the rate of rows. `None` for an operation that is measured with the service only.
pub fn ratio(results: &Results, target: Target, operation: Operation, connections: u32) -> Option<f64> {
    let is_of_rows = matches!(operation, ListLargest | CreateBatch);
    let rate = |reading: &Reading| if is_of_rows { reading.rows_per_second } else { reading.per_second };
    let compared = match operation {
        Live | GetNotModified => Get,
        CreateWithKey | CreateOnTwo | CreateInOne | CreateInOneOnTwo => Create,
        other => other,
    };
    Some(median(results, target, operation, connections, rate)? / results.best_of_database(compared, rate)?)
}

fn median(
    results: &Results,
    target: Target,
    operation: Operation,
    connections: u32,
    figure: impl Fn(&Reading) -> f64,
) -> Option<f64> {
    results.series(target, operation, connections).map(|series: &Series| series.median(figure))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    /// The full plan, in which every measurement has the same result, except that a list of the service has twice the
    /// rows of `COPY`.
    fn results() -> Results {
        let plan = Plan::full();
        let series = plan.cells.iter().map(|cell| {
            let rows_per_second = if cell.target == Target::Copy { 10.0 } else { 20.0 };
            let mut series = Series::default();
            series.push(Reading {
                per_second: 1.0,
                rows_per_second,
                mean: 1.0,
                p50: 1.0,
                p99: 1.0,
                p999: 1.0,
                failed: 0.0,
                service_cpu: 1.0,
                database_cpu: 1.0,
                others: 0.0,
            });
            series
        });
        let series = series.collect();
        Results { plan, series, memory: Vec::new(), machine: Vec::new(), settings: Vec::new() }
    }

    #[test]
    fn the_full_plan_measures_every_goal() {
        for goal in evaluate(&results()) {
            assert!(goal.is_reached.is_some(), "{goal}");
        }
    }

    #[test]
    fn the_list_of_the_largest_merchant_is_compared_by_rows() {
        let ratio = |kind| ratio(&results(), Target::Service(kind), ListLargest, 1);
        assert_eq!(Kind::ALL.map(ratio), [Some(2.0), Some(2.0)]);
    }
}
