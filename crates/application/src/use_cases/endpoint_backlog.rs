use std::time::Duration;

use roster_domain::{EndpointId, Tenant, Timestamp};

use super::list_events::extent;
use crate::Roster;
use crate::ports::{EventQuery, ListOrder, StoreError, UnitOfWork};

/// What is not delivered to an endpoint yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndpointBacklog {
    /// The events of the log behind the cursor, those of types that are not wanted among them. Events in lanes are not.
    pub events: i64,
    /// How long ago the oldest event happened that may not be delivered yet, those in lanes among them. Zero: there is none.
    pub age: Duration,
}

impl Roster {
    /// What is not delivered to an endpoint yet. `None` if the tenant has no such endpoint.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn endpoint_backlog(&self, tenant: Tenant, id: EndpointId) -> Result<Option<EndpointBacklog>, StoreError> {
        let now = self.clock.now();
        self.store.direct(|uow| {
            let Some(stored) = uow.webhooks().find(tenant, id)? else { return Ok(None) };
            let head = extent(uow, tenant)?.head;
            let in_lanes = uow.webhooks().first_in_lanes(tenant, id)?;
            let first = in_lanes.unwrap_or(i64::MAX).min(stored.cursor + 1);
            let happened_at = time_of(uow, tenant, first, head)?;
            let age = happened_at.map_or(Duration::ZERO, |at| now.since(at));
            Ok(Some(EndpointBacklog { events: (head - stored.cursor).max(0), age }))
        })
    }
}

/// When the first event at `first` or behind it happened.
pub(super) fn time_of(
    uow: &mut dyn UnitOfWork,
    tenant: Tenant,
    first: i64,
    last: i64,
) -> Result<Option<Timestamp>, StoreError> {
    if first > last {
        return Ok(None);
    }
    let order = ListOrder::Ascending;
    let query = EventQuery { tenant, customer: None, kind: None, order, first, last, limit: 1 };
    Ok(uow.events().list(&query)?.first().map(|event| event.created_at))
}
