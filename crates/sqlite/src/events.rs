//! Reading logs; `writes.rs` writes them with their customers.

use diesel::prelude::*;
use roster_application::Event;
use roster_application::ports::{EventQuery, EventRepository, Extent, ListOrder, StoreError};
use roster_domain::{Tenant, Timestamp};

use crate::error::Fault;
use crate::rows::{Id, Time, limit};
use crate::schema::{EventRow, events, events_of, feed_floor_of, feed_floors, feed_head_of, feed_heads};
use crate::unit_of_work::SqliteUnitOfWork;

impl EventRepository for SqliteUnitOfWork<'_> {
    fn list(&mut self, query: &EventQuery) -> Result<Vec<Event>, StoreError> {
        self.run(|connection| {
            load(connection, query)?.into_iter().map(|row| Event::try_from(row).map_err(Fault::Store)).collect()
        })
    }

    fn extents(&mut self, tenants: &[Tenant]) -> Result<Vec<Extent>, StoreError> {
        self.run_together(|connection| {
            let extent =
                |tenant: &Tenant| Ok(Extent { floor: floor(connection, *tenant)?, head: head(connection, *tenant)? });
            tenants.iter().map(extent).collect()
        })
    }

    fn lower_bounds(&mut self, tenant: Tenant, times: &[Timestamp]) -> Result<Vec<i64>, StoreError> {
        self.run_together(|connection| {
            let kept = (floor(connection, tenant)? + 1, head(connection, tenant)? + 1);
            times.iter().map(|time| lower_bound(connection, tenant, kept, (*time).into())).collect()
        })
    }

    fn older_than(&mut self, tenants: &[Tenant], time: Timestamp) -> Result<Vec<Tenant>, StoreError> {
        self.run_together(|connection| {
            let mut older = Vec::new();
            for tenant in tenants {
                // By the place behind the floor.
                let kept = events_of(*tenant).filter(events::seq.gt(floor(connection, *tenant)?));
                let first = kept.order(events::seq).select(events::created_at).first(connection).optional()?;
                if first.is_some_and(|first: Time| first < Time::from(time)) {
                    older.push(*tenant);
                }
            }
            Ok(older)
        })
    }

    fn prune(&mut self, tenant: Tenant, last: i64) -> Result<(), StoreError> {
        self.run_write(|connection| {
            if last > floor(connection, tenant)? {
                let row = (
                    feed_floors::merchant_id.eq(Id(tenant.merchant.uuid())),
                    feed_floors::environment.eq(tenant.environment.as_str()),
                    feed_floors::seq.eq(last),
                );
                diesel::replace_into(feed_floors::table).values(row).execute(connection)?;
            }
            diesel::delete(events_of(tenant).filter(events::seq.le(last))).execute(connection)?;
            Ok(())
        })
    }
}

/// The last place of a log.
fn head(connection: &mut SqliteConnection, tenant: Tenant) -> QueryResult<i64> {
    let head = feed_head_of(tenant).select(feed_heads::seq).get_result(connection).optional()?;
    Ok(head.unwrap_or(0))
}

/// The first place from `low`, and below `high`, whose event was made at `time` or later; `high` if there is none.
fn lower_bound(
    connection: &mut SqliteConnection,
    tenant: Tenant,
    (mut low, mut high): (i64, i64),
    time: Time,
) -> Result<i64, Fault> {
    while low < high {
        let middle = low + (high - low) / 2;
        let at = events_of(tenant).filter(events::seq.eq(middle)).select(events::created_at);
        let at: Option<Time> = at.get_result(connection).optional()?;
        if at.is_some_and(|at| at >= time) { high = middle } else { low = middle + 1 }
    }
    Ok(low)
}

/// The last place of a log whose event is no longer kept.
fn floor(connection: &mut SqliteConnection, tenant: Tenant) -> QueryResult<i64> {
    let floor = feed_floor_of(tenant).select(feed_floors::seq).get_result(connection).optional()?;
    Ok(floor.unwrap_or(0))
}

/// Runs the statement of a query, which has eight forms.
fn load(connection: &mut SqliteConnection, query: &EventQuery) -> QueryResult<Vec<EventRow>> {
    let mut page = events_of(query.tenant).filter(events::seq.between(query.first, query.last)).into_boxed();
    if let Some(customer) = query.customer {
        page = page.filter(events::customer_id.eq(Id(customer.uuid())));
    }
    if let Some(kind) = query.kind {
        page = page.filter(events::event_type.eq(kind.as_str()));
    }
    let page = page.limit(limit(query.limit));
    match query.order {
        ListOrder::Ascending => page.order(events::seq.asc()).load(connection),
        ListOrder::Descending => page.order(events::seq.desc()).load(connection),
    }
}
