use roster_domain::{Customer, Metadata, Name, PlanId, Subscription, SubscriptionStatus, Timestamp};

use super::write_customers::WriteError;
use crate::ports::{SubscriptionKey, SubscriptionWrite, Write};
use crate::{Precondition, Revision};

/// What a billing engine reports of one subscription of a live customer. It replaces what it reported before.
#[derive(Debug, Clone)]
pub struct SubscriptionReport {
    /// The subscription, by the billing engine's own name.
    pub key: SubscriptionKey,
    /// The plan it is for.
    pub plan_id: Option<PlanId>,
    /// Its display name.
    pub name: Option<Name>,
    /// How it stands.
    pub status: SubscriptionStatus,
    /// When it started. Default: when it was first reported.
    pub started_at: Option<Timestamp>,
    /// When it was cancelled.
    pub cancelled_at: Option<Timestamp>,
    /// What else it reports.
    pub details: Option<Metadata>,
    /// What the subscription must be before it.
    pub precondition: Precondition,
}

impl SubscriptionReport {
    /// The write that records it.
    pub(super) fn decide(
        &self,
        customer: Customer,
        before: Option<Subscription>,
        now: Timestamp,
    ) -> Result<Write, WriteError> {
        let current = before.as_ref().map(|before| Revision::of_subscription(customer.id(), before));
        self.precondition.check(current)?;
        let after = Subscription {
            id: self.key.id.clone(),
            plan_id: self.plan_id.clone(),
            name: self.name.clone(),
            status: self.status,
            started_at: self.started_at.or(before.as_ref().map(|old| old.started_at)).unwrap_or(now),
            cancelled_at: self.cancelled_at,
            details: self.details.clone(),
            version: before.as_ref().map_or(1, |old| old.version + 1),
            created_at: before.as_ref().map_or(now, |old| old.created_at),
            updated_at: before.as_ref().map_or(now, |old| now.max(old.updated_at)),
        };
        Ok(Write::record(customer, SubscriptionWrite { before, after }))
    }
}
