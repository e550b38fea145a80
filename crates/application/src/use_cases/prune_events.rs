use std::time::Duration;

use roster_domain::{Tenant, Timestamp};

use super::Sweep;
use super::create_endpoint::MAX_ENDPOINTS;
use crate::ports::{EventQuery, ListOrder, StoreError, UnitOfWork};
use crate::{Event, Roster};

/// More than the endpoints that a tenant can have.
const ALL_ENDPOINTS: usize = 2 * MAX_ENDPOINTS;

/// Events of a tenant that one step deletes at most.
const EVENTS: usize = 250;

impl Roster {
    /// Keeps events for `retention`. The default is for ever.
    #[must_use]
    pub fn with_event_retention(self, retention: Option<Duration>) -> Self {
        Self { event_retention: retention, ..self }
    }

    /// Deletes events that are older than [they are kept](Roster::with_event_retention), of 100 merchants behind `from` and at
    /// most 250 of each tenant: a step that holds up no other writer for long. What is not delivered to an active webhook endpoint
    /// is kept until it is. Returns where to go on; `None` if all
    /// merchants were looked through, or all events are kept.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn prune_events(&self, from: Sweep) -> Result<Option<Sweep>, StoreError> {
        let Some(retention) = self.event_retention else { return Ok(None) };
        let end = self.clock.now().minus(retention);
        self.sweep(from, 1, |tenants| {
            self.store.direct(|uow| {
                let mut has_more = false;
                for tenant in uow.events().older_than(tenants, end)? {
                    has_more |= prune(uow, tenant, end)?;
                }
                Ok(usize::from(has_more))
            })
        })
    }
}

/// Deletes the first events of a tenant. Returns whether more of them may be old.
fn prune(uow: &mut dyn UnitOfWork, tenant: Tenant, end: Timestamp) -> Result<bool, StoreError> {
    let extent = uow.events().extents(&[tenant])?;
    let first = extent.first().map_or(0, |extent| extent.floor) + 1;
    let order = ListOrder::Ascending;
    let query = EventQuery { tenant, customer: None, kind: None, order, first, last: i64::MAX, limit: EVENTS };
    let events = uow.events().list(&query)?;
    // Clocks of instances differ: an old event may follow a new one. It goes with that.
    let delivered = delivered_to_all(uow, tenant)?;
    let may_go = |event: &&Event| event.created_at < end && event.seq <= delivered;
    let number = events.iter().take_while(may_go).count();
    if let Some(last) = number.checked_sub(1).and_then(|place| events.get(place)) {
        uow.events().prune(tenant, last.seq)?;
    }
    Ok(number == EVENTS)
}

/// The events up to here are delivered to all active endpoints of a tenant. An endpoint to which nothing can be delivered is
/// disabled after some days, so it keeps no events for ever.
fn delivered_to_all(uow: &mut dyn UnitOfWork, tenant: Tenant) -> Result<i64, StoreError> {
    let mut delivered = i64::MAX;
    let endpoints = uow.webhooks().list(tenant, None, ALL_ENDPOINTS)?;
    for stored in endpoints.iter().filter(|stored| stored.endpoint.is_active()) {
        let in_lanes = uow.webhooks().first_in_lanes(tenant, stored.endpoint.id)?;
        delivered = delivered.min(stored.cursor).min(in_lanes.map_or(i64::MAX, |first| first - 1));
    }
    Ok(delivered)
}
