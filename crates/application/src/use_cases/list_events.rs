use std::collections::HashMap;

use roster_domain::{Customer, CustomerId, EventId, EventType, Tenant};

use crate::ports::{
    CustomerKey, CustomerRef, CustomerState, EventQuery, Extent, ListOrder, MAX_EVENTS, StoreError, UnitOfWork,
};
use crate::{Event, Roster};

/// A part of a tenant's log that a caller asks for.
#[derive(Debug, Clone)]
pub struct EventList {
    /// The tenant.
    pub tenant: Tenant,
    /// Only the events of this customer.
    pub customer: Option<CustomerId>,
    /// Only events of this type.
    pub kind: Option<EventType>,
    /// The newest first, or in the order in which they happened.
    pub order: ListOrder,
    /// Only those behind this place, in the order of the list. `None`: from its beginning.
    pub after: Option<i64>,
    /// The most events.
    pub limit: usize,
}

/// Some events of a list.
#[derive(Debug, Clone)]
pub struct EventPage {
    /// The events.
    pub events: Vec<Event>,
    /// Whether more may follow. A list of one type may have a page without events and go on.
    pub has_more: bool,
    /// The place behind which the list goes on. In the order in which events happen it always does.
    pub next: i64,
}

/// Why events were not listed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ListEventsError {
    /// Events behind the place where the list goes on are no longer kept.
    #[error("the events up to {floor} are no longer kept")]
    Pruned {
        /// The last place whose event is no longer kept.
        floor: i64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Roster {
    /// A page of a tenant's log.
    ///
    /// # Errors
    /// [`ListEventsError`]
    pub fn list_events(&self, wanted: &EventList) -> Result<EventPage, ListEventsError> {
        self.store.direct(|uow| {
            // First: all events up to the head are seen by the statement after it.
            let Extent { floor, head } = extent(uow, wanted.tenant)?;
            let (first, last) = wanted.places(floor, head);
            let query = EventQuery {
                tenant: wanted.tenant,
                customer: wanted.customer,
                kind: wanted.kind,
                order: wanted.order,
                first,
                last,
                limit: wanted.limit + 1,
            };
            let events = if first > last { Vec::new() } else { uow.events().list(&query)? };
            // Once more: what was deleted meanwhile must not look as if it had never been.
            let floor = if first > last { floor } else { extent(uow, wanted.tenant)?.floor };
            if wanted.after.is_some_and(|after| after < floor) {
                return Err(ListEventsError::Pruned { floor });
            }
            Ok(wanted.page(events, floor, head, (first, last)))
        })
    }

    /// The last place of the log of each tenant; 0 if it has had no event. In the order of the tenants.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn feed_heads(&self, tenants: &[Tenant]) -> Result<Vec<i64>, StoreError> {
        let extents = self.store.direct(|uow| uow.events().extents(tenants))?;
        Ok(extents.into_iter().map(|extent| extent.head).collect())
    }

    /// An event of the tenant.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn find_event(&self, tenant: Tenant, id: EventId) -> Result<Option<Event>, StoreError> {
        let (first, last) = (id.seq(), id.seq());
        let order = ListOrder::Ascending;
        let query = EventQuery { tenant, customer: None, kind: None, order, first, last, limit: 1 };
        let found = self.store.direct(|uow| uow.events().list(&query))?;
        Ok(found.into_iter().find(|event| event.id() == id))
    }

    /// Whether the tenant has or had the customer.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn knows_customer(&self, tenant: Tenant, id: CustomerId) -> Result<bool, StoreError> {
        let key = CustomerKey { tenant, customer: CustomerRef::Id(id) };
        let found = self.store.direct(|uow| uow.customers().find(CustomerState::Any, std::slice::from_ref(&key)))?;
        Ok(found.iter().any(Option::is_some))
    }

    /// The customers of events as they stand now, deleted or not.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn customers_of_events(
        &self,
        tenant: Tenant,
        events: &[Event],
    ) -> Result<HashMap<CustomerId, Customer>, StoreError> {
        let mut ids: Vec<CustomerId> = events.iter().map(|event| event.customer).collect();
        ids.sort_unstable();
        ids.dedup();
        let keys: Vec<_> = ids.into_iter().map(|id| CustomerKey { tenant, customer: CustomerRef::Id(id) }).collect();
        let found = self.store.direct(|uow| uow.customers().find(CustomerState::Any, &keys))?;
        Ok(found.into_iter().flatten().map(|customer| (customer.id(), customer)).collect())
    }
}

/// Which events of a tenant are kept.
pub(super) fn extent(uow: &mut dyn UnitOfWork, tenant: Tenant) -> Result<Extent, StoreError> {
    Ok(uow.events().extents(&[tenant])?.first().copied().unwrap_or_default())
}

impl EventList {
    /// The first and the last place that are looked at. Events of one type may be rare, and no index has them, so that
    /// only some places are looked at for a page of them.
    fn places(&self, floor: i64, head: i64) -> (i64, i64) {
        let width = if self.kind.is_some() { MAX_EVENTS } else { i64::MAX };
        match self.order {
            ListOrder::Ascending => {
                let first = self.after.unwrap_or(floor).saturating_add(1);
                (first, head.min(first.saturating_add(width - 1)))
            }
            ListOrder::Descending => {
                let last = self.after.map_or(head, |after| head.min(after - 1));
                (last.saturating_sub(width - 1).max(floor + 1), last)
            }
        }
    }

    fn page(&self, mut events: Vec<Event>, floor: i64, head: i64, (first, last): (i64, i64)) -> EventPage {
        if events.len() > self.limit {
            events.truncate(self.limit);
            let next = events.last().map_or(0, |event| event.seq);
            return EventPage { events, has_more: true, next };
        }
        match self.order {
            ListOrder::Ascending => {
                EventPage { events, has_more: last < head && first <= last, next: last.max(first - 1) }
            }
            ListOrder::Descending => EventPage { events, has_more: first > floor + 1 && first <= last, next: first },
        }
    }
}
