//! What is measured, for how long, and how often.

use std::fmt;

use crate::database::Kind;
use crate::dataset::Dataset;
use crate::workload::Operation;

/// One thing to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// Who is asked.
    pub target: Target,
    /// For what.
    pub operation: Operation,
    /// Over how many connections at a time.
    pub connections: u32,
}

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The database itself, by `pgbench`.
    Pgbench,
    /// The service, on a database.
    Service(Kind),
}

/// All of it.
pub struct Plan {
    /// How many customers there are.
    pub dataset: Dataset,
    /// How long each measurement takes.
    pub seconds: u32,
    /// How often each is done.
    pub rounds: usize,
    /// What is measured.
    pub cells: Vec<Cell>,
}

impl Plan {
    /// Everything.
    pub fn full() -> Self {
        let operations = [
            Operation::Get,
            Operation::GetByExternalId,
            Operation::Create,
            Operation::Update,
            Operation::List,
            Operation::ListAll,
        ];
        let mut cells = pgbench(&[1, 16, 64]);
        cells.extend(service(Kind::Postgres, Operation::Live, &[1, 16, 64, 256]));
        for kind in Kind::ALL {
            for operation in operations {
                cells.extend(service(kind, operation, &[1, 16, 64, 256]));
            }
            cells.extend(service(kind, Operation::ListLargest, &[1]));
        }
        Self { dataset: Dataset { customers: 500_000, merchants: 200 }, seconds: 5, rounds: 3, cells }
    }

    /// What shows in three minutes that it works, and roughly how fast.
    pub fn quick() -> Self {
        let mut cells = pgbench(&[1, 16, 64]);
        cells.extend(service(Kind::Postgres, Operation::Live, &[1, 64, 256]));
        for kind in Kind::ALL {
            for operation in [Operation::Get, Operation::Create] {
                cells.extend(service(kind, operation, &[1, 64, 256]));
            }
            for operation in [Operation::GetByExternalId, Operation::Update, Operation::List, Operation::ListAll] {
                cells.extend(service(kind, operation, &[64]));
            }
        }
        Self { dataset: Dataset { customers: 50_000, merchants: 50 }, seconds: 1, rounds: 3, cells }
    }

    /// Of the cells that differ in their connections alone, the one with the most.
    pub fn most_connections(&self) -> impl Iterator<Item = Cell> {
        self.cells.iter().copied().filter(|cell| {
            let is_more = |other: &Cell| {
                (other.target, other.operation) == (cell.target, cell.operation) && other.connections > cell.connections
            };
            !self.cells.iter().any(is_more)
        })
    }
}

fn pgbench(clients: &[u32]) -> Vec<Cell> {
    let operations = [Operation::Get, Operation::Create];
    let cells =
        |operation| clients.iter().map(move |&connections| Cell { target: Target::Pgbench, operation, connections });
    operations.into_iter().flat_map(cells).collect()
}

fn service(kind: Kind, operation: Operation, connections: &[u32]) -> Vec<Cell> {
    let cell = |&connections| Cell { target: Target::Service(kind), operation, connections };
    connections.iter().map(cell).collect()
}

impl Target {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pgbench => "pgbench",
            Self::Service(kind) => kind.name(),
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}, {} at a time", self.target.name(), self.operation.name(), self.connections)
    }
}
