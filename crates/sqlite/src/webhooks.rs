//! Webhook endpoints, their lanes and the log of attempts.

use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Binary, Text};
use diesel::sqlite::Sqlite;
use roster_application::ports::{
    Attempt, AttemptKey, DeliveryRecord, Lane, LaneKey, Lease, StoreError, StoredEndpoint, WebhookRepository,
};
use roster_application::records::{AttemptRecord, EndpointRecord, LaneRecord};
use roster_domain::{AttemptId, Endpoint, EndpointId, EndpointStatus, Environment, MerchantId, Tenant, Timestamp};

use crate::error::Fault;
use crate::rows::{Id, Time, kept_by_text, limit};
use crate::schema::{
    AttemptRow, EndpointRow, LaneRow, attempts_of, endpoints_of, insert_into_webhook_endpoints, lanes_of,
    webhook_attempts, webhook_endpoints, webhook_lanes,
};
use crate::unit_of_work::SqliteUnitOfWork;

impl WebhookRepository for SqliteUnitOfWork<'_> {
    fn insert(&mut self, endpoint: &Endpoint, cursor: i64) -> Result<(), StoreError> {
        self.run_write(|connection| {
            let record = EndpointRecord::new(endpoint, cursor, 0, endpoint.created_at);
            insert_into_webhook_endpoints().values(EndpointRow::from(record)).execute(connection)?;
            Ok(())
        })
    }

    fn find(&mut self, tenant: Tenant, id: EndpointId) -> Result<Option<StoredEndpoint>, StoreError> {
        self.run(|connection| find(connection, tenant, id))
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
                Some(after) => page.filter(webhook_endpoints::id.gt(Id(after.uuid()))).load(connection)?,
                None => page.load(connection)?,
            };
            Ok(found.into_iter().map(StoredEndpoint::try_from).collect::<Result<_, _>>()?)
        })
    }

    // A transaction holds the write lock from its start, so a plain read is enough.
    fn lock(&mut self, tenant: Tenant, id: EndpointId) -> Result<Option<StoredEndpoint>, StoreError> {
        self.run(|connection| find(connection, tenant, id))
    }

    fn update(&mut self, endpoint: &Endpoint) -> Result<(), StoreError> {
        self.run_write(|connection| {
            let row = EndpointRow::from(EndpointRecord::new(endpoint, 0, 0, endpoint.updated_at));
            let by_id = endpoints_of(endpoint.tenant).filter(webhook_endpoints::id.eq(row.id));
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
            let by_id = endpoints_of(tenant).filter(webhook_endpoints::id.eq(Id(id.uuid())));
            Ok(diesel::delete(by_id).execute(connection)? > 0)
        })
    }

    fn rewind(&mut self, tenant: Tenant, id: EndpointId, cursor: i64) -> Result<bool, StoreError> {
        self.run_write(|connection| {
            let Some(stored) = find(connection, tenant, id)? else { return Ok(false) };
            if cursor < stored.cursor {
                let fence = webhook_endpoints::fence;
                diesel::update(endpoints_of(tenant).filter(webhook_endpoints::id.eq(Id(id.uuid()))))
                    .set((webhook_endpoints::cursor_seq.eq(cursor), fence.eq(fence + 1)))
                    .execute(connection)?;
                let behind = lanes_of(tenant, id).filter(webhook_lanes::replayed_seq.eq(0));
                diesel::delete(behind.filter(webhook_lanes::next_seq.gt(cursor))).execute(connection)?;
                run(connection, Statement::note_first_lane(tenant, id))?;
            }
            Ok(true)
        })
    }

    fn open_lane(&mut self, tenant: Tenant, id: EndpointId, lane: &Lane) -> Result<bool, StoreError> {
        self.run_write(|connection| {
            if find(connection, tenant, id)?.is_none() {
                return Ok(false);
            }
            write_lanes(connection, tenant, id, std::slice::from_ref(lane), &[])?;
            Ok(true)
        })
    }

    fn lease(&mut self, now: Timestamp, until: Timestamp, size: usize) -> Result<Vec<StoredEndpoint>, StoreError> {
        let due = FindDue { active: EndpointStatus::ACTIVE, now: now.into(), size: limit(size) };
        let due: Vec<(Id, String, Id)> = self.run(|connection| Ok(RunQueryDsl::load(due, connection)?))?;
        if due.is_empty() {
            // Workers ask often: without work they must not wait for writers.
            return Ok(Vec::new());
        }
        self.run_write(|connection| {
            let mut leased = Vec::with_capacity(due.len());
            for (merchant, environment, id) in due {
                let tenant = tenant_of(&merchant, &environment, &id)?;
                let by_id = endpoints_of(tenant).filter(webhook_endpoints::id.eq(id));
                // The plus keeps it from using the index for workers: the row is found by its key.
                let is_free = (webhook_endpoints::due_at + 0).le(Time::from(now));
                let is_active = webhook_endpoints::status.ne(EndpointStatus::DISABLED);
                let fence = webhook_endpoints::fence;
                let taken = diesel::update(by_id.filter(is_free).filter(is_active))
                    .set((fence.eq(fence + 1), webhook_endpoints::due_at.eq(Time::from(until))))
                    .execute(connection)?;
                if taken > 0 {
                    leased.extend(find(connection, tenant, EndpointId::new(id.0))?);
                }
            }
            Ok(leased)
        })
    }

    fn renew(&mut self, lease: &Lease, until: Timestamp) -> Result<Option<StoredEndpoint>, StoreError> {
        self.run_write(|connection| {
            let by_id = endpoints_of(lease.tenant).filter(webhook_endpoints::id.eq(Id(lease.endpoint.uuid())));
            let held = by_id.filter(webhook_endpoints::fence.eq(lease.fence));
            let extended = diesel::update(held).set(webhook_endpoints::due_at.eq(Time::from(until)));
            if extended.execute(connection)? > 0 { find(connection, lease.tenant, lease.endpoint) } else { Ok(None) }
        })
    }

    fn record(&mut self, lease: &Lease, record: &DeliveryRecord) -> Result<bool, StoreError> {
        self.run_write(|connection| write_record(connection, lease, record))
    }

    fn lanes(
        &mut self,
        tenant: Tenant,
        id: EndpointId,
        until: Timestamp,
        size: usize,
    ) -> Result<Vec<Lane>, StoreError> {
        self.run(|connection| {
            let due = lanes_of(tenant, id).filter(webhook_lanes::due_at.le(Time::from(until)));
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
        self.run_write(|connection| Ok(run(connection, Statement::SaveAttempt(AttemptRecord::from(attempt).into()))?))
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
                Some(before) => page.filter(webhook_attempts::id.lt(Id(before.uuid()))).load(connection)?,
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
        self.run_together(|connection| {
            let mut keys = Vec::new();
            for &tenant in tenants {
                let ids: Vec<Id> = endpoints_of(tenant).select(webhook_endpoints::id).load(connection)?;
                for endpoint in ids.into_iter().map(|id| EndpointId::new(id.0)) {
                    if keys.len() < size {
                        let found = outdated(connection, tenant, endpoint, (oldest, most, size - keys.len()))?;
                        keys.extend(found.into_iter().map(|id| AttemptKey { tenant, endpoint, id }));
                    }
                }
            }
            Ok(keys)
        })
    }

    fn delete_attempts(&mut self, keys: &[AttemptKey]) -> Result<(), StoreError> {
        self.run_write(|connection| {
            for key in keys {
                let by_id = attempts_of(key.tenant, key.endpoint).filter(webhook_attempts::id.eq(Id(key.id.uuid())));
                diesel::delete(by_id).execute(connection)?;
            }
            Ok(())
        })
    }
}

fn find(connection: &mut SqliteConnection, tenant: Tenant, id: EndpointId) -> Result<Option<StoredEndpoint>, Fault> {
    let by_id = endpoints_of(tenant).filter(webhook_endpoints::id.eq(Id(id.uuid())));
    let found: Option<EndpointRow> = by_id.get_result(connection).optional()?;
    Ok(found.map(StoredEndpoint::try_from).transpose()?)
}

fn tenant_of(merchant: &Id, environment: &str, endpoint: &Id) -> Result<Tenant, StoreError> {
    let corrupt = |_| StoreError::Corrupt { table: "webhook_endpoints", column: "environment", id: endpoint.0 };
    let environment = Environment::parse(environment).map_err(corrupt)?;
    Ok(Tenant { merchant: MerchantId::new(merchant.0), environment })
}

/// The attempts of an endpoint that are before another, or beyond a number, at most a number of them.
fn outdated(
    connection: &mut SqliteConnection,
    tenant: Tenant,
    endpoint: EndpointId,
    (oldest, most, size): (AttemptId, usize, usize),
) -> QueryResult<Vec<AttemptId>> {
    let ids = || attempts_of(tenant, endpoint).select(webhook_attempts::id);
    let old = ids().filter(webhook_attempts::id.lt(Id(oldest.uuid())));
    let mut found: Vec<Id> = old.order(webhook_attempts::id).limit(limit(size)).load(connection)?;
    let excess = ids().order(webhook_attempts::id.desc()).limit(limit(size)).offset(limit(most));
    found.extend::<Vec<Id>>(excess.load(connection)?);
    let mut ids: Vec<AttemptId> = found.into_iter().map(|id| AttemptId::new(id.0)).collect();
    // One may be old and in excess.
    ids.sort_unstable();
    ids.dedup();
    ids.truncate(size);
    Ok(ids)
}

/// Stores what a worker has done, if it still has the lease.
fn write_record(connection: &mut SqliteConnection, lease: &Lease, record: &DeliveryRecord) -> Result<bool, Fault> {
    let by_id = || endpoints_of(lease.tenant).filter(webhook_endpoints::id.eq(Id(lease.endpoint.uuid())));
    let held = diesel::update(by_id().filter(webhook_endpoints::fence.eq(lease.fence)))
        .set((
            webhook_endpoints::cursor_seq.eq(record.cursor),
            webhook_endpoints::failing_since.eq(record.failing_since.map(Time::from)),
            webhook_endpoints::due_at.eq(Time::from(record.due_at)),
        ))
        .execute(connection)?;
    if held == 0 {
        return Ok(false);
    }
    if let Some((reason, at)) = record.disabled {
        // Unless its owner was faster. No equation, so that it cannot use the index for workers.
        diesel::update(by_id().filter(webhook_endpoints::status.ne(EndpointStatus::DISABLED)))
            .set((
                webhook_endpoints::status.eq(EndpointStatus::DISABLED),
                webhook_endpoints::disabled_at.eq(Some(Time::from(at))),
                webhook_endpoints::disabled_reason.eq(Some(reason.as_str())),
                webhook_endpoints::updated_at.eq(Time::from(at)),
            ))
            .execute(connection)?;
    }
    if !record.lanes.is_empty() || !record.closed.is_empty() {
        write_lanes(connection, lease.tenant, lease.endpoint, &record.lanes, &record.closed)?;
    }
    for attempt in &record.attempts {
        run(connection, Statement::SaveAttempt(AttemptRecord::from(attempt).into()))?;
    }
    Ok(true)
}

fn write_lanes(
    connection: &mut SqliteConnection,
    tenant: Tenant,
    endpoint: EndpointId,
    lanes: &[Lane],
    closed: &[LaneKey],
) -> QueryResult<()> {
    for key in closed {
        let of_customer = lanes_of(tenant, endpoint).filter(webhook_lanes::customer_id.eq(Id(key.customer.uuid())));
        let replayed = key.replayed.unwrap_or(0);
        diesel::delete(of_customer.filter(webhook_lanes::replayed_seq.eq(replayed))).execute(connection)?;
    }
    for lane in lanes {
        run(connection, Statement::SaveLane(LaneRecord::new(tenant, endpoint, lane).into()))?;
    }
    run(connection, Statement::note_first_lane(tenant, endpoint))
}

fn run(connection: &mut SqliteConnection, statement: Statement) -> QueryResult<()> {
    RunQueryDsl::execute(statement, connection).map(drop)
}

/// The keys of endpoints of all tenants that may be leased and have something to be sent. It reads the index of times, and one
/// row of `feed_heads` for each active endpoint that is not leased.
struct FindDue {
    active: &'static str,
    now: Time,
    size: i64,
}

impl QueryFragment<Sqlite> for FindDue {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql(
            "SELECT webhook_endpoints.merchant_id, webhook_endpoints.environment, webhook_endpoints.id \
             FROM webhook_endpoints WHERE webhook_endpoints.status = ",
        );
        out.push_bind_param::<Text, _>(&self.active)?;
        out.push_sql(" AND webhook_endpoints.due_at <= ");
        out.push_bind_param::<BigInt, _>(&self.now)?;
        out.push_sql(" AND (webhook_endpoints.lanes_due_at <= ");
        out.push_bind_param::<BigInt, _>(&self.now)?;
        out.push_sql(
            " OR webhook_endpoints.cursor_seq < (SELECT feed_heads.seq FROM feed_heads \
             WHERE feed_heads.merchant_id = webhook_endpoints.merchant_id \
             AND feed_heads.environment = webhook_endpoints.environment)) ORDER BY webhook_endpoints.due_at LIMIT ",
        );
        out.push_bind_param::<BigInt, _>(&self.size)
    }
}

enum Statement {
    /// Notes when the first lane of an endpoint is due.
    NoteFirstLane {
        merchant: Id,
        environment: &'static str,
        endpoint: Id,
    },
    /// Inserts a lane, or puts it in the place of the one with its key.
    SaveLane(LaneRow),
    SaveAttempt(AttemptRow),
}

impl Statement {
    fn note_first_lane(tenant: Tenant, endpoint: EndpointId) -> Self {
        let (merchant, environment) = (Id(tenant.merchant.uuid()), tenant.environment.as_str());
        Self::NoteFirstLane { merchant, environment, endpoint: Id(endpoint.uuid()) }
    }
}

impl QueryFragment<Sqlite> for Statement {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        match self {
            Self::NoteFirstLane { merchant, environment, endpoint } => {
                out.push_sql(
                    "UPDATE webhook_endpoints SET lanes_due_at = (SELECT webhook_lanes.due_at FROM webhook_lanes \
                     WHERE webhook_lanes.merchant_id = webhook_endpoints.merchant_id \
                     AND webhook_lanes.environment = webhook_endpoints.environment \
                     AND webhook_lanes.endpoint_id = webhook_endpoints.id AND webhook_lanes.due_at IS NOT NULL \
                     ORDER BY webhook_lanes.due_at LIMIT 1) WHERE webhook_endpoints.merchant_id = ",
                );
                out.push_bind_param::<Binary, _>(merchant)?;
                out.push_sql(" AND webhook_endpoints.environment = ");
                out.push_bind_param::<Text, _>(environment)?;
                out.push_sql(" AND webhook_endpoints.id = ");
                out.push_bind_param::<Binary, _>(endpoint)
            }
            Self::SaveLane(row) => {
                out.push_sql("INSERT INTO webhook_lanes (");
                out.push_sql(LaneRow::COLUMNS);
                out.push_sql(") VALUES (");
                row.push_values(LaneRow::NAMES.iter().copied(), &mut out)?;
                out.push_sql(
                    ") ON CONFLICT (merchant_id, environment, endpoint_id, customer_id, replayed_seq) DO UPDATE \
                     SET next_seq = excluded.next_seq, attempts = excluded.attempts, due_at = excluded.due_at",
                );
                Ok(())
            }
            Self::SaveAttempt(row) => {
                out.push_sql("INSERT INTO webhook_attempts (");
                out.push_sql(AttemptRow::COLUMNS);
                out.push_sql(") VALUES (");
                row.push_values(AttemptRow::NAMES.iter().copied(), &mut out)?;
                out.push_sql(")");
                Ok(())
            }
        }
    }
}

kept_by_text!(FindDue, (Binary, Text, Binary));
kept_by_text!(Statement, ());
