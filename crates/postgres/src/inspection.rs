//! Reads all that a check compares. `crates/sqlite/src/inspection.rs` is its twin.
//!
//! Rows are read tenant by tenant and page by page, in one transaction, and so from one moment.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{self, Array, BigInt, Bool, Int4, Nullable, Text};
use roster_application::ports::{CustomerFact, Fact, Fault, Indexed, LogFact, StoreError};
use roster_domain::{Customer, CustomerId, EndpointId, Environment, MerchantId, Tenant, search_hashes};
use uuid::Uuid;

use crate::error::Fault as QueryFault;
use crate::schema::{CustomerRow, customers, customers_of, merchants};
use crate::search_index::hash_of_texts;

/// Rows of one page.
const PAGE: i64 = 500;

/// Begins the transaction: one snapshot for all statements. None of them may write, and none has a deadline, also where the
/// role has one.
pub const BEGIN: &str = "
    BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
    SET LOCAL statement_timeout = 0;
    SET LOCAL idle_in_transaction_session_timeout = 0;
";

/// Calls `visit` with each fact of the database. `connection` is in a transaction that [`BEGIN`] has begun.
pub fn inspect(connection: &mut PgConnection, visit: &mut dyn FnMut(Fact)) -> Result<(), QueryFault> {
    let mut last: Option<Uuid> = None;
    loop {
        let page = merchants::table.select(merchants::id).order(merchants::id).limit(PAGE).into_boxed();
        let page = match last {
            Some(last) => page.filter(merchants::id.gt(last)),
            None => page,
        };
        let found: Vec<Uuid> = page.load(connection)?;
        for merchant in &found {
            for environment in Environment::ALL {
                of_tenant(connection, Tenant { merchant: MerchantId::new(*merchant), environment }, visit)?;
            }
        }
        last = found.last().copied();
        if last.is_none() {
            return Ok(());
        }
    }
}

fn of_tenant(connection: &mut PgConnection, tenant: Tenant, visit: &mut dyn FnMut(Fact)) -> Result<(), QueryFault> {
    let head = log(connection, tenant, visit)?;
    cursors(connection, tenant, head, visit)?;
    taken(connection, tenant, visit)?;
    references(connection, tenant, visit)?;
    all_customers(connection, tenant, visit)
}

fn log(connection: &mut PgConnection, tenant: Tenant, visit: &mut dyn FnMut(Fact)) -> Result<i64, QueryFault> {
    const FLOOR: &str = "SELECT seq AS number FROM feed_floors WHERE merchant_id = $1 AND environment = $2";
    const HEAD: &str = "SELECT seq AS number FROM feed_heads WHERE merchant_id = $1 AND environment = $2";
    const EVENTS: &str = "SELECT count(*) AS events, coalesce(min(seq), 0) AS first, coalesce(max(seq), 0) AS last \
                          FROM events WHERE merchant_id = $1 AND environment = $2";
    let mut place = |statement| -> QueryResult<i64> {
        let found: Option<Number> = of(statement, tenant).get_result(connection).optional()?;
        Ok(found.map_or(0, |found| found.number))
    };
    let (floor, head) = (place(FLOOR)?, place(HEAD)?);
    let Extent { events, first, last } = of(EVENTS, tenant).get_result(connection)?;
    visit(Fact::Log(LogFact { tenant, floor, head, events, first, last }));
    Ok(head)
}

fn cursors(
    connection: &mut PgConnection,
    tenant: Tenant,
    head: i64,
    visit: &mut dyn FnMut(Fact),
) -> Result<(), QueryFault> {
    const CURSORS: &str = "SELECT id, cursor_seq AS number FROM webhook_endpoints \
                           WHERE merchant_id = $1 AND environment = $2 ORDER BY id";
    for Numbered { id, number } in of(CURSORS, tenant).load(connection)? {
        visit(Fact::Cursor { tenant, endpoint: EndpointId::new(id), cursor: number, head });
    }
    Ok(())
}

/// What only one live customer may have. An index decides it, which may be damaged or missing.
fn taken(connection: &mut PgConnection, tenant: Tenant, visit: &mut dyn FnMut(Fact)) -> Result<(), QueryFault> {
    const EMAIL_KEYS: &str = "SELECT min(id::text)::uuid AS id, count(*) AS number FROM customers \
                              WHERE merchant_id = $1 AND environment = $2 AND deleted_at IS NULL AND email_exclusive \
                              AND email_key IS NOT NULL GROUP BY email_key HAVING count(*) > 1 LIMIT 1000";
    const EXTERNAL_IDS: &str = "SELECT min(id::text)::uuid AS id, count(*) AS number FROM customers \
                                WHERE merchant_id = $1 AND environment = $2 AND deleted_at IS NULL \
                                AND external_id IS NOT NULL GROUP BY external_id HAVING count(*) > 1 LIMIT 1000";
    for (column, statement) in [("email_key", EMAIL_KEYS), ("external_id", EXTERNAL_IDS)] {
        for Numbered { id, number } in of(statement, tenant).load(connection)? {
            let customer = CustomerId::new(id).to_string();
            visit(Fact::Fault(Fault::Taken { tenant, column, customer, number }));
        }
    }
    Ok(())
}

/// The rows that name a row that is not there. Foreign keys forbid most of them, unless a superuser has switched them off, as some ways
/// to restore a dump do.
fn references(connection: &mut PgConnection, tenant: Tenant, visit: &mut dyn FnMut(Fact)) -> Result<(), QueryFault> {
    const EVENTS: &str = "SELECT 'the event ' || seq AS line FROM events WHERE merchant_id = $1 AND environment = $2 \
                          AND NOT EXISTS (SELECT FROM customers WHERE customers.merchant_id = $1 \
                          AND customers.environment = $2 AND customers.id = events.customer_id) ORDER BY seq LIMIT 1000";
    const SUBSCRIPTIONS: &str = "SELECT 'a subscription of the customer ' || customer_id AS line FROM subscriptions \
                                 WHERE merchant_id = $1 AND environment = $2 AND NOT EXISTS (SELECT FROM customers \
                                 WHERE customers.merchant_id = $1 AND customers.environment = $2 \
                                 AND customers.id = subscriptions.customer_id) LIMIT 1000";
    const LANES: &str = "SELECT 'a lane of the endpoint ' || endpoint_id AS line FROM webhook_lanes \
                         WHERE merchant_id = $1 AND environment = $2 AND NOT EXISTS (SELECT FROM webhook_endpoints \
                         WHERE webhook_endpoints.merchant_id = $1 AND webhook_endpoints.environment = $2 \
                         AND webhook_endpoints.id = webhook_lanes.endpoint_id) LIMIT 1000";
    const ATTEMPTS: &str = "SELECT 'the attempt ' || id AS line FROM webhook_attempts \
                            WHERE merchant_id = $1 AND environment = $2 AND NOT EXISTS (SELECT FROM webhook_endpoints \
                            WHERE webhook_endpoints.merchant_id = $1 AND webhook_endpoints.environment = $2 \
                            AND webhook_endpoints.id = webhook_attempts.endpoint_id) LIMIT 1000";
    for (table, parent, statement) in [
        ("events", "customers", EVENTS),
        ("subscriptions", "customers", SUBSCRIPTIONS),
        ("webhook_lanes", "webhook_endpoints", LANES),
        ("webhook_attempts", "webhook_endpoints", ATTEMPTS),
    ] {
        for Line { line } in of(statement, tenant).load(connection)? {
            let row = format!("{line} of {} in {}", tenant.merchant, tenant.environment.as_str());
            visit(Fact::Fault(Fault::Orphan { table: table.to_owned(), row, parent: parent.to_owned() }));
        }
    }
    Ok(())
}

fn all_customers(connection: &mut PgConnection, tenant: Tenant, visit: &mut dyn FnMut(Fact)) -> Result<(), QueryFault> {
    let mut last: Option<Uuid> = None;
    loop {
        let page = customers_of(tenant).order(customers::id).limit(PAGE).into_boxed();
        let page = match last {
            Some(last) => page.filter(customers::id.gt(last)),
            None => page,
        };
        let rows: Vec<CustomerRow> = page.load(connection)?;
        last = rows.last().map(|row| row.id);
        if last.is_none() {
            return Ok(());
        }
        let mut beside = beside(connection, tenant, &rows)?;
        for row in rows {
            let beside = beside.remove(&row.id);
            match Customer::try_from(row) {
                Ok(customer) => {
                    let newest_event = beside.as_ref().and_then(|beside| beside.newest_event);
                    let indexed = beside.map_or(Indexed::Not, |beside| beside.indexed(&customer));
                    visit(Fact::Customer(Box::new(CustomerFact { customer, newest_event, indexed })));
                }
                Err(error) => visit(Fact::Fault(unreadable(error)?)),
            }
        }
    }
}

/// # Errors
/// Any error but that of a row that does not decode.
fn unreadable(error: StoreError) -> Result<Fault, StoreError> {
    match error {
        StoreError::Corrupt { table, column, id } => {
            Ok(Fault::Unreadable { table, row: format!("column {column} of {id}") })
        }
        other => Err(other),
    }
}

/// What else is stored because of some customers.
fn beside(connection: &mut PgConnection, tenant: Tenant, rows: &[CustomerRow]) -> QueryResult<HashMap<Uuid, Beside>> {
    let statement = format!(
        "SELECT customers.id, (SELECT version FROM events WHERE events.merchant_id = $1 AND events.environment = $2 \
         AND events.customer_id = customers.id AND events.subscription_id IS NULL ORDER BY events.seq DESC LIMIT 1) \
         AS newest_event, search_hashes, search_of IS NOT DISTINCT FROM {} AS is_current \
         FROM customers WHERE customers.merchant_id = $1 AND customers.environment = $2 AND customers.id = ANY($3)",
        hash_of_texts("customers")
    );
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let found: Vec<Beside> = of(&statement, tenant).bind::<Array<sql_types::Uuid>, _>(ids).load(connection)?;
    Ok(found.into_iter().map(|beside| (beside.id, beside)).collect())
}

impl Beside {
    fn indexed(&self, customer: &Customer) -> Indexed {
        match &self.search_hashes {
            // No search finds it, whatever the index has.
            _ if !customer.is_live() => Indexed::Not,
            _ if !self.is_current => Indexed::Not,
            Some(hashes) if *hashes == search_hashes(customer) => Indexed::Right,
            Some(_) | None => Indexed::Wrong,
        }
    }
}

/// A statement whose first two parameters are the tenant.
fn of(
    statement: &str,
    tenant: Tenant,
) -> diesel::query_builder::BoxedSqlQuery<'_, diesel::pg::Pg, diesel::query_builder::SqlQuery> {
    let statement = diesel::sql_query(statement).into_boxed();
    statement.bind::<sql_types::Uuid, _>(tenant.merchant.uuid()).bind::<Text, _>(tenant.environment.as_str())
}

#[derive(QueryableByName)]
struct Extent {
    #[diesel(sql_type = BigInt)]
    events: i64,
    #[diesel(sql_type = BigInt)]
    first: i64,
    #[diesel(sql_type = BigInt)]
    last: i64,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct Numbered {
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

#[derive(QueryableByName)]
struct Beside {
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
    #[diesel(sql_type = Nullable<BigInt>)]
    newest_event: Option<i64>,
    #[diesel(sql_type = Nullable<Array<Int4>>)]
    search_hashes: Option<Vec<i32>>,
    #[diesel(sql_type = Bool)]
    is_current: bool,
}
