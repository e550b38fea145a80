//! The store: all rows behind one mutex.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use roster_application::ports::{
    Fact, Position, ReplyKey, SavedReply, Store, StoreError, Usage, Verdict, Work, rerun_lost_races,
};
use roster_application::{ApiKey, Digest, Event, Import, LogEntry, Operator, PartKind, Upload};
use roster_domain::{
    ApiKeyId, Customer, CustomerId, EndpointId, ExternalId, ImportId, LogEntryId, Merchant, MerchantId, OperatorId,
    Subscription, SubscriptionId, Tenant, UploadId,
};

use crate::unit_of_work::{Access, MemoryUnitOfWork};
use crate::webhooks::WebhookRows;

/// A store that loses its rows when it is dropped.
///
/// A transaction holds the only lock from its start to its end, so transactions run one after the other. Work that
/// calls the store again deadlocks.
#[derive(Debug, Default)]
pub struct MemoryStore {
    rows: Mutex<Rows>,
}

/// All rows, and the indexes over them.
#[derive(Debug, Default, Clone)]
pub(crate) struct Rows {
    pub(crate) merchants: BTreeMap<MerchantId, Merchant>,
    pub(crate) operators: BTreeMap<OperatorId, Operator>,
    pub(crate) operator_log: BTreeMap<LogEntryId, LogEntry>,
    pub(crate) api_keys: BTreeMap<ApiKeyId, ApiKey>,
    /// The key with each digest.
    pub(crate) digests: BTreeMap<Digest, ApiKeyId>,
    /// Live and deleted customers.
    pub(crate) customers: BTreeMap<(Tenant, CustomerId), Customer>,
    /// The live customer with each external identifier.
    pub(crate) external_ids: BTreeMap<(Tenant, ExternalId), CustomerId>,
    /// The live customers with each e-mail key, exclusive or shared.
    pub(crate) email_keys: BTreeSet<(Tenant, String, CustomerId)>,
    pub(crate) secrets: BTreeMap<String, [u8; 32]>,
    pub(crate) subscriptions: BTreeMap<(Tenant, CustomerId), BTreeMap<SubscriptionId, Subscription>>,
    pub(crate) replies: BTreeMap<ReplyKey, SavedReply>,
    pub(crate) events: BTreeMap<Tenant, Vec<Event>>,
    /// The last place of each log whose event is no longer kept.
    pub(crate) feed_floors: BTreeMap<Tenant, i64>,
    pub(crate) webhooks: BTreeMap<(Tenant, EndpointId), WebhookRows>,
    pub(crate) imports: BTreeMap<(Tenant, ImportId), Import>,
    pub(crate) uploads: BTreeMap<(Tenant, UploadId), Upload>,
    pub(crate) upload_parts: BTreeMap<(Tenant, UploadId, PartKind, u32), Vec<u8>>,
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

    fn run_snapshot(&self, _: Duration, work: &mut Work<'_>) -> Result<(), StoreError> {
        let mut copy = lock(&self.rows).clone();
        MemoryUnitOfWork::run(Access::Draft(&mut copy), work).map(drop)
    }

    fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }

    // Writes leave no work for an index.
    fn flush_search_index(&self) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn inspect(&self, _: &mut dyn FnMut(Fact)) -> Result<(), StoreError> {
        Ok(())
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }

    fn migrate(&self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    fn check_connections(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn position(&self) -> Result<Option<Position>, StoreError> {
        Ok(None)
    }

    fn is_distributed(&self) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn distribute(&self) -> Result<Vec<String>, StoreError> {
        Err(StoreError::internal("only PostgreSQL with the extension citus can be distributed"))
    }
}

/// Ignores lock poisoning: a transaction that panics has changed only its draft, and each repository call checks
/// everything before it writes.
pub(crate) fn lock(rows: &Mutex<Rows>) -> MutexGuard<'_, Rows> {
    rows.lock().unwrap_or_else(PoisonError::into_inner)
}
