//! The API keys.

use std::ops::Bound;

use roster_application::ports::{ApiKeyRepository, ApiKeyUse, StoreError};
use roster_application::{ApiKey, Digest};
use roster_domain::{ApiKeyId, Tenant};

use crate::store::Rows;
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

    fn tenant_of(&mut self, id: ApiKeyId) -> Result<Option<Tenant>, StoreError> {
        self.call(|rows| Ok(rows.api_keys.get(&id).map(|key| key.tenant)))
    }

    fn list(&mut self, tenant: Tenant, after: Option<ApiKeyId>, limit: usize) -> Result<Vec<ApiKey>, StoreError> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.call(|rows| {
            let keys = rows.api_keys.range((start, Bound::Unbounded)).map(|(_, key)| key);
            Ok(keys.filter(|key| key.tenant == tenant).take(limit).cloned().collect())
        })
    }

    fn lock(&mut self, tenant: Tenant, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        self.call(|rows| Ok(rows.api_key(tenant, id).cloned()))
    }

    fn update(&mut self, key: &ApiKey) -> Result<(), StoreError> {
        self.call(|rows| {
            if let Some(stored) = rows.api_key(key.tenant, key.id) {
                (stored.expires_at, stored.revoked_at) = (key.expires_at, key.revoked_at);
                stored.successor = key.successor;
            }
            Ok(())
        })
    }

    fn record_uses(&mut self, uses: &[ApiKeyUse]) -> Result<(), StoreError> {
        self.call(|rows| {
            for key_use in uses {
                let Some(key) = rows.api_key(key_use.tenant, key_use.id) else { continue };
                if key.last_used_at.is_none_or(|last| last <= key_use.covered_after()) {
                    key.last_used_at = Some(key_use.at);
                }
            }
            Ok(())
        })
    }
}

impl Rows {
    fn api_key(&mut self, tenant: Tenant, id: ApiKeyId) -> Option<&mut ApiKey> {
        self.api_keys.get_mut(&id).filter(|key| key.tenant == tenant)
    }
}
