use roster_domain::{ImportId, Tenant};

use super::StoreError;
use crate::Import;

/// The imports of tenants, and how far they have come.
///
/// How far an import has come is written in the transaction that makes its customers, in which it was
/// [locked](ImportRepository::lock): of two processes that import one file, one waits, and sees what the other has done.
pub trait ImportRepository {
    /// Inserts an import.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] if the tenant has an import with this identifier.
    fn insert(&mut self, import: &Import) -> Result<(), StoreError>;

    /// At most `limit` imports of `tenant`, the newest first.
    ///
    /// # Errors
    /// [`StoreError`]
    fn list(&mut self, tenant: Tenant, limit: usize) -> Result<Vec<Import>, StoreError>;

    /// Finds an import, and locks it against its other writers until the transaction ends.
    ///
    /// # Errors
    /// [`StoreError`]
    fn lock(&mut self, tenant: Tenant, id: ImportId) -> Result<Option<Import>, StoreError>;

    /// Writes how far an import has come.
    ///
    /// # Errors
    /// [`StoreError`]
    fn update(&mut self, import: &Import) -> Result<(), StoreError>;

    /// Deletes the imports of `tenant` that are older than `oldest`.
    ///
    /// # Errors
    /// [`StoreError`]
    fn forget_before(&mut self, tenant: Tenant, oldest: ImportId) -> Result<(), StoreError>;
}
