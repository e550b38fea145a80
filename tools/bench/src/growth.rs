//! `make bench-growth`: the cost of a request and the size of the tables, from thousands to millions of customers.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Instant;

use crate::bed::Bed;
use crate::database::{Database, Kind, RelationSize, Server};
use crate::dataset::Dataset;
use crate::interrupt::Interrupt;
use crate::machine;
use crate::meter::{Meter, Task};
use crate::reading::{Reading, Series};
use crate::report;
use crate::service::Program;
use crate::text::{Table, grouped, millis};
use crate::workload::Operation;

const OPERATIONS: [Operation; 5] =
    [Operation::Get, Operation::GetByExternalId, Operation::Create, Operation::List, Operation::ListDeep];

/// One connection shows the latency of a request, many connections show its CPU time.
const CONNECTIONS: [u32; 2] = [1, 64];

const MERCHANTS: u64 = 200;

/// The extent of the measurements.
struct Plan {
    sizes: Vec<u64>,
    seconds: u32,
    rounds: usize,
}

/// One combination to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cell {
    kind: Kind,
    customers: u64,
    operation: Operation,
    connections: u32,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, customers, operation, connections } = self;
        write!(f, "{}, {customers} customers, {}, {connections} at a time", kind.name(), operation.name())
    }
}

/// Measures, and writes the report.
pub fn run(roster: &Path, output: &Path, quick: bool, interrupt: &Interrupt) -> anyhow::Result<()> {
    let started = Instant::now();
    let plan = if quick {
        Plan { sizes: vec![10_000, 100_000], seconds: 1, rounds: 2 }
    } else {
        Plan { sizes: vec![10_000, 1_000_000, 5_000_000], seconds: 4, rounds: 3 }
    };
    let program = Program::new(roster)?;
    let folder = tempfile::Builder::new().prefix("roster-bench-").tempdir()?;
    let server = Server::start()?;
    let mut beds = Vec::new();
    for &customers in &plan.sizes {
        for kind in Kind::ALL {
            let dataset = Dataset { customers, merchants: MERCHANTS };
            beds.push(Bed::create(&server, kind, dataset, &program, folder.path(), interrupt)?);
        }
    }
    // Before the measurements, which create customers.
    let sizes = beds.iter().map(|bed| bed.database.sizes()).collect::<anyhow::Result<Vec<_>>>()?;
    let mut meter = Meter::new(&server, &beds, interrupt);
    println!("warming up");
    meter.warm_up(&tasks(&beds, &[64], 1))?;
    let tasks = tasks(&beds, &CONNECTIONS, plan.seconds);
    let series = meter.rounds(&tasks, plan.rounds)?;
    let cells: Vec<(Cell, Series)> = tasks.iter().map(|task| task.key).zip(series).collect();
    let (version, settings) = server.settings()?;
    let mut machine = machine::describe(folder.path());
    machine.extend([("service", program.version()?), ("PostgreSQL", version)]);
    let databases: Vec<&Database> = beds.iter().map(|bed| &bed.database).collect();
    let report = [
        "# Growth\n\nWritten by `make bench-growth`; do not edit it.\n".to_owned(),
        format!(
            "What a request costs as the number of customers grows: {MERCHANTS} merchants, one of whom has half of all. \
             Medians of {} rounds of {} s, each of which goes once through all sizes. CPU time is that of service and \
             database together, at 64 requests at a time. *Growth* is what it cost at the largest size in terms of what \
             it cost at the smallest; were it proportional to the logarithm of the number of customers, it would be \
             {:.2}.\n",
            plan.rounds,
            plan.seconds,
            logarithmic_growth(&plan.sizes),
        ),
        Kind::ALL.map(|kind| cost_table(kind, &plan.sizes, &cells)).join("\n"),
        format!("## Weight\n\n{}", size_table(&databases, &sizes)),
        "Bytes per customer of the table and of each index on it, after loading in the order of registration.\n"
            .to_owned(),
        format!("## How it was measured\n\n{}", report::machine_table(&machine)),
        report::settings(&settings),
    ];
    fs::create_dir_all(output)?;
    fs::write(output.join("growth.md"), report.join("\n"))?;
    println!("{} after {:.0?}", output.join("growth.md").display(), started.elapsed());
    Ok(())
}

fn tasks<'a>(beds: &'a [Bed], connections: &[u32], seconds: u32) -> Vec<Task<'a, Cell>> {
    let mut tasks = Vec::new();
    for bed in beds {
        for operation in OPERATIONS {
            for &connections in connections {
                let (kind, customers) = (bed.database.kind, bed.database.dataset.customers);
                let cell = Cell { kind, customers, operation, connections };
                tasks.push(bed.task(cell, operation, connections, seconds));
            }
        }
    }
    tasks
}

/// The ratio of the logarithms of the largest and the smallest size.
fn logarithmic_growth(sizes: &[u64]) -> f64 {
    match sizes {
        [smallest, .., largest] => number(*largest).ln() / number(*smallest).ln(),
        _ => 1.0,
    }
}

fn cost_table(kind: Kind, sizes: &[u64], cells: &[(Cell, Series)]) -> String {
    let mut columns = vec!["operation ".to_owned(), "figure ".to_owned()];
    columns.extend(sizes.iter().map(|size| grouped(number(*size))));
    columns.extend(["growth".to_owned(), "no worse than logarithmic ".to_owned()]);
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut table = Table::new(&names);
    for operation in OPERATIONS {
        let figures = |connections: u32, figure: fn(&Reading) -> f64| -> Vec<f64> {
            let at = |size: &u64| {
                let wanted = Cell { kind, customers: *size, operation, connections };
                let found = cells.iter().find(|(cell, _)| *cell == wanted);
                found.map_or(f64::NAN, |(_, series)| series.median(figure))
            };
            sizes.iter().map(at).collect()
        };
        let cpu = figures(64, |reading| reading.service_cpu + reading.database_cpu);
        let growth = cpu.last().unwrap_or(&f64::NAN) / cpu.first().unwrap_or(&f64::NAN);
        let verdict = if growth <= logarithmic_growth(sizes) { "yes" } else { "no" };
        row(&mut table, operation, "CPU µs", &cpu, |cpu| format!("{cpu:.1}"), &format!("{growth:.2}"), verdict);
        row(&mut table, operation, "per second at 64", &figures(64, |reading| reading.per_second), grouped, "", "");
        row(&mut table, operation, "p50 ms at 1", &figures(1, |reading| reading.p50), millis, "", "");
        row(&mut table, operation, "p99 ms at 1", &figures(1, |reading| reading.p99), millis, "", "");
    }
    let of_kind = || cells.iter().filter(|(cell, _)| cell.kind == kind);
    let disturbed = of_kind().filter(|(_, series)| series.is_disturbed()).count();
    let failed: f64 = of_kind().map(|(_, series)| series.sum(|reading| reading.failed)).sum();
    let remark = format!(
        "{failed} requests failed. The machine was too busy for {disturbed} of {} measurements.\n",
        of_kind().count()
    );
    format!("## {}\n\n{}\n{remark}", kind.name(), table.into_text())
}

fn row(
    table: &mut Table,
    operation: Operation,
    figure: &str,
    figures: &[f64],
    text: impl Fn(f64) -> String,
    growth: &str,
    verdict: &str,
) {
    let mut cells = vec![operation.name().to_owned(), figure.to_owned()];
    cells.extend(figures.iter().map(|figure| text(*figure)));
    cells.extend([growth.to_owned(), verdict.to_owned()]);
    table.row(&cells);
}

fn size_table(databases: &[&Database], sizes: &[Vec<RelationSize>]) -> String {
    let mut table = Table::new(&["database ", "table or index ", "customers", "MiB", "bytes per customer"]);
    for (database, sizes) in databases.iter().zip(sizes) {
        for RelationSize { name, bytes } in sizes {
            let (bytes, customers) = (number(*bytes), number(database.dataset.customers));
            table.row(&[
                database.kind.name().to_owned(),
                format!("`{name}`"),
                grouped(customers),
                format!("{:.1}", bytes / 1024.0 / 1024.0),
                format!("{:.0}", bytes / customers),
            ]);
        }
    }
    table.into_text()
}

#[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^53 customers, and bytes")]
fn number(number: u64) -> f64 {
    number as f64
}
