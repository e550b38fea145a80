use roster_domain::{Tenant, UploadId};

use super::StoreError;
use crate::{PartKind, Upload};

/// The files that were sent to be imported, in parts.
///
/// A tenant has one upload at a time that has not ended.
pub trait UploadRepository {
    /// Inserts an upload that has not ended.
    ///
    /// Race-free: of any number of callers, in any number of processes, one inserts an upload of a tenant.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] if the tenant has another that has not ended.
    fn insert(&mut self, upload: &Upload) -> Result<(), StoreError>;

    /// Finds an upload.
    ///
    /// # Errors
    /// [`StoreError`]
    fn find(&mut self, tenant: Tenant, id: UploadId) -> Result<Option<Upload>, StoreError>;

    /// At most `limit` uploads of `tenant` that are older than `before`, the newest first.
    ///
    /// # Errors
    /// [`StoreError`]
    fn list(&mut self, tenant: Tenant, before: Option<UploadId>, limit: usize) -> Result<Vec<Upload>, StoreError>;

    /// Those of `tenants` that have not ended.
    ///
    /// # Errors
    /// [`StoreError`]
    fn unended(&mut self, tenants: &[Tenant]) -> Result<Vec<(Tenant, UploadId)>, StoreError>;

    /// Finds an upload, and locks it against its other writers until the transaction ends.
    ///
    /// # Errors
    /// [`StoreError`]
    fn lock(&mut self, tenant: Tenant, id: UploadId) -> Result<Option<Upload>, StoreError>;

    /// Writes how far an upload has come.
    ///
    /// # Errors
    /// [`StoreError`]
    fn update(&mut self, upload: &Upload) -> Result<(), StoreError>;

    /// Deletes an upload with its parts.
    ///
    /// # Errors
    /// [`StoreError`]
    fn delete(&mut self, tenant: Tenant, id: UploadId) -> Result<(), StoreError>;

    /// Deletes the uploads of `tenant` that have ended and are older than `oldest`, with their parts.
    ///
    /// # Errors
    /// [`StoreError`]
    fn forget_before(&mut self, tenant: Tenant, oldest: UploadId) -> Result<(), StoreError>;

    /// Inserts a part.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] if there is one with this number.
    fn add_part(
        &mut self,
        tenant: Tenant,
        id: UploadId,
        kind: PartKind,
        number: u32,
        bytes: &[u8],
    ) -> Result<(), StoreError>;

    /// A part.
    ///
    /// # Errors
    /// [`StoreError`]
    fn part(
        &mut self,
        tenant: Tenant,
        id: UploadId,
        kind: PartKind,
        number: u32,
    ) -> Result<Option<Vec<u8>>, StoreError>;

    /// Deletes all parts of a kind.
    ///
    /// # Errors
    /// [`StoreError`]
    fn delete_parts(&mut self, tenant: Tenant, id: UploadId, kind: PartKind) -> Result<(), StoreError>;
}
