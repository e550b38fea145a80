use std::time::Duration;

use roster_domain::{Tenant, Timestamp};

use super::Sweep;
use super::create_endpoint::MAX_ENDPOINTS;
use super::endpoint_backlog::time_of;
use crate::Roster;
use crate::ports::{StoreError, UnitOfWork};

/// More than the endpoints that a tenant can have.
const ALL_ENDPOINTS: usize = 2 * MAX_ENDPOINTS;

/// What is not delivered to all active webhook endpoints of all tenants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventBacklog {
    /// The events of the logs behind the cursors, added up. An event counts once for each endpoint.
    pub events: i64,
    /// How long ago the oldest event happened that may not be delivered yet.
    pub age: Duration,
    /// The endpoints with such events.
    pub endpoints: u64,
}

impl Roster {
    /// Adds what is not delivered to the endpoints of 100 merchants behind `from` to `sum`. Returns where to go on; `None` if all
    /// merchants were looked through.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn add_event_backlog(&self, from: Sweep, sum: &mut EventBacklog) -> Result<Option<Sweep>, StoreError> {
        let now = self.clock.now();
        self.sweep(from, usize::MAX, |tenants| {
            self.store.direct(|uow| {
                let extents = uow.events().extents(tenants)?;
                for (tenant, extent) in tenants.iter().zip(extents).filter(|(_, extent)| extent.head > 0) {
                    add(uow, *tenant, extent.head, now, sum)?;
                }
                Ok(0)
            })
        })
    }
}

fn add(
    uow: &mut dyn UnitOfWork,
    tenant: Tenant,
    head: i64,
    now: Timestamp,
    sum: &mut EventBacklog,
) -> Result<(), StoreError> {
    let endpoints = uow.webhooks().list(tenant, None, ALL_ENDPOINTS)?;
    for stored in endpoints.iter().filter(|stored| stored.endpoint.is_active()) {
        let in_lanes = uow.webhooks().first_in_lanes(tenant, stored.endpoint.id)?;
        let first = in_lanes.unwrap_or(i64::MAX).min(stored.cursor + 1);
        let Some(at) = time_of(uow, tenant, first, head)? else { continue };
        sum.events += (head - stored.cursor).max(0);
        sum.age = sum.age.max(now.since(at));
        sum.endpoints += 1;
    }
    Ok(())
}
