//! A row of a file as a customer, or every rule that it breaks.

use roster_application::{ImportedCustomer, ImportedMetadata, json};
use roster_domain::{CustomerEdit, Json, Metadata, Object, Timestamp};

use crate::cell::Cell;
use crate::fields::{Field, Refused};
use crate::formula;
use crate::mapping::Target;
use crate::time;

/// A rule that a row breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The column. `None`: the row as a whole.
    pub column: Option<String>,
    /// The name of the rule.
    pub code: &'static str,
    /// The rule.
    pub rule: String,
}

impl Fault {
    pub(crate) fn of_row(code: &'static str, rule: impl Into<String>) -> Self {
        Self { column: None, code, rule: rule.into() }
    }

    pub(crate) fn at(column: &str, refused: Refused) -> Self {
        Self { column: Some(column.to_owned()), code: refused.code, rule: refused.rule }
    }

    /// What to do about it, in one sentence.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        remedy(self.code)
    }
}

/// What to do about a broken rule. Those of the import itself are here, too.
fn remedy(code: &str) -> &'static str {
    match code {
        "not_utf8" => "save the file as UTF-8",
        "wrong_number_of_cells" => "quote cells that have a comma, a quote or a line break in them",
        "unknown_column" => "name it in a mapping, or choose what becomes of unknown columns with --unknown",
        "invalid_json" => "write one JSON object in each line",
        "row_too_long" => "shorten it, or look for a quote that does not end",
        "invalid_phone" => "write it with the country code, such as +14155552671",
        "invalid_country" => "write the code of two letters, such as US",
        "invalid_timestamp" => "write it as 2025-01-15T12:00:00Z",
        "in_the_future" => "correct it, or leave the cell empty",
        "too_long" | "too_large" | "too_deep" => "shorten it",
        "two_values" => "empty one of the two cells, or map one of the columns to ignore",
        "email_taken" => "skip or update with --on-conflict, or share the address with --allow-duplicate-emails",
        "external_id_taken" => "skip or update with --on-conflict",
        _ => "correct the cell",
    }
}

/// A customer while the cells of its row are read.
pub(crate) struct Draft<'a> {
    is_exact: bool,
    now: Timestamp,
    edit: CustomerEdit,
    /// The fields that are set, each with its column and text.
    set: Vec<(Field, &'a str, String)>,
    names: [Option<String>; 2],
    created_at: Option<Timestamp>,
    whole: Option<Object>,
    keys: Vec<(String, Json)>,
    faults: Vec<Fault>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(is_exact: bool, now: Timestamp) -> Self {
        Self {
            is_exact,
            now,
            edit: CustomerEdit::default(),
            set: Vec::new(),
            names: [None, None],
            created_at: None,
            whole: None,
            keys: Vec::new(),
            faults: Vec::new(),
        }
    }

    pub(crate) fn refuse(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// Takes the value of a column.
    pub(crate) fn take(&mut self, column: &'a str, target: &Target, cell: Cell) {
        if let Err(refused) = self.try_take(column, target, cell) {
            self.faults.push(Fault::at(column, refused));
        }
    }

    fn try_take(&mut self, column: &'a str, target: &Target, cell: Cell) -> Result<(), Refused> {
        match target {
            Target::Ignored => {}
            Target::Metadata => {
                let json = match cell {
                    Cell::Text(text) if text.trim().is_empty() => return Ok(()),
                    Cell::Text(text) => {
                        json::read(text.as_bytes()).map_err(|error| Refused::new("invalid_json", error.to_string()))?
                    }
                    Cell::Json(Json::Null) => return Ok(()),
                    Cell::Json(json) => json,
                };
                let Json::Object(object) = json else {
                    return Err(Refused::new("not_an_object", "must be a JSON object"));
                };
                self.whole = Some(object);
            }
            Target::MetadataKey(key) => {
                let cell = match cell {
                    Cell::Text(text) if text.is_empty() => return Ok(()),
                    cell => cell,
                };
                let Some(value) = cell.into_json() else { return Ok(()) };
                self.take_key(key, value)?;
            }
            Target::FirstName | Target::LastName | Target::CreatedAt | Target::Field(_) => {
                let is_cell = matches!(cell, Cell::Text(_));
                let Some(text) = cell.into_text()? else { return Ok(()) };
                let text = match (self.is_exact, is_cell) {
                    // In a JSON object, what is absent is null.
                    (true, false) => Some(text.as_str()),
                    (true, true) => formula::restore(&text),
                    (false, _) => Some(text.as_str()).filter(|text| !text.trim().is_empty()),
                };
                if let Some(text) = text {
                    self.take_text(column, target, text)?;
                }
            }
        }
        Ok(())
    }

    fn take_text(&mut self, column: &'a str, target: &Target, text: &str) -> Result<(), Refused> {
        match target {
            Target::FirstName => self.names[0] = Some(text.trim().to_owned()),
            Target::LastName => self.names[1] = Some(text.trim().to_owned()),
            Target::CreatedAt => {
                let time = time::parse(text)?;
                if time > self.now {
                    return Err(Refused::new("in_the_future", "must not be in the future"));
                }
                self.created_at = Some(time);
            }
            Target::Field(field) => {
                if let Some((_, other, earlier)) = self.set.iter().find(|(set, ..)| set == field) {
                    if earlier != text {
                        let rule = format!("must be what the column {other} has, which is the same field");
                        return Err(Refused::new("two_values", rule));
                    }
                    return Ok(());
                }
                field.set(&mut self.edit, text)?;
                self.set.push((*field, column, text.to_owned()));
            }
            Target::Metadata | Target::MetadataKey(_) | Target::Ignored => {}
        }
        Ok(())
    }

    fn take_key(&mut self, key: &str, value: Json) -> Result<(), Refused> {
        match self.keys.iter().find(|(known, _)| known == key) {
            Some((_, earlier)) if *earlier == value => {}
            Some(_) => return Err(Refused::new("two_values", format!("must be what the other column of {key} has"))),
            None => self.keys.push((key.to_owned(), value)),
        }
        Ok(())
    }

    /// The customer, if no rule is broken.
    pub(crate) fn finish(mut self) -> Result<ImportedCustomer, Vec<Fault>> {
        let names: Vec<String> = std::mem::take(&mut self.names).into_iter().flatten().collect();
        let has_name = self.set.iter().any(|(field, ..)| *field == Field::Name);
        if !has_name
            && !names.is_empty()
            && let Err(refused) = Field::Name.set(&mut self.edit, &names.join(" "))
        {
            self.faults.push(Fault::at("first_name, last_name", refused));
        }
        let metadata = self.metadata().unwrap_or_else(|refused| {
            self.faults.push(Fault::at("metadata", refused));
            ImportedMetadata::Absent
        });
        if !self.faults.is_empty() {
            return Err(self.faults);
        }
        Ok(ImportedCustomer { edit: self.edit, metadata, created_at: self.created_at })
    }

    fn metadata(&mut self) -> Result<ImportedMetadata, Refused> {
        let keys = std::mem::take(&mut self.keys);
        let Some(whole) = self.whole.take() else {
            if keys.is_empty() {
                return Ok(ImportedMetadata::Absent);
            }
            let twice = |_| Refused::new("duplicate_key", "must not have a key twice");
            let object = Object::try_from(keys).map_err(twice)?;
            Metadata::new(&object)?;
            return Ok(ImportedMetadata::Keys(object));
        };
        // Keys of columns of their own are put into the object, where it does not have them.
        let mut pairs: Vec<(String, Json)> = whole.into_iter().collect();
        let more: Vec<_> = keys.into_iter().filter(|(key, _)| pairs.iter().all(|(known, _)| known != key)).collect();
        pairs.extend(more);
        let object = Object::try_from(pairs).map_err(|_| Refused::new("duplicate_key", "must not have a key twice"))?;
        Ok(ImportedMetadata::Whole(Metadata::new(&object)?))
    }
}
