//! The logs of tenants.

use roster_application::Event;
use roster_application::ports::{EventQuery, EventRepository, Extent, ListOrder, StoreError, Write};
use roster_domain::{Tenant, Timestamp};

use crate::store::Rows;
use crate::unit_of_work::MemoryUnitOfWork;

impl EventRepository for MemoryUnitOfWork<'_> {
    fn list(&mut self, query: &EventQuery) -> Result<Vec<Event>, StoreError> {
        self.call(|rows| {
            let is_wanted = |event: &&Event| {
                (query.first..=query.last).contains(&event.seq)
                    && query.customer.is_none_or(|customer| event.customer == customer)
                    && query.kind.is_none_or(|kind| event.kind == kind)
            };
            let events = rows.events.get(&query.tenant).into_iter().flatten().filter(is_wanted).cloned();
            Ok(match query.order {
                ListOrder::Ascending => events.take(query.limit).collect(),
                ListOrder::Descending => {
                    let mut events: Vec<Event> = events.collect();
                    events.reverse();
                    events.truncate(query.limit);
                    events
                }
            })
        })
    }

    fn extents(&mut self, tenants: &[Tenant]) -> Result<Vec<Extent>, StoreError> {
        self.call(|rows| Ok(tenants.iter().map(|tenant| rows.extent(*tenant)).collect()))
    }

    fn lower_bounds(&mut self, tenant: Tenant, times: &[Timestamp]) -> Result<Vec<i64>, StoreError> {
        self.call(|rows| {
            let behind = rows.extent(tenant).head + 1;
            let events = rows.events.get(&tenant).map(Vec::as_slice).unwrap_or_default();
            let bound = |time: &Timestamp| {
                let place = events.partition_point(|event| event.created_at < *time);
                events.get(place).map_or(behind, |event| event.seq)
            };
            Ok(times.iter().map(bound).collect())
        })
    }

    fn older_than(&mut self, tenants: &[Tenant], time: Timestamp) -> Result<Vec<Tenant>, StoreError> {
        self.call(|rows| {
            let first = |tenant: &&Tenant| rows.events.get(tenant).and_then(|events| events.first());
            let is_old = |tenant: &&Tenant| first(tenant).is_some_and(|event| event.created_at < time);
            Ok(tenants.iter().filter(is_old).copied().collect())
        })
    }

    fn prune(&mut self, tenant: Tenant, last: i64) -> Result<(), StoreError> {
        self.call(|rows| {
            rows.events.entry(tenant).or_default().retain(|event| event.seq > last);
            let floor = rows.feed_floors.entry(tenant).or_default();
            *floor = last.max(*floor);
            Ok(())
        })
    }
}

impl Rows {
    pub(crate) fn extent(&self, tenant: Tenant) -> Extent {
        let floor = self.feed_floors.get(&tenant).copied().unwrap_or(0);
        let last = self.events.get(&tenant).and_then(|events| events.last());
        Extent { floor, head: last.map_or(floor, |event| event.seq) }
    }

    /// Notes what a write did.
    pub(crate) fn log(&mut self, write: &Write) {
        let tenant = write.after().tenant();
        let event = Event::of(write, self.extent(tenant).head + 1);
        self.events.entry(tenant).or_default().extend(event);
    }
}
