//! Reading the rows of a file, one at a time, in bounded memory.

use std::io::{self, BufRead, BufReader, Read};

use roster_application::{ImportedCustomer, json};
use roster_domain::{Json, Object, Timestamp};

use crate::cell::Cell;
use crate::mapping::{Mapping, Target, Unknown};
use crate::row::{Draft, Fault};

/// The most bytes of a row: 1 MiB.
pub const MAX_ROW_BYTES: usize = 1 << 20;

/// The bytes that are read at once, of which the first decide on the format.
const BUFFER: usize = 64 * 1024;

/// The form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// RFC 4180: a header, and a row for each customer; separated by commas, semicolons or tabs.
    Csv,
    /// A JSON object in each line.
    Ndjson,
}

impl Format {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Csv, Self::Ndjson];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }
}

/// Why a file cannot be read, or not any further.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It could not be read.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    /// It has no bytes.
    #[error("it is empty")]
    Empty,
    /// It is in UTF-16.
    #[error("it is in UTF-16 (it begins with the bytes {0:#04x} {1:#04x}): save it as UTF-8")]
    Utf16(u8, u8),
    /// Its header is not in UTF-8.
    #[error("its header is not in UTF-8: byte {byte:#04x} of the column {column}, behind {valid:?}; save it as UTF-8")]
    HeaderNotUtf8 {
        /// The number of the column, from 1.
        column: usize,
        /// The byte.
        byte: u8,
        /// The name of the column up to there.
        valid: String,
    },
    /// The mapping does not name some columns.
    #[error("these columns have no place: {}; name them in a mapping, or choose --unknown metadata or --unknown ignore", .0.join(", "))]
    UnknownColumns(Vec<String>),
    /// No column is a field of a customer.
    #[error("none of its columns is a field of a customer: {}", .0.join(", "))]
    NoField(Vec<String>),
    /// A row has more than [`MAX_ROW_BYTES`] bytes.
    #[error("the row that begins in line {0} has more than {MAX_ROW_BYTES} bytes: is there a quote that does not end?")]
    RowTooLong(u64),
}

/// A row of a file.
#[derive(Debug)]
pub struct ReadRow {
    /// Its number, from 1, without the header.
    pub number: u64,
    /// The line where it begins, from 1.
    pub line: u64,
    /// Where it ends, in bytes from the beginning of the file.
    pub end: u64,
    /// The customer, or the rules that the row breaks.
    pub customer: Result<ImportedCustomer, Vec<Fault>>,
}

/// Reads the rows of a file.
pub struct Reader<R: Read> {
    rows: Rows<R>,
    mapping: Mapping,
    unknown: Unknown,
    now: Timestamp,
    number: u64,
}

enum Rows<R: Read> {
    Csv(Box<CsvRows<R>>),
    Ndjson { input: BufReader<R>, line: u64, read: u64, buffer: Vec<u8> },
}

impl<R: Read> Reader<R> {
    /// Looks at the beginning of a file: its format, unless that is given, and its header. A time after `now` is refused as one of
    /// a creation.
    ///
    /// # Errors
    /// [`FileError`]
    pub fn open(
        input: R,
        format: Option<Format>,
        mapping: Mapping,
        unknown: Unknown,
        now: Timestamp,
    ) -> Result<Self, FileError> {
        let mut input = BufReader::with_capacity(BUFFER, input);
        let beginning = input.fill_buf()?;
        match beginning {
            [] => return Err(FileError::Empty),
            [first @ 0xfe, second @ 0xff, ..] | [first @ 0xff, second @ 0xfe, ..] => {
                return Err(FileError::Utf16(*first, *second));
            }
            // A byte order mark, which other programs write.
            [0xef, 0xbb, 0xbf, ..] => input.consume(3),
            _ => {}
        }
        let format = match format {
            Some(format) => format,
            None => format_of(input.fill_buf()?),
        };
        let rows = match format {
            Format::Ndjson => Rows::Ndjson { input, line: 0, read: 0, buffer: Vec::new() },
            Format::Csv => Rows::Csv(Box::new(CsvRows::open(input, &mapping, unknown)?)),
        };
        Ok(Self { rows, mapping, unknown, now, number: 0 })
    }

    /// How many rows were read.
    pub fn rows(&self) -> u64 {
        self.number
    }

    /// The next row. `None` at the end of the file.
    ///
    /// # Errors
    /// [`FileError`]; nothing can be read behind it.
    pub fn next_row(&mut self) -> Result<Option<ReadRow>, FileError> {
        let read = match &mut self.rows {
            Rows::Csv(rows) => rows.read(self.mapping.is_exact, self.now)?,
            Rows::Ndjson { input, line, read, buffer } => loop {
                let Some((length, text)) = read_line(input, buffer)? else { break None };
                *read += length;
                *line += 1;
                match text {
                    Ok([]) => {}
                    Ok(text) => break Some((*line, read_object(text, &self.mapping, self.unknown, self.now))),
                    Err(too_long) => break Some((*line, Err(vec![too_long]))),
                }
            },
        };
        let end = match &self.rows {
            Rows::Csv(rows) => rows.reader.position().byte(),
            Rows::Ndjson { read, .. } => *read,
        };
        Ok(read.map(|(line, customer)| {
            self.number += 1;
            ReadRow { number: self.number, line, end, customer }
        }))
    }
}

/// The customer of a row, or the rules that the row breaks.
type ReadCustomer = Result<ImportedCustomer, Vec<Fault>>;

/// The format of a file that begins so.
fn format_of(beginning: &[u8]) -> Format {
    let is_object = beginning.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    if is_object { Format::Ndjson } else { Format::Csv }
}

/// The separator of a file with this first line: the one that it has most often.
fn separator_of(line: &[u8]) -> u8 {
    let count = |separator: u8| line.split(|byte| *byte == separator).count();
    // Of equals the last: a comma.
    [b'\t', b';', b','].into_iter().max_by_key(|separator| count(*separator)).unwrap_or(b',')
}

/// The rows of a CSV file.
struct CsvRows<R: Read> {
    reader: csv::Reader<Limited<BufReader<R>>>,
    columns: Vec<(String, Target)>,
    record: csv::ByteRecord,
    /// Whether a line ends with `\r\n`.
    ends_lines_with_cr: bool,
}

impl<R: Read> CsvRows<R> {
    fn open(mut input: BufReader<R>, mapping: &Mapping, unknown: Unknown) -> Result<Self, FileError> {
        let first_line = input.fill_buf()?.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
        let (separator, ends_lines_with_cr) = (separator_of(first_line), first_line.ends_with(b"\r\n"));
        let input = Limited { input, left: MAX_ROW_BYTES + BUFFER };
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(separator).from_reader(input);
        let mut record = csv::ByteRecord::new();
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return Err(FileError::Empty),
            Err(error) => return Err(csv_error(error, 1)),
        }
        let names: Vec<String> =
            record.iter().enumerate().map(|(place, name)| header(place, name)).collect::<Result<_, _>>()?;
        let columns = columns(names, mapping, unknown)?;
        Ok(Self { reader, columns, record, ends_lines_with_cr })
    }

    fn read(&mut self, is_exact: bool, now: Timestamp) -> Result<Option<(u64, ReadCustomer)>, FileError> {
        self.reader.get_mut().left = MAX_ROW_BYTES + BUFFER;
        let begin = self.reader.position().line();
        match self.reader.read_byte_record(&mut self.record) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => return Err(csv_error(error, begin)),
        }
        let line = self.first_line(begin);
        if self.record.len() != self.columns.len() {
            let rule = format!("must have {} cells like the header, has {}", self.columns.len(), self.record.len());
            return Ok(Some((line, Err(vec![Fault::of_row("wrong_number_of_cells", rule)]))));
        }
        let mut draft = Draft::new(is_exact, now);
        for ((column, target), cell) in self.columns.iter().zip(&self.record) {
            match str::from_utf8(cell) {
                Ok(text) => draft.take(column, target, Cell::Text(text.to_owned())),
                Err(error) => {
                    let byte = cell[error.valid_up_to()];
                    let rule = format!(
                        "must be in UTF-8: byte {byte:#04x}, number {} of the cell, is not",
                        error.valid_up_to() + 1
                    );
                    draft.refuse(Fault { column: Some(column.clone()), code: "not_utf8", rule });
                }
            }
        }
        Ok(Some((line, draft.finish())))
    }
}

impl<R: Read> CsvRows<R> {
    /// The line where the row begins that was just read behind line `before`.
    ///
    /// The library counts each `\n` where it comes to it: that of a `\r\n` with the next row, and so those of empty lines.
    fn first_line(&self, before: u64) -> u64 {
        let breaks = self.record.as_slice().split(|byte| *byte == b'\n').count() as u64 - 1;
        let last = self.reader.position().line() - breaks;
        // The last row may have no `\n` behind it.
        if self.ends_lines_with_cr { last } else { before.max(last - 1) }
    }
}

fn header(place: usize, name: &[u8]) -> Result<String, FileError> {
    match str::from_utf8(name) {
        Ok(name) => Ok(name.trim().to_owned()),
        Err(error) => Err(FileError::HeaderNotUtf8 {
            column: place + 1,
            byte: name[error.valid_up_to()],
            valid: String::from_utf8_lossy(&name[..error.valid_up_to()]).into_owned(),
        }),
    }
}

/// Where the columns of a header go.
fn columns(names: Vec<String>, mapping: &Mapping, unknown: Unknown) -> Result<Vec<(String, Target)>, FileError> {
    let mut lost = Vec::new();
    let columns: Vec<(String, Target)> = names
        .into_iter()
        .map(|name| {
            let target = mapping.target(&name).unwrap_or_else(|| {
                lost.push(name.clone());
                of_unknown(&name, unknown)
            });
            (name, target)
        })
        .collect();
    if columns.iter().all(|(_, target)| matches!(target, Target::Ignored)) {
        return Err(FileError::NoField(columns.into_iter().map(|(name, _)| name).collect()));
    }
    if unknown == Unknown::Refuse && !lost.is_empty() {
        return Err(FileError::UnknownColumns(lost));
    }
    Ok(columns)
}

fn of_unknown(name: &str, unknown: Unknown) -> Target {
    match unknown {
        Unknown::Metadata => Target::MetadataKey(name.to_owned()),
        Unknown::Refuse | Unknown::Ignore => Target::Ignored,
    }
}

fn csv_error(error: csv::Error, line: u64) -> FileError {
    match error.into_kind() {
        csv::ErrorKind::Io(error)
            if error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<TooLong>) =>
        {
            FileError::RowTooLong(line)
        }
        csv::ErrorKind::Io(error) => FileError::Io(error),
        other => FileError::Io(io::Error::other(format!("{other:?}"))),
    }
}

/// More than a row may have was read.
#[derive(Debug, thiserror::Error)]
#[error("the row is too long")]
struct TooLong;

/// Fails once a row is longer than it may be: a quote that does not end would make the rest of the file one cell.
struct Limited<R> {
    input: R,
    /// How many bytes may still be read for the row, and in advance.
    left: usize,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other(TooLong));
        }
        let most = buffer.len().min(self.left);
        let read = self.input.read(&mut buffer[..most])?;
        self.left -= read;
        Ok(read)
    }
}

/// The next line without white space at its ends, and the bytes that it takes. One that is too long is passed over. `None` at the end.
fn read_line<'a>(input: &mut impl BufRead, buffer: &'a mut Vec<u8>) -> io::Result<Option<(u64, ReadLine<'a>)>> {
    buffer.clear();
    let read = input.by_ref().take(MAX_ROW_BYTES as u64 + 1).read_until(b'\n', buffer)?;
    if read == 0 {
        return Ok(None);
    }
    if read > MAX_ROW_BYTES && buffer.last() != Some(&b'\n') {
        let rest = input.skip_until(b'\n')?;
        let rule = format!("must have at most {MAX_ROW_BYTES} bytes");
        return Ok(Some(((read + rest) as u64, Err(Fault::of_row("row_too_long", rule)))));
    }
    Ok(Some((read as u64, Ok(buffer.trim_ascii()))))
}

/// A line, or why it is none.
type ReadLine<'a> = Result<&'a [u8], Fault>;

fn read_object(text: &[u8], mapping: &Mapping, unknown: Unknown, now: Timestamp) -> ReadCustomer {
    let refused = |code, rule: String| Err(vec![Fault::of_row(code, rule)]);
    if let Err(error) = str::from_utf8(text) {
        let (byte, place) = (text[error.valid_up_to()], error.valid_up_to() + 1);
        return refused("not_utf8", format!("must be in UTF-8: byte {byte:#04x}, number {place} of the line, is not"));
    }
    let object = match json::read(text) {
        Ok(Json::Object(object)) => object,
        Ok(_) => return refused("invalid_json", "must be a JSON object".to_owned()),
        Err(error) => return refused("invalid_json", error.to_string()),
    };
    let mut values = Vec::new();
    flatten(object, mapping, &mut values);
    let mut draft = Draft::new(mapping.is_exact, now);
    for (name, target, value) in &values {
        match target {
            None if unknown == Unknown::Refuse => {
                let rule = "is not a field that the mapping names".to_owned();
                draft.refuse(Fault { column: Some(name.clone()), code: "unknown_column", rule });
            }
            None => draft.take(name, &of_unknown(name, unknown), Cell::Json(value.clone())),
            Some(target) => draft.take(name, target, Cell::Json(value.clone())),
        }
    }
    draft.finish()
}

/// The values of an object under their names: those of an object in it under both names, with a dot between, unless the mapping
/// has a place for that object as a whole. One whose parts have a place is left out itself.
fn flatten(object: Object, mapping: &Mapping, values: &mut Vec<(String, Option<Target>, Json)>) {
    for (name, value) in object {
        let target = mapping.target(&name);
        match (target, value) {
            (None | Some(Target::Ignored), Json::Object(parts)) => {
                let is_ignored = mapping.target(&name).is_some();
                for (part, value) in parts {
                    let name = format!("{name}.{part}");
                    let target = mapping.target(&name).or_else(|| is_ignored.then_some(Target::Ignored));
                    values.push((name, target, value));
                }
            }
            (target, value) => values.push((name, target, value)),
        }
    }
}
