//! `make bench`: requests per second, latency, CPU time and memory, compared with `pgbench` and `COPY`.

use std::fs;
use std::path::Path;
use std::time::Instant;

use crate::bed::Bed;
use crate::copy;
use crate::database::{Kind, Server};
use crate::goals;
use crate::interrupt::Interrupt;
use crate::machine;
use crate::meter::{Meter, Task};
use crate::pgbench::Pgbench;
use crate::plan::{Cell, Plan, Target};
use crate::plot;
use crate::reading::{Reading, Series};
use crate::report;
use crate::service::Program;
use crate::workload::{LoadResult, Operation};

/// All results, and a description of the machine.
pub struct Results {
    /// The plan of the measurements.
    pub plan: Plan,
    /// The results, in the order of the plan's cells.
    pub series: Vec<Series>,
    /// The resident memory of each service in MiB: at the end, and the most.
    pub memory: Vec<(Kind, f64, f64)>,
    /// The machine, and the versions of the programs.
    pub machine: Vec<(&'static str, String)>,
    /// The settings of the database server.
    pub settings: Vec<String>,
}

impl Results {
    /// The results of a cell. `None` if it was not measured.
    pub fn series(&self, target: Target, operation: Operation, connections: u32) -> Option<&Series> {
        let wanted = Cell { target, operation, connections };
        let index = self.plan.cells.iter().position(|cell| *cell == wanted)?;
        self.series.get(index)
    }

    /// The best rate of the database itself with any number of clients: of `pgbench`, or of `COPY`.
    pub fn best_of_database(&self, operation: Operation, rate: impl Fn(&Reading) -> f64) -> Option<f64> {
        let cells = self.plan.cells.iter().zip(&self.series);
        let of_database = cells.filter(|(cell, _)| cell.target.is_database_alone() && cell.operation == operation);
        of_database.map(|(_, series)| series.median(&rate)).max_by(f64::total_cmp)
    }
}

/// Measures, and writes the report.
pub fn run(roster: &Path, output: &Path, quick: bool, interrupt: &Interrupt) -> anyhow::Result<()> {
    let started = Instant::now();
    let plan = if quick { Plan::quick() } else { Plan::full() };
    let program = Program::new(roster)?;
    let folder = tempfile::Builder::new().prefix("roster-bench-").tempdir()?;
    let server = Server::start()?;
    let bed = |kind| Bed::create(&server, kind, plan.dataset, &program, folder.path(), interrupt);
    let beds = Kind::ALL.into_iter().map(bed).collect::<anyhow::Result<Vec<_>>>()?;
    let pgbench = Pgbench::prepare(&beds[0].database, folder.path())?;
    let task = |cell: Cell, seconds| match cell.target {
        Target::Pgbench => {
            let pgbench = &pgbench;
            Task { key: cell, service: None, run: Box::new(move |number| run_pgbench(pgbench, cell, seconds, number)) }
        }
        Target::Copy => {
            let (database, folder) = (&beds[0].database, folder.path());
            let run = move |number| match cell.operation {
                Operation::CreateBatch => copy::run_into(database, folder, seconds, number),
                _ => copy::run(database, seconds),
            };
            Task { key: cell, service: None, run: Box::new(run) }
        }
        Target::Service(kind) => {
            let index = usize::from(kind == Kind::Sqlite);
            beds[index].task(cell, cell.operation, cell.connections, seconds)
        }
    };
    let mut meter = Meter::new(&server, &beds, interrupt);
    println!("warming up");
    let warm_up: Vec<_> = plan.most_connections().map(|cell| task(cell, 1)).collect();
    meter.warm_up(&warm_up)?;
    let tasks: Vec<_> = plan.cells.iter().map(|cell| task(*cell, plan.seconds)).collect();
    let series = meter.rounds(&tasks, plan.rounds)?;
    let memory = beds.iter().map(|bed| {
        let (now, most) = bed.service.resident()?;
        Ok((bed.database.kind, now, most))
    });
    let memory = memory.collect::<anyhow::Result<_>>()?;
    drop((tasks, warm_up));
    let (version, settings) = server.settings()?;
    let mut machine = machine::describe(folder.path());
    machine.push(("service", program.version()?));
    machine.push(("PostgreSQL", version));
    machine.push(("pgbench", machine::version_of(Path::new("pgbench"))?));
    machine.push(("wrk", machine::first_line("wrk", &["--version"])));
    let results = Results { plan, series, memory, machine, settings };
    fs::create_dir_all(output)?;
    fs::write(output.join("throughput.svg"), plot::throughput(&results))?;
    fs::write(output.join("throughput.md"), report::throughput(&results))?;
    for goal in goals::evaluate(&results) {
        println!("{goal}");
    }
    println!("{} after {:.0?}", output.join("throughput.md").display(), started.elapsed());
    Ok(())
}

fn run_pgbench(pgbench: &Pgbench, cell: Cell, seconds: u32, number: u32) -> anyhow::Result<LoadResult> {
    let per_second = pgbench.run(cell.operation, cell.connections, seconds, number)?;
    Ok(LoadResult {
        requests: per_second * f64::from(seconds),
        seconds: f64::from(seconds),
        failed: 0.0,
        mean: f64::from(cell.connections) * 1e6 / per_second,
        p50: f64::NAN,
        p99: f64::NAN,
        p999: f64::NAN,
        rows: None,
    })
}
