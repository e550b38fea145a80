//! The store: all rows behind one mutex.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use roster_application::ports::{Store, StoreError, Verdict, Work, rerun_lost_races};
use roster_application::{ApiKey, Digest};
use roster_domain::{
    ApiKeyId, Customer, CustomerId, ExternalId, Merchant, MerchantId, Subscription, SubscriptionId, Tenant,
};

use crate::unit_of_work::{Access, MemoryUnitOfWork};

/// A store that forgets everything when it is dropped.
///
/// A transaction holds the one lock from its beginning to its end, so transactions run one after the other, and work
/// that called the store again would wait for itself.
#[derive(Debug, Default)]
pub struct MemoryStore {
    rows: Mutex<Rows>,
}

/// All rows, and the indexes over them.
#[derive(Debug, Default, Clone)]
pub(crate) struct Rows {
    pub(crate) merchants: BTreeMap<MerchantId, Merchant>,
    pub(crate) api_keys: BTreeMap<ApiKeyId, ApiKey>,
    /// Which key has a digest.
    pub(crate) digests: BTreeMap<Digest, ApiKeyId>,
    /// The live ones and the deleted ones.
    pub(crate) customers: BTreeMap<(Tenant, CustomerId), Customer>,
    /// Which live customer has an external identifier.
    pub(crate) external_ids: BTreeMap<(Tenant, ExternalId), CustomerId>,
    /// Which live customers have an e-mail key, however they came by it.
    pub(crate) email_keys: BTreeSet<(Tenant, String, CustomerId)>,
    pub(crate) subscriptions: BTreeMap<(Tenant, CustomerId), BTreeMap<SubscriptionId, Subscription>>,
}

impl Store for MemoryStore {
    fn run_transaction(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        rerun_lost_races(|| {
            let mut rows = lock(&self.rows);
            let mut draft = rows.clone();
            if MemoryUnitOfWork::run(Access::Draft(&mut draft), work)? == Verdict::Commit {
                *rows = draft;
            }
            Ok(())
        })
    }

    fn run_direct(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        MemoryUnitOfWork::run(Access::Each(&self.rows), work).map(drop)
    }

    fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Locks the rows, whoever panicked before: work that panics in a transaction has touched a draft only, and every call
/// of a repository checks all there is to check before it writes.
pub(crate) fn lock(rows: &Mutex<Rows>) -> MutexGuard<'_, Rows> {
    rows.lock().unwrap_or_else(PoisonError::into_inner)
}
