//! Customers of an export as bytes, one part after the other.

use roster_domain::{Customer, EmailUse};
use roster_transfer::CsvWriter;

use super::dto::CustomerView;

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// A line for each customer, as the native API shows it. One that shares its e-mail address has
    /// `"allow_duplicate_email":true` besides.
    Ndjson,
    /// A header, and a row for each customer: see [`CsvWriter`].
    Csv,
    /// One JSON object with the customers in `data`.
    Json,
}

impl ExportFormat {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ndjson, Self::Csv, Self::Json];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }
}

/// Writes an export in one form.
pub struct ExportWriter {
    format: ExportFormat,
    csv: CsvWriter,
    has_begun: bool,
    has_items: bool,
}

impl ExportWriter {
    /// A writer that has written nothing.
    #[must_use]
    pub fn new(format: ExportFormat) -> Self {
        Self { format, csv: CsvWriter::default(), has_begun: false, has_items: false }
    }

    /// The next customers. `is_last`: and the end.
    ///
    /// # Errors
    /// If stored metadata is not JSON.
    pub fn write(&mut self, customers: &[Customer], is_last: bool) -> serde_json::Result<Vec<u8>> {
        if self.format == ExportFormat::Csv {
            return Ok(self.csv.write(customers));
        }
        let is_json = self.format == ExportFormat::Json;
        let mut text = Vec::with_capacity(512 * customers.len() + 16);
        if is_json && !std::mem::replace(&mut self.has_begun, true) {
            text.extend_from_slice(br#"{"data":["#);
        }
        for customer in customers {
            if is_json && std::mem::replace(&mut self.has_items, true) {
                text.push(b',');
            }
            write_line(&mut text, customer)?;
            if !is_json {
                text.push(b'\n');
            }
        }
        if is_json && is_last {
            text.extend_from_slice(b"]}");
        }
        Ok(text)
    }
}

fn write_line(text: &mut Vec<u8>, customer: &Customer) -> serde_json::Result<()> {
    serde_json::to_writer(&mut *text, &CustomerView::from(customer))?;
    // Under the name that requests give it. Without it, an import could not store two customers with one address.
    if customer.parts().email_use == EmailUse::Shared && customer.email_key().is_some() {
        text.pop();
        text.extend_from_slice(br#","allow_duplicate_email":true}"#);
    }
    Ok(())
}
