//! Reading logs; `writes.rs` writes them with their customers.

use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{self, Array, BigInt, Text, Timestamptz};
use roster_application::Event;
use roster_application::ports::{EventQuery, EventRepository, Extent, ListOrder, StoreError};
use roster_domain::{Tenant, Timestamp};
use uuid::Uuid;

use crate::citus::{self, Layout, OneTenant, Whose as _};
use crate::error::Fault;
use crate::rows::{Wanted, in_order, kept_prepared, limit};
use crate::schema::{EventRow, events, events_of};
use crate::unit_of_work::PostgresUnitOfWork;

impl EventRepository for PostgresUnitOfWork<'_> {
    fn list(&mut self, query: &EventQuery) -> Result<Vec<Event>, StoreError> {
        self.run(|connection| {
            load(connection, query)?.into_iter().map(|row| Event::try_from(row).map_err(Fault::Store)).collect()
        })
    }

    fn extents(&mut self, tenants: &[Tenant]) -> Result<Vec<Extent>, StoreError> {
        if self.layout() == Layout::Citus {
            return self.run(|connection| Ok(citus::reads::extents(connection, tenants)?));
        }
        let statement = FindExtents { wanted: wanted(tenants) };
        let found: Vec<(i64, (i64, i64))> = self.run(|connection| Ok((&statement).load(connection)?))?;
        let extent = |(floor, head)| Ok(Extent { floor, head });
        let extents = in_order(tenants.len(), found, extent)?;
        Ok(extents.into_iter().map(Option::unwrap_or_default).collect())
    }

    fn lower_bounds(&mut self, tenant: Tenant, times: &[Timestamp]) -> Result<Vec<i64>, StoreError> {
        let statement = FindLowerBounds {
            whose: tenant.into(),
            places: (1..).take(times.len()).collect(),
            times: times.iter().map(|time| time.to_utc()).collect(),
        };
        let found: Vec<(i64, i64)> = self.run(|connection| Ok((&statement).load(connection)?))?;
        let bounds = in_order(times.len(), found, Ok)?;
        bounds.into_iter().map(|bound| bound.ok_or_else(|| StoreError::internal("a time has no lower bound"))).collect()
    }

    fn older_than(&mut self, tenants: &[Tenant], time: Timestamp) -> Result<Vec<Tenant>, StoreError> {
        if self.layout() == Layout::Citus {
            return self.run(|connection| Ok(citus::reads::older_than(connection, tenants, time.to_utc())?));
        }
        let statement = FindOlder { wanted: wanted(tenants), time: time.to_utc() };
        let found: Vec<(i64, i64)> = self.run(|connection| Ok((&statement).load(connection)?))?;
        let is_older = in_order(tenants.len(), found, Ok)?;
        Ok(tenants.iter().zip(is_older).filter(|(_, seq)| seq.is_some()).map(|(tenant, _)| *tenant).collect())
    }

    fn prune(&mut self, tenant: Tenant, last: i64) -> Result<(), StoreError> {
        if self.layout() == Layout::Citus {
            return self.run_write(|connection| Ok(citus::writes::prune(connection, tenant, last)?));
        }
        let (merchant_id, environment) = (tenant.merchant.uuid(), tenant.environment.as_str());
        let statement = Prune { merchant_id, environment, last };
        self.run_write(|connection| Ok(RunQueryDsl::execute(&statement, connection).map(drop)?))
    }
}

fn wanted(tenants: &[Tenant]) -> Wanted {
    let mut wanted = Wanted::default();
    (1..).zip(tenants).for_each(|(place, tenant)| wanted.push(place, *tenant));
    wanted
}

/// Where the logs of tenants begin and end.
struct FindExtents {
    wanted: Wanted,
}

impl QueryFragment<Pg> for FindExtents {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT wanted.place");
        for table in ["feed_floors", "feed_heads"] {
            out.push_sql(", coalesce((SELECT ");
            out.push_sql(table);
            out.push_sql(".seq FROM ");
            out.push_sql(table);
            out.push_sql(" WHERE ");
            out.push_sql(table);
            out.push_sql(".merchant_id = wanted.merchant_id AND ");
            out.push_sql(table);
            out.push_sql(".environment = wanted.environment), 0)");
        }
        out.push_sql(" FROM unnest(");
        self.wanted.push_arrays(&mut out)?;
        out.push_sql(") AS wanted (place, merchant_id, environment)");
        Ok(())
    }
}

/// The places where the events of some times begin, each found by a binary search. `low` is at most the place that is searched, and
/// `high` at least; they meet there.
struct FindLowerBounds {
    whose: OneTenant,
    places: Vec<i64>,
    times: Vec<DateTime<Utc>>,
}

impl QueryFragment<Pg> for FindLowerBounds {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH RECURSIVE bounds (place, moment, low, high) AS (SELECT wanted.place, wanted.moment");
        for table in ["feed_floors", "feed_heads"] {
            out.push_sql(", coalesce((SELECT ");
            out.push_sql(table);
            out.push_sql(".seq FROM ");
            out.push_sql(table);
            out.push_sql(" WHERE ");
            self.whose.push_is_of(table, &mut out)?;
            out.push_sql("), 0) + 1");
        }
        out.push_sql(" FROM unnest(");
        out.push_bind_param::<Array<BigInt>, _>(&self.places)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Timestamptz>, _>(&self.times)?;
        // The limit keeps the search for one event a search by primary key, whatever the planner believes of the table.
        out.push_sql(
            ") AS wanted (place, moment) UNION ALL SELECT bounds.place, bounds.moment, \
             CASE WHEN middle.created_at >= bounds.moment THEN bounds.low ELSE (bounds.low + bounds.high) / 2 + 1 END, \
             CASE WHEN middle.created_at >= bounds.moment THEN (bounds.low + bounds.high) / 2 ELSE bounds.high END \
             FROM bounds LEFT JOIN LATERAL (SELECT events.created_at FROM events WHERE ",
        );
        self.whose.push_is_of("events", &mut out)?;
        out.push_sql(
            " AND events.seq = (bounds.low + bounds.high) / 2 LIMIT 1) AS middle ON true \
             WHERE bounds.low < bounds.high) SELECT bounds.place, bounds.low FROM bounds WHERE bounds.low >= bounds.high",
        );
        Ok(())
    }
}

/// Tenants whose first event is older than a time.
struct FindOlder {
    wanted: Wanted,
    time: DateTime<Utc>,
}

impl QueryFragment<Pg> for FindOlder {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT wanted.place, events.seq FROM unnest(");
        self.wanted.push_arrays(&mut out)?;
        // By the place behind the floor: the first row of the index might be far behind many that were deleted.
        out.push_sql(
            ") AS wanted (place, merchant_id, environment) CROSS JOIN LATERAL (SELECT events.seq, events.created_at \
             FROM events WHERE events.merchant_id = wanted.merchant_id AND events.environment = wanted.environment \
             AND events.seq > coalesce((SELECT feed_floors.seq FROM feed_floors \
             WHERE feed_floors.merchant_id = wanted.merchant_id AND feed_floors.environment = wanted.environment), 0) \
             ORDER BY events.merchant_id, events.environment, events.seq LIMIT 1) AS events \
             WHERE events.created_at < ",
        );
        out.push_bind_param::<Timestamptz, _>(&self.time)
    }
}

/// Deletes the first events of a log, and notes that.
struct Prune {
    merchant_id: Uuid,
    environment: &'static str,
    last: i64,
}

impl QueryFragment<Pg> for Prune {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH pruned AS (INSERT INTO feed_floors (merchant_id, environment, seq) VALUES (");
        out.push_bind_param::<sql_types::Uuid, _>(&self.merchant_id)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(&self.environment)?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, _>(&self.last)?;
        out.push_sql(
            ") ON CONFLICT (merchant_id, environment) \
             DO UPDATE SET seq = greatest(feed_floors.seq, excluded.seq)) \
             DELETE FROM events WHERE events.merchant_id = ",
        );
        out.push_bind_param::<sql_types::Uuid, _>(&self.merchant_id)?;
        out.push_sql(" AND events.environment = ");
        out.push_bind_param::<Text, _>(&self.environment)?;
        out.push_sql(" AND events.seq <= ");
        out.push_bind_param::<BigInt, _>(&self.last)
    }
}

kept_prepared!(FindExtents, (BigInt, (BigInt, BigInt)));
kept_prepared!(FindLowerBounds, (BigInt, BigInt));
kept_prepared!(FindOlder, (BigInt, BigInt));
kept_prepared!(Prune, ());

/// Runs the statement of a query, which has eight forms.
fn load(connection: &mut PgConnection, query: &EventQuery) -> QueryResult<Vec<EventRow>> {
    let mut page = events_of(query.tenant).filter(events::seq.between(query.first, query.last)).into_boxed();
    if let Some(customer) = query.customer {
        page = page.filter(events::customer_id.eq(customer.uuid()));
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
