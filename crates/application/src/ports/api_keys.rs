use std::time::Duration;

use roster_domain::{ApiKeyId, Tenant, Timestamp};

use super::StoreError;
use crate::{ApiKey, Digest};

/// The stored API keys.
pub trait ApiKeyRepository {
    /// Adds a key. Its merchant must exist.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] if its id or its digest exists already; other [`StoreError`]s.
    fn insert(&mut self, key: &ApiKey) -> Result<(), StoreError>;

    /// Finds keys by the digests of their secrets, usable or not; the results are in the order of `digests`.
    ///
    /// # Errors
    /// [`StoreError`]
    fn find(&mut self, digests: &[Digest]) -> Result<Vec<Option<ApiKey>>, StoreError>;

    /// The tenant of a key, usable or not. `None` if there is no such key.
    ///
    /// For the operator of the service, who knows a key by its id alone.
    ///
    /// # Errors
    /// [`StoreError`]
    fn tenant_of(&mut self, id: ApiKeyId) -> Result<Option<Tenant>, StoreError>;

    /// At most `limit` keys of `tenant` that follow `after`, oldest first, usable or not.
    ///
    /// # Errors
    /// [`StoreError`]
    fn list(&mut self, tenant: Tenant, after: Option<ApiKeyId>, limit: usize) -> Result<Vec<ApiKey>, StoreError>;

    /// Finds a key, usable or not, and locks it against other writers until the transaction ends.
    ///
    /// # Errors
    /// [`StoreError`]
    fn lock(&mut self, tenant: Tenant, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError>;

    /// Writes `expires_at`, `revoked_at` and `successor` of a key that was [locked](ApiKeyRepository::lock) in this
    /// transaction.
    ///
    /// Apart from its last use, nothing else of a key ever changes.
    ///
    /// # Errors
    /// [`StoreError`]
    fn update(&mut self, key: &ApiKey) -> Result<(), StoreError>;

    /// Writes uses of keys.
    ///
    /// A use is skipped if the stored one is later, or less than [`USE_INTERVAL`] earlier. Unknown keys are skipped.
    ///
    /// # Errors
    /// [`StoreError`]
    fn record_uses(&mut self, uses: &[ApiKeyUse]) -> Result<(), StoreError>;
}

/// How long after a written use of a key its further uses are not written: a minute.
pub const USE_INTERVAL: Duration = Duration::from_mins(1);

/// One use of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiKeyUse {
    /// The key's tenant.
    pub tenant: Tenant,
    /// The key.
    pub id: ApiKeyId,
    /// When it was used.
    pub at: Timestamp,
}

impl ApiKeyUse {
    /// This use is skipped if the stored one is later than this time.
    #[must_use]
    pub fn covered_after(&self) -> Timestamp {
        self.at.minus(USE_INTERVAL)
    }
}
