//! `make bench`: requests a second, latency, CPU time and memory, beside what `pgbench` reaches.

use std::fs;
use std::path::Path;
use std::time::Instant;

use crate::bed::Bed;
use crate::database::{Kind, Place};
use crate::goals;
use crate::interrupt::Interrupt;
use crate::machine;
use crate::meter::{Meter, Task};
use crate::plan::{Cell, Plan, Target};
use crate::plot;
use crate::reading::Series;
use crate::report;
use crate::service::Program;
use crate::workload::{Answers, Operation};
use crate::yardstick::Yardstick;

/// Everything that was measured, and on what.
pub struct Results {
    /// What was to be measured.
    pub plan: Plan,
    /// What it gave, in the order of the plan's cells.
    pub series: Vec<Series>,
    /// The resident memory of each service in MiB: at the end, and at most.
    pub memory: Vec<(Kind, f64, f64)>,
    /// What was measured on, and with.
    pub machine: Vec<(&'static str, String)>,
    /// The settings of the database server.
    pub settings: Vec<String>,
}

impl Results {
    /// What a cell gave, if it was measured.
    pub fn series(&self, target: Target, operation: Operation, connections: u32) -> Option<&Series> {
        let wanted = Cell { target, operation, connections };
        let place = self.plan.cells.iter().position(|cell| *cell == wanted)?;
        self.series.get(place)
    }

    /// The most that `pgbench` reached, whatever the number of its clients.
    pub fn best_pgbench(&self, operation: Operation) -> Option<f64> {
        let cells = self.plan.cells.iter().zip(&self.series);
        let of_pgbench = cells.filter(|(cell, _)| cell.target == Target::Pgbench && cell.operation == operation);
        of_pgbench.map(|(_, series)| series.median(|reading| reading.per_second)).max_by(f64::total_cmp)
    }
}

/// Measures, and writes the report.
pub fn run(roster: &Path, output: &Path, quick: bool, interrupt: &Interrupt) -> anyhow::Result<()> {
    let started = Instant::now();
    let plan = if quick { Plan::quick() } else { Plan::full() };
    let program = Program::new(roster)?;
    let folder = tempfile::Builder::new().prefix("roster-bench-").tempdir()?;
    let place = Place::prepare()?;
    let bed = |kind| Bed::make(&place, kind, plan.dataset, &program, folder.path(), interrupt);
    let beds = Kind::ALL.into_iter().map(bed).collect::<anyhow::Result<Vec<_>>>()?;
    let yardstick = Yardstick::prepare(&beds[0].database, folder.path())?;
    let task = |cell: Cell, seconds| match cell.target {
        Target::Pgbench => {
            let yardstick = &yardstick;
            Task {
                key: cell,
                service: None,
                run: Box::new(move |number| run_pgbench(yardstick, cell, seconds, number)),
            }
        }
        Target::Service(kind) => {
            let place = usize::from(kind == Kind::Sqlite);
            beds[place].task(cell, cell.operation, cell.connections, seconds)
        }
    };
    let mut meter = Meter::new(&place, &beds, interrupt);
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
    let (version, settings) = place.server_settings()?;
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

fn run_pgbench(yardstick: &Yardstick, cell: Cell, seconds: u32, number: u32) -> anyhow::Result<Answers> {
    let per_second = yardstick.run(cell.operation, cell.connections, seconds, number)?;
    Ok(Answers {
        requests: per_second * f64::from(seconds),
        seconds: f64::from(seconds),
        failed: 0.0,
        mean: f64::from(cell.connections) * 1e6 / per_second,
        p50: f64::NAN,
        p99: f64::NAN,
        p999: f64::NAN,
    })
}
