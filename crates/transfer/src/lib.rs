//! Files of customers: CSV, and NDJSON (one JSON object a line).
//!
//! [`Reader`] reads the rows of a file, one at a time, into what an import takes
//! ([`ImportedCustomer`](roster_application::ImportedCustomer)). A [`Mapping`] says which of its columns is which field of a
//! customer: Roster's own, one of another service, or one that a user writes. [`CsvWriter`] writes customers as CSV; NDJSON is
//! what the native API shows, and is written there. [`fields`] lists what a file may have of a customer, once for both
//! directions.
//!
//! The crate knows the domain and the use cases, and neither files nor databases: it reads and writes bytes.

mod batches;
mod cell;
mod csv_writer;
pub mod fields;
mod formula;
mod mapping;
mod options;
mod reader;
mod row;
mod time;

pub use batches::{BatchReader, ReadBatch, RowError};
pub use csv_writer::CsvWriter;
pub use mapping::{Mapping, MappingError, Unknown};
pub use options::ImportOptions;
pub use reader::{FileError, Format, MAX_ROW_BYTES, ReadRow, Reader};
pub use row::Fault;
