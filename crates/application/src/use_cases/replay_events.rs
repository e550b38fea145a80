use roster_domain::{EndpointId, EventId, Tenant, Timestamp};

use crate::Roster;
use crate::ports::{EventQuery, Lane, ListOrder, StoreError, UnitOfWork};

/// The most single events that wait to be sent again to one endpoint: 100.
pub const MAX_REPLAYS: usize = 100;

/// More lanes than an endpoint can have.
pub(super) const ALL_LANES: usize = 2000;

/// Why events are not sent again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The tenant has no such endpoint.
    #[error("there is no such webhook endpoint")]
    NotFound,
    /// The tenant has no such event.
    #[error("there is no such event")]
    UnknownEvent,
    /// As many single events as [`MAX_REPLAYS`] wait to be sent again.
    #[error(
        "{MAX_REPLAYS} events wait to be sent again: wait for them, or send all events again from the first of them on"
    )]
    TooMany,
    /// The store failed.
    #[error("the request could not be stored")]
    Store(#[from] StoreError),
}

impl Roster {
    /// Sends all wanted events again from the place `from` of the log on, in order per customer. A place that is not reached yet
    /// changes nothing: what is there will be sent in any case. If deliveries are being made, it begins after up to a minute.
    ///
    /// # Errors
    /// [`ReplayError`]
    pub fn replay_events(&self, tenant: Tenant, id: EndpointId, from: i64) -> Result<(), ReplayError> {
        self.store.transaction(|uow| rewind(uow, tenant, id, from))
    }

    /// Sends one event again, whether or not the endpoint wants its type, beside the others: not in their order, but never at the
    /// same time as another of its customer. It has as many attempts as any event.
    ///
    /// # Errors
    /// [`ReplayError`]
    pub fn replay_event(&self, tenant: Tenant, id: EndpointId, event: EventId) -> Result<(), ReplayError> {
        let now = self.clock.now();
        self.store.transaction(|uow| replay(uow, tenant, id, event, now))
    }
}

pub(super) fn rewind(uow: &mut dyn UnitOfWork, tenant: Tenant, id: EndpointId, from: i64) -> Result<(), ReplayError> {
    let cursor = from.saturating_sub(1).max(0);
    if uow.webhooks().rewind(tenant, id, cursor)? { Ok(()) } else { Err(ReplayError::NotFound) }
}

pub(super) fn replay(
    uow: &mut dyn UnitOfWork,
    tenant: Tenant,
    id: EndpointId,
    event: EventId,
    now: Timestamp,
) -> Result<(), ReplayError> {
    let (first, last) = (event.seq(), event.seq());
    let order = ListOrder::Ascending;
    let query = EventQuery { tenant, customer: None, kind: None, order, first, last, limit: 1 };
    uow.webhooks().lock(tenant, id)?.ok_or(ReplayError::NotFound)?;
    let found = uow.events().list(&query)?.into_iter().find(|found| found.id() == event);
    let found = found.ok_or(ReplayError::UnknownEvent)?;
    let lanes = uow.webhooks().lanes(tenant, id, Timestamp::MAX, ALL_LANES)?;
    let lane = Lane::replay(found.customer, found.seq, now);
    let mut others = lanes.iter().filter(|other| other.key.replayed.is_some() && other.key != lane.key);
    if others.nth(MAX_REPLAYS - 1).is_some() {
        return Err(ReplayError::TooMany);
    }
    uow.webhooks().open_lane(tenant, id, &lane)?;
    Ok(())
}
