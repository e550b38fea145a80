//! Imports: rows of a file become customers, batch by batch, each row once, however often the importer is killed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use roster_domain::metadata::MetadataError;
use roster_domain::{
    Customer, CustomerEdit, CustomerId, CustomerStatus, Edit, EmailUse, ExternalId, Metadata, MetadataEdit, Origin,
    Tenant, Timestamp,
};

use super::upload_imports::Held;
use crate::import::{Import, ImportCounts, ImportedCustomer, ImportedMetadata, OnConflict};
use crate::json::metadata_patch;
use crate::ports::{
    CustomerKey, CustomerRef, CustomerState, Identifier, StoreError, Taken, UnitOfWork, Write, Written,
};
use crate::{Actor, Attribution, Digest, Roster};

/// How many imports of a tenant are remembered.
pub const MAX_IMPORTS: usize = 100;

/// How often a batch is decided anew at most because another writer was faster.
const RETRIES: usize = 5;

/// An import that has begun, now or earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BegunImport {
    /// It goes on from where it is.
    Open(Import),
    /// This file was imported to its end before.
    Finished(Import),
    /// An import of this file, with other options, has not come to its end.
    OpenWithOthers(Import),
}

/// Some rows of a file.
#[derive(Debug, Clone, Default)]
pub struct ImportBatch {
    /// The rows that can be read, each with its number in the file, from 1.
    pub rows: Vec<(u64, ImportedCustomer)>,
    /// The number of the last row of the batch.
    pub last: u64,
    /// How many of its rows cannot be read.
    pub failed: u64,
    /// The rules that these broke.
    pub faults: u64,
    /// Whether the file ends with it.
    pub is_last: bool,
}

/// How an import treats its rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct ImportRules {
    /// What becomes of rows whose identifiers a customer has.
    pub on_conflict: OnConflict,
    /// Whether a row may have the address of another customer: both share it then.
    pub shares_emails: bool,
}

/// Why a row was refused that could be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowRefusal {
    /// A live customer of the tenant has its e-mail address.
    #[error("{0} has this address")]
    EmailTaken(CustomerId),
    /// A live customer of the tenant has its external identifier.
    #[error("{0} has this identifier")]
    ExternalIdTaken(CustomerId),
    /// An earlier row of the file has its e-mail address.
    #[error("an earlier row has this address")]
    EmailRepeated,
    /// An earlier row of the file has its external identifier.
    #[error("an earlier row has this identifier")]
    ExternalIdRepeated,
    /// The merged metadata breaks a limit.
    #[error("the merged metadata {0}")]
    Metadata(MetadataError),
}

/// Why an import does not go on.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Another process has gone on with it meanwhile.
    #[error("another process goes on with this import")]
    GoneOn,
    /// The merchant was disabled. Only the imports of the service end with that: the command is an operator's.
    #[error("the merchant was disabled: once it is enabled, send the file again, and its import goes on from here")]
    MerchantDisabled,
    /// What was refused could not be reported.
    #[error("the errors cannot be written")]
    Report(#[source] std::io::Error),
    /// The store failed.
    #[error("the customers could not be written")]
    Store(#[from] StoreError),
}

/// Takes the rows that a batch refuses, each with its number, before the batch is kept. It may be called again for the same batch,
/// with other rows: only the last call counts.
pub type Report<'a> = dyn FnMut(&[(u64, RowRefusal)]) -> std::io::Result<()> + 'a;

impl Roster {
    /// Begins an import of the file with `digest`, or finds the one that has begun already. `anew`: one that has begun before
    /// does not count.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn begin_import(
        &self,
        tenant: Tenant,
        digest: Digest,
        options: &str,
        anew: bool,
    ) -> Result<BegunImport, StoreError> {
        let new = self.rehearse_import(tenant, digest).import;
        self.store.transaction(|uow| {
            let imports = uow.imports().list(tenant, MAX_IMPORTS)?;
            let known = imports.iter().find(|import| import.digest == digest).filter(|_| !anew);
            if let Some(known) = known.cloned() {
                return Ok(match (known.finished_at, known.options == options) {
                    (Some(_), _) => BegunImport::Finished(known),
                    (None, true) => BegunImport::Open(known),
                    (None, false) => BegunImport::OpenWithOthers(known),
                });
            }
            let import = Import { options: options.to_owned(), ..new.clone() };
            uow.imports().insert(&import)?;
            if let Some(oldest) = imports.get(MAX_IMPORTS - 2) {
                uow.imports().forget_before(tenant, oldest.id)?;
            }
            Ok(BegunImport::Open(import))
        })
    }

    /// Makes customers of the rows of a batch, and moves the import behind them, in one transaction. `import` is how far it has
    /// come; returns how far it has come now.
    ///
    /// The customer of a row has an identifier that follows from the import and the number of the row, keeps the time of its
    /// creation, and its event is the operator's, with the import as the request.
    ///
    /// # Errors
    /// [`ImportError`]. Nothing of the batch is kept then, unless the store was out of reach: begin again to find out.
    pub fn import_batch(
        &self,
        import: &Import,
        rules: ImportRules,
        batch: &ImportBatch,
        report: &mut Report<'_>,
    ) -> Result<Import, ImportError> {
        self.try_batch(import, rules, Keep::Import, batch, report)
    }

    /// The same, of which is kept what `keep` says.
    pub(super) fn try_batch(
        &self,
        import: &Import,
        rules: ImportRules,
        keep: Keep<'_>,
        batch: &ImportBatch,
        report: &mut Report<'_>,
    ) -> Result<Import, ImportError> {
        let (actor, held) = match keep {
            Keep::Upload(held) => (held.actor(), Some(held)),
            Keep::Import | Keep::Nothing => (Actor::Operator, None),
        };
        let is_dry = matches!(keep, Keep::Nothing);
        let attribution = Arc::new(Attribution { actor, request_id: Some(import.id.to_string()), reason: None });
        for _ in 0..=RETRIES {
            let now = self.now();
            let read = self.read_holders(import.tenant, rules, &batch.rows)?;
            let attempt = Attempt { import, rules, is_dry, held, batch, attribution: &attribution, read: &read, now };
            match self.store.transaction(|uow| attempt.run(uow, report)) {
                Ok(import) | Err(Undone::Dry(import)) => return Ok(*import),
                Err(Undone::Lost) => {}
                Err(Undone::Error(error)) => return Err(error),
            }
        }
        Err(StoreError::lost_race("other writers were faster each time").into())
    }

    /// The live customers that have the external identifiers of rows, if that makes a difference to them.
    fn read_holders(
        &self,
        tenant: Tenant,
        rules: ImportRules,
        rows: &[(u64, ImportedCustomer)],
    ) -> Result<HashMap<ExternalId, Customer>, StoreError> {
        if rules.on_conflict == OnConflict::Fail {
            return Ok(HashMap::new());
        }
        let keys = keys_of(tenant, rows);
        Ok(by_external_id(self.store.direct(|uow| uow.customers().find(CustomerState::Live, &keys))?))
    }
}

/// What is kept of a batch.
#[derive(Clone, Copy)]
pub(super) enum Keep<'a> {
    /// Nothing: it is only found out what would happen, and the import is not stored.
    Nothing,
    /// All of it.
    Import,
    /// All of it, and how far the upload has come.
    Upload(&'a Held<'a>),
}

/// Why a transaction is rolled back.
enum Undone {
    /// What it was decided from is not stored: all of it is decided anew.
    Lost,
    /// Nothing is to be kept of it.
    Dry(Box<Import>),
    Error(ImportError),
}

impl From<StoreError> for Undone {
    fn from(error: StoreError) -> Self {
        Self::Error(error.into())
    }
}

/// One attempt to import a batch.
struct Attempt<'a> {
    import: &'a Import,
    rules: ImportRules,
    is_dry: bool,
    held: Option<&'a Held<'a>>,
    batch: &'a ImportBatch,
    attribution: &'a Arc<Attribution>,
    read: &'a HashMap<ExternalId, Customer>,
    now: Timestamp,
}

/// What became of the rows so far.
#[derive(Default)]
struct Results {
    counts: ImportCounts,
    refused: Vec<(u64, RowRefusal)>,
}

impl Attempt<'_> {
    fn run(&self, uow: &mut dyn UnitOfWork, report: &mut Report<'_>) -> Result<Box<Import>, Undone> {
        let upload = self.held.map(|held| held.lock(uow)).transpose().map_err(Undone::Error)?;
        let stored = uow.imports().lock(self.import.tenant, self.import.id)?;
        if stored.as_ref().map(|stored| stored.counts) != Some(self.import.counts) && !self.is_dry {
            return Err(Undone::Error(ImportError::GoneOn));
        }
        let mut results = Results::default();
        for (place, rows) in self.independent_rows().into_iter().enumerate() {
            let later = if place == 0 { HashMap::new() } else { self.holders_of(uow, rows)? };
            self.write(uow, rows, if place == 0 { self.read } else { &later }, &mut results)?;
        }
        results.refused.sort_by_key(|(number, _)| *number);
        report(&results.refused).map_err(|error| Undone::Error(ImportError::Report(error)))?;
        let moved = self.moved(&results);
        if self.is_dry {
            return Err(Undone::Dry(Box::new(moved)));
        }
        uow.imports().update(&moved)?;
        if let (Some(held), Some(upload)) = (self.held, upload) {
            held.record(uow, upload, &moved)?;
        }
        Ok(Box::new(moved))
    }

    /// The rows in parts, in their order. If rows may change customers, no two of a part have an identifier in common: the second
    /// is decided from what the first has made.
    fn independent_rows(&self) -> Vec<&[(u64, ImportedCustomer)]> {
        let rows = self.batch.rows.as_slice();
        if self.rules.on_conflict != OnConflict::Update {
            return vec![rows];
        }
        let mut parts = Vec::new();
        let (mut first, mut seen) = (0, HashSet::new());
        for (place, (_, row)) in rows.iter().enumerate() {
            if identifiers(row).any(|one| seen.contains(&one)) {
                parts.push(&rows[first..place]);
                first = place;
                seen.clear();
            }
            seen.extend(identifiers(row));
        }
        parts.push(&rows[first..]);
        parts
    }

    /// The customers that have the external identifiers of rows, after what the rows before them have made.
    fn holders_of(
        &self,
        uow: &mut dyn UnitOfWork,
        rows: &[(u64, ImportedCustomer)],
    ) -> Result<HashMap<ExternalId, Customer>, StoreError> {
        let found = uow.customers().find(CustomerState::Live, &keys_of(self.import.tenant, rows))?;
        Ok(by_external_id(found))
    }

    fn write(
        &self,
        uow: &mut dyn UnitOfWork,
        rows: &[(u64, ImportedCustomer)],
        holders: &HashMap<ExternalId, Customer>,
        results: &mut Results,
    ) -> Result<(), Undone> {
        let mut writes = Vec::with_capacity(rows.len());
        for (number, row) in rows {
            let holder = external_id(row).and_then(|id| holders.get(id));
            let write = match (holder, self.rules.on_conflict) {
                (None, _) | (Some(_), OnConflict::Fail) => self.creation(*number, row, row.edit.email_use),
                (Some(_), OnConflict::Skip) => {
                    results.counts.skipped += 1;
                    continue;
                }
                (Some(holder), OnConflict::Update) => self.change(row, holder.clone(), row.edit.email_use)?,
            };
            results.take(*number, row, write, &mut writes);
        }
        let mut again = Vec::new();
        for (planned, written) in writes.iter().zip(self.make(uow, &writes)?) {
            match written {
                Written::Done => results.count(&planned.write),
                Written::Stale => return Err(Undone::Lost),
                Written::Taken(taken) => self.settle_taken(uow, planned, &taken, &mut again, results)?,
            }
        }
        for (planned, written) in again.iter().zip(self.make(uow, &again)?) {
            match written {
                Written::Done => results.count(&planned.write),
                Written::Taken(taken) => results.refuse(planned.number, &taken),
                Written::Stale => return Err(Undone::Lost),
            }
        }
        Ok(())
    }

    fn make(&self, uow: &mut dyn UnitOfWork, planned: &[Planned<'_>]) -> Result<Vec<Written>, StoreError> {
        let asked_for = |write: &Write| write.clone().asked_for_by(Some(Arc::clone(self.attribution)));
        let writes: Vec<Write> = planned.iter().map(|planned| asked_for(&planned.write)).collect();
        if writes.is_empty() { Ok(Vec::new()) } else { uow.customers().write(&writes) }
    }

    /// Decides on a write whose identifiers another customer has.
    fn settle_taken<'r>(
        &self,
        uow: &mut dyn UnitOfWork,
        planned: &Planned<'r>,
        taken: &Taken,
        again: &mut Vec<Planned<'r>>,
        results: &mut Results,
    ) -> Result<(), Undone> {
        let Planned { number, row, write } = planned;
        let (rules, is_creation) = (self.rules, write.before().is_none());
        let by_address = taken.email.filter(|_| taken.external_id.is_none());
        match (by_address, rules.on_conflict) {
            (None, OnConflict::Update) if is_creation => return Err(Undone::Lost),
            (Some(holder), OnConflict::Update) if is_creation && external_id(row).is_none() => {
                let key = CustomerKey { tenant: self.import.tenant, customer: CustomerRef::Id(holder) };
                let found = uow.customers().find(CustomerState::Live, std::slice::from_ref(&key))?.pop().flatten();
                let Some(holder) = found else { return Err(Undone::Lost) };
                // If several customers share the address, none of them is the one that is meant.
                if holder.exclusive_email_key() == write.after().email_key() {
                    let change = self.change(row, holder, row.edit.email_use)?;
                    results.take(*number, row, change, again);
                } else if rules.shares_emails {
                    results.take(*number, row, self.creation(*number, row, EmailUse::Shared), again);
                } else {
                    results.refuse(*number, taken);
                }
            }
            (Some(_), _) if rules.shares_emails => {
                let write = match write.before() {
                    None => self.creation(*number, row, EmailUse::Shared),
                    Some(before) => self.change(row, before.clone(), EmailUse::Shared)?,
                };
                results.take(*number, row, write, again);
            }
            (_, OnConflict::Skip) => results.counts.skipped += 1,
            _ => results.refuse(*number, taken),
        }
        Ok(())
    }

    fn creation(&self, number: u64, row: &ImportedCustomer, email_use: EmailUse) -> Result<Write, RowRefusal> {
        let metadata = match &row.metadata {
            ImportedMetadata::Absent => Metadata::default(),
            ImportedMetadata::Whole(metadata) => metadata.clone(),
            ImportedMetadata::Keys(object) => Metadata::new(object).map_err(RowRefusal::Metadata)?,
        };
        let edit = CustomerEdit { metadata: MetadataEdit::Replace(metadata), ..row.edit.clone() };
        let profile = edit.into_profile().map_err(RowRefusal::Metadata)?;
        let origin = Origin {
            tenant: self.import.tenant,
            created_at: row.created_at.unwrap_or(self.now),
            status: row.edit.status.unwrap_or(CustomerStatus::Active),
        };
        let id = CustomerId::of_row(self.import.id, number);
        Ok(Write::create(Customer::import(origin, id, profile, email_use, self.now)))
    }

    /// The write that gives `holder` what the row has.
    fn change(
        &self,
        row: &ImportedCustomer,
        holder: Customer,
        email_use: EmailUse,
    ) -> Result<Result<Write, RowRefusal>, StoreError> {
        let metadata = match &row.metadata {
            ImportedMetadata::Absent => MetadataEdit::Keep,
            ImportedMetadata::Whole(metadata) => MetadataEdit::Replace(metadata.clone()),
            ImportedMetadata::Keys(object) => MetadataEdit::Merge(metadata_patch(object.clone())),
        };
        match holder.changed(CustomerEdit { metadata, email_use, ..row.edit.clone() }, self.now) {
            Ok(after) => Ok(Ok(Write::change(holder, after))),
            Err(MetadataError::Unreadable) => {
                Err(StoreError::Corrupt { table: "customers", column: "metadata", id: holder.id().uuid() })
            }
            Err(error) => Ok(Err(RowRefusal::Metadata(error))),
        }
    }

    /// The import behind this batch.
    fn moved(&self, results: &Results) -> Import {
        let (before, batch, done) = (self.import.counts, self.batch, results.counts);
        let refused = results.refused.len() as u64;
        let counts = ImportCounts {
            rows: batch.last,
            created: before.created + done.created,
            updated: before.updated + done.updated,
            unchanged: before.unchanged + done.unchanged,
            skipped: before.skipped + done.skipped,
            failed: before.failed + batch.failed + refused,
            faults: before.faults + batch.faults + refused,
        };
        let finished_at = batch.is_last.then_some(self.now);
        Import { counts, updated_at: self.now, finished_at, ..self.import.clone() }
    }
}

/// A write that a row asks for.
struct Planned<'a> {
    number: u64,
    row: &'a ImportedCustomer,
    write: Write,
}

impl Results {
    /// Keeps a write that is to be made, or that needs not be.
    fn take<'a>(
        &mut self,
        number: u64,
        row: &'a ImportedCustomer,
        write: Result<Write, RowRefusal>,
        writes: &mut Vec<Planned<'a>>,
    ) {
        match write {
            Ok(write) if write.is_needed() => writes.push(Planned { number, row, write }),
            Ok(_) => self.counts.unchanged += 1,
            Err(refusal) => self.refused.push((number, refusal)),
        }
    }

    fn count(&mut self, write: &Write) {
        let count = if write.before().is_none() { &mut self.counts.created } else { &mut self.counts.updated };
        *count += 1;
    }

    fn refuse(&mut self, number: u64, taken: &Taken) {
        let refusal = match (&taken.external_id, taken.email) {
            (Some(holder), _) => RowRefusal::ExternalIdTaken(holder.id()),
            (None, Some(holder)) => RowRefusal::EmailTaken(holder),
            (None, None) => return,
        };
        self.refused.push((number, refusal));
    }
}

pub(super) fn external_id(row: &ImportedCustomer) -> Option<&ExternalId> {
    match &row.edit.external_id {
        Edit::Set(id) => Some(id),
        Edit::Keep | Edit::Clear => None,
    }
}

/// What customers may have once.
fn identifiers(row: &ImportedCustomer) -> impl Iterator<Item = Identifier<'_>> {
    let email = match &row.edit.email {
        Edit::Set(email) => Some(Identifier::EmailKey(email.key())),
        Edit::Keep | Edit::Clear => None,
    };
    email.into_iter().chain(external_id(row).map(|id| Identifier::ExternalId(id.as_str())))
}

/// The keys of the external identifiers of rows, each once.
fn keys_of(tenant: Tenant, rows: &[(u64, ImportedCustomer)]) -> Vec<CustomerKey> {
    let ids: HashSet<&ExternalId> = rows.iter().filter_map(|(_, row)| external_id(row)).collect();
    ids.into_iter().map(|id| CustomerKey { tenant, customer: CustomerRef::ExternalId(id.clone()) }).collect()
}

fn by_external_id(found: Vec<Option<Customer>>) -> HashMap<ExternalId, Customer> {
    let by_id = |customer: Customer| Some((customer.profile().external_id.clone()?, customer));
    found.into_iter().flatten().filter_map(by_id).collect()
}
