//! A test bed: a filled database, the service on it, and the requests for it.

use std::fs;
use std::path::Path;

use crate::database::{Database, Kind, Server};
use crate::dataset::Dataset;
use crate::interrupt::Interrupt;
use crate::meter::Task;
use crate::service::{Program, Service};
use crate::workload::{Operation, Workload};

/// A database and the service on it.
pub struct Bed {
    /// The filled database.
    pub database: Database,
    /// The service that is measured.
    pub service: Service,
    workload: Workload,
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
        // The service does it in the background, which would disturb the measurements.
        database.wait_until_indexed(interrupt)?;
        Ok(Self { database, service, workload })
    }

    /// A task that sends requests to the service over `connections` connections for `seconds` seconds.
    pub fn task<K>(&self, key: K, operation: Operation, connections: u32, seconds: u32) -> Task<'_, K> {
        let run = move |number| self.workload.run(operation, self.service.address, connections, seconds, number);
        Task { key, service: Some(&self.service), run: Box::new(run) }
    }
}
