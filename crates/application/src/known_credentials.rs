//! Credentials that opened something a moment ago, so that the next request with one asks nobody.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::sync::Cache;
use roster_domain::{ApiKeyId, MerchantId, Timestamp};

use crate::ports::{ApiKeyUse, USE_INTERVAL};
use crate::{ApiKey, Digest, Principal};

/// The most keys, and the most merchants, that are remembered, about 300 bytes each.
const CAPACITY: u64 = 10_000;

/// The most uses of keys that wait to be written. A use beyond that is noted the next time that the key is looked up.
const MAX_PENDING_USES: usize = 10_000;

/// Remembers keys and merchants for a while after they were looked up.
///
/// Only what was found is remembered. However many unknown keys are shown, they take no place and drive out none.
pub(crate) struct KnownCredentials {
    lifetime: Duration,
    keys: Cache<Digest, Arc<KnownKey>>,
    merchants: Cache<MerchantId, Instant>,
    /// By key, the last use that is to be written.
    uses: Mutex<HashMap<ApiKeyId, ApiKeyUse>>,
}

/// What is remembered of a key.
struct KnownKey {
    principal: Principal,
    id: ApiKeyId,
    expires_at: Option<Timestamp>,
    /// The last use that is written, or waits to be.
    last_used_at: Mutex<Option<Timestamp>>,
    /// A moment at which the key was usable.
    looked_up: Instant,
}

impl KnownCredentials {
    /// Remembers what was looked up for `lifetime`, counted from before it was looked up. Nothing, if that is zero.
    pub(crate) fn new(lifetime: Duration) -> Self {
        Self {
            lifetime,
            keys: Cache::builder().max_capacity(CAPACITY).time_to_live(lifetime).build(),
            merchants: Cache::builder().max_capacity(CAPACITY).time_to_live(lifetime).build(),
            uses: Mutex::default(),
        }
    }

    /// Whom a key opens to, if that is known, and notes that it was used.
    pub(crate) fn principal(&self, digest: &Digest, now: Timestamp) -> Option<Principal> {
        let known = self.keys.get(digest)?;
        let lives = self.is_fresh(known.looked_up) && known.expires_at.is_none_or(|end| now < end);
        lives.then(|| {
            self.note_use(&known, now);
            known.principal
        })
    }

    /// Remembers a key that was found usable, having been asked for at `looked_up`, and notes that it was used.
    pub(crate) fn remember_key(&self, key: &ApiKey, looked_up: Instant, now: Timestamp) -> Principal {
        let principal = Principal { tenant: key.tenant, scopes: key.scopes, api_key: Some(key.id) };
        let known = Arc::new(KnownKey {
            principal,
            id: key.id,
            expires_at: key.expires_at,
            last_used_at: Mutex::new(key.last_used_at),
            looked_up,
        });
        self.note_use(&known, now);
        if self.is_fresh(looked_up) {
            self.keys.insert(key.digest, known);
        }
        principal
    }

    /// Forgets a key that has ended, or will.
    pub(crate) fn forget_key(&self, digest: &Digest) {
        self.keys.invalidate(digest);
    }

    /// Whether a merchant is known to be there.
    pub(crate) fn knows_merchant(&self, merchant: MerchantId) -> bool {
        self.merchants.get(&merchant).is_some_and(|looked_up| self.is_fresh(looked_up))
    }

    /// Remembers a merchant that was found, having been asked for at `looked_up`.
    pub(crate) fn remember_merchant(&self, merchant: MerchantId, looked_up: Instant) {
        if self.is_fresh(looked_up) {
            self.merchants.insert(merchant, looked_up);
        }
    }

    /// Takes the uses that wait to be written, in an order that all instances share.
    pub(crate) fn take_uses(&self) -> Vec<ApiKeyUse> {
        let waiting = std::mem::take(&mut *self.uses.lock().unwrap_or_else(PoisonError::into_inner));
        let mut uses: Vec<_> = waiting.into_values().collect();
        uses.sort_unstable_by_key(|key_use| (key_use.tenant, key_use.id));
        uses
    }

    fn is_fresh(&self, looked_up: Instant) -> bool {
        looked_up.elapsed() < self.lifetime
    }

    fn note_use(&self, known: &KnownKey, now: Timestamp) {
        let mut last = known.last_used_at.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| now.since(last) < USE_INTERVAL) {
            return;
        }
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        if uses.len() < MAX_PENDING_USES {
            *last = Some(now);
            uses.insert(known.id, ApiKeyUse { tenant: known.principal.tenant, id: known.id, at: now });
        }
    }
}
