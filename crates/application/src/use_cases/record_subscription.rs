use roster_domain::{Name, PlanId, Subscription, SubscriptionId, SubscriptionStatus, Timestamp};

use crate::Roster;
use crate::ports::{CustomerKey, StoreError};

/// What a billing engine tells of one subscription.
#[derive(Debug, Clone)]
pub struct SubscriptionReport {
    /// Its own name for it.
    pub id: SubscriptionId,
    /// The plan it is for.
    pub plan_id: Option<PlanId>,
    /// What to call it.
    pub name: Option<Name>,
    /// Whether it still runs.
    pub status: SubscriptionStatus,
    /// When it started. Default: when it was first told of.
    pub started_at: Option<Timestamp>,
    /// When it was cancelled.
    pub cancelled_at: Option<Timestamp>,
}

/// What became of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// The subscription is new.
    New(Subscription),
    /// It took the place of what was told before.
    Replaced(Subscription),
}

/// Why a report was not recorded.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RecordSubscriptionError {
    /// No live customer of the tenant has that identifier.
    #[error("there is no such customer")]
    NotFound,
    /// The store failed.
    #[error("the subscription could not be stored")]
    Store(#[from] StoreError),
}

impl Roster {
    /// Records what a billing engine tells of a subscription, in place of what it told before.
    ///
    /// # Errors
    /// [`RecordSubscriptionError`]; nothing has changed then.
    pub fn record_subscription(
        &self,
        key: &CustomerKey,
        report: &SubscriptionReport,
    ) -> Result<Recorded, RecordSubscriptionError> {
        let now = self.clock.now();
        self.store.transaction(|uow| {
            let customer = uow.customers().lock(key)?.ok_or(RecordSubscriptionError::NotFound)?;
            let before = uow.subscriptions().find(key.tenant, customer.id(), &report.id)?;
            let after = Subscription {
                id: report.id.clone(),
                plan_id: report.plan_id.clone(),
                name: report.name.clone(),
                status: report.status,
                started_at: report.started_at.or(before.as_ref().map(|old| old.started_at)).unwrap_or(now),
                cancelled_at: report.cancelled_at,
                created_at: before.as_ref().map_or(now, |old| old.created_at),
                updated_at: before.as_ref().map_or(now, |old| now.max(old.updated_at)),
            };
            uow.subscriptions().put(key.tenant, customer.id(), &after)?;
            Ok(if before.is_some() { Recorded::Replaced(after) } else { Recorded::New(after) })
        })
    }
}
