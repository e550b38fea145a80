//! What files of all kinds are read as.

use std::io::{self, Read};

use roster_application::{ImportedCustomer, ImportedMetadata};
use roster_domain::{Edit, Timestamp};
use roster_transfer::{Fault, FileError, Format, MAX_ROW_BYTES, Mapping, ReadRow, Reader, Unknown};

fn mapping(name: &str) -> Mapping {
    Mapping::parse(Mapping::text_of(name).expect("a mapping of the program")).expect("a mapping")
}

fn now() -> Timestamp {
    Timestamp::parse("2025-01-15T12:00:00Z").expect("a time")
}

fn open<'a>(file: &'a [u8], from: &str, unknown: Unknown) -> Result<Reader<&'a [u8]>, FileError> {
    Reader::open(file, None, mapping(from), unknown, now())
}

fn rows(file: &[u8], from: &str) -> Vec<ReadRow> {
    let mut reader = open(file, from, Unknown::Refuse).unwrap_or_else(|error| panic!("{error}"));
    let mut rows = Vec::new();
    while let Some(row) = reader.next_row().expect("a row") {
        rows.push(row);
    }
    assert_eq!(reader.rows(), rows.len() as u64);
    rows
}

fn customer(file: &[u8], from: &str) -> ImportedCustomer {
    let mut rows = rows(file, from);
    assert_eq!(rows.len(), 1);
    rows.remove(0).customer.unwrap_or_else(|faults| panic!("{faults:?}"))
}

/// The faults of the only row, each with its column and code.
fn faults(file: &[u8], from: &str) -> Vec<(Option<String>, &'static str)> {
    let mut rows = rows(file, from);
    assert_eq!(rows.len(), 1);
    let faults = rows.remove(0).customer.expect_err("a broken rule");
    assert!(faults.iter().all(|fault| !fault.remedy().is_empty() && !fault.rule.is_empty()));
    faults.into_iter().map(|Fault { column, code, .. }| (column, code)).collect()
}

fn text<T: AsRef<str>>(edit: &Edit<T>) -> Option<&str> {
    match edit {
        Edit::Set(value) => Some(value.as_ref()),
        Edit::Keep | Edit::Clear => None,
    }
}

fn metadata(customer: &ImportedCustomer) -> String {
    match &customer.metadata {
        ImportedMetadata::Absent => String::new(),
        ImportedMetadata::Whole(metadata) => metadata.as_str().to_owned(),
        ImportedMetadata::Keys(object) => object.to_string(),
    }
}

#[test]
fn a_byte_order_mark_line_ends_and_quotes_are_read() {
    let file = "\u{feff}Email,Name,tier (metadata)\r\nada@example.com,\"Lovelace, \"\"Ada\"\"\",\"a\r\nb\"\r\n\r\neda@example.com,Eda,\r\n";
    let rows = rows(file.as_bytes(), "stripe");
    let first = rows[0].customer.as_ref().expect("a customer");
    assert_eq!((text(&first.edit.email), text(&first.edit.name)), (Some("ada@example.com"), Some("Lovelace, \"Ada\"")));
    assert_eq!(metadata(first), r#"{"tier":"a\r\nb"}"#);
    assert_eq!(rows.iter().map(|row| (row.number, row.line)).collect::<Vec<_>>(), [(1, 2), (2, 5)]);
    assert!(rows[0].end < rows[1].end && rows[1].end <= file.len() as u64);
}

#[test]
fn a_row_has_the_line_where_it_begins() {
    for end in ["\n", "\r\n"] {
        for last in ["", end] {
            let file = format!("Email,Name{end}a@x.de,A{end}{end}b@x.de,\"B{end}B\"{end}c@x.de,C{last}");
            let lines: Vec<u64> = rows(file.as_bytes(), "stripe").iter().map(|row| row.line).collect();
            assert_eq!(lines, [2, 4, 6], "{file:?}");
        }
    }
}

#[test]
fn a_separator_is_found_by_the_header() {
    for separator in [",", ";", "\t"] {
        let file = format!("id{separator}Email{separator}Name\n1{separator}ada@example.com{separator}Ada\n");
        let customer = customer(file.as_bytes(), "stripe");
        assert_eq!((text(&customer.edit.external_id), text(&customer.edit.name)), (Some("1"), Some("Ada")));
    }
}

#[test]
fn the_columns_of_stripe_are_read_in_any_order_and_number() {
    let file = b"Status,Created (UTC),Business Vat ID,Email,Description,id,Card ID,Delinquent,Plan,seats (metadata),Name,Currency\n\
                 Active,2023-04-07 23:24,DE1,Ada@Example.com,First,cus_1,card_1,false,gold,5,Ada,usd\n";
    let customer = customer(file, "stripe");
    let edit = &customer.edit;
    assert_eq!(
        [
            text(&edit.external_id),
            text(&edit.email),
            text(&edit.name),
            text(&edit.tax_id),
            text(&edit.details.currency)
        ],
        ["cus_1", "Ada@Example.com", "Ada", "DE1", "USD"].map(Some)
    );
    assert_eq!(customer.created_at.map(|time| time.to_string()).as_deref(), Some("2023-04-07T23:24:00.000Z"));
    assert_eq!(
        metadata(&customer),
        r#"{"stripe_status":"Active","description":"First","stripe_plan":"gold","seats":"5"}"#
    );
}

#[test]
fn stripes_api_is_read_line_by_line() {
    let file = br#"{"id":"cus_1","object":"customer","address":{"city":"Berlin","country":"DE","line1":null,"line2":null,"postal_code":"10115","state":null},"created":1680909893,"email":"ada@example.com","name":null,"phone":"+4930123456","metadata":{"seats":"5"},"tax_exempt":"reverse","livemode":false,"invoice_settings":{"footer":null}}"#;
    let customer = customer(file, "stripe");
    let edit = &customer.edit;
    assert_eq!(
        [text(&edit.external_id), text(&edit.address.city), text(&edit.address.postal_code), text(&edit.phone)],
        ["cus_1", "Berlin", "10115", "+4930123456"].map(Some)
    );
    assert_eq!(text(&edit.details.tax_exempt), Some("reverse"));
    assert_eq!((text(&edit.name), metadata(&customer).as_str()), (None, r#"{"seats":"5"}"#));
    assert_eq!(customer.created_at.map(|time| time.to_string()).as_deref(), Some("2023-04-07T23:24:53.000Z"));
}

#[test]
fn lagos_view_is_read() {
    let file = b"external_id,name,firstname,lastname,legal_name,email,phone,address_line1,address_line2,city,state,zipcode,country,currency,timezone,tax_identification_number,metadata\n\
                 ext_1,,Ada,Lovelace,Analytical Ltd,ada@example.com,,1 Main St,,London,,N1,gb,gbp,Europe/London,GB1,\"{\"\"tier\"\": 1.50}\"\n";
    let customer = customer(file, "lago");
    let edit = &customer.edit;
    assert_eq!(
        [
            text(&edit.name),
            text(&edit.details.business_name),
            text(&edit.address.country),
            text(&edit.details.timezone)
        ],
        ["Ada Lovelace", "Analytical Ltd", "GB", "Europe/London"].map(Some)
    );
    assert_eq!(metadata(&customer), r#"{"tier":1.50}"#);
}

#[test]
fn the_other_services_are_read() {
    let lava = br#"{"customer_id":"con_live_1","reference_id":"u1","contact":{"phone":null,"email":"ada@example.com","first_name":"Ada","last_name":"Lovelace"},"subscription":null,"metadata":{},"created_at":"2023-04-07T00:00:00Z"}"#;
    let customer_of_lava = customer(lava, "lava");
    assert_eq!(text(&customer_of_lava.edit.name), Some("Ada Lovelace"));
    assert_eq!(metadata(&customer_of_lava), r#"{"lava_id":"con_live_1"}"#);
    let lumen = br#"{"id":"cust_1","email":"ada@example.com","userId":"u1","externalCustomerId":"u1","taxExempt":true,"preferredLanguage":"pt-br","deletedAt":null}"#;
    let customer_of_lumen = customer(lumen, "lumen");
    assert_eq!(text(&customer_of_lumen.edit.details.tax_exempt), Some("exempt"));
    assert_eq!(text(&customer_of_lumen.edit.external_id), Some("u1"));
    let billing = br#"{"id":"cus_1","customer_id":"cus_1","org_id":"org_1","email":"ada@example.com","external_id":"u1","status":"archived","metadata":{"a":1}}"#;
    let customer_of_billing = customer(billing, "billingio");
    assert_eq!(metadata(&customer_of_billing), r#"{"a":1,"billingio_id":"cus_1"}"#);
    assert_eq!(text(&customer_of_billing.edit.external_id), Some("u1"));
}

#[test]
fn a_mapping_of_ones_own_is_followed() {
    let text_of =
        "metadata_prefix = \"meta_\"\n[columns]\nKunde = \"external_id\"\nNotiz = \"ignore\"\nMail = \"email\"\n";
    let mapping = Mapping::parse(text_of).expect("a mapping");
    let file: &[u8] = b"Notiz,MAIL,kunde,meta_Plan\nx,ada@example.com,7,gold\n";
    let mut reader = Reader::open(file, Some(Format::Csv), mapping, Unknown::Refuse, now()).expect("a file");
    let customer = reader.next_row().expect("a row").expect("a row").customer.expect("a customer");
    assert_eq!((text(&customer.edit.external_id), metadata(&customer).as_str()), (Some("7"), r#"{"Plan":"gold"}"#));
}

#[test]
fn unknown_columns_are_listed_kept_or_ignored() {
    let file = b"Email,Shoe size,Colour\nada@example.com,39,red\n";
    let refused = open(file, "stripe", Unknown::Refuse).map(drop).expect_err("two unknown columns").to_string();
    assert!(refused.contains("Shoe size, Colour; name them in a mapping"), "{refused}");
    let read = |unknown| {
        let mut reader = open(file, "stripe", unknown).expect("a file");
        metadata(&reader.next_row().expect("a row").expect("a row").customer.expect("a customer"))
    };
    assert_eq!(read(Unknown::Metadata), r#"{"Shoe size":"39","Colour":"red"}"#);
    assert_eq!(read(Unknown::Ignore), "");
    assert!(matches!(open(b"a,b\n1,2\n", "stripe", Unknown::Ignore), Err(FileError::NoField(_))));
    let row = br#"{"email":"ada@example.com","shoe":{"size":39}}"#;
    assert_eq!(faults(row, "stripe"), [(Some("shoe.size".to_owned()), "unknown_column")]);
}

#[test]
fn every_rule_that_a_row_breaks_is_named() {
    let file = b"id,Email,Phone,Created (UTC),Currency\ncon_1,nobody,030,2030-01-01,EURO\n";
    let at = |column: &str, code| (Some(column.to_owned()), code);
    assert_eq!(
        faults(file, "stripe"),
        [
            at("id", "reserved_prefix"),
            at("Email", "invalid_email"),
            at("Phone", "invalid_phone"),
            at("Created (UTC)", "in_the_future"),
            at("Currency", "invalid_currency"),
        ]
    );
    assert_eq!(faults(b"id,Email\n1\n", "stripe"), [(None, "wrong_number_of_cells")]);
    assert_eq!(faults(b"id,Email\n1,\xe9da@example.com\n", "stripe"), [at("Email", "not_utf8")]);
    assert_eq!(faults(b"email,metadata\na@example.com,[1]\n", "roster"), [at("metadata", "not_an_object")]);
    assert_eq!(
        faults(b"email,metadata\na@example.com,\"{\"\"a\"\":1,\"\"a\"\":2}\"\n", "roster"),
        [at("metadata", "invalid_json")]
    );
    assert_eq!(
        faults(b"Email,Customer Email\na@example.com,b@example.com\n", "stripe"),
        [at("Customer Email", "two_values")]
    );
    assert_eq!(faults(b"{\"email\":", "roster"), [(None, "invalid_json")]);
    assert_eq!(faults(br#"{"email":["a"]}"#, "roster"), [at("email", "not_a_text")]);
    assert_eq!(faults(b"{\"email\":\"\xe9\"}", "roster"), [(None, "not_utf8")]);
}

#[test]
fn good_rows_are_read_behind_bad_ones() {
    let rows = rows(b"Email\nnone\nada@example.com\n\xff\neda@example.com\n", "stripe");
    let good: Vec<bool> = rows.iter().map(|row| row.customer.is_ok()).collect();
    assert_eq!(good, [false, true, false, true]);
    assert_eq!(rows[3].line, 5);
}

#[test]
fn other_encodings_are_refused_with_the_byte() {
    let message = |file: &[u8]| open(file, "stripe", Unknown::Refuse).map(drop).expect_err("not UTF-8").to_string();
    assert!(message(b"\xff\xfeE\0m\0").contains("UTF-16 (it begins with the bytes 0xff 0xfe)"));
    let latin = message(b"Email,Stra\xdfe\n");
    assert!(latin.contains("byte 0xdf of the column 2, behind \"Stra\""), "{latin}");
    assert!(matches!(open(b"", "stripe", Unknown::Refuse), Err(FileError::Empty)));
}

/// A header, and then a cell that does not end.
struct Endless {
    beginning: &'static [u8],
    given: usize,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.given += buffer.len();
        assert!(self.given < 8 * MAX_ROW_BYTES, "it is read without end");
        let read = self.beginning.read(buffer)?;
        buffer[read..].fill(b'x');
        Ok(buffer.len())
    }
}

#[test]
fn a_quote_that_does_not_end_is_found_in_bounded_memory() {
    let file = Endless { beginning: b"Email,Name\nada@example.com,\"", given: 0 };
    let mut reader = Reader::open(file, None, mapping("stripe"), Unknown::Refuse, now()).expect("a header");
    assert!(matches!(reader.next_row(), Err(FileError::RowTooLong(2))));
    let file = Endless { beginning: b"{", given: 0 };
    // A line that does not end has no next one either.
    let file = file.take(4 * MAX_ROW_BYTES as u64);
    let mut reader = Reader::open(file, None, mapping("stripe"), Unknown::Refuse, now()).expect("a file");
    let row = reader.next_row().expect("a row").expect("a row");
    assert_eq!(row.customer.expect_err("a long row")[0].code, "row_too_long");
    assert!(reader.next_row().expect("the end").is_none());
}

#[test]
fn what_roster_marks_is_read_as_it_was_and_other_files_keep_their_apostrophes() {
    let own = customer(b"name,phone,tax_id,business_name\n'=1+1,'+4930123456,',''x\n", "roster");
    assert_eq!(
        [text(&own.edit.name), text(&own.edit.phone), text(&own.edit.tax_id), text(&own.edit.details.business_name)],
        ["=1+1", "+4930123456", "", "'x"].map(Some)
    );
    let other = customer(b"Name,Email\n'=1+1,ada@example.com\n", "stripe");
    assert_eq!(text(&other.edit.name), Some("'=1+1"));
}
