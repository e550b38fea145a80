//! The logs of tenants.

use roster_application::Event;
use roster_application::ports::{EventQuery, EventRepository, ListOrder, StoreError, Write};
use roster_domain::Tenant;

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

    fn head(&mut self, tenant: Tenant) -> Result<i64, StoreError> {
        self.call(|rows| Ok(rows.head(tenant)))
    }
}

impl Rows {
    pub(crate) fn head(&self, tenant: Tenant) -> i64 {
        self.events.get(&tenant).and_then(|events| events.last()).map_or(0, |event| event.seq)
    }

    /// Notes what a write did.
    pub(crate) fn log(&mut self, write: &Write) {
        let tenant = write.after().tenant();
        let event = Event::of(write, self.head(tenant) + 1);
        self.events.entry(tenant).or_default().extend(event);
    }
}
