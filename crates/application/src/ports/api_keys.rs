use roster_domain::{ApiKeyId, MerchantId, Timestamp};

use super::StoreError;
use crate::{ApiKey, Digest};

/// The API keys.
pub trait ApiKeyRepository {
    /// Adds a key. Its merchant exists.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] if its id or its digest is there already; other [`StoreError`]s.
    fn insert(&mut self, key: &ApiKey) -> Result<(), StoreError>;

    /// Finds keys by what is stored of their secrets, usable or not; the results stand in the order of the digests.
    ///
    /// # Errors
    /// [`StoreError`]
    fn find(&mut self, digests: &[Digest]) -> Result<Vec<Option<ApiKey>>, StoreError>;

    /// At most `limit` keys of `merchant` behind `after`, the oldest first, usable or not.
    ///
    /// # Errors
    /// [`StoreError`]
    fn list(&mut self, merchant: MerchantId, after: Option<ApiKeyId>, limit: usize) -> Result<Vec<ApiKey>, StoreError>;

    /// Revokes a key from `now` on, unless it was revoked before, and returns it. `None` if there is no such key.
    ///
    /// # Errors
    /// [`StoreError`]
    fn revoke(&mut self, id: ApiKeyId, now: Timestamp) -> Result<Option<ApiKey>, StoreError>;
}
