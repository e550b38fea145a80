//! A test bed: a filled database, the service on it, and what is asked of that.

use std::fs;
use std::path::Path;

use crate::database::{Database, Kind, Place};
use crate::dataset::Dataset;
use crate::interrupt::Interrupt;
use crate::meter::Task;
use crate::service::{Program, Service};
use crate::workload::{Operation, Workload};

/// One of each.
pub struct Bed {
    /// What is measured on.
    pub database: Database,
    /// What is measured.
    pub service: Service,
    workload: Workload,
}

impl Bed {
    /// Fills a database and starts the service on it. Files are made in a folder of `folder`.
    pub fn make(
        place: &Place,
        kind: Kind,
        dataset: Dataset,
        program: &Program,
        folder: &Path,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Self> {
        let folder = folder.join(format!("{}-{}", kind.name(), dataset.customers));
        fs::create_dir(&folder)?;
        let database = place.fill(kind, dataset, program, &folder, interrupt)?;
        let workload = Workload::prepare(&database, &folder)?;
        let service = program.serve(&database.url, &folder.join("log"))?;
        Ok(Self { database, service, workload })
    }

    /// Asks the service for something, over so many connections for so many seconds.
    pub fn task<K>(&self, key: K, operation: Operation, connections: u32, seconds: u32) -> Task<'_, K> {
        let run = move |number| self.workload.run(operation, self.service.address, connections, seconds, number);
        Task { key, service: Some(&self.service), run: Box::new(run) }
    }
}
