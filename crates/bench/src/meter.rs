//! Measuring: round after round through everything there is to measure, with an eye on who else uses the machine.

use std::fmt::Display;

use crate::bed::Bed;
use crate::database::Place;
use crate::interrupt::Interrupt;
use crate::machine::{CpuTime, Processors};
use crate::reading::{Reading, Series, TOLERATED};
use crate::service::Service;
use crate::text::{grouped, millis};
use crate::workload::Answers;

/// Something to measure.
pub struct Task<'a, K> {
    /// What it is.
    pub key: K,
    /// The service that is asked, unless it is the database itself.
    pub service: Option<&'a Service>,
    /// Does it, given a number that no other run has.
    pub run: Box<dyn Fn(u32) -> anyhow::Result<Answers> + 'a>,
}

/// Measures.
pub struct Meter<'a> {
    place: &'a Place,
    beds: &'a [Bed],
    interrupt: &'a Interrupt,
    /// Runs so far.
    runs: u32,
    /// How often a measurement may still be repeated.
    repeats: usize,
}

impl<'a> Meter<'a> {
    /// Measures on these beds.
    pub fn new(place: &'a Place, beds: &'a [Bed], interrupt: &'a Interrupt) -> Self {
        Self { place, beds, interrupt, runs: 0, repeats: 0 }
    }

    /// Does each task once, and errs if a request of it fails.
    pub fn warm_up<K: Display>(&mut self, tasks: &[Task<'_, K>]) -> anyhow::Result<()> {
        for task in tasks {
            self.interrupt.check()?;
            let answers = (task.run)(self.next_number())?;
            anyhow::ensure!(answers.failed == 0.0, "{}: {} requests failed", task.key, answers.failed);
        }
        Ok(())
    }

    /// Does each task once, and so often again; what one is slowed by slows the others as much. Returns a series for
    /// each task, in their order.
    pub fn rounds<K: Display>(&mut self, tasks: &[Task<'_, K>], rounds: usize) -> anyhow::Result<Vec<Series>> {
        // A machine that is never quiet shall not keep it for ever.
        self.repeats = tasks.len() * rounds / 4;
        let mut all = vec![Series::default(); tasks.len()];
        for round in 1..=rounds {
            for (place, (task, series)) in tasks.iter().zip(&mut all).enumerate() {
                let reading = self.measure_until_quiet(task)?;
                println!(
                    "round {round} of {rounds}, {} of {}: {}: {}/s, {} ms on average{}",
                    place + 1,
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

    /// Measures again where others used too much of the machine, and returns what was disturbed least.
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
        let answers = (task.run)(number)?;
        let (service, after) = (of_service() - service, self.usage()?);
        let database = after.database - before.database;
        let known = database.0 + (after.services - before.services).0 + (after.own - before.own).0;
        let used = (after.processors.used - before.processors.used).0;
        let all = (after.processors.all - before.processors.all).0;
        let per_request = |time: CpuTime| time.0 * 1e6 / answers.requests.max(1.0);
        Ok(Reading {
            per_second: answers.requests / answers.seconds,
            mean: answers.mean,
            p50: answers.p50,
            p99: answers.p99,
            p999: answers.p999,
            failed: answers.failed,
            service_cpu: per_request(service),
            database_cpu: per_request(database),
            others: (used - known).max(0.0) / all.max(0.01),
        })
    }

    fn usage(&self) -> anyhow::Result<Usage> {
        Ok(Usage {
            processors: Processors::read()?,
            own: CpuTime::of_this_process(),
            database: CpuTime::of(&self.place.server()),
            services: CpuTime(self.beds.iter().map(|bed| bed.service.cpu_time().0).sum()),
        })
    }

    fn next_number(&mut self) -> u32 {
        self.runs += 1;
        self.runs
    }
}

/// Who used the processors so far.
struct Usage {
    processors: Processors,
    /// This process and the load generators.
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
