//! Writing customers, and the subscriptions, replies and events that are stored with them.
//!
//! All forms of these statements are in this file. Writes are made one after the other in one transaction, which has the
//! write lock from its beginning: what a statement has just seen stays so until the commit.

use std::collections::BTreeMap;

use diesel::dsl::not;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};
use diesel::sqlite::Sqlite;
use roster_application::Event;
use roster_application::ports::{Claims, CustomerKey, CustomerRef, Origins, SavedReply, Taken, Write, Written};
use roster_application::records::{CustomerRecord, EventRecord, ReplyRecord, SubscriptionRecord};
use roster_domain::{Customer, CustomerId, Tenant};

use crate::customers::{find_one, live};
use crate::error::Fault;
use crate::replies;
use crate::rows::Id;
use crate::schema::{
    CustomerRow, EventRow, ReplyRow, SubscriptionRow, customers, customers_of, feed_head_of, feed_heads,
};
use crate::search_index;

/// Makes the writes in their order; `indexes_texts`: and keeps the index for searches up to date. Otherwise a background job has
/// to, later.
pub fn write(connection: &mut SqliteConnection, writes: &[Write], indexes_texts: bool) -> Result<Vec<Written>, Fault> {
    let mut results: Vec<Written> = Vec::with_capacity(writes.len());
    let origins = Origins::of(writes);
    for (place, write) in writes.iter().enumerate() {
        let is_possible = origins.are_made(place, &results);
        let written = if is_possible { write_one(connection, write, indexes_texts)? } else { Written::Stale };
        let before = write.before().filter(|_| indexes_texts && write.changes_customer() && written == Written::Done);
        if let Some(before) = before {
            search_index::update(connection, before, write.after())?;
        }
        results.push(written);
    }
    let done = writes.iter().zip(&results).filter(|(_, written)| **written == Written::Done);
    log(connection, done.map(|(write, _)| write))?;
    Ok(results)
}

/// Appends what writes did to the logs of their tenants.
fn log<'a>(connection: &mut SqliteConnection, writes: impl Iterator<Item = &'a Write>) -> Result<(), Fault> {
    let mut by_tenant: BTreeMap<Tenant, Vec<&Write>> = BTreeMap::new();
    for write in writes.filter(|write| write.is_needed()) {
        by_tenant.entry(write.after().tenant()).or_default().push(write);
    }
    for (tenant, writes) in by_tenant {
        let first = feed_head_of(tenant).select(feed_heads::seq).get_result(connection).optional()?.unwrap_or(0) + 1;
        let mut head = first - 1;
        for (event, seq) in
            writes.into_iter().zip(first..).filter_map(|(write, seq)| Some((Event::of(write, seq)?, seq)))
        {
            (&Append { row: EventRow::from(EventRecord::from(event)) }).execute(connection)?;
            head = seq;
        }
        let (merchant, environment) = (Id(tenant.merchant.uuid()), tenant.environment.as_str());
        (&MoveHead { merchant, environment, head }).execute(connection)?;
    }
    Ok(())
}

fn write_one(connection: &mut SqliteConnection, write: &Write, indexes_texts: bool) -> Result<Written, Fault> {
    let Some(reply) = write.reply() else { return write_rows(connection, write, indexes_texts) };
    if replies::find_one(connection, &reply.key, reply.created_at)?.is_some() {
        return Ok(Written::Stale);
    }
    let written = write_rows(connection, write, indexes_texts)?;
    if written == Written::Done {
        save(connection, reply)?;
    }
    Ok(written)
}

/// Saves a reply unless its key has one already that has not expired.
pub fn save(connection: &mut SqliteConnection, reply: &SavedReply) -> QueryResult<bool> {
    let row = ReplyRow::from(ReplyRecord::from(reply));
    Ok(RunQueryDsl::execute(&Save { row }, connection)? == 1)
}

fn write_rows(connection: &mut SqliteConnection, write: &Write, indexes_texts: bool) -> Result<Written, Fault> {
    let Some(before) = write.before() else { return create(connection, write, indexes_texts) };
    let claims = write.claims();
    if !claims.is_empty() {
        // Looked at first, as a version that has changed is reported before a claim that is taken.
        if stored_version(connection, write.after())? != Some(before.version()) {
            return Ok(Written::Stale);
        }
        let taken = find_taken(connection, write.after().tenant(), claims)?;
        if !taken.is_empty() {
            return Ok(Written::Taken(taken));
        }
    }
    let stored = match Record::of(write) {
        Some(record) => record.execute(connection)?,
        None if changes_indexed(before, write) => Update::<true>::of(before, write.after()).execute(connection)?,
        None => Update::<false>::of(before, write.after()).execute(connection)?,
    };
    Ok(if stored == 1 { Written::Done } else { Written::Stale })
}

fn create(connection: &mut SqliteConnection, write: &Write, indexes_texts: bool) -> Result<Written, Fault> {
    let customer = write.after();
    let document = indexes_texts.then(|| search_index::next_document(connection)).transpose()?;
    let row = CustomerRow::from(CustomerRecord::from(customer));
    if (&Insert { row, document, document_version: document.map(|_| customer.version()) }).execute(connection)? == 1 {
        if let Some(document) = document {
            search_index::add(connection, document, customer)?;
        }
        return Ok(Written::Done);
    }
    if stored_version(connection, customer)?.is_some() {
        return Ok(Written::Stale);
    }
    Ok(Written::Taken(find_taken(connection, customer.tenant(), write.claims())?))
}

/// SQLite writes an index anew for every column that an update names, whether its value changes or not.
fn changes_indexed(before: &Customer, write: &Write) -> bool {
    let after = write.after();
    write.moved_identifiers().next().is_some()
        || before.is_live() != after.is_live()
        || before.status() != after.status()
}

fn stored_version(connection: &mut SqliteConnection, customer: &Customer) -> QueryResult<Option<i64>> {
    let by_id = customers_of(customer.tenant()).filter(customers::id.eq(Id(customer.id().uuid())));
    by_id.select(customers::version).get_result(connection).optional()
}

/// The live customers that have what is claimed.
fn find_taken(connection: &mut SqliteConnection, tenant: Tenant, claims: Claims<'_>) -> Result<Taken, Fault> {
    let mut taken = Taken::default();
    if let Some(key) = claims.email_key {
        // Two look-ups: those that have it exclusively and those that share it are in an index each.
        let with_email = || live(tenant).filter(customers::email_key.eq(key));
        let exclusive = with_email().filter(customers::email_exclusive).select(customers::id);
        let shared = with_email().filter(not(customers::email_exclusive)).select(customers::id);
        let mut found: Option<Id> = exclusive.get_result(connection).optional()?;
        if found.is_none() {
            found = shared.order(customers::id).limit(1).get_result(connection).optional()?;
        }
        taken.email = found.map(|id| CustomerId::new(id.0));
    }
    if let Some(external_id) = claims.external_id {
        let key = CustomerKey { tenant, customer: CustomerRef::ExternalId(external_id.clone()) };
        taken.external_id = find_one(connection, &key)?.map(Box::new);
    }
    Ok(taken)
}

/// Makes a type a statement that diesel keeps prepared under the type's name.
macro_rules! kept_prepared {
    ($statement:ty $(, const $parameter:ident)?) => {
        impl$(<const $parameter: bool>)? QueryId for $statement {
            type QueryId = Self;

            const HAS_STATIC_QUERY_ID: bool = true;
        }

        impl$(<const $parameter: bool>)? RunQueryDsl<SqliteConnection> for &$statement {}
    };
}

/// Inserts a customer if its claims are free.
///
/// `NOT EXISTS` sees customers that share an address, which no unique index covers; the conflict clause covers all others.
struct Insert {
    row: CustomerRow,
    /// Its document in the index for searches, and the version that the document is made from. Inserted with the row: an update
    /// of them would cost as much as the insert.
    document: Option<i64>,
    document_version: Option<i64>,
}

impl QueryFragment<Sqlite> for Insert {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("INSERT INTO customers (");
        out.push_sql(CustomerRow::COLUMNS);
        out.push_sql(", search_id, search_version) SELECT ");
        self.row.push_values(CustomerRow::NAMES.iter().copied(), &mut out)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<BigInt>, _>(&self.document)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<BigInt>, _>(&self.document_version)?;
        out.push_sql(" WHERE NOT EXISTS (SELECT 1 FROM customers AS o WHERE o.merchant_id = ");
        out.push_bind_param::<Binary, _>(&self.row.merchant_id)?;
        out.push_sql(" AND o.environment = ");
        out.push_bind_param::<Text, _>(&self.row.environment)?;
        out.push_sql(" AND o.email_key = ");
        self.row.push_value("email_key", &mut out)?;
        // Last: a condition on what is bound would keep the index from being used.
        out.push_sql(" AND o.deleted_at IS NULL AND NOT o.email_exclusive AND ");
        out.push_bind_param::<Bool, _>(&self.row.email_exclusive)?;
        out.push_sql(") ON CONFLICT DO NOTHING");
        Ok(())
    }
}

kept_prepared!(Insert);

/// Replaces the version of a customer that a change was decided from; the columns that indexes use only if one changes.
struct Update<const CHANGES_INDEXED: bool> {
    row: CustomerRow,
    before_version: i64,
}

impl<const CHANGES_INDEXED: bool> Update<CHANGES_INDEXED> {
    const KEY: [&str; 3] = ["merchant_id", "environment", "id"];
    /// The columns that indexes are over, or that decide which of them a row is in.
    const INDEXED: [&str; 6] =
        ["email_key", "email_exclusive", "external_id", "deleted_at", "archived_at", "created_at"];

    fn of(before: &Customer, after: &Customer) -> Self {
        Self { row: CustomerRow::from(CustomerRecord::from(after)), before_version: before.version() }
    }

    fn columns() -> impl Iterator<Item = &'static str> {
        let changes = |name: &&str| !Self::KEY.contains(name) && (CHANGES_INDEXED || !Self::INDEXED.contains(name));
        CustomerRow::NAMES.iter().copied().filter(changes)
    }

    fn execute(&self, connection: &mut SqliteConnection) -> QueryResult<usize> {
        RunQueryDsl::execute(self, connection)
    }
}

impl<const CHANGES_INDEXED: bool> QueryFragment<Sqlite> for Update<CHANGES_INDEXED> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("UPDATE customers SET (");
        for (place, name) in Self::columns().enumerate() {
            out.push_sql(if place > 0 { ", " } else { "" });
            out.push_sql(name);
        }
        out.push_sql(") = (");
        self.row.push_values(Self::columns(), &mut out)?;
        out.push_sql(") WHERE merchant_id = ");
        out.push_bind_param::<Binary, _>(&self.row.merchant_id)?;
        out.push_sql(" AND environment = ");
        out.push_bind_param::<Text, _>(&self.row.environment)?;
        out.push_sql(" AND id = ");
        out.push_bind_param::<Binary, _>(&self.row.id)?;
        out.push_sql(" AND version = ");
        out.push_bind_param::<BigInt, _>(&self.before_version)
    }
}

kept_prepared!(Update<CHANGES_INDEXED>, const CHANGES_INDEXED);

/// Stores a subscription if the versions of its customer and of itself that it was decided from are stored.
struct Record {
    row: SubscriptionRow,
    customer_version: i64,
    /// The version of the subscription that is replaced.
    before_version: Option<i64>,
}

impl Record {
    fn of(write: &Write) -> Option<Self> {
        let (customer, subscription) = (write.after(), write.subscription()?);
        let record = SubscriptionRecord::new(customer.tenant(), customer.id(), &subscription.after);
        let before_version = subscription.before.as_ref().map(|before| before.version);
        Some(Self { row: SubscriptionRow::from(record), customer_version: customer.version(), before_version })
    }

    fn execute(&self, connection: &mut SqliteConnection) -> QueryResult<usize> {
        RunQueryDsl::execute(self, connection)
    }
}

impl QueryFragment<Sqlite> for Record {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        const KEY: [&str; 4] = ["merchant_id", "environment", "customer_id", "id"];
        out.push_sql("INSERT INTO subscriptions (");
        out.push_sql(SubscriptionRow::COLUMNS);
        out.push_sql(") SELECT ");
        self.row.push_values(SubscriptionRow::NAMES.iter().copied(), &mut out)?;
        out.push_sql(" WHERE EXISTS (SELECT 1 FROM customers WHERE merchant_id = ");
        out.push_bind_param::<Binary, _>(&self.row.merchant_id)?;
        out.push_sql(" AND environment = ");
        out.push_bind_param::<Text, _>(&self.row.environment)?;
        out.push_sql(" AND id = ");
        out.push_bind_param::<Binary, _>(&self.row.customer_id)?;
        out.push_sql(" AND version = ");
        out.push_bind_param::<BigInt, _>(&self.customer_version)?;
        // One that is stored has the version that is replaced; of one that is new, none is stored.
        out.push_sql(") AND (SELECT version FROM subscriptions WHERE merchant_id = ");
        out.push_bind_param::<Binary, _>(&self.row.merchant_id)?;
        out.push_sql(" AND environment = ");
        out.push_bind_param::<Text, _>(&self.row.environment)?;
        out.push_sql(" AND customer_id = ");
        out.push_bind_param::<Binary, _>(&self.row.customer_id)?;
        out.push_sql(" AND id = ");
        out.push_bind_param::<Text, _>(&self.row.id)?;
        out.push_sql(") IS ");
        out.push_bind_param::<Nullable<BigInt>, _>(&self.before_version)?;
        out.push_sql(" ON CONFLICT (merchant_id, environment, customer_id, id) DO UPDATE SET ");
        let changing = SubscriptionRow::NAMES.iter().filter(|name| !KEY.contains(name));
        for (place, name) in changing.enumerate() {
            out.push_sql(if place > 0 { ", " } else { "" });
            out.push_sql(name);
            out.push_sql(" = excluded.");
            out.push_sql(name);
        }
        Ok(())
    }
}

kept_prepared!(Record);

/// Inserts an event.
struct Append {
    row: EventRow,
}

impl QueryFragment<Sqlite> for Append {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("INSERT INTO events (");
        out.push_sql(EventRow::COLUMNS);
        out.push_sql(") VALUES (");
        self.row.push_values(EventRow::NAMES.iter().copied(), &mut out)?;
        out.push_sql(")");
        Ok(())
    }
}

kept_prepared!(Append);

/// Sets the last place of a log.
struct MoveHead {
    merchant: Id,
    environment: &'static str,
    head: i64,
}

impl QueryFragment<Sqlite> for MoveHead {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("INSERT INTO feed_heads (merchant_id, environment, seq) VALUES (");
        out.push_bind_param::<Binary, _>(&self.merchant)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(&self.environment)?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, _>(&self.head)?;
        out.push_sql(") ON CONFLICT (merchant_id, environment) DO UPDATE SET seq = excluded.seq");
        Ok(())
    }
}

kept_prepared!(MoveHead);

/// Saves a reply in the place of none, or of one that has expired.
struct Save {
    row: ReplyRow,
}

impl QueryFragment<Sqlite> for Save {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("INSERT INTO replies (");
        out.push_sql(ReplyRow::COLUMNS);
        out.push_sql(") VALUES (");
        self.row.push_values(ReplyRow::NAMES.iter().copied(), &mut out)?;
        out.push_sql(") ON CONFLICT (merchant_id, environment, key_digest) DO UPDATE SET ");
        let changing =
            ReplyRow::NAMES.iter().filter(|name| !["merchant_id", "environment", "key_digest"].contains(name));
        for (place, name) in changing.enumerate() {
            out.push_sql(if place > 0 { ", " } else { "" });
            out.push_sql(name);
            out.push_sql(" = excluded.");
            out.push_sql(name);
        }
        out.push_sql(" WHERE replies.expires_at <= excluded.created_at");
        Ok(())
    }
}

kept_prepared!(Save);
