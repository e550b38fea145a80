//! Reading the rows of a file in batches, for one transaction each, and reporting what was refused of them.

use std::collections::HashMap;
use std::fmt;
use std::io::Read;

use roster_application::{ImportBatch, RowRefusal};
use roster_domain::Rule as _;
use serde::Serialize;

use crate::reader::{FileError, Reader};
use crate::row::Fault;

/// The most bytes of the file that a batch has: rows may be large, and some batches are in memory.
const MAX_BYTES: u64 = 1 << 20;

/// A rule that a row breaks, and what to do about it.
#[derive(Debug, Clone, Serialize)]
pub struct RowError {
    /// The number of the row, from 1, without the header.
    pub row: u64,
    /// The line where it begins.
    pub line: u64,
    /// The column, if the rule is about one.
    pub column: Option<String>,
    /// The code of the rule.
    pub code: &'static str,
    /// The rule.
    pub rule: String,
    /// What to do.
    pub remedy: &'static str,
}

impl RowError {
    /// The error of a row that begins in `line`.
    #[must_use]
    pub fn of(row: u64, line: u64, fault: &Fault) -> Self {
        let Fault { column, code, rule } = fault.clone();
        Self { row, line, column, code, rule, remedy: fault.remedy() }
    }
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, code, rule, remedy, .. } = self;
        match column {
            Some(column) => write!(f, "line {line}, {column}: {rule} ({code}); {remedy}"),
            None => write!(f, "line {line}: {rule} ({code}); {remedy}"),
        }
    }
}

/// Reads the rows of a file behind those that are done, batch by batch.
pub struct BatchReader<R: Read> {
    reader: Reader<R>,
    done: u64,
    rows: usize,
    start: u64,
}

/// Some rows of a file, and what their errors need.
pub struct ReadBatch {
    /// The rows.
    pub batch: ImportBatch,
    /// How far the file was read, in bytes.
    pub place: u64,
    /// The line of each row.
    lines: HashMap<u64, u64>,
    faults: Vec<RowError>,
}

impl<R: Read> BatchReader<R> {
    /// Reads at most `rows` rows at a time, and passes over the first `done`.
    #[must_use]
    pub fn new(reader: Reader<R>, done: u64, rows: usize) -> Self {
        Self { reader, done, rows, start: 0 }
    }

    /// The next rows. The last batch may have none.
    ///
    /// # Errors
    /// [`FileError`]; nothing can be read behind it.
    pub fn next_batch(&mut self) -> Result<ReadBatch, FileError> {
        let batch = ImportBatch { last: self.done, ..ImportBatch::default() };
        let mut read = ReadBatch { batch, lines: HashMap::new(), faults: Vec::new(), place: self.start };
        while read.lines.len() < self.rows && read.place - self.start < MAX_BYTES {
            let Some(row) = self.reader.next_row()? else {
                read.batch.is_last = true;
                break;
            };
            read.place = row.end;
            if row.number <= self.done {
                self.start = row.end;
                continue;
            }
            read.batch.last = row.number;
            read.lines.insert(row.number, row.line);
            match row.customer {
                Ok(customer) => read.batch.rows.push((row.number, customer)),
                Err(faults) => {
                    read.batch.failed += 1;
                    read.batch.faults += faults.len() as u64;
                    read.faults.extend(faults.iter().map(|fault| RowError::of(row.number, row.line, fault)));
                }
            }
        }
        if read.lines.is_empty() {
            read.batch.last = read.batch.last.max(self.reader.rows());
        }
        self.start = read.place;
        Ok(read)
    }
}

impl ReadBatch {
    /// The errors of the rows that cannot be read, and of those that were refused, in the order of the rows.
    #[must_use]
    pub fn errors(&self, refused: &[(u64, RowRefusal)]) -> Vec<RowError> {
        let error = |(row, refusal): &(u64, RowRefusal)| {
            RowError::of(*row, self.lines.get(row).copied().unwrap_or(0), &fault_of(refusal))
        };
        let mut errors: Vec<RowError> = self.faults.iter().cloned().chain(refused.iter().map(error)).collect();
        errors.sort_by_key(|error| error.row);
        errors
    }
}

fn fault_of(refusal: &RowRefusal) -> Fault {
    let (column, code) = match refusal {
        RowRefusal::EmailTaken(_) | RowRefusal::EmailRepeated => ("email", "email_taken"),
        RowRefusal::ExternalIdTaken(_) | RowRefusal::ExternalIdRepeated => ("external_id", "external_id_taken"),
        RowRefusal::Metadata(error) => ("metadata", error.code()),
    };
    Fault { column: Some(column.to_owned()), code, rule: refusal.to_string() }
}
