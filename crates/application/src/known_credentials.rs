//! A cache of credentials that were accepted a moment ago, so that the next request with one needs no look-up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use moka::sync::Cache;
use roster_domain::{ApiKeyId, MerchantId, Timestamp};

use crate::ports::{ApiKeyUse, USE_INTERVAL};
use crate::{ApiKey, Digest, Principal};

/// The most keys, and the most merchants, in the cache; about 300 bytes each.
const CAPACITY: u64 = 10_000;

/// The most uses of keys that wait to be written. A use beyond that is dropped; the key's next use is noted instead.
const MAX_PENDING_USES: usize = 10_000;

/// How long a key is remembered after its entry has expired, so that its next look-up is not taken for one of an unknown
/// key.
const REMEMBERED: Duration = Duration::from_mins(10);

/// Caches keys and merchants for a while after they were looked up.
///
/// Only keys and merchants that were found are cached: unknown keys, however many are sent, evict none.
pub(crate) struct KnownCredentials {
    lifetime: Duration,
    /// How much longer a key is accepted while the store does not answer.
    grace: Duration,
    keys: Cache<Digest, Arc<CachedKey>>,
    merchants: Cache<MerchantId, Instant>,
    /// How many times a key was evicted. Held while a key is cached or evicted, so that neither comes in between.
    evictions: Mutex<u64>,
    /// The last use of each key that waits to be written.
    uses: Mutex<HashMap<ApiKeyId, ApiKeyUse>>,
}

/// The moment at which a look-up began, before it read anything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LookUp {
    began: Instant,
    evictions: u64,
}

/// A cached key.
struct CachedKey {
    principal: Principal,
    id: ApiKeyId,
    /// The last use that is written or waits to be written.
    last_used_at: Mutex<Option<Timestamp>>,
    /// When the look-up began; the key was usable then.
    looked_up: Instant,
}

impl KnownCredentials {
    /// Caches each entry for `lifetime`, counted from the start of its look-up, and for `grace` longer while the store does
    /// not answer. Zero: each request looks its credential up.
    pub(crate) fn new(lifetime: Duration, grace: Duration) -> Self {
        let remembered = lifetime + grace.max(REMEMBERED);
        Self {
            lifetime,
            grace,
            keys: Cache::builder().max_capacity(CAPACITY).time_to_live(remembered).build(),
            merchants: Cache::builder().max_capacity(CAPACITY).time_to_live(lifetime).build(),
            evictions: Mutex::default(),
            uses: Mutex::default(),
        }
    }

    /// Begins a look-up. Call it before the store is read.
    pub(crate) fn begin_look_up(&self) -> LookUp {
        LookUp { began: Instant::now(), evictions: *self.evictions() }
    }

    /// The principal of a cached key; notes that the key was used.
    pub(crate) fn principal(&self, digest: &Digest, now: Timestamp) -> Option<Principal> {
        let cached = self.cached_for(self.lifetime, digest, now)?;
        self.note_use(&cached, now);
        Some(cached.principal.clone())
    }

    /// Whether a key was found a while ago.
    pub(crate) fn remembers(&self, digest: &Digest) -> bool {
        self.keys.contains_key(digest)
    }

    /// The principal of a key that the store cannot be asked about, if it may still be accepted.
    pub(crate) fn in_grace(&self, digest: &Digest, now: Timestamp) -> Option<Principal> {
        self.cached_for(self.lifetime + self.grace, digest, now).map(|cached| cached.principal.clone())
    }

    /// A key that was looked up less than `age` ago, and has not expired since.
    fn cached_for(&self, age: Duration, digest: &Digest, now: Timestamp) -> Option<Arc<CachedKey>> {
        let has_expired = |cached: &CachedKey| cached.principal.expires_at.is_some_and(|end| end <= now);
        self.keys.get(digest).filter(|cached| cached.looked_up.elapsed() < age && !has_expired(cached))
    }

    /// Caches a usable key that `look_up` found, and notes that it was used.
    ///
    /// A key that was evicted since the look-up began is not cached: the look-up may have read it before it was revoked.
    /// Nor is any other key then; the next request looks it up again.
    pub(crate) fn cache_key(&self, key: &ApiKey, look_up: LookUp, now: Timestamp) -> Principal {
        let principal = Principal {
            tenant: key.tenant,
            scopes: key.scopes,
            expires_at: key.expires_at,
            api_key: Some(key.id),
            token: None,
        };
        let cached = Arc::new(CachedKey {
            principal: principal.clone(),
            id: key.id,
            last_used_at: Mutex::new(key.last_used_at),
            looked_up: look_up.began,
        });
        self.note_use(&cached, now);
        let evictions = self.evictions();
        if *evictions == look_up.evictions {
            self.keys.insert(key.digest, cached);
        }
        principal
    }

    /// Forgets a key that a look-up did not find, or found unusable.
    pub(crate) fn forget(&self, digest: &Digest) {
        self.keys.invalidate(digest);
    }

    /// Evicts a key that was revoked or rotated. Call it after the commit.
    pub(crate) fn evict_key(&self, digest: &Digest) {
        let mut evictions = self.evictions();
        *evictions += 1;
        self.keys.invalidate(digest);
    }

    fn evictions(&self) -> MutexGuard<'_, u64> {
        self.evictions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a merchant is cached, which means that it exists and is not disabled.
    pub(crate) fn has_merchant(&self, merchant: MerchantId) -> bool {
        self.merchants.get(&merchant).is_some_and(|looked_up| self.is_fresh(looked_up))
    }

    /// Caches a merchant that `look_up` found.
    pub(crate) fn cache_merchant(&self, merchant: MerchantId, look_up: LookUp) {
        if self.is_fresh(look_up.began) {
            self.merchants.insert(merchant, look_up.began);
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

    /// Whether the lifetime of an entry has not ended. The cache's own time-to-live ends later: it starts at the insertion.
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
