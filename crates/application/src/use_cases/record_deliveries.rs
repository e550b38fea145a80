use std::time::Duration;

use roster_domain::{AttemptId, CustomerId, EndpointId, EventId, Excerpt, Tenant, Timestamp};

use super::lease_endpoints::LeasedEndpoint;
use crate::ports::{Attempt, AttemptOutcome, DeliveryRecord, Ids, StoreError};
use crate::{Delivery, DeliveryOutcome, Roster};

/// What is known of an attempt that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// The start of the body of the answer.
    pub answer: Option<Excerpt>,
    /// Why there was no answer.
    pub error: Option<Excerpt>,
}

impl Sent {
    pub(super) fn attempt(
        self,
        ids: &dyn Ids,
        (tenant, endpoint): (Tenant, EndpointId),
        (event, customer): (EventId, Option<CustomerId>),
        number: u32,
        outcome: AttemptOutcome,
    ) -> Attempt {
        let Self { at, duration, status, answer, error } = self;
        let id = AttemptId::new(ids.next(at));
        Attempt { id, tenant, endpoint, event, customer, number, outcome, status, duration, answer, error, at }
    }
}

/// What a worker does with its lease when it records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseEnd {
    /// It keeps it, for its length from now.
    Keep,
    /// It gives it back, if no delivery is being made; otherwise it keeps it.
    GiveBack,
}

impl Roster {
    /// Records what deliveries of a leased endpoint led to, in one transaction. Returns whether the worker still has the endpoint.
    /// If not, other workers send again what was not recorded, and this one is to stop.
    ///
    /// The worker is done, too, with a lease that is given back, or that ends because the endpoint gets disabled. Deliveries that
    /// are being made at that time may still be recorded.
    ///
    /// # Errors
    /// [`StoreError`]. The results are kept in `leased`: they are recorded by the next call, which may be without results.
    pub fn record_deliveries(
        &self,
        leased: &mut LeasedEndpoint,
        results: Vec<(Delivery, DeliveryOutcome, Sent)>,
        end: LeaseEnd,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        for (delivery, outcome, sent) in results {
            if let Some(outcome) = leased.progress.finish(&delivery, outcome, now) {
                let of = (leased.lease.tenant, leased.lease.endpoint);
                let event = (delivery.event.id(), Some(delivery.event.customer));
                leased.attempts.push(sent.attempt(self.ids.as_ref(), of, event, delivery.number, outcome));
            }
        }
        let keeps = end == LeaseEnd::Keep || !leased.is_idle();
        let is_held = keeps && leased.progress.disabled().is_none();
        let (lanes, closed) = leased.progress.changes();
        let due_at = if is_held { now.plus(leased.length) } else { leased.progress.due_after(now) };
        let record = DeliveryRecord {
            cursor: leased.progress.cursor(),
            lanes,
            closed,
            attempts: leased.attempts.clone(),
            failing_since: leased.progress.failing_since(),
            disabled: leased.progress.disabled(),
            due_at,
        };
        let is_stored = self.store.direct(|uow| uow.webhooks().record(&leased.lease, &record))?;
        if is_stored {
            leased.attempts.clear();
            leased.progress.recorded();
            leased.until = due_at;
        }
        Ok(is_stored && is_held)
    }
}
