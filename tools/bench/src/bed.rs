//! A test bed: a filled database, the service on it, and the requests for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use crate::database::{Database, Kind, Server};
use crate::dataset::Dataset;
use crate::interrupt::Interrupt;
use crate::meter::Task;
use crate::service::{Program, Service};
use crate::workload::{LoadResult, Operation, Workload};

/// A database and the service on it.
pub struct Bed {
    /// The filled database.
    pub database: Database,
    /// The service that is measured.
    pub service: Service,
    workload: Workload,
    program: Program,
    folder: PathBuf,
}

impl Bed {
    /// Fills a database and starts the service on it. Files are created in a subfolder of `folder`.
    pub fn create(
        server: &Server,
        kind: Kind,
        dataset: Dataset,
        program: &Program,
        folder: &Path,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Self> {
        let folder = folder.join(format!("{}-{}", kind.name(), dataset.customers));
        fs::create_dir(&folder)?;
        let database = server.fill(kind, dataset, program, &folder, interrupt)?;
        let workload = Workload::prepare(&database, &folder)?;
        let service = program.serve(&database.url, &folder.join("log"))?;
        Ok(Self { database, service, workload, program: program.clone(), folder })
    }

    /// A task that sends requests to the service over `connections` connections for `seconds` seconds.
    pub fn task<K>(&self, key: K, operation: Operation, connections: u32, seconds: u32) -> Task<'_, K> {
        let run = move |number| {
            if operation.is_on_two() {
                return self.run_on_two(operation, connections, seconds, number);
            }
            self.workload.run(operation, self.service.address, connections, seconds, number)
        };
        Task { key, service: Some(&self.service), run: Box::new(run) }
    }

    /// The p99 of gets of customers of all merchants, in microseconds.
    pub fn p99_of_gets(&self, connections: u32, seconds: u32, number: u32) -> anyhow::Result<f64> {
        Ok(self.workload.run(Operation::Get, self.service.address, connections, seconds, number)?.p99)
    }

    /// Starts a second process of the service on the same database, and sends half of the requests to it.
    fn run_on_two(
        &self,
        operation: Operation,
        connections: u32,
        seconds: u32,
        number: u32,
    ) -> anyhow::Result<LoadResult> {
        let second = self.program.serve(&self.database.url, &self.folder.join(format!("log-{number}")))?;
        let run =
            |service: &Service, number| self.workload.run(operation, service.address, connections / 2, seconds, number);
        thread::scope(|scope| {
            let first = scope.spawn(|| run(&self.service, number));
            // A number that no other run has.
            let second = run(&second, u32::MAX - number)?;
            Ok(first.join().expect("no panic")?.beside(second))
        })
    }
}
