//! Exports: all customers of a list in one answer, as they are at one moment.

use std::io::{self, Write as _};

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{Stream, stream};
use roster_domain::{Customer, EmailUse};
use roster_transfer::CsvWriter;

use super::dto::{self, CustomerView};
use super::error::Error;
use crate::failure::Failure;
use crate::request::caller::{Caller, Exported, ReadCustomers};
use crate::stream::next_chunk;

/// The header with the cursor of the log at the moment of the export.
pub(super) const FEED_CURSOR: &str = "X-Feed-Cursor";

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

    /// The one with this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == name)
    }

    /// Its media type.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/json",
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

/// Streams all customers that are asked for.
pub(super) async fn export(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<ReadCustomers>::of(&request).await?;
    let dto::ExportQuery { filter, format, is_compressed, follows } = dto::read_export(&request)?;
    let mut writer = ExportWriter::new(format);
    let mut gzip = is_compressed.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
    let mut exported = caller.export_customers(filter, move |customers, is_last| {
        let text = writer.write(customers, is_last)?;
        match &mut gzip {
            None => Ok(text),
            Some(gzip) => compressed(gzip, &text, is_last),
        }
    })?;
    // The first part is read before the status is sent, so that a failure has a status of its own.
    let first = exported.next().await?;
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CONTENT_TYPE, format.media_type()));
    let name = format!("attachment; filename=\"customers.{}\"", format.as_str());
    response.insert_header((header::CONTENT_DISPOSITION, name));
    if is_compressed {
        response.insert_header((header::CONTENT_ENCODING, "gzip"));
    }
    if follows {
        response.insert_header((FEED_CURSOR, first.feed));
    }
    let parts = Parts { caller, exported, part: first.text, is_last: first.is_last, has_begun: false };
    Ok(response.streaming(parts.stream()))
}

/// What `gzip` makes of a text.
fn compressed(gzip: &mut GzEncoder<Vec<u8>>, text: &[u8], is_last: bool) -> io::Result<Vec<u8>> {
    gzip.write_all(text)?;
    if is_last {
        gzip.try_finish()?;
    }
    Ok(std::mem::take(gzip.get_mut()))
}

/// An export that is being sent.
struct Parts {
    /// Its credential is checked again while the export goes on.
    caller: Caller<ReadCustomers>,
    exported: Exported,
    /// What the client has not read yet of the current part.
    part: Bytes,
    /// Whether no other part follows.
    is_last: bool,
    /// Whether some of it was sent.
    has_begun: bool,
}

impl Parts {
    /// The body of the answer. A failure breaks the connection off, so that no client takes a part for all.
    fn stream(self) -> impl Stream<Item = Result<Bytes, Error>> {
        stream::try_unfold(self, |mut parts| async move {
            let chunk = parts.next_chunk().await?;
            Ok(chunk.map(|chunk| (chunk, parts)))
        })
    }

    async fn next_chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        if std::mem::replace(&mut self.has_begun, true) {
            self.caller.check_again().await?;
        }
        while self.part.is_empty() {
            if self.is_last {
                return Ok(None);
            }
            let next = self.exported.next().await?;
            (self.part, self.is_last) = (next.text, next.is_last);
        }
        Ok(Some(next_chunk(&mut self.part)))
    }
}
