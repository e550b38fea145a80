//! Imports of files that were sent to the service: it keeps them in parts, and a worker imports their rows.

use std::cell::RefCell;
use std::time::Duration;

use roster_domain::{ImportId, Tenant, UploadId};

use super::Sweep;
use super::import_customers::{BegunImport, ImportBatch, ImportError, ImportRules, Keep, MAX_IMPORTS, RowRefusal};
use crate::ports::{StoreError, UnitOfWork};
use crate::{Actor, Digest, Import, Page, PageSize, PartKind, Roster, Upload, UploadState};

/// How many uploads of a tenant are remembered.
pub const MAX_UPLOADS: usize = 100;

/// How long nothing may come of a file that is being sent until another may be sent.
pub const UPLOAD_PATIENCE: Duration = Duration::from_mins(1);

/// How long after its last part a file that has not come to its end is forgotten with its upload: the longest that
/// `imports.timeout_s` may allow it to take, so that nothing sends it any more. Otherwise the parts that an instance had stored when it
/// was killed would stay for as long as the tenant sends no other file.
pub const UPLOAD_LIFETIME: Duration = Duration::from_hours(24);

/// Why an upload does not begin.
#[derive(Debug, thiserror::Error)]
pub enum BeginUploadError {
    /// Another file of the tenant is being sent or imported.
    #[error("{0} has not ended")]
    Unended(UploadId),
    /// The store failed.
    #[error("the upload cannot be stored")]
    Store(#[from] StoreError),
}

/// Why an upload does not go on.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// It has ended meanwhile, or another worker has it.
    #[error("it has ended")]
    Ended,
    /// An import of this file, with other options, has not come to its end.
    #[error("{} of this file has not come to its end, and has other options: {}", .0.id, .0.options)]
    OtherOptions(Box<Import>),
    /// The store failed.
    #[error("the upload cannot be stored")]
    Store(#[from] StoreError),
}

/// An upload that a worker has leased.
#[derive(Debug, Clone)]
pub struct LeasedUpload {
    /// The upload, as it was leased.
    pub upload: Upload,
    /// How far its import has come.
    pub import: Import,
    /// How long the lease lasts after each batch.
    pub length: Duration,
}

/// Uploads that have not ended.
#[derive(Debug, Clone)]
pub struct UnendedUploads {
    /// Those of the merchants that were looked through.
    pub found: Vec<(Tenant, UploadId)>,
    /// Where to go on. `None`: all merchants were looked through.
    pub next: Option<Sweep>,
}

/// What takes the rows of a batch that are refused, and makes lines of NDJSON of all errors of the batch.
pub type UploadReport<'a> = dyn FnMut(&[(u64, RowRefusal)]) -> Vec<u8> + 'a;

impl Roster {
    /// Begins an upload, whose file is sent part by part.
    ///
    /// # Errors
    /// [`BeginUploadError`]
    pub fn begin_upload(&self, tenant: Tenant, options: &str, actor: &Actor) -> Result<Upload, BeginUploadError> {
        let now = self.now();
        let new = Upload {
            tenant,
            id: UploadId::new(self.ids.next(now)),
            state: UploadState::Receiving,
            options: options.to_owned(),
            actor: actor.clone(),
            import: None,
            digest: None,
            size: 0,
            parts: 0,
            error_parts: 0,
            failure: None,
            fence: 0,
            lease_until: None,
            created_at: now,
            updated_at: now,
            ended_at: None,
        };
        self.store.transaction(|uow| {
            let uploads = uow.uploads().list(tenant, None, MAX_UPLOADS)?;
            if let Some(unended) = uploads.iter().find(|upload| upload.ended_at.is_none()) {
                let is_left =
                    unended.state == UploadState::Receiving && now.since(unended.updated_at) > UPLOAD_PATIENCE;
                if !is_left {
                    return Err(BeginUploadError::Unended(unended.id));
                }
                uow.uploads().delete(tenant, unended.id)?;
            }
            if let Some(oldest) = uploads.get(MAX_UPLOADS - 2) {
                uow.uploads().forget_before(tenant, oldest.id)?;
            }
            uow.uploads().insert(&new)?;
            Ok(new.clone())
        })
    }

    /// Adds the next part of the file of an upload.
    ///
    /// # Errors
    /// [`UploadError`]
    pub fn add_upload_part(&self, upload: &Upload, bytes: &[u8]) -> Result<Upload, UploadError> {
        let now = self.now();
        self.store.transaction(|uow| {
            let stored = receiving(uow, upload)?;
            uow.uploads().add_part(stored.tenant, stored.id, PartKind::File, stored.parts, bytes)?;
            let size = stored.size + bytes.len() as u64;
            let more = Upload { parts: stored.parts + 1, size, updated_at: now, ..stored };
            uow.uploads().update(&more)?;
            Ok(more)
        })
    }

    /// All of the file is there: its import begins, or goes on where an earlier import of the file has ended. `rules` is what
    /// decides on its result, as for [`Roster::begin_import`].
    ///
    /// # Errors
    /// [`UploadError`]
    pub fn complete_upload(
        &self,
        upload: &Upload,
        digest: Digest,
        rules: &str,
        anew: bool,
    ) -> Result<(Upload, Import), UploadError> {
        let (import, state) = match self.begin_import(upload.tenant, digest, rules, anew)? {
            BegunImport::Open(import) => (import, UploadState::Running),
            BegunImport::Finished(import) => (import, UploadState::Finished),
            BegunImport::OpenWithOthers(import) => return Err(UploadError::OtherOptions(Box::new(import))),
        };
        let now = self.now();
        self.store.transaction(|uow| {
            let stored = receiving(uow, upload)?;
            let ended_at = (state == UploadState::Finished).then_some(now);
            if ended_at.is_some() {
                uow.uploads().delete_parts(stored.tenant, stored.id, PartKind::File)?;
            }
            let (import_id, digest) = (Some(import.id), Some(digest));
            let whole = Upload { state, import: import_id, digest, updated_at: now, ended_at, ..stored };
            uow.uploads().update(&whole)?;
            Ok((whole, import.clone()))
        })
    }

    /// Forgets an upload of which not all of the file has come.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn abandon_upload(&self, tenant: Tenant, id: UploadId) -> Result<(), StoreError> {
        self.store.transaction(|uow| match uow.uploads().lock(tenant, id)? {
            Some(stored) if stored.state == UploadState::Receiving => uow.uploads().delete(tenant, id),
            Some(_) | None => Ok(()),
        })
    }

    /// Ends an upload, unless it has ended. What was imported stays. `None`: there is none.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn cancel_upload(&self, tenant: Tenant, id: UploadId) -> Result<Option<Upload>, StoreError> {
        let now = self.now();
        self.store.transaction(|uow| {
            let Some(stored) = uow.uploads().lock(tenant, id)? else { return Ok(None) };
            if stored.ended_at.is_some() {
                return Ok(Some(stored));
            }
            end(uow, Upload { state: UploadState::Cancelled, updated_at: now, ..stored }).map(Some)
        })
    }

    /// An upload, and its import if that is remembered. `None`: there is none.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn find_upload(&self, tenant: Tenant, id: UploadId) -> Result<Option<(Upload, Option<Import>)>, StoreError> {
        self.store.direct(|uow| {
            let Some(upload) = uow.uploads().find(tenant, id)? else { return Ok(None) };
            let import = upload.import.map(|import| import_of(uow, tenant, import)).transpose()?.flatten();
            Ok(Some((upload, import)))
        })
    }

    /// A page of the uploads that are older than `before`, the newest first, each with its import if that is remembered.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn list_uploads(
        &self,
        tenant: Tenant,
        before: Option<UploadId>,
        size: PageSize,
    ) -> Result<Page<(Upload, Option<Import>)>, StoreError> {
        self.store.direct(|uow| {
            let uploads = uow.uploads().list(tenant, before, size.get() + 1)?;
            let imports = uow.imports().list(tenant, MAX_IMPORTS)?;
            let with_import = |upload: Upload| {
                let import = imports.iter().find(|import| Some(import.id) == upload.import).cloned();
                (upload, import)
            };
            Ok(Page::cut(uploads.into_iter().map(with_import).collect(), size.get()))
        })
    }

    /// A part of an upload. `None`: there is none.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn upload_part(
        &self,
        tenant: Tenant,
        id: UploadId,
        kind: PartKind,
        number: u32,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.direct(|uow| uow.uploads().part(tenant, id, kind, number))
    }

    /// The uploads that have not ended, of 100 merchants behind `from`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn unended_uploads(&self, from: Sweep) -> Result<UnendedUploads, StoreError> {
        let mut found = Vec::new();
        let next = self.sweep(from, usize::MAX, |tenants| {
            found = self.store.direct(|uow| uow.uploads().unended(tenants))?;
            Ok(found.len())
        })?;
        Ok(UnendedUploads { found, next })
    }

    /// Leases an upload whose rows are to be imported for `length`, and again for so long with each batch. While a worker has it,
    /// no other worker of any instance has it. `None`: another has it, or nothing is to be done.
    ///
    /// One whose file has not come to its end within [`UPLOAD_LIFETIME`] is forgotten.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn lease_upload(
        &self,
        tenant: Tenant,
        id: UploadId,
        length: Duration,
    ) -> Result<Option<LeasedUpload>, StoreError> {
        let now = self.now();
        self.store.transaction(|uow| {
            let Some(stored) = uow.uploads().lock(tenant, id)? else { return Ok(None) };
            if stored.state == UploadState::Receiving && now.since(stored.updated_at) > UPLOAD_LIFETIME {
                uow.uploads().delete(tenant, id)?;
                return Ok(None);
            }
            let is_free = stored.lease_until.is_none_or(|until| until <= now);
            let (UploadState::Running, Some(import), true) = (stored.state, stored.import, is_free) else {
                return Ok(None);
            };
            let leased = Upload { fence: stored.fence + 1, lease_until: Some(now.plus(length)), ..stored };
            let Some(import) = import_of(uow, tenant, import)? else {
                let failure = Some("its import was forgotten".to_owned());
                return end(uow, Upload { state: UploadState::Failed, failure, updated_at: now, ..leased })
                    .map(|_| None);
            };
            uow.uploads().update(&leased)?;
            Ok(Some(LeasedUpload { upload: leased, import, length }))
        })
    }

    /// Imports a batch as [`Roster::import_batch`] does, for a worker that has leased the upload. What `report`
    /// makes is kept with it.
    ///
    /// # Errors
    /// [`ImportError`]; [`ImportError::GoneOn`] if the upload has ended, or another worker has it;
    /// [`ImportError::MerchantDisabled`] if it is not to go on.
    pub fn import_upload_batch(
        &self,
        leased: &mut LeasedUpload,
        rules: ImportRules,
        batch: &ImportBatch,
        report: &mut UploadReport<'_>,
    ) -> Result<(), ImportError> {
        let held = Held { leased, errors: RefCell::default() };
        let mut keep = |refused: &[(u64, RowRefusal)]| {
            held.errors.replace(report(refused));
            Ok(())
        };
        let moved = self.try_batch(&leased.import, rules, Keep::Upload(&held), batch, &mut keep)?;
        leased.import = moved;
        Ok(())
    }

    /// Gives a leased upload back, so that another worker may go on with it. `failure`: it does not go on, for this reason.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn release_upload(&self, leased: &LeasedUpload, failure: Option<&str>) -> Result<(), StoreError> {
        let now = self.now();
        self.store.transaction(|uow| match leased.lock(uow)? {
            None => Ok(()),
            Some(stored) if failure.is_some() => {
                let (state, failure) = (UploadState::Failed, failure.map(str::to_owned));
                end(uow, Upload { state, failure, updated_at: now, ..stored }).map(drop)
            }
            Some(stored) => uow.uploads().update(&Upload { lease_until: None, ..stored }),
        })
    }
}

impl LeasedUpload {
    /// Locks the upload. `None`: it is not leased any more.
    fn lock(&self, uow: &mut dyn UnitOfWork) -> Result<Option<Upload>, StoreError> {
        let stored = uow.uploads().lock(self.upload.tenant, self.upload.id)?;
        Ok(stored.filter(|stored| stored.state == UploadState::Running && stored.fence == self.upload.fence))
    }
}

/// A lease that a batch is imported under.
pub(super) struct Held<'a> {
    leased: &'a LeasedUpload,
    errors: RefCell<Vec<u8>>,
}

impl Held<'_> {
    /// Who asks for the changes.
    pub(super) fn actor(&self) -> Actor {
        self.leased.upload.actor.clone()
    }

    /// Locks the upload, before anything else of the batch. The credential that has sent the file is refused once its merchant is
    /// disabled, and so are its rows.
    pub(super) fn lock(&self, uow: &mut dyn UnitOfWork) -> Result<Upload, ImportError> {
        let upload = self.leased.lock(uow)?.ok_or(ImportError::GoneOn)?;
        let disabled = uow.merchants().disabled(&[upload.tenant.merchant])?;
        if disabled.is_empty() { Ok(upload) } else { Err(ImportError::MerchantDisabled) }
    }

    /// Keeps what the batch did, in its transaction.
    pub(super) fn record(&self, uow: &mut dyn UnitOfWork, upload: Upload, moved: &Import) -> Result<(), StoreError> {
        let errors = self.errors.borrow();
        let Upload { tenant, id, error_parts, .. } = upload;
        if !errors.is_empty() {
            uow.uploads().add_part(tenant, id, PartKind::Errors, error_parts, &errors)?;
        }
        let error_parts = error_parts + u32::from(!errors.is_empty());
        let upload = Upload { error_parts, updated_at: moved.updated_at, ..upload };
        if moved.finished_at.is_some() {
            return end(uow, Upload { state: UploadState::Finished, ..upload }).map(drop);
        }
        uow.uploads().update(&Upload { lease_until: Some(moved.updated_at.plus(self.leased.length)), ..upload })
    }
}

/// Ends an upload at the time of its last update: its file is not kept any longer.
fn end(uow: &mut dyn UnitOfWork, upload: Upload) -> Result<Upload, StoreError> {
    let ended = Upload { lease_until: None, ended_at: Some(upload.updated_at), ..upload };
    uow.uploads().delete_parts(ended.tenant, ended.id, PartKind::File)?;
    uow.uploads().update(&ended)?;
    Ok(ended)
}

/// Locks an upload whose file is being sent.
fn receiving(uow: &mut dyn UnitOfWork, upload: &Upload) -> Result<Upload, UploadError> {
    let stored = uow.uploads().lock(upload.tenant, upload.id)?;
    let is_sent = |stored: &Upload| stored.state == UploadState::Receiving && stored.parts == upload.parts;
    stored.filter(is_sent).ok_or(UploadError::Ended)
}

fn import_of(uow: &mut dyn UnitOfWork, tenant: Tenant, id: ImportId) -> Result<Option<Import>, StoreError> {
    let imports = uow.imports().list(tenant, MAX_IMPORTS)?;
    Ok(imports.into_iter().find(|import| import.id == id))
}
