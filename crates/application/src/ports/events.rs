use roster_domain::{CustomerId, EventType, Tenant, Timestamp};

use super::{ListOrder, StoreError};
use crate::Event;

/// The most events that a store looks at for one page of those of some type: 10,000.
pub const MAX_EVENTS: i64 = 10_000;

/// A part of a tenant's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventQuery {
    /// The tenant.
    pub tenant: Tenant,
    /// Only the events of this customer.
    pub customer: Option<CustomerId>,
    /// Only events of this type.
    pub kind: Option<EventType>,
    /// In which order of their places.
    pub order: ListOrder,
    /// Only events at places from here.
    pub first: i64,
    /// Only events at places up to here.
    pub last: i64,
    /// The most events.
    pub limit: usize,
}

/// Which events of a log are kept: those at the places behind `floor`, up to `head`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// The last place whose event is no longer kept; 0 if all are.
    pub floor: i64,
    /// The last place; 0 if the log has had no event.
    pub head: i64,
}

/// The logs of tenants. An event is written with its write: [`CustomerRepository::write`](super::CustomerRepository::write).
///
/// Each write that is done makes one event, which is committed with it; one that is refused makes none. The places of a
/// tenant's events have no gaps and are in the order of their commits: a reader that has seen one has seen all before it,
/// and no event comes to a place before one that was seen. In a transaction, a store may number events at the commit: until then
/// they need not be seen.
pub trait EventRepository {
    /// The events of a part of a log.
    ///
    /// # Errors
    /// [`StoreError`]
    fn list(&mut self, query: &EventQuery) -> Result<Vec<Event>, StoreError>;

    /// Which events of each tenant are kept; the results are in the order of the tenants.
    ///
    /// # Errors
    /// [`StoreError`]
    fn extents(&mut self, tenants: &[Tenant]) -> Result<Vec<Extent>, StoreError>;

    /// The lower bound of each of `times` in a log: the place of the first event that is kept and was made at that time or later;
    /// the place behind the head if there is none. The results are in the order of the times.
    ///
    /// A binary search: for each time it reads about log2 of the number of events, by primary key. `created_at` comes from the
    /// clocks of instances, so two events that follow each other may be out of order by the difference of these clocks, and the
    /// search ends at one of them. A later time never has a smaller place than an earlier one of the same call.
    ///
    /// # Errors
    /// [`StoreError`]
    fn lower_bounds(&mut self, tenant: Tenant, times: &[Timestamp]) -> Result<Vec<i64>, StoreError>;

    /// Those of `tenants` whose first event that is kept was made before `time`.
    ///
    /// # Errors
    /// [`StoreError`]
    fn older_than(&mut self, tenants: &[Tenant], time: Timestamp) -> Result<Vec<Tenant>, StoreError>;

    /// Deletes the events of a tenant up to a place, which becomes the floor if it is behind it.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is deleted then.
    fn prune(&mut self, tenant: Tenant, last: i64) -> Result<(), StoreError>;
}
