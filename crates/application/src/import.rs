//! Customers that come from a file, and how far an import has come.

use roster_domain::{CustomerEdit, ImportId, Metadata, Object, Tenant, Timestamp};

use crate::Digest;

/// A customer as a row of a file has it.
#[derive(Debug, Clone)]
pub struct ImportedCustomer {
    /// What the row has, all but the metadata. What it does not have is kept.
    pub edit: CustomerEdit,
    /// The metadata.
    pub metadata: ImportedMetadata,
    /// When it was created where it comes from. `None`: now. It is not changed of a customer that is there already.
    pub created_at: Option<Timestamp>,
}

/// The metadata of a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ImportedMetadata {
    /// The row has none.
    #[default]
    Absent,
    /// All of it: it replaces that of a customer that is there already.
    Whole(Metadata),
    /// Some keys, within the limits of metadata: others stay.
    Keys(Object),
}

/// What becomes of a row whose e-mail address or external identifier a live customer has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// The row is refused.
    #[default]
    Fail,
    /// The row is left out.
    Skip,
    /// The customer gets what the row has. Without an external identifier in the row, it is the customer that has the address
    /// and shares it with no other.
    Update,
}

impl OnConflict {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Fail, Self::Skip, Self::Update];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Skip => "skip",
            Self::Update => "update",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }
}

/// An import of a file into a tenant, and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The tenant.
    pub tenant: Tenant,
    /// Its identifier, which the identifiers of its customers follow from.
    pub id: ImportId,
    /// The SHA-256 of the file.
    pub digest: Digest,
    /// What else decides on its result, as a text: another import of the file may have another.
    pub options: String,
    /// How many rows of the file were read, and what became of them.
    pub counts: ImportCounts,
    /// When it began.
    pub created_at: Timestamp,
    /// When it came to this place.
    pub updated_at: Timestamp,
    /// When it came to the end of the file.
    pub finished_at: Option<Timestamp>,
}

/// What became of the rows of an import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportCounts {
    /// All rows that were read: the import goes on behind them.
    pub rows: u64,
    /// Rows that made a customer.
    pub created: u64,
    /// Rows that changed one.
    pub updated: u64,
    /// Rows whose customer was as they say.
    pub unchanged: u64,
    /// Rows that were left out, because a customer has their identifiers.
    pub skipped: u64,
    /// Rows that were refused.
    pub failed: u64,
    /// The rules that these broke: one row may break several.
    pub faults: u64,
}
