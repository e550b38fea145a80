//! The API keys.

use std::ops::Bound;

use roster_application::ports::{ApiKeyRepository, StoreError};
use roster_application::{ApiKey, Digest};
use roster_domain::{ApiKeyId, MerchantId, Timestamp};

use crate::unit_of_work::MemoryUnitOfWork;

impl ApiKeyRepository for MemoryUnitOfWork<'_> {
    fn insert(&mut self, key: &ApiKey) -> Result<(), StoreError> {
        self.call(|rows| {
            rows.require_merchant(key.tenant.merchant)?;
            if rows.api_keys.contains_key(&key.id) {
                return Err(StoreError::Duplicate { index: "api_keys (id)".to_owned() });
            }
            if rows.digests.contains_key(&key.digest) {
                return Err(StoreError::Duplicate { index: "api_keys (digest)".to_owned() });
            }
            rows.digests.insert(key.digest, key.id);
            rows.api_keys.insert(key.id, key.clone());
            Ok(())
        })
    }

    fn find(&mut self, digests: &[Digest]) -> Result<Vec<Option<ApiKey>>, StoreError> {
        self.call(|rows| {
            let find = |digest| rows.digests.get(digest).and_then(|id| rows.api_keys.get(id)).cloned();
            Ok(digests.iter().map(find).collect())
        })
    }

    fn list(&mut self, merchant: MerchantId, after: Option<ApiKeyId>, limit: usize) -> Result<Vec<ApiKey>, StoreError> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.call(|rows| {
            let keys = rows.api_keys.range((start, Bound::Unbounded)).map(|(_, key)| key);
            Ok(keys.filter(|key| key.tenant.merchant == merchant).take(limit).cloned().collect())
        })
    }

    fn revoke(&mut self, id: ApiKeyId, now: Timestamp) -> Result<Option<ApiKey>, StoreError> {
        self.call(|rows| {
            let Some(key) = rows.api_keys.get_mut(&id) else { return Ok(None) };
            key.revoked_at.get_or_insert(now);
            Ok(Some(key.clone()))
        })
    }
}
