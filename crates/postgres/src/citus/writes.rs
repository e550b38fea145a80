//! Writes for one tenant after the other, each call in a transaction of its caller.
//!
//! An `INSERT` is sent to a shard if its rows are `VALUES`. So new rows are listed, and what the plain form checks in the same statement is
//! read before: a statement sees what was committed before it, and a row that another transaction commits between the two is one that the
//! plain statement would not have seen either, or one that a unique index refuses.

use std::collections::{HashMap, HashSet};
use std::marker::PhantomData;

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{self, Array, Binary, Integer, Nullable, Text};
use roster_application::Event;
use roster_application::ports::{ReplyKey, SavedReply, SubscriptionWrite, Write};
use roster_application::records::{EventRecord, ReplyRecord, SubscriptionRecord};
use roster_domain::{Customer, Tenant, Timestamp};
use uuid::Uuid;

use super::{Locked, tenant_by_tenant};
use crate::error::Fault;
use crate::rows::Row;
use crate::schema::{
    AttemptRow, CustomerRow, EventRow, LaneRow, ReplyRow, SubscriptionRow, customers, customers_of, events_of,
    feed_floors, feed_heads, insert_into_feed_floors, insert_into_feed_heads, replies, replies_of, subscriptions,
    subscriptions_of,
};
use crate::search_index::push_hash_of_values;
use crate::webhooks::REPLACES_LANE;
use crate::writes::{Changes, Conflict, Kind, PrimaryKey, Update, UpdateClaiming, assignments, order, row};

/// Makes writes of one kind, without their replies and their events. Returns the primary keys of the customers that they were made for.
///
/// # Errors
/// If a statement fails.
pub fn store(
    connection: &mut PgConnection,
    kind: Kind,
    writes: &[&Write],
    is_indexed: bool,
) -> Result<Vec<PrimaryKey>, Fault> {
    let mut stored = Vec::with_capacity(writes.len());
    tenant_by_tenant(
        writes,
        |write| write.after().tenant(),
        |tenant, writes| {
            let writes: Vec<&Write> = writes.iter().map(|write| **write).collect();
            let given = || Changes::of(&writes, is_indexed);
            let locked = || Locked::new(tenant, writes.iter().map(|write| write.after()));
            stored.extend(match kind {
                Kind::Create => create(connection, tenant, &writes, is_indexed)?,
                Kind::Change => (&Update { given: given(), whose: locked() }).load(connection)?,
                Kind::ChangeClaiming => (&UpdateClaiming { given: given(), whose: locked() }).load(connection)?,
                Kind::Record => record(connection, tenant, &writes)?,
            });
            Ok(Vec::<()>::new())
        },
    )?;
    Ok(stored)
}

/// Inserts the customers whose claims are free. Customers that share an address are in no unique index: they are looked for before.
fn create(
    connection: &mut PgConnection,
    tenant: Tenant,
    writes: &[&Write],
    is_indexed: bool,
) -> QueryResult<Vec<PrimaryKey>> {
    let claimed: Vec<&str> = writes.iter().filter_map(|write| write.claims().email_key).collect();
    let shared: HashSet<String> = if claimed.is_empty() {
        HashSet::new()
    } else {
        let holders = customers_of(tenant).filter(customers::email_key.eq_any(claimed));
        let holders =
            holders.filter(customers::deleted_at.is_null()).filter(diesel::dsl::not(customers::email_exclusive));
        let keys: Vec<Option<String>> = holders.select(customers::email_key).load(connection)?;
        keys.into_iter().flatten().collect()
    };
    let is_free = |write: &&&Write| write.claims().email_key.is_none_or(|key| !shared.contains(key));
    let mut rows: Vec<NewCustomer> =
        writes.iter().filter(is_free).map(|write| NewCustomer::of(write, is_indexed)).collect();
    rows.sort_unstable_by(|one, other| order(&one.row).cmp(&order(&other.row)));
    let then = " ON CONFLICT DO NOTHING RETURNING merchant_id, environment, id";
    insert_of_customers(connection, rows, then.to_owned())
}

/// Stores subscriptions, each if the versions of its customer and of itself that it was decided from are stored. The rows of the
/// customers are locked first: what is read afterwards stays as it is.
fn record(connection: &mut PgConnection, tenant: Tenant, writes: &[&Write]) -> QueryResult<Vec<PrimaryKey>> {
    let reports: Vec<(&Customer, &SubscriptionWrite)> =
        writes.iter().filter_map(|write| Some((write.after(), write.subscription()?))).collect();
    let customer_ids: Vec<Uuid> = reports.iter().map(|(customer, _)| customer.id().uuid()).collect();
    let ids: Vec<&str> = reports.iter().map(|(_, report)| report.after.id.as_str()).collect();
    let locked: Vec<(Uuid, i64)> = customers_of(tenant)
        .filter(customers::id.eq_any(&customer_ids))
        .order(customers::id)
        .select((customers::id, customers::version))
        .for_no_key_update()
        .load(connection)?;
    let locked: HashMap<Uuid, i64> = locked.into_iter().collect();
    let before: Vec<(Uuid, String, i64)> = subscriptions_of(tenant)
        .filter(subscriptions::customer_id.eq_any(&customer_ids))
        .filter(subscriptions::id.eq_any(ids))
        .select((subscriptions::customer_id, subscriptions::id, subscriptions::version))
        .load(connection)?;
    let before: HashMap<(Uuid, String), i64> =
        before.into_iter().map(|(customer, id, version)| ((customer, id), version)).collect();
    let is_current = |(customer, report): &&(&Customer, &SubscriptionWrite)| {
        let id = customer.id().uuid();
        let stored = before.get(&(id, report.after.id.as_str().to_owned()));
        locked.get(&id) == Some(&customer.version())
            && stored.copied() == report.before.as_ref().map(|before| before.version)
    };
    let mut rows: Vec<SubscriptionRow> = reports
        .iter()
        .filter(is_current)
        .map(|(customer, report)| SubscriptionRow::from(SubscriptionRecord::new(tenant, customer.id(), &report.after)))
        .collect();
    rows.sort_unstable_by_key(|row| row.customer_id);
    let key = ["merchant_id", "environment", "customer_id", "id"];
    let then = format!(
        " ON CONFLICT (merchant_id, environment, customer_id, id) DO UPDATE SET {} \
         WHERE subscriptions.version = excluded.version - 1 \
         RETURNING subscriptions.merchant_id, subscriptions.environment, subscriptions.customer_id",
        assignments(SubscriptionRow::NAMES, &key, "excluded")
    );
    insert_of_customers(connection, rows, then)
}

/// What may have kept some writes from being made; each with the e-mail key that it claims.
///
/// # Errors
/// If it cannot be read.
pub fn conflicts(
    connection: &mut PgConnection,
    writes: &[(&Customer, Option<&str>)],
) -> Result<Vec<Option<Conflict>>, Fault> {
    tenant_by_tenant(
        writes,
        |(customer, _)| customer.tenant(),
        |tenant, writes| {
            let ids: Vec<Uuid> = writes.iter().map(|(customer, _)| customer.id().uuid()).collect();
            let versions: Vec<(Uuid, i64)> = customers_of(tenant)
                .filter(customers::id.eq_any(ids))
                .select((customers::id, customers::version))
                .load(connection)?;
            let versions: HashMap<Uuid, i64> = versions.into_iter().collect();
            let keys: Vec<&str> = writes.iter().filter_map(|(_, key)| *key).collect();
            let mut holders: Vec<(Option<String>, bool, Uuid)> = Vec::new();
            if !keys.is_empty() {
                // The first of those that share an address is enough.
                holders = customers_of(tenant)
                    .filter(customers::email_key.eq_any(keys))
                    .filter(customers::deleted_at.is_null())
                    .distinct_on((customers::email_key, customers::email_exclusive))
                    .order((customers::email_key, customers::email_exclusive, customers::id))
                    .select((customers::email_key, customers::email_exclusive, customers::id))
                    .load(connection)?;
            }
            let holders: HashMap<(String, bool), Uuid> =
                holders.into_iter().filter_map(|(key, exclusive, id)| Some(((key?, exclusive), id))).collect();
            let conflict = |(customer, key): &&(&Customer, Option<&str>)| {
                let holder = |exclusive| key.and_then(|key| holders.get(&(key.to_owned(), exclusive)).copied());
                Some((versions.get(&customer.id().uuid()).copied(), holder(true), holder(false)))
            };
            Ok(writes.iter().map(conflict).collect())
        },
    )
}

/// Saves replies with different keys, as [`crate::writes::save`].
///
/// # Errors
/// If a statement fails.
pub fn save_replies(connection: &mut PgConnection, replies: &[&SavedReply]) -> Result<HashSet<ReplyKey>, Fault> {
    let is_saved = tenant_by_tenant(
        replies,
        |reply| reply.key.tenant,
        |_, replies| {
            let mut rows: Vec<ReplyRow> =
                replies.iter().map(|reply| ReplyRow::from(ReplyRecord::from(**reply))).collect();
            // In the order in which every batch saves them, so that batches rarely deadlock each other.
            rows.sort_unstable_by(|one, other| one.key_digest.cmp(&other.key_digest));
            let then = format!(
                " ON CONFLICT (merchant_id, environment, key_digest) DO UPDATE SET {} \
             WHERE replies.expires_at <= excluded.created_at RETURNING replies.key_digest",
                assignments(ReplyRow::NAMES, &["merchant_id", "environment", "key_digest"], "excluded")
            );
            let statement = Insert::<ReplyRow, Binary> { rows, then, returned: PhantomData };
            let saved: HashSet<Vec<u8>> = RunQueryDsl::load(statement, connection)?.into_iter().collect();
            Ok(replies.iter().map(|reply| saved.contains(reply.key.digest.0.as_slice())).collect())
        },
    )?;
    Ok(replies.iter().zip(is_saved).filter(|(_, saved)| *saved).map(|(reply, _)| reply.key).collect())
}

/// Deletes the replies of keys, each if it expires at the time beside its key or before.
///
/// # Errors
/// If a statement fails.
pub fn delete_replies(connection: &mut PgConnection, keys: &[(ReplyKey, Timestamp)]) -> Result<(), Fault> {
    tenant_by_tenant(
        keys,
        |(key, _)| key.tenant,
        |tenant, keys| {
            // Those of one batch expire at the same time.
            let mut by_time: HashMap<Timestamp, Vec<&[u8]>> = HashMap::new();
            for (key, until) in keys {
                by_time.entry(*until).or_default().push(key.digest.0.as_slice());
            }
            for (until, digests) in by_time {
                let of_keys = replies_of(tenant).filter(replies::key_digest.eq_any(digests));
                diesel::delete(of_keys.filter(replies::expires_at.le(until.to_utc()))).execute(connection)?;
            }
            Ok(Vec::<()>::new())
        },
    )?;
    Ok(())
}

/// Numbers events in their order, and adds them to the logs of their tenants.
///
/// # Errors
/// If a statement fails.
pub fn append(connection: &mut PgConnection, events: Vec<Event>) -> Result<(), Fault> {
    let mut events: Vec<Option<Event>> = events.into_iter().map(Some).collect();
    let places: Vec<(usize, Tenant)> =
        events.iter().enumerate().filter_map(|(place, event)| Some((place, event.as_ref()?.tenant))).collect();
    tenant_by_tenant(
        &places,
        |(_, tenant)| *tenant,
        |tenant, places| {
            let count = i64::try_from(places.len()).unwrap_or(i64::MAX);
            let last = take_numbers(connection, tenant, count)?;
            let of_tenant = places.iter().filter_map(|(place, _)| events[*place].take());
            let numbered = (last - count + 1..).zip(of_tenant).map(|(seq, event)| Event { seq, ..event });
            let rows: Vec<EventRow> = numbered.map(|event| EventRow::from(EventRecord::from(event))).collect();
            insert(connection, rows, "")?;
            Ok(Vec::<()>::new())
        },
    )?;
    Ok(())
}

/// Adds to the last number of a tenant's log, and returns it. The row is locked until the commit.
fn take_numbers(connection: &mut PgConnection, tenant: Tenant, count: i64) -> QueryResult<i64> {
    let row = (
        feed_heads::merchant_id.eq(tenant.merchant.uuid()),
        feed_heads::environment.eq(tenant.environment.as_str()),
        feed_heads::seq.eq(count),
    );
    insert_into_feed_heads()
        .values(row)
        .on_conflict((feed_heads::merchant_id, feed_heads::environment))
        .do_update()
        .set(feed_heads::seq.eq(feed_heads::seq + diesel::upsert::excluded(feed_heads::seq)))
        .returning(feed_heads::seq)
        .get_result(connection)
}

#[diesel::declare_sql_function]
extern "SQL" {
    /// The greater of two numbers.
    fn greatest(one: sql_types::BigInt, other: sql_types::BigInt) -> sql_types::BigInt;
}

/// Deletes the first events of a log, and notes that.
///
/// # Errors
/// If a statement fails.
pub fn prune(connection: &mut PgConnection, tenant: Tenant, last: i64) -> QueryResult<()> {
    let row = (
        feed_floors::merchant_id.eq(tenant.merchant.uuid()),
        feed_floors::environment.eq(tenant.environment.as_str()),
        feed_floors::seq.eq(last),
    );
    connection.transaction(|connection| {
        insert_into_feed_floors()
            .values(row)
            .on_conflict((feed_floors::merchant_id, feed_floors::environment))
            .do_update()
            .set(feed_floors::seq.eq(greatest(feed_floors::seq, diesel::upsert::excluded(feed_floors::seq))))
            .execute(connection)?;
        diesel::delete(events_of(tenant).filter(crate::schema::events::seq.le(last))).execute(connection)?;
        Ok(())
    })
}

/// Inserts lanes of one endpoint, or puts them in the place of those with their keys.
///
/// # Errors
/// If the statement fails.
pub fn save_lanes(connection: &mut PgConnection, lanes: Vec<LaneRow>) -> QueryResult<()> {
    insert(connection, lanes, REPLACES_LANE)
}

/// Inserts attempts of one tenant.
///
/// # Errors
/// If the statement fails.
pub fn save_attempts(connection: &mut PgConnection, attempts: Vec<AttemptRow>) -> QueryResult<()> {
    insert(connection, attempts, "")
}

/// A new customer, and what the index for searches has of it.
struct NewCustomer {
    row: CustomerRow,
    search_hashes: Option<Vec<i32>>,
}

impl NewCustomer {
    fn of(write: &Write, is_indexed: bool) -> Self {
        let (row, search_hashes) = row(write, is_indexed);
        Self { row, search_hashes }
    }
}

impl Row for NewCustomer {
    const TABLE: &'static str = CustomerRow::TABLE;

    fn push_columns(out: &mut AstPass<'_, '_, Pg>) {
        CustomerRow::push_columns(out);
        out.push_sql(", search_hashes, search_of");
    }

    fn push_row<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.row.push_row(out)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<Array<Integer>>, _>(&self.search_hashes)?;
        out.push_sql(", CASE WHEN ");
        out.push_bind_param::<Nullable<Array<Integer>>, _>(&self.search_hashes)?;
        out.push_sql("::int4[] IS NOT NULL THEN ");
        let CustomerRow { email, name, business_name, external_id, .. } = &self.row;
        push_hash_of_values([email, name, business_name, external_id], out)?;
        out.push_sql(" END");
        Ok(())
    }
}

/// `INSERT INTO … VALUES`, with what is behind the rows. Every number of rows is another statement, and Citus plans each anew: only one
/// of one row is kept prepared.
struct Insert<R, S> {
    rows: Vec<R>,
    then: String,
    returned: PhantomData<S>,
}

impl<R: Row, S> QueryFragment<Pg> for Insert<R, S> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        if self.rows.len() > 1 {
            out.unsafe_to_cache_prepared();
        }
        out.push_sql("INSERT INTO ");
        out.push_sql(R::TABLE);
        out.push_sql(" (");
        R::push_columns(&mut out);
        out.push_sql(") VALUES ");
        for (place, row) in self.rows.iter().enumerate() {
            out.push_sql(if place > 0 { "), (" } else { "(" });
            row.push_row(&mut out)?;
        }
        out.push_sql(")");
        out.push_sql(&self.then);
        Ok(())
    }
}

impl<R, S> QueryId for Insert<R, S> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<R, S> Query for Insert<R, S> {
    type SqlType = S;
}

impl<R, S> RunQueryDsl<PgConnection> for Insert<R, S> {}

/// The primary key of a customer, as a statement returns it.
type KeySql = (sql_types::Uuid, Text, sql_types::Uuid);

/// Inserts rows of customers or of what belongs to them. Returns the primary keys of the customers of those that were stored.
fn insert_of_customers<R: Row>(
    connection: &mut PgConnection,
    rows: Vec<R>,
    then: String,
) -> QueryResult<Vec<PrimaryKey>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    Insert::<R, KeySql> { rows, then, returned: PhantomData }.load(connection)
}

fn insert<R: Row>(connection: &mut PgConnection, rows: Vec<R>, then: &str) -> QueryResult<()> {
    if !rows.is_empty() {
        let insert = Insert::<R, ()> { rows, then: then.to_owned(), returned: PhantomData };
        RunQueryDsl::execute(insert, connection)?;
    }
    Ok(())
}
