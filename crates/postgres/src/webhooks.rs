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
        self.run_write(|connection| {
            connection.transaction(|connection| {
                let by_id = endpoints_of(tenant).filter(webhook_endpoints::id.eq(id.uuid()));
                let at = by_id.select(webhook_endpoints::fence).for_no_key_update();
                if at.get_result::<i64>(connection).optional()?.is_none() {
                    return Ok(false);
                }
                write_lanes(connection, tenant, id, std::slice::from_ref(lane), &[])?;
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
        self.run_write(|connection| connection.transaction(|connection| write_record(connection, lease, record)))
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
        self.run(|connection| write_attempts(connection, std::slice::from_ref(attempt)))
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
        let mut keys = found.into_iter().map(key).collect::<Result<Vec<AttemptKey>, StoreError>>()?;
        // One may be old and in excess.
        keys.sort_unstable();
        keys.dedup();
        keys.truncate(size);
        Ok(keys)
    }

    fn delete_attempts(&mut self, keys: &[AttemptKey]) -> Result<(), StoreError> {
        let mut delete = DeleteAttempts::default();
        for (place, key) in (1..).zip(keys) {
            delete.wanted.push(place, key.tenant);
            delete.endpoints.push(key.endpoint.uuid());
            delete.ids.push(key.id.uuid());
        }
        self.run_write(|connection| {
            RunQueryDsl::execute(&delete, connection)?;
            Ok(())
        })
    }
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
fn write_record(connection: &mut PgConnection, lease: &Lease, record: &DeliveryRecord) -> Result<bool, Fault> {
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
        write_lanes(connection, lease.tenant, lease.endpoint, &record.lanes, &record.closed)?;
    }
    write_attempts(connection, &record.attempts)?;
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
    tenant: Tenant,
    endpoint: EndpointId,
    lanes: &[Lane],
    closed: &[LaneKey],
) -> Result<(), Fault> {
    if !closed.is_empty() {
        RunQueryDsl::execute(&CloseLanes::of(tenant, endpoint, closed), connection)?;
    }
    if !lanes.is_empty() {
        let rows = lanes.iter().map(|lane| LaneRow::from(LaneRecord::new(tenant, endpoint, lane))).collect();
        RunQueryDsl::execute(&SaveLanes { rows }, connection)?;
    }
    RunQueryDsl::execute(&NoteFirstLane::of(tenant, endpoint), connection)?;
    Ok(())
}

fn write_attempts(connection: &mut PgConnection, attempts: &[Attempt]) -> Result<(), Fault> {
    if !attempts.is_empty() {
        let rows = attempts.iter().map(|attempt| AttemptRow::from(AttemptRecord::from(attempt))).collect();
        RunQueryDsl::execute(&SaveAttempts { rows }, connection)?;
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
    merchant: Uuid,
    environment: &'static str,
    endpoint: Uuid,
}

impl NoteFirstLane {
    fn of(tenant: Tenant, endpoint: EndpointId) -> Self {
        let (merchant, environment) = (tenant.merchant.uuid(), tenant.environment.as_str());
        Self { merchant, environment, endpoint: endpoint.uuid() }
    }
}

impl QueryFragment<Pg> for NoteFirstLane {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "UPDATE webhook_endpoints SET lanes_due_at = (SELECT webhook_lanes.due_at FROM webhook_lanes \
             WHERE webhook_lanes.merchant_id = webhook_endpoints.merchant_id \
             AND webhook_lanes.environment = webhook_endpoints.environment \
             AND webhook_lanes.endpoint_id = webhook_endpoints.id AND webhook_lanes.due_at IS NOT NULL \
             ORDER BY webhook_lanes.due_at LIMIT 1) WHERE webhook_endpoints.merchant_id = ",
        );
        out.push_bind_param::<sql_types::Uuid, _>(&self.merchant)?;
        out.push_sql(" AND webhook_endpoints.environment = ");
        out.push_bind_param::<Text, _>(&self.environment)?;
        out.push_sql(" AND webhook_endpoints.id = ");
        out.push_bind_param::<sql_types::Uuid, _>(&self.endpoint)
    }
}

/// Deletes lanes of an endpoint.
#[derive(Default)]
struct CloseLanes {
    wanted: Wanted,
    endpoints: Vec<Uuid>,
    customers: Vec<Uuid>,
    replayed: Vec<i64>,
}

impl CloseLanes {
    fn of(tenant: Tenant, endpoint: EndpointId, keys: &[LaneKey]) -> Self {
        let mut close = Self::default();
        for (place, key) in (1..).zip(keys) {
            close.wanted.push(place, tenant);
            close.endpoints.push(endpoint.uuid());
            close.customers.push(key.customer.uuid());
            close.replayed.push(key.replayed.unwrap_or(0));
        }
        close
    }
}

impl QueryFragment<Pg> for CloseLanes {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("DELETE FROM webhook_lanes USING unnest(");
        self.wanted.push_arrays(&mut out)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<sql_types::Uuid>, _>(&self.endpoints)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<sql_types::Uuid>, _>(&self.customers)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.replayed)?;
        out.push_sql(
            ") AS wanted (place, merchant_id, environment, endpoint_id, customer_id, replayed_seq) \
             WHERE webhook_lanes.merchant_id = wanted.merchant_id AND webhook_lanes.environment = wanted.environment \
             AND webhook_lanes.endpoint_id = wanted.endpoint_id AND webhook_lanes.customer_id = wanted.customer_id \
             AND webhook_lanes.replayed_seq = wanted.replayed_seq",
        );
        Ok(())
    }
}

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
        out.push_sql(
            ") ON CONFLICT (merchant_id, environment, endpoint_id, customer_id, replayed_seq) DO UPDATE \
             SET next_seq = excluded.next_seq, attempts = excluded.attempts, due_at = excluded.due_at",
        );
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
#[derive(Default)]
struct DeleteAttempts {
    wanted: Wanted,
    endpoints: Vec<Uuid>,
    ids: Vec<Uuid>,
}

impl QueryFragment<Pg> for DeleteAttempts {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("DELETE FROM webhook_attempts USING unnest(");
        self.wanted.push_arrays(&mut out)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<sql_types::Uuid>, _>(&self.endpoints)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<sql_types::Uuid>, _>(&self.ids)?;
        out.push_sql(
            ") AS wanted (place, merchant_id, environment, endpoint_id, id) \
             WHERE webhook_attempts.merchant_id = wanted.merchant_id \
             AND webhook_attempts.environment = wanted.environment \
             AND webhook_attempts.endpoint_id = wanted.endpoint_id AND webhook_attempts.id = wanted.id",
        );
        Ok(())
    }
}

type AttemptKeySql = (sql_types::Uuid, Text, sql_types::Uuid, sql_types::Uuid);

kept_prepared!(FindDue, (sql_types::Uuid, Text, sql_types::Uuid));
kept_prepared!(Take, webhook_endpoints::SqlType);
kept_prepared!(Renew, webhook_endpoints::SqlType);
kept_prepared!(Pass, ());
kept_prepared!(NoteFirstLane, ());
kept_prepared!(CloseLanes, ());
kept_prepared!(SaveLanes, ());
kept_prepared!(SaveAttempts, ());
kept_prepared!(FindOld, AttemptKeySql);
kept_prepared!(FindExcess, AttemptKeySql);
kept_prepared!(DeleteAttempts, ());
