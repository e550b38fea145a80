//! Reading and deleting saved replies; `writes.rs` writes them, with their customers or alone.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{self, Array, BigInt, Binary, Text, Timestamptz};
use roster_application::Digest;
use roster_application::ports::{ReplyKey, ReplyRepository, SavedReply, StoreError};
use roster_application::records::reply_key;
use roster_domain::{CustomerId, Tenant, Timestamp};
use uuid::Uuid;

use crate::citus::{self, Layout};
use crate::error::Fault;
use crate::rows::{Wanted, in_order, kept_prepared, limit};
use crate::schema::{ReplyRow, replies, replies_of};
use crate::unit_of_work::PostgresUnitOfWork;
use crate::writes;

impl ReplyRepository for PostgresUnitOfWork<'_> {
    fn find(&mut self, keys: &[ReplyKey], now: Timestamp) -> Result<Vec<Option<SavedReply>>, StoreError> {
        let layout = self.layout();
        let found = self.run(|connection| find(connection, layout, keys))?;
        Ok(found.into_iter().map(|found| found.filter(|reply| !reply.has_expired(now))).collect())
    }

    fn save(&mut self, replies: &[SavedReply]) -> Result<Vec<bool>, StoreError> {
        // One statement takes a key once.
        let mut seen = HashSet::new();
        let is_first: Vec<bool> = replies.iter().map(|reply| seen.insert(reply.key)).collect();
        let first: Vec<_> =
            replies.iter().zip(&is_first).filter(|(_, first)| **first).map(|(reply, _)| reply).collect();
        let layout = self.layout();
        let saved = self.run_write(|connection| writes::save(connection, layout, &first))?;
        Ok(replies.iter().zip(is_first).map(|(reply, first)| first && saved.contains(&reply.key)).collect())
    }

    fn of_customer(
        &mut self,
        tenant: Tenant,
        customer: Option<CustomerId>,
        after: Option<Digest>,
        size: usize,
    ) -> Result<Vec<SavedReply>, StoreError> {
        self.run(|connection| {
            let mut page = replies_of(tenant).order(replies::key_digest).limit(limit(size)).into_boxed();
            page = match customer {
                Some(customer) => page.filter(replies::customer_id.eq(customer.uuid())),
                None => page.filter(replies::customer_id.is_null()),
            };
            if let Some(after) = after {
                page = page.filter(replies::key_digest.gt(after.0.to_vec()));
            }
            let found: Vec<ReplyRow> = page.load(connection)?;
            found.into_iter().map(|row| SavedReply::try_from(row).map_err(Fault::Store)).collect()
        })
    }

    fn expired(&mut self, tenants: &[Tenant], now: Timestamp, size: usize) -> Result<Vec<ReplyKey>, StoreError> {
        let layout = self.layout();
        let found: Vec<(Uuid, String, Vec<u8>)> = self.run(|connection| {
            if layout == Layout::Citus {
                return Ok(citus::reads::expired_replies(connection, tenants, now.to_utc(), size)?);
            }
            let mut wanted = Wanted::default();
            tenants.iter().zip(1..).for_each(|(tenant, place)| wanted.push(place, *tenant));
            Ok((&FindExpired { wanted, now: now.to_utc(), size: limit(size) }).load(connection)?)
        })?;
        let key = |(merchant, environment, digest): (Uuid, String, Vec<u8>)| reply_key(merchant, &environment, digest);
        found.into_iter().map(key).collect()
    }

    fn delete_expired(&mut self, keys: &[ReplyKey], now: Timestamp) -> Result<(), StoreError> {
        let keys: Vec<_> = keys.iter().map(|key| (*key, now)).collect();
        let layout = self.layout();
        self.run_write(|connection| delete(connection, layout, &keys))
    }
}

/// The replies of keys, expired or not, in the order of the keys.
pub fn find(
    connection: &mut PgConnection,
    layout: Layout,
    keys: &[ReplyKey],
) -> Result<Vec<Option<SavedReply>>, Fault> {
    match keys {
        [] => Ok(Vec::new()),
        [key] => {
            let of_key = replies_of(key.tenant).filter(replies::key_digest.eq(key.digest.0.as_slice()));
            let found: Option<ReplyRow> = of_key.get_result(connection).optional()?;
            Ok(vec![found.map(SavedReply::try_from).transpose()?])
        }
        many if layout == Layout::Citus => citus::reads::replies(connection, many),
        many => {
            let mut statement = FindByKey { wanted: Wanted::default(), digests: Vec::with_capacity(many.len()) };
            for (place, key) in (1..).zip(many) {
                statement.wanted.push(place, key.tenant);
                statement.digests.push(key.digest.0.to_vec());
            }
            let found: Vec<(i64, ReplyRow)> = (&statement).load(connection)?;
            Ok(in_order(many.len(), found, SavedReply::try_from)?)
        }
    }
}

/// Deletes the replies of keys, each if it expires at the time beside its key or before.
pub fn delete(connection: &mut PgConnection, layout: Layout, keys: &[(ReplyKey, Timestamp)]) -> Result<(), Fault> {
    if keys.is_empty() {
        return Ok(());
    }
    if layout == Layout::Citus {
        return citus::writes::delete_replies(connection, keys);
    }
    let mut keys = keys.to_vec();
    // In the order in which every batch locks rows.
    keys.sort_unstable();
    let mut statement = Delete::default();
    for (place, (key, until)) in (1..).zip(keys) {
        statement.wanted.push(place, key.tenant);
        statement.digests.push(key.digest.0.to_vec());
        statement.until.push(until.to_utc());
    }
    RunQueryDsl::execute(&statement, connection)?;
    Ok(())
}

/// The replies of keys, each with the place of its key.
struct FindByKey {
    wanted: Wanted,
    digests: Vec<Vec<u8>>,
}

impl QueryFragment<Pg> for FindByKey {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.wanted.push_select(&replies::all_columns, &mut out)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Binary>, _>(&self.digests)?;
        out.push_sql(
            ") AS wanted (place, merchant_id, environment, key) CROSS JOIN LATERAL (SELECT * FROM replies \
             WHERE replies.merchant_id = wanted.merchant_id AND replies.environment = wanted.environment \
             AND replies.key_digest = wanted.key OFFSET 0) AS replies",
        );
        Ok(())
    }
}

/// The keys of some replies of tenants that have expired.
struct FindExpired {
    wanted: Wanted,
    now: DateTime<Utc>,
    size: i64,
}

impl QueryFragment<Pg> for FindExpired {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT replies.merchant_id, replies.environment, replies.key_digest FROM unnest(");
        self.wanted.push_arrays(&mut out)?;
        // Each tenant by the index of times, and no further than needed.
        out.push_sql(
            ") AS wanted (place, merchant_id, environment) CROSS JOIN LATERAL (SELECT * FROM replies \
             WHERE replies.merchant_id = wanted.merchant_id AND replies.environment = wanted.environment \
             AND replies.expires_at <= ",
        );
        out.push_bind_param::<Timestamptz, _>(&self.now)?;
        out.push_sql(" ORDER BY replies.merchant_id, replies.environment, replies.expires_at LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.size)?;
        out.push_sql(") AS replies LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.size)?;
        Ok(())
    }
}

/// Deletes replies that expire at some time or before.
#[derive(Default)]
struct Delete {
    wanted: Wanted,
    digests: Vec<Vec<u8>>,
    until: Vec<DateTime<Utc>>,
}

impl QueryFragment<Pg> for Delete {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("DELETE FROM replies USING unnest(");
        self.wanted.push_arrays(&mut out)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Binary>, _>(&self.digests)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Timestamptz>, _>(&self.until)?;
        // IS TRUE keeps it from using the index of times: each row is found by its key.
        out.push_sql(
            ") AS wanted (place, merchant_id, environment, key, until) \
             WHERE replies.merchant_id = wanted.merchant_id AND replies.environment = wanted.environment \
             AND replies.key_digest = wanted.key AND (replies.expires_at <= wanted.until) IS TRUE",
        );
        Ok(())
    }
}

kept_prepared!(FindByKey, (BigInt, replies::SqlType));
kept_prepared!(FindExpired, (sql_types::Uuid, Text, Binary));
kept_prepared!(Delete, ());
