//! How the rows of a file are read and treated.

use roster_application::{ImportRules, OnConflict};
use serde::{Deserialize, Serialize};

use crate::mapping::Unknown;
use crate::reader::Format;

/// How the rows of a file are read and treated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportOptions {
    /// The name of a mapping.
    pub from: String,
    /// The format. `None`: what the file begins with.
    pub format: Option<Format>,
    /// What becomes of columns that the mapping does not name.
    pub unknown: Unknown,
    /// What becomes of rows whose identifiers a customer has.
    #[serde(with = "on_conflict")]
    pub on_conflict: OnConflict,
    /// Whether a row may share the address of another customer.
    pub allow_duplicate_emails: bool,
    /// With more rows refused the import ends.
    pub max_errors: u64,
}

impl ImportOptions {
    /// The usual bound of rows that are refused.
    pub const DEFAULT_MAX_ERRORS: u64 = 1000;

    /// How rows are treated.
    #[must_use]
    pub fn import_rules(&self) -> ImportRules {
        ImportRules { on_conflict: self.on_conflict, shares_emails: self.allow_duplicate_emails }
    }

    /// What decides on the result besides the file, as options of the command line. `mapping`: the digest of a mapping that is
    /// not one of the program.
    #[must_use]
    pub fn rules(&self, mapping: Option<&str>) -> String {
        let Self { from, on_conflict, unknown, format, .. } = self;
        let mut options = vec![format!("--from {from}")];
        options.extend(mapping.map(|digest| format!("(SHA-256 {digest})")));
        options.push(format!("--on-conflict {} --unknown {}", on_conflict.as_str(), unknown.as_str()));
        options.extend(format.map(|format| format!("--format {}", format.as_str())));
        options.extend(self.allow_duplicate_emails.then(|| "--allow-duplicate-emails".to_owned()));
        options.join(" ")
    }
}

mod on_conflict {
    use roster_application::OnConflict;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the derived code passes a reference")]
    pub fn serialize<S: Serializer>(value: &OnConflict, serializer: S) -> Result<S::Ok, S::Error> {
        value.as_str().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OnConflict, D::Error> {
        let name = String::deserialize(deserializer)?;
        OnConflict::named(&name).ok_or_else(|| D::Error::custom("is none of these"))
    }
}
