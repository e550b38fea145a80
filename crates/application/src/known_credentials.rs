//! A cache of credentials that were accepted a moment ago, so that the next request with one needs no look-up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::sync::Cache;
use roster_domain::{ApiKeyId, MerchantId, Timestamp};

use crate::ports::{ApiKeyUse, USE_INTERVAL};
use crate::{ApiKey, Digest, Principal};

/// The most keys, and the most merchants, in the cache; about 300 bytes each.
const CAPACITY: u64 = 10_000;

/// The most uses of keys that wait to be written. A use beyond that is dropped; the key's next use is noted instead.
const MAX_PENDING_USES: usize = 10_000;

/// Caches keys and merchants for a while after they were looked up.
///
/// Only keys and merchants that were found are cached: unknown keys, however many are sent, evict none.
pub(crate) struct KnownCredentials {
    lifetime: Duration,
    keys: Cache<Digest, Arc<CachedKey>>,
    merchants: Cache<MerchantId, Instant>,
    /// The last use of each key that waits to be written.
    uses: Mutex<HashMap<ApiKeyId, ApiKeyUse>>,
}

/// A cached key.
struct CachedKey {
    principal: Principal,
    id: ApiKeyId,
    expires_at: Option<Timestamp>,
    /// The last use that is written or waits to be written.
    last_used_at: Mutex<Option<Timestamp>>,
    /// When the look-up began; the key was usable then.
    looked_up: Instant,
}

impl KnownCredentials {
    /// Caches each entry for `lifetime`, counted from the start of its look-up. Zero caches nothing.
    pub(crate) fn new(lifetime: Duration) -> Self {
        Self {
            lifetime,
            keys: Cache::builder().max_capacity(CAPACITY).time_to_live(lifetime).build(),
            merchants: Cache::builder().max_capacity(CAPACITY).time_to_live(lifetime).build(),
            uses: Mutex::default(),
        }
    }

    /// The principal of a cached key; notes that the key was used.
    pub(crate) fn principal(&self, digest: &Digest, now: Timestamp) -> Option<Principal> {
        let cached = self.keys.get(digest)?;
        let is_valid = self.is_fresh(cached.looked_up) && cached.expires_at.is_none_or(|end| now < end);
        is_valid.then(|| {
            self.note_use(&cached, now);
            cached.principal
        })
    }

    /// Caches a usable key whose look-up began at `looked_up`, and notes that it was used.
    pub(crate) fn cache_key(&self, key: &ApiKey, looked_up: Instant, now: Timestamp) -> Principal {
        let principal = Principal { tenant: key.tenant, scopes: key.scopes, api_key: Some(key.id) };
        let cached = Arc::new(CachedKey {
            principal,
            id: key.id,
            expires_at: key.expires_at,
            last_used_at: Mutex::new(key.last_used_at),
            looked_up,
        });
        self.note_use(&cached, now);
        if self.is_fresh(looked_up) {
            self.keys.insert(key.digest, cached);
        }
        principal
    }

    /// Evicts a key that was revoked or rotated.
    pub(crate) fn evict_key(&self, digest: &Digest) {
        self.keys.invalidate(digest);
    }

    /// Whether a merchant is cached, which means that it exists.
    pub(crate) fn has_merchant(&self, merchant: MerchantId) -> bool {
        self.merchants.get(&merchant).is_some_and(|looked_up| self.is_fresh(looked_up))
    }

    /// Caches a merchant that was found and whose look-up began at `looked_up`.
    pub(crate) fn cache_merchant(&self, merchant: MerchantId, looked_up: Instant) {
        if self.is_fresh(looked_up) {
            self.merchants.insert(merchant, looked_up);
        }
    }

    /// Takes the uses that wait to be written, in the same order on all instances.
    ///
    /// Otherwise two instances that lock the same rows could deadlock.
    pub(crate) fn take_uses(&self) -> Vec<ApiKeyUse> {
        let waiting = std::mem::take(&mut *self.uses.lock().unwrap_or_else(PoisonError::into_inner));
        let mut uses: Vec<_> = waiting.into_values().collect();
        uses.sort_unstable_by_key(|key_use| (key_use.tenant, key_use.id));
        uses
    }

    /// Whether an entry's lifetime has not ended. The cache's own time-to-live ends later: it starts at the insertion.
    fn is_fresh(&self, looked_up: Instant) -> bool {
        looked_up.elapsed() < self.lifetime
    }

    fn note_use(&self, cached: &CachedKey, now: Timestamp) {
        let mut last = cached.last_used_at.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| now.since(last) < USE_INTERVAL) {
            return;
        }
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        if uses.len() < MAX_PENDING_USES {
            *last = Some(now);
            uses.insert(cached.id, ApiKeyUse { tenant: cached.principal.tenant, id: cached.id, at: now });
        }
    }
}
