//! Executes the measurements, in rounds, and watches the load that other processes cause on the machine.

use std::fmt::Display;

use crate::bed::Bed;
use crate::database::Server;
use crate::interrupt::Interrupt;
use crate::machine::{CpuTime, Processors};
use crate::reading::{Reading, Series, TOLERATED};
use crate::service::Service;
use crate::text::{grouped, millis};
use crate::workload::LoadResult;

/// One measurement.
pub struct Task<'a, K> {
    /// What it measures.
    pub key: K,
    /// The service that is measured. `None` for the database alone.
    pub service: Option<&'a Service>,
    /// Runs it. The argument is a number that no other run has.
    pub run: Box<dyn Fn(u32) -> anyhow::Result<LoadResult> + 'a>,
}

/// Executes tasks.
pub struct Meter<'a> {
    server: &'a Server,
    beds: &'a [Bed],
    interrupt: &'a Interrupt,
    /// The number of runs so far.
    runs: u32,
    /// The number of measurements that may still be repeated.
    repeats: usize,
}

impl<'a> Meter<'a> {
    /// A meter for these beds.
    pub fn new(server: &'a Server, beds: &'a [Bed], interrupt: &'a Interrupt) -> Self {
        Self { server, beds, interrupt, runs: 0, repeats: 0 }
    }

    /// Runs each task once. Returns an error if a request fails.
    pub fn warm_up<K: Display>(&mut self, tasks: &[Task<'_, K>]) -> anyhow::Result<()> {
        for task in tasks {
            self.interrupt.check()?;
            let result = (task.run)(self.next_number())?;
            anyhow::ensure!(result.failed == 0.0, "{}: {} requests failed", task.key, result.failed);
        }
        Ok(())
    }

    /// Runs all tasks, `rounds` times one after the other, so that a slow phase of the machine affects all tasks alike.
    /// Returns a series for each task, in their order.
    pub fn rounds<K: Display>(&mut self, tasks: &[Task<'_, K>], rounds: usize) -> anyhow::Result<Vec<Series>> {
        // A limit: on a machine that is always busy, the benchmark must end too.
        self.repeats = tasks.len() * rounds / 4;
        let mut all = vec![Series::default(); tasks.len()];
        for round in 1..=rounds {
            for (index, (task, series)) in tasks.iter().zip(&mut all).enumerate() {
                let reading = self.measure_until_quiet(task)?;
                println!(
                    "round {round} of {rounds}, {} of {}: {}: {}/s, {} ms on average{}",
                    index + 1,
                    tasks.len(),
                    task.key,
                    grouped(reading.per_second),
                    millis(reading.mean),
                    remark(&reading),
                );
                series.push(reading);
            }
        }
        Ok(all)
    }

    /// Repeats a measurement if other processes used too much of the machine, and returns the least disturbed one.
    fn measure_until_quiet<K>(&mut self, task: &Task<'_, K>) -> anyhow::Result<Reading> {
        let mut best = self.measure(task)?;
        for _ in 0..2 {
            if best.others <= TOLERATED || self.repeats == 0 {
                break;
            }
            self.repeats -= 1;
            let again = self.measure(task)?;
            if again.others < best.others {
                best = again;
            }
        }
        Ok(best)
    }

    fn measure<K>(&mut self, task: &Task<'_, K>) -> anyhow::Result<Reading> {
        self.interrupt.check()?;
        let number = self.next_number();
        let of_service = || task.service.map(Service::cpu_time).unwrap_or_default();
        let (service, before) = (of_service(), self.usage()?);
        let result = (task.run)(number)?;
        let (service, after) = (of_service() - service, self.usage()?);
        let database = after.database - before.database;
        let known = database.0 + (after.services - before.services).0 + (after.own - before.own).0;
        let used = (after.processors.used - before.processors.used).0;
        let all = (after.processors.all - before.processors.all).0;
        let per_request = |time: CpuTime| time.0 * 1e6 / result.requests.max(1.0);
        Ok(Reading {
            per_second: result.requests / result.seconds,
            rows_per_second: result.rows.map_or(f64::NAN, |rows| rows / result.seconds),
            mean: result.mean,
            p50: result.p50,
            p99: result.p99,
            p999: result.p999,
            failed: result.failed,
            service_cpu: per_request(service),
            database_cpu: per_request(database),
            others: (used - known).max(0.0) / all.max(0.01),
        })
    }

    fn usage(&self) -> anyhow::Result<Usage> {
        Ok(Usage {
            processors: Processors::read()?,
            own: CpuTime::of_this_process(),
            database: CpuTime::of(&self.server.processes()),
            services: CpuTime(self.beds.iter().map(|bed| bed.service.cpu_time().0).sum()),
        })
    }

    fn next_number(&mut self) -> u32 {
        self.runs += 1;
        self.runs
    }
}

/// The CPU time so far.
struct Usage {
    processors: Processors,
    /// Of this process and the load generators.
    own: CpuTime,
    database: CpuTime,
    services: CpuTime,
}

fn remark(reading: &Reading) -> String {
    let failed = if reading.failed > 0.0 { format!(", {} failed", reading.failed) } else { String::new() };
    if reading.others > TOLERATED {
        format!("{failed}, not to be trusted: others used {:.0} % of the machine", 100.0 * reading.others)
    } else {
        failed
    }
}
