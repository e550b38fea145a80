//! Files that were sent to be imported by the service.

use roster_domain::{ImportId, Tenant, Timestamp, UploadId};

use crate::{Actor, Digest};

/// A file that was sent to be imported. It is kept in parts until its import has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The tenant.
    pub tenant: Tenant,
    /// Its identifier.
    pub id: UploadId,
    /// How far it has come.
    pub state: UploadState,
    /// How its rows are read and treated, in a form of the caller.
    pub options: String,
    /// Who sent it.
    pub actor: Actor,
    /// Its import, once all of the file is there.
    pub import: Option<ImportId>,
    /// The SHA-256 of the file, once all of it is there.
    pub digest: Option<Digest>,
    /// The bytes of the file that are there.
    pub size: u64,
    /// The parts of the file that are there, numbered from 0.
    pub parts: u32,
    /// The parts of the list of errors, numbered from 0.
    pub error_parts: u32,
    /// Why it has failed.
    pub failure: Option<String>,
    /// Counts the leases: of two workers that believe to have it, the one with the lower number writes nothing.
    pub fence: i64,
    /// When another worker may lease it. `None`: now.
    pub lease_until: Option<Timestamp>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it came to this place.
    pub updated_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// How far an upload has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadState {
    /// Its file is being sent.
    Receiving,
    /// Its rows are being imported, or are about to be.
    Running,
    /// All rows were read.
    Finished,
    /// It does not go on: [`Upload::failure`] says why.
    Failed,
    /// Its owner has ended it.
    Cancelled,
}

impl UploadState {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Receiving, Self::Running, Self::Finished, Self::Failed, Self::Cancelled];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Receiving => "receiving",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }
}

/// What a part of an upload is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PartKind {
    /// The file.
    File,
    /// The list of errors: whole lines of NDJSON.
    Errors,
}

impl PartKind {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Errors => "errors",
        }
    }
}
