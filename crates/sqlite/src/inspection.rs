//! Reads all that a check compares. `crates/postgres/src/inspection.rs` is its twin.
//!
//! Rows are read tenant by tenant and page by page, in one transaction, and so from one moment.

use diesel::dsl::{count_star, max, min};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};
use roster_application::ports::{CustomerFact, Fact, Fault, Indexed, LogFact, StoreError};
use roster_domain::{Customer, CustomerId, EndpointId, Environment, MerchantId, Tenant, search_hashes};

use crate::backup::damage;
use crate::error::Fault as QueryFault;
use crate::rows::Id;
use crate::schema::{
    CustomerRow, customers, customers_of, events, events_of, feed_floor_of, feed_floors, feed_head_of,
};
use crate::schema::{feed_heads, merchants};
use crate::search_index::words;

/// Rows of one page.
const PAGE: i64 = 500;

/// The most faults of one kind that are listed, of the file or of one tenant.
const MOST: usize = 1000;

/// Calls `visit` with each fact of the database. `connection` is in a transaction that reads.
pub fn inspect(connection: &mut SqliteConnection, visit: &mut dyn FnMut(Fact)) -> Result<(), QueryFault> {
    for line in damage(connection, MOST)? {
        visit(Fact::Fault(Fault::Damage(line)));
    }
    references(connection, visit)?;
    documents(connection, visit)?;
    let mut last: Option<Id> = None;
    loop {
        let page = merchants::table.select(merchants::id).order(merchants::id).limit(PAGE).into_boxed();
        let page = match last {
            Some(last) => page.filter(merchants::id.gt(last)),
            None => page,
        };
        let found: Vec<Id> = page.load(connection)?;
        for merchant in &found {
            for environment in Environment::ALL {
                of_tenant(connection, Tenant { merchant: MerchantId::new(merchant.0), environment }, visit)?;
            }
        }
        last = found.last().copied();
        if last.is_none() {
            return Ok(());
        }
    }
}

fn of_tenant(connection: &mut SqliteConnection, tenant: Tenant, visit: &mut dyn FnMut(Fact)) -> Result<(), QueryFault> {
    let head = log(connection, tenant, visit)?;
    cursors(connection, tenant, head, visit)?;
    taken(connection, tenant, visit)?;
    events_without_customer(connection, tenant, visit)?;
    all_customers(connection, tenant, visit)
}

fn log(connection: &mut SqliteConnection, tenant: Tenant, visit: &mut dyn FnMut(Fact)) -> Result<i64, QueryFault> {
    let floor = feed_floor_of(tenant).select(feed_floors::seq).get_result(connection).optional()?.unwrap_or(0);
    let head = feed_head_of(tenant).select(feed_heads::seq).get_result(connection).optional()?.unwrap_or(0);
    let (events, first, last): (i64, Option<i64>, Option<i64>) =
        events_of(tenant).select((count_star(), min(events::seq), max(events::seq))).get_result(connection)?;
    let (first, last) = (first.unwrap_or(0), last.unwrap_or(0));
    visit(Fact::Log(LogFact { tenant, floor, head, events, first, last }));
    Ok(head)
}

fn cursors(
    connection: &mut SqliteConnection,
    tenant: Tenant,
    head: i64,
    visit: &mut dyn FnMut(Fact),
) -> Result<(), QueryFault> {
    const CURSORS: &str = "SELECT id, cursor_seq AS number FROM webhook_endpoints \
                           WHERE merchant_id = ? AND environment = ? ORDER BY id";
    for Numbered { id, number } in of(CURSORS, tenant).load(connection)? {
        visit(Fact::Cursor { tenant, endpoint: EndpointId::new(id.0), cursor: number, head });
    }
    Ok(())
}

/// What only one live customer may have. An index decides it, which may be damaged or missing.
fn taken(connection: &mut SqliteConnection, tenant: Tenant, visit: &mut dyn FnMut(Fact)) -> Result<(), QueryFault> {
    const EMAIL_KEYS: &str = "SELECT min(id) AS id, count(*) AS number FROM customers \
                              WHERE merchant_id = ? AND environment = ? AND deleted_at IS NULL AND email_exclusive \
                              AND email_key IS NOT NULL GROUP BY email_key HAVING count(*) > 1 LIMIT 1000";
    const EXTERNAL_IDS: &str = "SELECT min(id) AS id, count(*) AS number FROM customers \
                                WHERE merchant_id = ? AND environment = ? AND deleted_at IS NULL \
                                AND external_id IS NOT NULL GROUP BY external_id HAVING count(*) > 1 LIMIT 1000";
    for (column, statement) in [("email_key", EMAIL_KEYS), ("external_id", EXTERNAL_IDS)] {
        for Numbered { id, number } in of(statement, tenant).load(connection)? {
            let customer = CustomerId::new(id.0).to_string();
            visit(Fact::Fault(Fault::Taken { tenant, column, customer, number }));
        }
    }
    Ok(())
}

fn events_without_customer(
    connection: &mut SqliteConnection,
    tenant: Tenant,
    visit: &mut dyn FnMut(Fact),
) -> Result<(), QueryFault> {
    const EVENTS: &str = "SELECT customer_id AS id, seq AS number FROM events \
                          WHERE merchant_id = ? AND environment = ? AND NOT EXISTS (SELECT 1 FROM customers \
                          WHERE customers.merchant_id = events.merchant_id AND customers.environment = events.environment \
                          AND customers.id = events.customer_id) ORDER BY seq LIMIT 1000";
    for Numbered { id, number } in of(EVENTS, tenant).load(connection)? {
        let row = format!(
            "the event {number} of {} in {}, of {}",
            tenant.merchant,
            tenant.environment.as_str(),
            CustomerId::new(id.0)
        );
        visit(Fact::Fault(Fault::Orphan { table: "events".to_owned(), row, parent: "customers".to_owned() }));
    }
    Ok(())
}

fn all_customers(
    connection: &mut SqliteConnection,
    tenant: Tenant,
    visit: &mut dyn FnMut(Fact),
) -> Result<(), QueryFault> {
    let mut last: Option<Id> = None;
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
        for row in rows {
            let id = row.id;
            match Customer::try_from(row) {
                Ok(customer) => {
                    let newest_event = events_of(tenant)
                        .filter(events::customer_id.eq(id))
                        .filter(events::subscription_id.is_null())
                        .order(events::seq.desc())
                        .select(events::version)
                        .first(connection)
                        .optional()?;
                    let indexed = indexed(connection, id, &customer)?;
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

/// What the index for searches has of a customer.
fn indexed(connection: &mut SqliteConnection, id: Id, customer: &Customer) -> QueryResult<Indexed> {
    const STATE: &str = "SELECT search_id, search_version FROM customers \
                         WHERE merchant_id = ? AND environment = ? AND id = ?";
    const MATCH: &str = "SELECT rowid AS number FROM customers_search WHERE customers_search MATCH ? AND rowid = ?";
    const EMPTY: &str = "SELECT id AS number FROM customers_search_docsize WHERE id = ?";
    if !customer.is_live() {
        // No search finds it, whatever the index has.
        return Ok(Indexed::Not);
    }
    let state: Vec<Indexing> = of(STATE, customer.tenant()).bind::<Binary, _>(id).load(connection)?;
    let Some(document) = state.iter().find(|state| state.search_version == Some(customer.version())) else {
        return Ok(Indexed::Not);
    };
    let Some(document) = document.search_id else { return Ok(Indexed::Wrong) };
    let words = words(&search_hashes(customer));
    // A customer without texts has a document without words, which no search finds.
    let found: Vec<Number> = if words.is_empty() {
        diesel::sql_query(EMPTY).bind::<BigInt, _>(document).load(connection)?
    } else {
        diesel::sql_query(MATCH).bind::<Text, _>(words).bind::<BigInt, _>(document).load(connection)?
    };
    Ok(if found.len() == 1 { Indexed::Right } else { Indexed::Wrong })
}

/// The documents of the index for searches that no customer has.
fn documents(connection: &mut SqliteConnection, visit: &mut dyn FnMut(Fact)) -> Result<(), QueryFault> {
    const DOCUMENTS: &str = "SELECT id AS number FROM customers_search_docsize AS document WHERE NOT EXISTS \
                             (SELECT 1 FROM customers WHERE search_id = document.id) ORDER BY id LIMIT 1000";
    for Number { number } in diesel::sql_query(DOCUMENTS).load::<Number>(connection)? {
        let (table, parent) = ("customers_search".to_owned(), "customers".to_owned());
        visit(Fact::Fault(Fault::Orphan { table, row: format!("the document {number}"), parent }));
    }
    Ok(())
}

/// The rows that break a foreign key. None is written so, but another program may switch off that SQLite checks it.
fn references(connection: &mut SqliteConnection, visit: &mut dyn FnMut(Fact)) -> Result<(), QueryFault> {
    const REFERENCES: &str = "SELECT \"table\" AS child, \"rowid\" AS number, \"parent\" AS parent \
                              FROM pragma_foreign_key_check LIMIT 1000";
    for Reference { child, number, parent } in diesel::sql_query(REFERENCES).load::<Reference>(connection)? {
        let row = number.map_or_else(|| "a row".to_owned(), |number| format!("the row {number}"));
        visit(Fact::Fault(Fault::Orphan { table: child, row, parent }));
    }
    Ok(())
}

/// A statement whose first two parameters are the tenant.
fn of(
    statement: &str,
    tenant: Tenant,
) -> diesel::query_builder::BoxedSqlQuery<'_, diesel::sqlite::Sqlite, diesel::query_builder::SqlQuery> {
    let statement = diesel::sql_query(statement).into_boxed();
    statement.bind::<Binary, _>(Id(tenant.merchant.uuid())).bind::<Text, _>(tenant.environment.as_str())
}

#[derive(QueryableByName)]
struct Numbered {
    #[diesel(sql_type = Binary)]
    id: Id,
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct Indexing {
    #[diesel(sql_type = Nullable<BigInt>)]
    search_id: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    search_version: Option<i64>,
}

#[derive(QueryableByName)]
struct Reference {
    #[diesel(sql_type = Text)]
    child: String,
    #[diesel(sql_type = Nullable<BigInt>)]
    number: Option<i64>,
    #[diesel(sql_type = Text)]
    parent: String,
}
