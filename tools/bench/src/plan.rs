//! The list of measurements, their duration and their number.

use std::fmt;

use crate::database::Kind;
use crate::dataset::Dataset;
use crate::workload::Operation;

/// One combination to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// The program that is measured.
    pub target: Target,
    /// The kind of request.
    pub operation: Operation,
    /// The number of connections, each with one request at a time.
    pub connections: u32,
}

/// The program that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The database itself, by `pgbench`.
    Pgbench,
    /// The database itself, by `COPY`.
    Copy,
    /// The service, on a database.
    Service(Kind),
}

/// The whole plan.
pub struct Plan {
    /// The customers and merchants.
    pub dataset: Dataset,
    /// The duration of each measurement.
    pub seconds: u32,
    /// The number of rounds: each cell is measured once per round.
    pub rounds: usize,
    /// The combinations to measure.
    pub cells: Vec<Cell>,
}

impl Plan {
    /// The plan of the published report.
    pub fn full() -> Self {
        let operations = [
            Operation::Get,
            Operation::GetByExternalId,
            Operation::Create,
            Operation::CreateWithKey,
            Operation::GetNotModified,
            Operation::Update,
            Operation::List,
            Operation::ListAll,
        ];
        let mut cells = Vec::new();
        for operation in [Operation::Get, Operation::Create, Operation::Update, Operation::List] {
            cells.extend(cells_of(Target::Pgbench, operation, &[1, 16, 64]));
        }
        cells.extend(cells_of(Target::Copy, Operation::ListLargest, &[1]));
        cells.extend(cells_of(Target::Copy, Operation::CreateBatch, &[1]));
        cells.extend(service(Kind::Postgres, Operation::Live, &[1, 16, 64, 256]));
        for kind in Kind::ALL {
            for operation in operations {
                cells.extend(service(kind, operation, &[1, 16, 64, 256]));
            }
            cells.extend(service(kind, Operation::ListLargest, &[1]));
            cells.extend(service(kind, Operation::Search, &[16]));
            cells.extend(service(kind, Operation::CreateBatch, &[1, 16]));
            cells.extend(service(kind, Operation::ReadFeed, &[1]));
            cells.extend(service(kind, Operation::Deliver, &[1]));
            cells.extend(service(kind, Operation::Stream, &[1]));
        }
        for operation in [Operation::CreateOnTwo, Operation::CreateInOne, Operation::CreateInOneOnTwo] {
            cells.extend(service(Kind::Postgres, operation, &[64]));
        }
        Self { dataset: Dataset { customers: 1_000_000, merchants: 200 }, seconds: 3, rounds: 3, cells }
    }

    /// A plan that takes three minutes: it tests the benchmark and shows rough results.
    pub fn quick() -> Self {
        let mut cells = Vec::new();
        for (operation, clients) in [
            (Operation::Get, &[1, 16, 64][..]),
            (Operation::Create, &[1, 16, 64]),
            (Operation::Update, &[64]),
            (Operation::List, &[64]),
        ] {
            cells.extend(cells_of(Target::Pgbench, operation, clients));
        }
        cells.extend(cells_of(Target::Copy, Operation::ListLargest, &[1]));
        cells.extend(cells_of(Target::Copy, Operation::CreateBatch, &[1]));
        cells.extend(service(Kind::Postgres, Operation::Live, &[1, 64, 256]));
        for kind in Kind::ALL {
            for operation in [Operation::Get, Operation::Create] {
                cells.extend(service(kind, operation, &[1, 64, 256]));
            }
            for operation in [
                Operation::GetByExternalId,
                Operation::CreateWithKey,
                Operation::GetNotModified,
                Operation::Update,
                Operation::List,
                Operation::ListAll,
            ] {
                cells.extend(service(kind, operation, &[64]));
            }
            cells.extend(service(kind, Operation::ListLargest, &[1]));
            cells.extend(service(kind, Operation::Search, &[16]));
            cells.extend(service(kind, Operation::CreateBatch, &[1]));
            cells.extend(service(kind, Operation::ReadFeed, &[1]));
            cells.extend(service(kind, Operation::Deliver, &[1]));
            cells.extend(service(kind, Operation::Stream, &[1]));
        }
        for operation in [Operation::CreateOnTwo, Operation::CreateInOne, Operation::CreateInOneOnTwo] {
            cells.extend(service(Kind::Postgres, operation, &[64]));
        }
        Self { dataset: Dataset { customers: 50_000, merchants: 50 }, seconds: 1, rounds: 3, cells }
    }

    /// For each target and operation, the cell with the most connections.
    pub fn most_connections(&self) -> impl Iterator<Item = Cell> {
        self.cells.iter().copied().filter(|cell| {
            let is_more = |other: &Cell| {
                (other.target, other.operation) == (cell.target, cell.operation) && other.connections > cell.connections
            };
            !self.cells.iter().any(is_more)
        })
    }
}

fn service(kind: Kind, operation: Operation, connections: &[u32]) -> Vec<Cell> {
    cells_of(Target::Service(kind), operation, connections)
}

fn cells_of(target: Target, operation: Operation, connections: &[u32]) -> Vec<Cell> {
    connections.iter().map(|&connections| Cell { target, operation, connections }).collect()
}

impl Target {
    /// The name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pgbench => "pgbench",
            Self::Copy => "COPY",
            Self::Service(kind) => kind.name(),
        }
    }

    /// Whether the service has no part in it.
    pub fn is_database_alone(self) -> bool {
        matches!(self, Self::Pgbench | Self::Copy)
    }

    /// The name with what it is.
    pub fn description(self) -> String {
        match self {
            Self::Pgbench | Self::Copy => format!("{} alone", self.name()),
            Self::Service(kind) => format!("service on {}", kind.name()),
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}, {} at a time", self.target.name(), self.operation.name(), self.connections)
    }
}
