use roster_domain::{CustomerId, Tenant, Timestamp};

use super::StoreError;
use crate::Digest;

/// Identifies a saved reply: an idempotency key of one tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyKey {
    /// The tenant whose caller sent the key.
    pub tenant: Tenant,
    /// The SHA-256 of the key.
    pub digest: Digest,
}

/// What the first request with an idempotency key led to. Repeats of the request are answered from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedReply {
    /// The key.
    pub key: ReplyKey,
    /// The digest of everything that a repeat must have in common with the first request.
    pub fingerprint: Digest,
    /// The customer whose data the outcome has: who erases that customer erases the reply.
    pub customer: Option<CustomerId>,
    /// What the request led to, in a form of the application.
    pub outcome: String,
    /// When it was saved.
    pub created_at: Timestamp,
    /// From this time on it counts as absent, and its key is free.
    pub expires_at: Timestamp,
}

impl SavedReply {
    /// Whether it counts as absent at `now`.
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at <= now
    }
}

/// The saved replies. That of a write is saved with it: [`CustomerRepository::write`](super::CustomerRepository::write).
pub trait ReplyRepository {
    /// Finds replies that have not expired at `now`; the results are in the order of the keys.
    ///
    /// # Errors
    /// [`StoreError`] if the whole batch failed.
    fn find(&mut self, keys: &[ReplyKey], now: Timestamp) -> Result<Vec<Option<SavedReply>>, StoreError>;

    /// Saves replies, each unless its key has one already that has not expired when the new one is made. Returns which
    /// were saved. Outside a transaction all of them commit together before this returns.
    ///
    /// Race-free: of any number of callers that save a reply or make a write with one key at the same time, in any number
    /// of processes, exactly one succeeds. A caller waits for another that has the key in a transaction.
    ///
    /// # Errors
    /// [`StoreError`] if the whole batch failed; nothing of it is saved then.
    fn save(&mut self, replies: &[SavedReply]) -> Result<Vec<bool>, StoreError>;

    /// At most `limit` replies whose outcome has data of a customer, in the order of their keys' digests, that follow `after`;
    /// expired or not. `None`: those that belong to no single customer. It looks at all replies of the tenant.
    ///
    /// # Errors
    /// [`StoreError`]
    fn of_customer(
        &mut self,
        tenant: Tenant,
        customer: Option<CustomerId>,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Vec<SavedReply>, StoreError>;

    /// The keys of at most `limit` replies of `tenants` that have expired at `now`.
    ///
    /// # Errors
    /// [`StoreError`]
    fn expired(&mut self, tenants: &[Tenant], now: Timestamp, limit: usize) -> Result<Vec<ReplyKey>, StoreError>;

    /// Deletes those of some replies that have expired at `now`.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is deleted then.
    fn delete_expired(&mut self, keys: &[ReplyKey], now: Timestamp) -> Result<(), StoreError>;
}
