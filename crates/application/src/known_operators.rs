//! A cache of operators whose keys were accepted a moment ago, and whether there is any operator.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::sync::Cache;
use roster_domain::Timestamp;

use crate::{Digest, OperatorPrincipal};

/// The most operators in the cache. Only those that were found are cached: unknown keys evict none.
const CAPACITY: u64 = 1000;

/// For how long the store is not asked again whether there is an operator after there was none.
const ABSENT: Duration = Duration::from_secs(1);

/// Caches operators for a while after they were looked up.
#[derive(Debug)]
pub(crate) struct KnownOperators {
    lifetime: Duration,
    /// How much longer a key is accepted while the store does not answer.
    grace: Duration,
    /// Each operator, and when its look-up began.
    cached: Cache<Digest, (OperatorPrincipal, Instant)>,
    /// Rows of operators are never deleted, so that this changes once.
    exist: AtomicBool,
    absent_at: Mutex<Option<Instant>>,
}

impl KnownOperators {
    /// Caches an operator for `lifetime`, counted from the start of its look-up, and for `grace` longer while the store does not
    /// answer.
    pub(crate) fn new(lifetime: Duration, grace: Duration) -> Self {
        let cached = Cache::builder().max_capacity(CAPACITY).time_to_live(lifetime + grace).build();
        Self { lifetime, grace, cached, exist: AtomicBool::default(), absent_at: Mutex::default() }
    }

    /// The operator of a key that was looked up a moment ago.
    pub(crate) fn find(&self, digest: &Digest, now: Timestamp) -> Option<OperatorPrincipal> {
        self.cached_for(self.lifetime, digest, now)
    }

    /// The operator of a key that the store cannot be asked about, if it may still be accepted.
    pub(crate) fn in_grace(&self, digest: &Digest, now: Timestamp) -> Option<OperatorPrincipal> {
        self.cached_for(self.lifetime + self.grace, digest, now)
    }

    fn cached_for(&self, age: Duration, digest: &Digest, now: Timestamp) -> Option<OperatorPrincipal> {
        let (operator, looked_up) = self.cached.get(digest)?;
        let is_known = looked_up.elapsed() < age && operator.expires_at.is_none_or(|end| now < end);
        is_known.then_some(operator)
    }

    /// Caches an operator whose look-up began at `looked_up`.
    pub(crate) fn insert(&self, digest: Digest, operator: OperatorPrincipal, looked_up: Instant) {
        self.cached.insert(digest, (operator, looked_up));
    }

    /// Forgets a key that a look-up did not find, or found unusable.
    pub(crate) fn forget(&self, digest: &Digest) {
        self.cached.invalidate(digest);
    }

    /// Whether there is an operator, if that is known without asking the store.
    pub(crate) fn exist(&self) -> Option<bool> {
        if self.exist.load(Ordering::Relaxed) {
            return Some(true);
        }
        let absent_at = *self.absent_at.lock().unwrap_or_else(PoisonError::into_inner);
        absent_at.filter(|at| at.elapsed() < ABSENT).map(|_| false)
    }

    /// Notes what the store has answered to a question that was asked at `asked_at`.
    pub(crate) fn note(&self, exist: bool, asked_at: Instant) {
        if exist {
            self.exist.store(true, Ordering::Relaxed);
        } else {
            *self.absent_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked_at);
        }
    }
}
