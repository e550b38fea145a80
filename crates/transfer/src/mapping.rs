//! Which column of a file is which field of a customer.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use crate::fields::Field;

/// Where the value of a column goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// To a field.
    Field(Field),
    /// To the first part of the name, and the rest of it.
    FirstName,
    LastName,
    /// When the customer was created.
    CreatedAt,
    /// To the whole metadata, which it is as JSON.
    Metadata,
    /// To one key of the metadata.
    MetadataKey(String),
    /// Nowhere.
    Ignored,
}

/// What becomes of a column that the mapping does not name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unknown {
    /// The file is refused, or the row of a file whose rows name their fields.
    #[default]
    Refuse,
    /// It is kept as a metadata key of its name.
    Metadata,
    /// It is left out.
    Ignore,
}

impl Unknown {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Refuse, Self::Metadata, Self::Ignore];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Metadata => "metadata",
            Self::Ignore => "ignore",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }
}

/// Why a text is not a mapping.
#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    /// It breaks the grammar of TOML, or has other keys.
    #[error("{0}")]
    Toml(String),
    /// A column leads to what no customer has.
    #[error(
        "columns.{column:?} is {target:?}, which is no field of a customer; write one of {fields}, first_name, last_name, \
         created_at, metadata, metadata.KEY or ignore",
        fields = Field::ALL.iter().map(|field| field.name()).collect::<Vec<_>>().join(", ")
    )]
    Target {
        /// The column.
        column: String,
        /// What is given for it.
        target: String,
    },
    /// Two columns that differ in case alone.
    #[error("columns has {0:?} twice: upper and lower case make no difference")]
    Twice(String),
}

/// Which column of a file is which field of a customer. Upper and lower case of columns make no difference.
#[derive(Debug, Clone)]
pub struct Mapping {
    columns: HashMap<String, Target>,
    metadata_prefix: Option<String>,
    metadata_suffix: Option<String>,
    /// Whether Roster has written the file: empty texts are told apart from absent ones, and texts are marked where a
    /// spreadsheet would take them for formulas.
    pub(crate) is_exact: bool,
}

/// A mapping as TOML.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    #[serde(default)]
    exact: bool,
    metadata_prefix: Option<String>,
    metadata_suffix: Option<String>,
    columns: BTreeMap<String, String>,
}

/// The mappings that come with the program.
const BUILT_IN: [(&str, &str); 6] = [
    ("roster", include_str!("mappings/roster.toml")),
    ("stripe", include_str!("mappings/stripe.toml")),
    ("lago", include_str!("mappings/lago.toml")),
    ("lava", include_str!("mappings/lava.toml")),
    ("billingio", include_str!("mappings/billingio.toml")),
    ("lumen", include_str!("mappings/lumen.toml")),
];

impl Mapping {
    /// The names of the mappings that come with the program.
    pub fn names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// The text of the mapping that comes with the program under this name.
    #[must_use]
    pub fn text_of(name: &str) -> Option<&'static str> {
        BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
    }

    /// Reads a mapping:
    ///
    /// ```toml
    /// metadata_prefix = "meta_"      # a column meta_plan is the metadata key plan
    /// metadata_suffix = " (metadata)"
    ///
    /// [columns]
    /// "Customer" = "external_id"
    /// "E-Mail" = "email"
    /// "Plan" = "metadata.plan"
    /// "Notes" = "ignore"
    /// ```
    ///
    /// # Errors
    /// [`MappingError`]
    pub fn parse(text: &str) -> Result<Self, MappingError> {
        let text: Text = toml::from_str(text).map_err(|error| MappingError::Toml(error.to_string()))?;
        let mut columns = HashMap::with_capacity(text.columns.len());
        for (column, name) in text.columns {
            let target =
                target(&name).ok_or_else(|| MappingError::Target { column: column.clone(), target: name.clone() })?;
            if columns.insert(folded(&column), target).is_some() {
                return Err(MappingError::Twice(column));
            }
        }
        let Text { exact: is_exact, metadata_prefix, metadata_suffix, .. } = text;
        Ok(Self { columns, metadata_prefix, metadata_suffix, is_exact })
    }

    /// Where a column goes. `None`: it is not named.
    pub(crate) fn target(&self, column: &str) -> Option<Target> {
        let column = column.trim();
        if let Some(target) = self.columns.get(&folded(column)) {
            return Some(target.clone());
        }
        let cut = |cut: fn(&str, &str) -> Option<String>, text: &Option<String>| cut(column, text.as_deref()?);
        let key = cut(|column, prefix| column.strip_prefix(prefix).map(str::to_owned), &self.metadata_prefix)
            .or_else(|| cut(|column, suffix| column.strip_suffix(suffix).map(str::to_owned), &self.metadata_suffix))?;
        Some(Target::MetadataKey(key))
    }
}

fn target(name: &str) -> Option<Target> {
    Some(match name {
        "first_name" => Target::FirstName,
        "last_name" => Target::LastName,
        "created_at" => Target::CreatedAt,
        "metadata" => Target::Metadata,
        "ignore" => Target::Ignored,
        _ => match name.strip_prefix("metadata.") {
            Some(key) => Target::MetadataKey(key.to_owned()),
            None => Target::Field(Field::named(name)?),
        },
    })
}

fn folded(column: &str) -> String {
    column.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mapping_of_the_program_can_be_read() {
        for (name, text) in BUILT_IN {
            let mapping = Mapping::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(mapping.is_exact, name == "roster");
        }
    }

    #[test]
    fn rosters_own_mapping_has_every_column_that_is_written() {
        let mapping = Mapping::parse(BUILT_IN[0].1).expect("a mapping");
        for field in Field::ALL {
            assert_eq!(mapping.target(field.name()), Some(Target::Field(*field)));
        }
        for column in [crate::csv_writer::FIRST].into_iter().chain(crate::csv_writer::LAST) {
            assert!(mapping.target(column).is_some(), "{column}");
        }
    }

    #[test]
    fn a_column_is_found_in_any_case_and_a_metadata_column_by_its_ending() {
        let mapping = Mapping::parse(Mapping::text_of("stripe").expect("a mapping")).expect("a mapping");
        assert_eq!(mapping.target(" created (utc)"), Some(Target::CreatedAt));
        assert_eq!(mapping.target("Plan (metadata)"), Some(Target::MetadataKey("Plan".to_owned())));
        assert_eq!(mapping.target("Favourite colour"), None);
    }

    #[test]
    fn a_wrong_mapping_names_what_is_wrong() {
        let error = |text: &str| Mapping::parse(text).expect_err("a wrong mapping").to_string();
        assert!(error("[columns]\nMail = \"e-mail\"").starts_with("columns.\"Mail\" is \"e-mail\""));
        assert!(error("[columns]\nMail = \"email\"\nmail = \"name\"").contains("twice"));
        assert!(error("[column]\nMail = \"email\"").contains("unknown field `column`"));
        assert!(error("columns").contains("line 1"));
    }
}
