use std::collections::HashMap;

use roster_domain::{Customer, CustomerId, PayloadForm, Tenant, Timestamp};

use super::lease_endpoints::LeasedEndpoint;
use super::list_events::extent;
use crate::ports::{
    CustomerKey, CustomerRef, CustomerState, EventQuery, ListOrder, StoreError, StoredEndpoint, UnitOfWork,
};
use crate::{Delivery, Roster};

/// The most events to be sent again that are taken in at once.
const REPLAYS: usize = 100;

/// A delivery to be made now.
#[derive(Debug, Clone)]
pub struct NextDelivery {
    /// The delivery, which is to be [recorded](Roster::record_deliveries).
    pub delivery: Delivery,
    /// The customer as it is now, deleted or not, if the endpoint wants it.
    pub customer: Option<Customer>,
}

impl Roster {
    /// What is to be sent to a leased endpoint now, so that at most `limit` deliveries are being made at the same time; of each
    /// customer one. `None` if the lease is lost or the endpoint is disabled: nothing more is to be sent then.
    ///
    /// Also reads the endpoint again, and extends a lease of which half is over.
    ///
    /// # Errors
    /// [`StoreError`]; it may be called again.
    pub fn next_deliveries(
        &self,
        leased: &mut LeasedEndpoint,
        limit: usize,
    ) -> Result<Option<Vec<NextDelivery>>, StoreError> {
        let now = self.clock.now();
        self.store.direct(|uow| {
            let Some(stored) = read_again(uow, leased, now)? else { return Ok(None) };
            leased.endpoint = stored.endpoint;
            read_log(uow, leased, now, limit)?;
            let deliveries = leased.progress.next(now, limit);
            with_customers(uow, leased, deliveries).map(Some)
        })
    }
}

/// The endpoint as it is stored, if it is still leased and active.
fn read_again(
    uow: &mut dyn UnitOfWork,
    leased: &mut LeasedEndpoint,
    now: Timestamp,
) -> Result<Option<StoredEndpoint>, StoreError> {
    let lease = leased.lease;
    let found = if leased.until.since(now) < leased.length / 2 {
        leased.until = now.plus(leased.length);
        uow.webhooks().renew(&lease, leased.until)?
    } else {
        uow.webhooks().find(lease.tenant, lease.endpoint)?
    };
    Ok(found.filter(|stored| stored.lease() == lease && stored.endpoint.is_active()))
}

fn read_log(
    uow: &mut dyn UnitOfWork,
    leased: &mut LeasedEndpoint,
    now: Timestamp,
    limit: usize,
) -> Result<(), StoreError> {
    let (tenant, id) = (leased.lease.tenant, leased.lease.endpoint);
    let progress = &mut leased.progress;
    let wanted = &leased.endpoint.settings.events;
    let (first, places) = progress.places_to_read(now, limit);
    // First: all events up to it are seen by the statement after it.
    let last = extent(uow, tenant)?.head.min(first + places - 1);
    if first <= last {
        let events = uow.events().list(&part(tenant, None, first, last, usize::MAX))?;
        progress.add_events(events, last, wanted, now);
    }
    let due = uow.webhooks().lanes(tenant, id, now, REPLAYS)?;
    progress.add_replays(&due);
    for (key, first, last) in progress.lanes_to_load(now, limit) {
        let size = progress.chunk();
        let events = uow.events().list(&part(tenant, Some(key.customer), first, last, size))?;
        let is_full = events.len() == size;
        let loaded_to = events.last().filter(|_| is_full).map_or(last, |event| event.seq);
        progress.load_lane(key, events, loaded_to, wanted);
    }
    Ok(())
}

fn part(tenant: Tenant, customer: Option<CustomerId>, first: i64, last: i64, limit: usize) -> EventQuery {
    EventQuery { tenant, customer, kind: None, order: ListOrder::Ascending, first, last, limit }
}

fn with_customers(
    uow: &mut dyn UnitOfWork,
    leased: &mut LeasedEndpoint,
    deliveries: Vec<Delivery>,
) -> Result<Vec<NextDelivery>, StoreError> {
    let tenant = leased.lease.tenant;
    let mut customers: HashMap<CustomerId, Customer> = HashMap::new();
    if leased.endpoint.settings.form == PayloadForm::WithCustomer && !deliveries.is_empty() {
        let key = |delivery: &Delivery| CustomerKey { tenant, customer: CustomerRef::Id(delivery.event.customer) };
        let keys: Vec<_> = deliveries.iter().map(key).collect();
        match uow.customers().find(CustomerState::Any, &keys) {
            Ok(found) => customers.extend(found.into_iter().flatten().map(|customer| (customer.id(), customer))),
            Err(error) => {
                leased.progress.take_back(&deliveries);
                return Err(error);
            }
        }
    }
    let next = |delivery: Delivery| NextDelivery { customer: customers.remove(&delivery.event.customer), delivery };
    Ok(deliveries.into_iter().map(next).collect())
}
