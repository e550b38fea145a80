//! Webhook endpoints, their lanes and the log of attempts.
//!
//! What workers do is prepared once. What owners do with their endpoints is rare, and left to diesel.
//!
//! Each transaction locks the row of an endpoint before it writes the endpoint's lanes or attempts, so that no two wait for each
//! other, and none is left behind by a deletion.

use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{self, Array, BigInt, Nullable, Text, Timestamptz};
use roster_application::ports::{
    Attempt, AttemptKey, DeliveryRecord, Lane, LaneKey, Lease, StoreError, StoredEndpoint, WebhookRepository,
};
use roster_application::records::{AttemptRecord, EndpointRecord, LaneRecord};
use roster_domain::{
    AttemptId, DisabledReason, Endpoint, EndpointId, EndpointStatus, Environment, MerchantId, Tenant, Timestamp,
};
use uuid::Uuid;

use crate::citus::{self, EachRow, Layout, OneTenant, Whose};
use crate::error::Fault;
use crate::rows::{Wanted, kept_prepared, limit};
use crate::schema::{
    AttemptRow, AttemptRows, EndpointRow, LaneRow, LaneRows, attempts_of, endpoints_of, insert_into_webhook_endpoints,
    lanes_of, webhook_attempts, webhook_endpoints, webhook_lanes,
};
use crate::unit_of_work::PostgresUnitOfWork;

impl WebhookRepository for PostgresUnitOfWork<'_> {
    fn insert(&mut self, endpoint: &Endpoint, cursor: i64) -> Result<(), StoreError> {
        self.run(|connection| {
            let record = EndpointRecord::new(endpoint, cursor, 0, endpoint.created_at);
            insert_into_webhook_endpoints().values(EndpointRow::from(record)).execute(connection)?;
            Ok(())
        })
    }

    fn find(&mut self, tenant: Tenant, id: EndpointId) -> Result<Option<StoredEndpoint>, StoreError> {
        self.run(|connection| {
            let by_id = endpoints_of(tenant).filter(webhook_endpoints::id.eq(id.uuid()));
            let found: Option<EndpointRow> = by_id.get_result(connection).optional()?;
            Ok(found.map(StoredEndpoint::try_from).transpose()?)
        })
    }

    fn list(
        &mut self,
        tenant: Tenant,
        after: Option<EndpointId>,
        size: usize,
    ) -> Result<Vec<StoredEndpoint>, StoreError> {
        self.run(|connection| {
            let page = endpoints_of(tenant).order(webhook_endpoints::id).limit(limit(size));
            let found: Vec<EndpointRow> = match after {
                Some(after) => page.filter(webhook_endpoints::id.gt(after.uuid())).load(connection)?,
                None => page.load(connection)?,
            };
            all(found)
        })
    }

    fn lock(&mut self, tenant: Tenant, id: EndpointId) -> Result<Option<StoredEndpoint>, StoreError> {
        self.run(|connection| {
            let by_id = endpoints_of(tenant).filter(webhook_endpoints::id.eq(id.uuid()));
            let found: Option<EndpointRow> = by_id.for_no_key_update().get_result(connection).optional()?;
            Ok(found.map(StoredEndpoint::try_from).transpose()?)
        })
    }

    fn update(&mut self, endpoint: &Endpoint) -> Result<(), StoreError> {
        self.run(|connection| {
            let row = EndpointRow::from(EndpointRecord::new(endpoint, 0, 0, endpoint.updated_at));
            let by_id = endpoints_of(endpoint.tenant).filter(webhook_endpoints::id.eq(endpoint.id.uuid()));
            let settings = (
                webhook_endpoints::url.eq(row.url),
                webhook_endpoints::event_types.eq(row.event_types),
                webhook_endpoints::description.eq(row.description),
                webhook_endpoints::with_customer.eq(row.with_customer),
                webhook_endpoints::secret.eq(row.secret),
                webhook_endpoints::former_secret.eq(row.former_secret),
                webhook_endpoints::former_until.eq(row.former_until),
            );
            let status = (
                webhook_endpoints::status.eq(row.status),
                webhook_endpoints::disabled_at.eq(row.disabled_at),
                webhook_endpoints::disabled_reason.eq(row.disabled_reason),
                webhook_endpoints::failing_since.eq(row.failing_since),
                webhook_endpoints::updated_at.eq(row.updated_at),
            );
            diesel::update(by_id).set((settings, status)).execute(connection)?;
            Ok(())
        })
    }

    fn delete(&mut self, tenant: Tenant, id: EndpointId) -> Result<bool, StoreError> {
        self.run_write(|connection| {
            let by_id = endpoints_of(tenant).filter(webhook_endpoints::id.eq(id.uuid()));
            Ok(diesel::delete(by_id).execute(connection)? > 0)
        })
    }

    fn rewind(&mut self, tenant: Tenant, id: EndpointId, cursor: i64) -> Result<bool, StoreError> {
        self.run_write(|connection| {
            connection.transaction(|connection| {
                let by_id = || endpoints_of(tenant).filter(webhook_endpoints::id.eq(id.uuid()));
                let at = by_id().select(webhook_endpoints::cursor_seq).for_no_key_update();
                let Some(stored) = at.get_result::<i64>(connection).optional()? else { return Ok(false) };
                if cursor < stored {
                    let fence = webhook_endpoints::fence;
                    diesel::update(by_id())
                        .set((webhook_endpoints::cursor_seq.eq(cursor), fence.eq(fence + 1)))
                        .execute(connection)?;
                    let behind = lanes_of(tenant, id).filter(webhook_lanes::replayed_seq.eq(0));
                    diesel::delete(behind.filter(webhook_lanes::next_seq.gt(cursor))).execute(connection)?;
                    RunQueryDsl::execute(&NoteFirstLane::of(tenant, id), connection)?;
                }
                Ok(true)
            })
        })
    }

    fn open_lane(&mut self, tenant: Tenant, id: EndpointId, lane: &Lane) -> Result<bool, StoreError> {
        let layout = self.layout();
        self.run_write(|connection| {
            connection.transaction(|connection| {
                let by_id = endpoints_of(tenant).filter(webhook_endpoints::id.eq(id.uuid()));
                let at = by_id.select(webhook_endpoints::fence).for_no_key_update();
                if at.get_result::<i64>(connection).optional()?.is_none() {
                    return Ok(false);
                }
                write_lanes(connection, layout, (tenant, id), std::slice::from_ref(lane), &[])?;
                Ok(true)
            })
        })
    }

    fn lease(&mut self, now: Timestamp, until: Timestamp, size: usize) -> Result<Vec<StoredEndpoint>, StoreError> {
        let find = FindDue { active: EndpointStatus::ACTIVE, now: now.to_utc(), size: limit(size) };
        let mut keys: Vec<(Uuid, String, Uuid)> = self.run(|connection| Ok((&find).load(connection)?))?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        // In the order in which every worker locks them.
        keys.sort_unstable();
        if self.layout() == Layout::Citus {
            return self.take_one_by_one(&keys, now, until);
        }
        let mut take = Take { wanted: Wanted::default(), ids: Vec::new(), now: now.to_utc(), until: until.to_utc() };
        for (place, (merchant, environment, id)) in (1..).zip(keys) {
            take.wanted.push(place, tenant_of(id, merchant, &environment)?);
            take.ids.push(id);
        }
        self.run_write(|connection| all((&take).load(connection)?))
    }

    fn renew(&mut self, lease: &Lease, until: Timestamp) -> Result<Option<StoredEndpoint>, StoreError> {
        let renew = Renew { held: Held::of(lease), until: until.to_utc() };
        self.run_write(|connection| {
            let found: Option<EndpointRow> = (&renew).get_result(connection).optional()?;
            Ok(found.map(StoredEndpoint::try_from).transpose()?)
        })
    }

    fn record(&mut self, lease: &Lease, record: &DeliveryRecord) -> Result<bool, StoreError> {
        let layout = self.layout();
        self.run_write(|connection| {
            connection.transaction(|connection| write_record(connection, layout, lease, record))
        })
    }

    fn lanes(
        &mut self,
        tenant: Tenant,
        id: EndpointId,
        until: Timestamp,
        size: usize,
    ) -> Result<Vec<Lane>, StoreError> {
        self.run(|connection| {
            let due = lanes_of(tenant, id).filter(webhook_lanes::due_at.le(until.to_utc()));
            let found: Vec<LaneRow> = due.order(webhook_lanes::due_at).limit(limit(size)).load(connection)?;
            Ok(found.into_iter().map(Lane::try_from).collect::<Result<_, _>>()?)
        })
    }

    fn first_in_lanes(&mut self, tenant: Tenant, id: EndpointId) -> Result<Option<i64>, StoreError> {
        self.run(|connection| {
            let of_customers = lanes_of(tenant, id).filter(webhook_lanes::replayed_seq.eq(0));
            Ok(of_customers.select(diesel::dsl::min(webhook_lanes::next_seq)).get_result(connection)?)
        })
    }

    fn log(&mut self, attempt: &Attempt) -> Result<(), StoreError> {
        let layout = self.layout();
        self.run(|connection| write_attempts(connection, layout, std::slice::from_ref(attempt)))
    }

    fn attempts(
        &mut self,
        tenant: Tenant,
        id: EndpointId,
        before: Option<AttemptId>,
        size: usize,
    ) -> Result<Vec<Attempt>, StoreError> {
        self.run(|connection| {
            let page = attempts_of(tenant, id).order(webhook_attempts::id.desc()).limit(limit(size));
            let found: Vec<AttemptRow> = match before {
                Some(before) => page.filter(webhook_attempts::id.lt(before.uuid())).load(connection)?,
                None => page.load(connection)?,
            };
            Ok(found.into_iter().map(Attempt::try_from).collect::<Result<_, _>>()?)
        })
    }

    fn outdated_attempts(
        &mut self,
        tenants: &[Tenant],
        oldest: AttemptId,
        most: usize,
        size: usize,
    ) -> Result<Vec<AttemptKey>, StoreError> {
        if self.layout() == Layout::Citus {
            let found =
                self.run(|connection| Ok(citus::reads::outdated_attempts(connection, tenants, oldest, most, size)?));
            return Ok(first_of(found?, size));
        }
        let mut wanted = Wanted::default();
        tenants.iter().zip(1..).for_each(|(tenant, place)| wanted.push(place, *tenant));
        let old = FindOld { wanted, oldest: oldest.uuid(), size: limit(size) };
        let mut found: Vec<(Uuid, String, Uuid, Uuid)> = self.run(|connection| Ok((&old).load(connection)?))?;
        if found.len() < size {
            let excess = FindExcess { wanted: old.wanted, most: limit(most), size: limit(size) };
            found.extend::<Vec<_>>(self.run(|connection| Ok((&excess).load(connection)?))?);
        }
        let key = |(merchant, environment, endpoint, id): (Uuid, String, Uuid, Uuid)| {
            let tenant = tenant_of(endpoint, merchant, &environment)?;
            Ok(AttemptKey { tenant, endpoint: EndpointId::new(endpoint), id: AttemptId::new(id) })
        };
        Ok(first_of(found.into_iter().map(key).collect::<Result<_, StoreError>>()?, size))
    }

    fn delete_attempts(&mut self, keys: &[AttemptKey]) -> Result<(), StoreError> {
        let layout = self.layout();
        self.run_write(|connection| match layout {
            Layout::Plain => {
                RunQueryDsl::execute(&DeleteAttempts::of(keys, EachRow), connection)?;
                Ok(())
            }
            Layout::Citus => connection.transaction(|connection| {
                citus::tenant_by_tenant(
                    keys,
                    |key| key.tenant,
                    |tenant, keys| {
                        let delete = DeleteAttempts::of(keys.iter().copied(), OneTenant::from(tenant));
                        RunQueryDsl::execute(&delete, connection)?;
                        Ok(Vec::<()>::new())
                    },
                )?;
                Ok(())
            }),
        })
    }
}

impl PostgresUnitOfWork<'_> {
    /// Leases those of some endpoints that are still due, each with a statement of its own.
    fn take_one_by_one(
        &mut self,
        keys: &[(Uuid, String, Uuid)],
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<StoredEndpoint>, StoreError> {
        let mut taken = Vec::with_capacity(keys.len());
        for (merchant, environment, id) in keys {
            let tenant = tenant_of(*id, *merchant, environment)?;
            let found = self.run_write(|connection| {
                let fence = webhook_endpoints::fence;
                let due = endpoints_of(tenant)
                    .filter(webhook_endpoints::id.eq(id))
                    .filter(webhook_endpoints::status.eq(EndpointStatus::ACTIVE))
                    .filter(webhook_endpoints::due_at.le(now.to_utc()));
                let lease = (fence.eq(fence + 1), webhook_endpoints::due_at.eq(until.to_utc()));
                let rows: Vec<EndpointRow> =
                    diesel::update(due).set(lease).returning(webhook_endpoints::all_columns).load(connection)?;
                all(rows)
            })?;
            taken.extend(found);
        }
        Ok(taken)
    }
}

/// The first of some keys. One attempt may be old and in excess.
fn first_of(mut keys: Vec<AttemptKey>, size: usize) -> Vec<AttemptKey> {
    keys.sort_unstable();
    keys.dedup();
    keys.truncate(size);
    keys
}

fn all(rows: Vec<EndpointRow>) -> Result<Vec<StoredEndpoint>, Fault> {
    Ok(rows.into_iter().map(StoredEndpoint::try_from).collect::<Result<_, _>>()?)
}

fn tenant_of(endpoint: Uuid, merchant: Uuid, environment: &str) -> Result<Tenant, StoreError> {
    let corrupt = |_| StoreError::Corrupt { table: "webhook_endpoints", column: "environment", id: endpoint };
    let environment = Environment::parse(environment).map_err(corrupt)?;
    Ok(Tenant { merchant: MerchantId::new(merchant), environment })
}

/// Stores what a worker has done, if it still has the lease.
fn write_record(
    connection: &mut PgConnection,
    layout: Layout,
    lease: &Lease,
    record: &DeliveryRecord,
) -> Result<bool, Fault> {
    let pass = Pass {
        held: Held::of(lease),
        cursor: record.cursor,
        failing_since: record.failing_since.map(Timestamp::to_utc),
        due_at: record.due_at.to_utc(),
    };
    let held = RunQueryDsl::execute(&pass, connection)?;
    if held == 0 {
        return Ok(false);
    }
    if let Some((reason, at)) = record.disabled {
        disable(connection, lease, reason, at)?;
    }
    if !record.lanes.is_empty() || !record.closed.is_empty() {
        write_lanes(connection, layout, (lease.tenant, lease.endpoint), &record.lanes, &record.closed)?;
    }
    write_attempts(connection, layout, &record.attempts)?;
    Ok(true)
}

/// Disables an endpoint, unless its owner was faster.
fn disable(connection: &mut PgConnection, lease: &Lease, reason: DisabledReason, at: Timestamp) -> Result<(), Fault> {
    let by_id = endpoints_of(lease.tenant).filter(webhook_endpoints::id.eq(lease.endpoint.uuid()));
    // No equation, so that it cannot use the index for workers: the row is found by its key.
    let is_active = webhook_endpoints::status.ne(EndpointStatus::DISABLED);
    diesel::update(by_id.filter(is_active))
        .set((
            webhook_endpoints::status.eq(EndpointStatus::DISABLED),
            webhook_endpoints::disabled_at.eq(Some(at.to_utc())),
            webhook_endpoints::disabled_reason.eq(Some(reason.as_str())),
            webhook_endpoints::updated_at.eq(at.to_utc()),
        ))
        .execute(connection)?;
    Ok(())
}

fn write_lanes(
    connection: &mut PgConnection,
    layout: Layout,
    (tenant, endpoint): (Tenant, EndpointId),
    lanes: &[Lane],
    closed: &[LaneKey],
) -> Result<(), Fault> {
    if !closed.is_empty() {
        match layout {
            Layout::Plain => RunQueryDsl::execute(&CloseLanes::of(tenant, endpoint, closed, EachRow), connection)?,
            Layout::Citus => {
                let close = CloseLanes::of(tenant, endpoint, closed, OneTenant::from(tenant));
                RunQueryDsl::execute(&close, connection)?
            }
        };
    }
    if !lanes.is_empty() {
        let rows = lanes.iter().map(|lane| LaneRow::from(LaneRecord::new(tenant, endpoint, lane)));
        match layout {
            Layout::Plain => RunQueryDsl::execute(&SaveLanes { rows: rows.collect() }, connection).map(drop)?,
            Layout::Citus => citus::writes::save_lanes(connection, rows.collect())?,
        }
    }
    RunQueryDsl::execute(&NoteFirstLane::of(tenant, endpoint), connection)?;
    Ok(())
}

fn write_attempts(connection: &mut PgConnection, layout: Layout, attempts: &[Attempt]) -> Result<(), Fault> {
    if attempts.is_empty() {
        return Ok(());
    }
    let rows = attempts.iter().map(|attempt| AttemptRow::from(AttemptRecord::from(attempt)));
    match layout {
        Layout::Plain => RunQueryDsl::execute(&SaveAttempts { rows: rows.collect() }, connection).map(drop)?,
        Layout::Citus => citus::writes::save_attempts(connection, rows.collect())?,
    }
    Ok(())
}

/// The keys of endpoints of all tenants that may be leased and have something to be sent. It reads the index of times, and one
/// row of `feed_heads` for each active endpoint that is not leased.
struct FindDue {
    active: &'static str,
    now: DateTime<Utc>,
    size: i64,
}

impl QueryFragment<Pg> for FindDue {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "SELECT webhook_endpoints.merchant_id, webhook_endpoints.environment, webhook_endpoints.id \
             FROM webhook_endpoints WHERE webhook_endpoints.status = ",
        );
        out.push_bind_param::<Text, _>(&self.active)?;
        out.push_sql(" AND webhook_endpoints.due_at <= ");
        out.push_bind_param::<Timestamptz, _>(&self.now)?;
        out.push_sql(" AND (webhook_endpoints.lanes_due_at <= ");
        out.push_bind_param::<Timestamptz, _>(&self.now)?;
        out.push_sql(
            " OR webhook_endpoints.cursor_seq < (SELECT feed_heads.seq FROM feed_heads \
             WHERE feed_heads.merchant_id = webhook_endpoints.merchant_id \
             AND feed_heads.environment = webhook_endpoints.environment)) ORDER BY webhook_endpoints.due_at LIMIT ",
        );
        out.push_bind_param::<BigInt, _>(&self.size)
    }
}

fn push_endpoint_columns(out: &mut AstPass<'_, '_, Pg>) {
    for (place, name) in EndpointRow::NAMES.iter().enumerate() {
        out.push_sql(if place > 0 { ", webhook_endpoints." } else { " RETURNING webhook_endpoints." });
        out.push_sql(name);
    }
}

/// Leases those of some endpoints that are still due.
struct Take {
    wanted: Wanted,
    ids: Vec<Uuid>,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
}

impl QueryFragment<Pg> for Take {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("UPDATE webhook_endpoints SET fence = webhook_endpoints.fence + 1, due_at = ");
        out.push_bind_param::<Timestamptz, _>(&self.until)?;
        out.push_sql(" FROM unnest(");
        self.wanted.push_arrays(&mut out)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<sql_types::Uuid>, _>(&self.ids)?;
        // IS TRUE keeps it from using the index for workers: each row is found by its key.
        out.push_sql(
            ") AS wanted (place, merchant_id, environment, id) \
             WHERE webhook_endpoints.merchant_id = wanted.merchant_id \
             AND webhook_endpoints.environment = wanted.environment AND webhook_endpoints.id = wanted.id \
             AND (webhook_endpoints.status = 'active') IS TRUE AND (webhook_endpoints.due_at <= ",
        );
        out.push_bind_param::<Timestamptz, _>(&self.now)?;
        out.push_sql(") IS TRUE");
        push_endpoint_columns(&mut out);
        Ok(())
    }
}

/// The condition that a worker still has a lease.
struct Held {
    merchant: Uuid,
    environment: &'static str,
    endpoint: Uuid,
    fence: i64,
}

impl Held {
    fn of(lease: &Lease) -> Self {
        let (merchant, environment) = (lease.tenant.merchant.uuid(), lease.tenant.environment.as_str());
        Self { merchant, environment, endpoint: lease.endpoint.uuid(), fence: lease.fence }
    }

    fn push_where<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(" WHERE webhook_endpoints.merchant_id = ");
        out.push_bind_param::<sql_types::Uuid, _>(&self.merchant)?;
        out.push_sql(" AND webhook_endpoints.environment = ");
        out.push_bind_param::<Text, _>(&self.environment)?;
        out.push_sql(" AND webhook_endpoints.id = ");
        out.push_bind_param::<sql_types::Uuid, _>(&self.endpoint)?;
        out.push_sql(" AND webhook_endpoints.fence = ");
        out.push_bind_param::<BigInt, _>(&self.fence)
    }
}

/// Extends a lease.
struct Renew {
    held: Held,
    until: DateTime<Utc>,
}

impl QueryFragment<Pg> for Renew {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("UPDATE webhook_endpoints SET due_at = ");
        out.push_bind_param::<Timestamptz, _>(&self.until)?;
        self.held.push_where(&mut out)?;
        push_endpoint_columns(&mut out);
        Ok(())
    }
}

/// Moves a cursor.
struct Pass {
    held: Held,
    cursor: i64,
    failing_since: Option<DateTime<Utc>>,
    due_at: DateTime<Utc>,
}

impl QueryFragment<Pg> for Pass {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("UPDATE webhook_endpoints SET cursor_seq = ");
        out.push_bind_param::<BigInt, _>(&self.cursor)?;
        out.push_sql(", failing_since = ");
        out.push_bind_param::<Nullable<Timestamptz>, _>(&self.failing_since)?;
        out.push_sql(", due_at = ");
        out.push_bind_param::<Timestamptz, _>(&self.due_at)?;
        self.held.push_where(&mut out)
    }
}

/// Notes when the first lane of an endpoint is due.
struct NoteFirstLane {
    of: OneTenant,
    endpoint: Uuid,
}

impl NoteFirstLane {
    fn of(tenant: Tenant, endpoint: EndpointId) -> Self {
        Self { of: OneTenant::from(tenant), endpoint: endpoint.uuid() }
    }
}

impl QueryFragment<Pg> for NoteFirstLane {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "UPDATE webhook_endpoints SET lanes_due_at = (SELECT webhook_lanes.due_at FROM webhook_lanes \
             WHERE ",
        );
        self.of.push_is_of("webhook_lanes", &mut out)?;
        out.push_sql(" AND webhook_lanes.endpoint_id = ");
        out.push_bind_param::<sql_types::Uuid, _>(&self.endpoint)?;
        out.push_sql(" AND webhook_lanes.due_at IS NOT NULL ORDER BY webhook_lanes.due_at LIMIT 1) WHERE ");
        self.of.push_is_of("webhook_endpoints", &mut out)?;
        out.push_sql(" AND webhook_endpoints.id = ");
        out.push_bind_param::<sql_types::Uuid, _>(&self.endpoint)
    }
}

/// Deletes lanes of an endpoint.
struct CloseLanes<W> {
    given: Wanted,
    endpoints: Vec<Uuid>,
    customers: Vec<Uuid>,
    replayed: Vec<i64>,
    whose: W,
}

impl<W> CloseLanes<W> {
    fn of(tenant: Tenant, endpoint: EndpointId, keys: &[LaneKey], whose: W) -> Self {
        let (given, endpoints, customers, replayed) = (Wanted::default(), vec![], vec![], vec![]);
        let mut close = Self { given, endpoints, customers, replayed, whose };
        for (place, key) in (1..).zip(keys) {
            close.given.push(place, tenant);
            close.endpoints.push(endpoint.uuid());
            close.customers.push(key.customer.uuid());
            close.replayed.push(key.replayed.unwrap_or(0));
        }
        close
    }
}

impl<W: Whose> QueryFragment<Pg> for CloseLanes<W> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("DELETE FROM webhook_lanes USING unnest(");
        self.given.push_arrays(&mut out)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<sql_types::Uuid>, _>(&self.endpoints)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<sql_types::Uuid>, _>(&self.customers)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.replayed)?;
        out.push_sql(") AS given (place, merchant_id, environment, endpoint_id, customer_id, replayed_seq) WHERE ");
        self.whose.push_is_of("webhook_lanes", &mut out)?;
        out.push_sql(
            " AND webhook_lanes.endpoint_id = given.endpoint_id AND webhook_lanes.customer_id = given.customer_id \
             AND webhook_lanes.replayed_seq = given.replayed_seq",
        );
        Ok(())
    }
}

/// What is behind the rows of lanes: those with their keys are replaced.
pub const REPLACES_LANE: &str = " ON CONFLICT (merchant_id, environment, endpoint_id, customer_id, replayed_seq) DO UPDATE \
      SET next_seq = excluded.next_seq, attempts = excluded.attempts, due_at = excluded.due_at";

/// Inserts lanes, or puts them in the place of those with their keys.
struct SaveLanes {
    rows: LaneRows,
}

impl QueryFragment<Pg> for SaveLanes {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("INSERT INTO webhook_lanes (");
        out.push_sql(LaneRow::COLUMNS);
        out.push_sql(") SELECT * FROM unnest(");
        self.rows.push_arrays(&mut out)?;
        out.push_sql(") AS lane (");
        out.push_sql(LaneRow::COLUMNS);
        out.push_sql(")");
        out.push_sql(REPLACES_LANE);
        Ok(())
    }
}

/// Inserts attempts.
struct SaveAttempts {
    rows: AttemptRows,
}

impl QueryFragment<Pg> for SaveAttempts {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("INSERT INTO webhook_attempts (");
        out.push_sql(AttemptRow::COLUMNS);
        out.push_sql(") SELECT * FROM unnest(");
        self.rows.push_arrays(&mut out)?;
        out.push_sql(") AS attempt (");
        out.push_sql(AttemptRow::COLUMNS);
        out.push_sql(")");
        Ok(())
    }
}

/// The endpoints of some tenants, as the table `webhook_endpoints`.
fn push_endpoints<'b>(wanted: &'b Wanted, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
    out.push_sql(
        "SELECT webhook_attempts.merchant_id, webhook_attempts.environment, webhook_attempts.endpoint_id, \
         webhook_attempts.id FROM unnest(",
    );
    wanted.push_arrays(out)?;
    out.push_sql(
        ") AS wanted (place, merchant_id, environment) CROSS JOIN LATERAL (SELECT * FROM webhook_endpoints \
         WHERE webhook_endpoints.merchant_id = wanted.merchant_id \
         AND webhook_endpoints.environment = wanted.environment ORDER BY webhook_endpoints.id OFFSET 0) \
         AS webhook_endpoints CROSS JOIN LATERAL (SELECT * FROM webhook_attempts \
         WHERE webhook_attempts.merchant_id = wanted.merchant_id \
         AND webhook_attempts.environment = wanted.environment \
         AND webhook_attempts.endpoint_id = webhook_endpoints.id",
    );
    Ok(())
}

/// Attempts from before another.
struct FindOld {
    wanted: Wanted,
    oldest: Uuid,
    size: i64,
}

impl QueryFragment<Pg> for FindOld {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        push_endpoints(&self.wanted, &mut out)?;
        out.push_sql(" AND webhook_attempts.id < ");
        out.push_bind_param::<sql_types::Uuid, _>(&self.oldest)?;
        out.push_sql(" ORDER BY webhook_attempts.id LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.size)?;
        out.push_sql(") AS webhook_attempts LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.size)
    }
}

/// Attempts beyond a number of each endpoint.
struct FindExcess {
    wanted: Wanted,
    most: i64,
    size: i64,
}

impl QueryFragment<Pg> for FindExcess {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        push_endpoints(&self.wanted, &mut out)?;
        out.push_sql(" ORDER BY webhook_attempts.id DESC OFFSET ");
        out.push_bind_param::<BigInt, _>(&self.most)?;
        out.push_sql(" LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.size)?;
        out.push_sql(") AS webhook_attempts LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.size)
    }
}

/// Deletes attempts.
struct DeleteAttempts<W> {
    given: Wanted,
    endpoints: Vec<Uuid>,
    ids: Vec<Uuid>,
    whose: W,
}

impl<W> DeleteAttempts<W> {
    fn of<'a>(keys: impl IntoIterator<Item = &'a AttemptKey>, whose: W) -> Self {
        let mut delete = Self { given: Wanted::default(), endpoints: Vec::new(), ids: Vec::new(), whose };
        for (place, key) in (1..).zip(keys) {
            delete.given.push(place, key.tenant);
            delete.endpoints.push(key.endpoint.uuid());
            delete.ids.push(key.id.uuid());
        }
        delete
    }
}

impl<W: Whose> QueryFragment<Pg> for DeleteAttempts<W> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("DELETE FROM webhook_attempts USING unnest(");
        self.given.push_arrays(&mut out)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<sql_types::Uuid>, _>(&self.endpoints)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<sql_types::Uuid>, _>(&self.ids)?;
        out.push_sql(") AS given (place, merchant_id, environment, endpoint_id, id) WHERE ");
        self.whose.push_is_of("webhook_attempts", &mut out)?;
        out.push_sql(" AND webhook_attempts.endpoint_id = given.endpoint_id AND webhook_attempts.id = given.id");
        Ok(())
    }
}

type AttemptKeySql = (sql_types::Uuid, Text, sql_types::Uuid, sql_types::Uuid);

kept_prepared!(FindDue, (sql_types::Uuid, Text, sql_types::Uuid));
kept_prepared!(Take, webhook_endpoints::SqlType);
kept_prepared!(Renew, webhook_endpoints::SqlType);
kept_prepared!(Pass, ());
kept_prepared!(NoteFirstLane, ());
kept_prepared!(CloseLanes<W>, (), for W);
kept_prepared!(SaveLanes, ());
kept_prepared!(SaveAttempts, ());
kept_prepared!(FindOld, AttemptKeySql);
kept_prepared!(FindExcess, AttemptKeySql);
kept_prepared!(DeleteAttempts<W>, (), for W);
