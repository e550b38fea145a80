use roster_domain::Customer;

use crate::fields::Field;
use crate::formula::protect;

/// The columns beside the [fields](Field), which each row has: before them, and behind them.
pub(crate) const FIRST: &str = "id";
pub(crate) const LAST: [&str; 4] = ["metadata", "created_at", "updated_at", "version"];

/// Writes customers as CSV (RFC 4180), in UTF-8: a header, and a row for each customer.
///
/// An empty cell is a field that is absent. A text that is empty, or that a spreadsheet would take for a formula, has a `'` in
/// front: see `formula.rs`.
#[derive(Debug, Default)]
pub struct CsvWriter {
    has_begun: bool,
}

impl CsvWriter {
    /// The header, if nothing was written before, and rows.
    #[must_use]
    pub fn write(&mut self, customers: &[Customer]) -> Vec<u8> {
        let mut writer = csv::WriterBuilder::new()
            .terminator(csv::Terminator::CRLF)
            .from_writer(Vec::with_capacity(512 * customers.len()));
        // Writing to memory cannot fail.
        if !std::mem::replace(&mut self.has_begun, true) {
            let fields = Field::ALL.iter().map(|field| field.name());
            let _ = writer.write_record([FIRST].into_iter().chain(fields).chain(LAST));
        }
        for customer in customers {
            let _ = writer.write_field(customer.id().to_string());
            for field in Field::ALL {
                let _ = writer.write_field(field.of(customer).map(protect).unwrap_or_default());
            }
            let last = [
                customer.profile().metadata.as_str().to_owned(),
                customer.created_at().to_string(),
                customer.updated_at().to_string(),
                customer.version().to_string(),
            ];
            let _ = writer.write_record(last);
        }
        writer.into_inner().unwrap_or_default()
    }
}
