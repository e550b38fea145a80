//! Writing customers, and the subscriptions, replies and events that are stored with them.
//!
//! All forms of these statements are in this file, but for those that tables need which Citus distributes: `citus/writes.rs`.
//!
//! A write needs no lock that it took before: it names the version that it was decided from, and what it claims, and the
//! statement stores nothing where that is not so any more. What is refused is looked at again in a new statement: only one
//! that starts after the refusal is sure to see the row that caused it.
//!
//! The reply of a write is inserted by the statement that makes the write, for those that it has made: one round trip, and
//! nothing to undo for those that are refused. If its key has one already, that statement fails. That is rare, because keys
//! were looked for before; then the keys are taken first ([`Keys`]).
//!
//! The events of writes are numbered last, as all writers of a tenant wait for the number from then on until the commit: by the
//! statement that makes the writes if that is all, and otherwise by one statement at the end of the transaction ([`append`]). No
//! transaction waits for anything else once it has a number, and numbers of several tenants are taken in one order, so that
//! no two transactions wait for each other.

use std::collections::{HashMap, HashSet};

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{self, Array, BigInt, Binary, Integer, Nullable, Text};
use roster_application::Event;
use roster_application::ports::{
    CustomerKey, CustomerRef, Identifier, Origins, ReplyKey, SavedReply, TRIES, Taken, Write, Written,
};
use roster_application::records::{CustomerRecord, EventRecord, ReplyRecord, SubscriptionRecord, reply_key};
use roster_domain::{Customer, CustomerId, Tenant, search_hashes};
use uuid::Uuid;

use crate::citus::{self, EachRow, Layout, Whose};
use crate::customers;
use crate::error::Fault;
use crate::replies;
use crate::rows::{Wanted, in_order, kept_prepared};
use crate::schema::{
    CustomerRow, CustomerRows, EventRow, EventRows, ReplyRow, ReplyRows, SubscriptionRow, SubscriptionRows,
};
use crate::search_index::{FROM_ARRAY_TEXT, array_text, push_search_of};

/// When the keys of replies are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// With the writes. A key that has a reply, even one that has expired, fails all of them.
    Tried,
    /// Before the writes, by inserting their replies, which waits for other transactions with the same keys. Those of
    /// writes that are refused are deleted again.
    Taken,
}

/// When the events of writes are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Events {
    /// By the statement that makes the writes.
    Together,
    /// Later in the same transaction.
    Appended,
}

/// How writes are made.
#[derive(Debug, Clone, Copy)]
struct Manner {
    keys: Keys,
    events: Events,
    /// Whether the index for searches is kept up to date. Otherwise a background job has to, later.
    indexes_texts: bool,
    layout: Layout,
}

/// Makes the writes, in as few statements as their order allows. `is_alone`: in a transaction of their own, unless one
/// statement makes all of them; otherwise the caller has one open, at whose end it [appends](append) the events.
pub fn write(
    connection: &mut PgConnection,
    writes: &[Write],
    is_alone: bool,
    keys: Keys,
    (layout, indexes_texts): (Layout, bool),
) -> Result<Vec<Written>, Fault> {
    let keys = match layout {
        _ if writes.iter().all(|write| write.reply().is_none()) => Keys::Tried,
        Layout::Plain => keys,
        Layout::Citus => Keys::Taken,
    };
    let levels = Levels::of(writes);
    let is_one_statement = layout == Layout::Plain && keys == Keys::Tried && levels.is_one_statement(writes);
    let events = if is_alone && is_one_statement { Events::Together } else { Events::Appended };
    let manner = Manner { keys, events, indexes_texts, layout };
    if !is_alone || is_one_statement {
        return write_levels(connection, writes, &levels, manner);
    }
    connection.transaction(|connection| {
        let results = write_levels(connection, writes, &levels, manner)?;
        append(connection, layout, events_of(writes, &results))?;
        Ok(results)
    })
}

/// The events of those writes that are done, each with its place among them.
pub fn events_of(writes: &[Write], results: &[Written]) -> Vec<Event> {
    let done = writes.iter().zip(results).filter(|(_, written)| **written == Written::Done);
    (1..).zip(done).filter_map(|(place, (write, _))| Event::of(write, place)).collect()
}

/// Numbers events in their order, and adds them to the logs of their tenants.
pub fn append(connection: &mut PgConnection, layout: Layout, events: Vec<Event>) -> Result<(), Fault> {
    if events.is_empty() {
        return Ok(());
    }
    if layout == Layout::Citus {
        return citus::writes::append(connection, events);
    }
    let in_order = (1..).zip(events).map(|(place, event)| Event { seq: place, ..event });
    RunQueryDsl::execute(&Append { events: LoggedRows::of(in_order) }, connection)?;
    Ok(())
}

fn write_levels(
    connection: &mut PgConnection,
    writes: &[Write],
    levels: &Levels,
    manner: Manner,
) -> Result<Vec<Written>, Fault> {
    let mut results = vec![Written::Stale; writes.len()];
    // In a single level no write depends on another.
    let origins = if levels.0.len() > 1 { Origins::of(writes) } else { Origins::of(&[]) };
    for level in &levels.0 {
        // What was decided from a write that was not made stays stale.
        let open = level.iter().copied().filter(|&place| origins.are_made(place, &results)).collect();
        match manner.keys {
            Keys::Tried => write_level(connection, writes, open, manner, &mut results)?,
            Keys::Taken => {
                let open = take_keys(connection, manner.layout, writes, open)?;
                write_level(connection, writes, open.clone(), manner, &mut results)?;
                give_back_keys(connection, manner.layout, writes, &open, &results)?;
            }
        }
    }
    Ok(results)
}

/// Saves the replies of the writes at the places `open`. Returns the places of those that have none, or one that is saved.
fn take_keys(
    connection: &mut PgConnection,
    layout: Layout,
    writes: &[Write],
    mut open: Vec<usize>,
) -> Result<Vec<usize>, Fault> {
    let replies: Vec<&SavedReply> = open.iter().filter_map(|&place| writes[place].reply()).collect();
    let taken = save(connection, layout, &replies)?;
    open.retain(|&place| writes[place].reply().is_none_or(|reply| taken.contains(&reply.key)));
    Ok(open)
}

/// Deletes the replies of those writes that were not made.
fn give_back_keys(
    connection: &mut PgConnection,
    layout: Layout,
    writes: &[Write],
    open: &[usize],
    results: &[Written],
) -> Result<(), Fault> {
    let refused = open.iter().filter(|&&place| results[place] != Written::Done);
    let replies = refused.filter_map(|&place| writes[place].reply());
    let keys: Vec<_> = replies.map(|reply| (reply.key, reply.expires_at)).collect();
    replies::delete(connection, layout, &keys)
}

/// Saves replies with different keys, each unless its key has one already that has not expired. Returns the keys of those
/// that are saved.
pub fn save(
    connection: &mut PgConnection,
    layout: Layout,
    replies: &[&SavedReply],
) -> Result<HashSet<ReplyKey>, Fault> {
    if replies.is_empty() {
        return Ok(HashSet::new());
    }
    if layout == Layout::Citus {
        return citus::writes::save_replies(connection, replies);
    }
    let rows = sorted_replies(replies.iter().copied()).collect();
    let saved: Vec<(Uuid, String, Vec<u8>)> = (&Save { rows }).load(connection)?;
    let key = |(merchant, environment, digest): (Uuid, String, Vec<u8>)| reply_key(merchant, &environment, digest);
    Ok(saved.into_iter().map(key).collect::<Result<_, _>>()?)
}

/// Rows in the order in which every batch saves them, so that batches rarely deadlock each other.
fn sorted_replies<'a>(replies: impl Iterator<Item = &'a SavedReply>) -> impl Iterator<Item = ReplyRow> {
    let mut replies: Vec<&SavedReply> = replies.collect();
    replies.sort_unstable_by_key(|reply| reply.key);
    replies.into_iter().map(|reply| ReplyRow::from(ReplyRecord::from(reply)))
}

/// The places of writes, level by level: a write is in the first level after those of the earlier writes that share its
/// customer, an identifier or the key of a reply with it, so that no two writes of a level depend on each other.
///
/// The first level claims every identifier of the batch, in sorted order, so that two batches that claim the same ones
/// rarely wait for each other in a circle.
struct Levels(Vec<Vec<usize>>);

impl Levels {
    fn of(writes: &[Write]) -> Self {
        if let [_] = writes {
            return Self(vec![vec![0]]);
        }
        let mut customers: HashMap<(Tenant, CustomerId), usize> = HashMap::with_capacity(writes.len());
        let mut identifiers: HashMap<(Tenant, Identifier<'_>), usize> = HashMap::with_capacity(2 * writes.len());
        let mut keys: HashMap<ReplyKey, usize> = HashMap::new();
        let mut levels: Vec<Vec<usize>> = Vec::new();
        for (place, write) in writes.iter().enumerate() {
            let tenant = write.after().tenant();
            let customer = (tenant, write.after().id());
            let moved: Vec<_> = write.moved_identifiers().map(|identifier| (tenant, identifier)).collect();
            let by_identifier = moved.iter().filter_map(|identifier| identifiers.get(identifier));
            let key = write.reply().map(|reply| reply.key);
            let by_key = key.and_then(|key| keys.get(&key));
            let earlier = customers.get(&customer).into_iter().chain(by_identifier).chain(by_key);
            let level = earlier.max().map_or(0, |last| last + 1);
            customers.insert(customer, level);
            keys.extend(key.map(|key| (key, level)));
            identifiers.extend(moved.into_iter().map(|identifier| (identifier, level)));
            if levels.len() == level {
                levels.push(Vec::new());
            }
            levels[level].push(place);
        }
        Self(levels)
    }

    fn is_one_statement(&self, writes: &[Write]) -> bool {
        let mut kinds = writes.iter().map(Kind::of);
        let first = kinds.next();
        self.0.len() <= 1 && kinds.all(|kind| Some(kind) == first)
    }
}

/// Which statement makes a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Create,
    /// A change that claims no identifier.
    Change,
    /// A change that claims one.
    ChangeClaiming,
    Record,
}

impl Kind {
    fn of(write: &Write) -> Self {
        match write.before() {
            None => Self::Create,
            Some(_) if write.subscription().is_some() => Self::Record,
            Some(_) if write.claims().is_empty() => Self::Change,
            Some(_) => Self::ChangeClaiming,
        }
    }
}

/// The primary key of a customer.
pub type PrimaryKey = (Uuid, String, Uuid);

fn primary_key(customer: &Customer) -> PrimaryKey {
    let tenant = customer.tenant();
    (tenant.merchant.uuid(), tenant.environment.as_str().to_owned(), customer.id().uuid())
}

/// Makes the writes at the places `open`, no two of which depend on each other.
fn write_level(
    connection: &mut PgConnection,
    writes: &[Write],
    mut open: Vec<usize>,
    manner: Manner,
    results: &mut [Written],
) -> Result<(), Fault> {
    for _ in 0..TRIES {
        if open.is_empty() {
            return Ok(());
        }
        let mut stored: HashSet<PrimaryKey> = HashSet::with_capacity(open.len());
        for kind in [Kind::Change, Kind::ChangeClaiming, Kind::Create, Kind::Record] {
            let batch: Vec<&Write> =
                open.iter().map(|&place| &writes[place]).filter(|write| Kind::of(write) == kind).collect();
            stored.extend(store(connection, kind, &batch, manner)?);
        }
        let mut refused = Vec::new();
        for place in open {
            if stored.contains(&primary_key(writes[place].after())) {
                results[place] = Written::Done;
            } else {
                refused.push(place);
            }
        }
        open = refused;
        if open.is_empty() {
            return Ok(());
        }
        let refused: Vec<&Write> = open.iter().map(|&place| &writes[place]).collect();
        let mut again = Vec::new();
        for (place, reason) in open.into_iter().zip(reasons(connection, &refused, manner)?) {
            match reason {
                Some(reason) => results[place] = reason,
                None => again.push(place),
            }
        }
        open = again;
    }
    // The customers that had what these claim were gone each time. They stay `Stale`.
    Ok(())
}

/// Runs the statement of one kind, and gives the primary keys of the customers that it was stored for.
fn store(
    connection: &mut PgConnection,
    kind: Kind,
    batch: &[&Write],
    manner: Manner,
) -> Result<Vec<PrimaryKey>, Fault> {
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    if manner.layout == Layout::Citus {
        return citus::writes::store(connection, kind, batch, manner.indexes_texts);
    }
    let replies = if manner.keys == Keys::Tried { Replies::of(batch) } else { Replies::default() };
    let events = match manner.events {
        Events::Together => LoggedRows::of_writes(batch),
        Events::Appended => LoggedRows::default(),
    };
    let more = (replies, events);
    let is_indexed = manner.indexes_texts;
    match (kind, batch) {
        (Kind::Create, [write]) => run(connection, Insert(New::of(write, is_indexed)), more),
        (Kind::Create, many) => run(connection, Insert(NewOnes::of(many, is_indexed)), more),
        (Kind::Change, [write]) => {
            run(connection, Update { given: Change::of(write, is_indexed), whose: EachRow }, more)
        }
        (Kind::Change, many) => run(connection, Update { given: Changes::of(many, is_indexed), whose: EachRow }, more),
        (Kind::ChangeClaiming, [write]) => {
            run(connection, UpdateClaiming { given: Change::of(write, is_indexed), whose: EachRow }, more)
        }
        (Kind::ChangeClaiming, many) => {
            run(connection, UpdateClaiming { given: Changes::of(many, is_indexed), whose: EachRow }, more)
        }
        (Kind::Record, many) => run(connection, Record::of(many), more),
    }
}

/// Runs a statement that returns the primary keys of the customers that it has written, with the replies and the events of
/// these.
fn run<S>(
    connection: &mut PgConnection,
    statement: S,
    (replies, events): (Replies, LoggedRows),
) -> Result<Vec<PrimaryKey>, Fault>
where
    S: QueryFragment<Pg> + QueryId + Query<SqlType = KeySql> + 'static,
    for<'a> &'a S: QueryFragment<Pg> + QueryId + Query<SqlType = KeySql> + RunQueryDsl<PgConnection>,
{
    Ok(match (replies.customers.is_empty(), events.customers.is_empty()) {
        (true, true) => (&statement).load(connection)?,
        (false, true) => (&Together::<_, true, false> { statement, replies, events }).load(connection)?,
        (true, false) => (&Together::<_, false, true> { statement, replies, events }).load(connection)?,
        (false, false) => (&Together::<_, true, true> { statement, replies, events }).load(connection)?,
    })
}

/// Why each write was refused; `None` if nothing is in its way any more.
fn reasons(connection: &mut PgConnection, refused: &[&Write], manner: Manner) -> Result<Vec<Option<Written>>, Fault> {
    let Manner { keys, layout, .. } = manner;
    let repeats = if keys == Keys::Tried { repeats(connection, layout, refused)? } else { HashSet::new() };
    let found = conflicts(connection, layout, refused)?;
    let namesakes = namesakes(connection, layout, refused)?;
    let reason = |((write, conflict), namesake): ((&&Write, Option<Conflict>), Option<Customer>)| {
        let (version, exclusive, shared) = conflict.unwrap_or_default();
        let is_repeat = write.reply().is_some_and(|reply| repeats.contains(&reply.key));
        if version != write.before().map(Customer::version) || write.subscription().is_some() || is_repeat {
            return Some(Written::Stale);
        }
        let email = exclusive.or(shared).map(CustomerId::new);
        let taken = Taken { email, external_id: namesake.map(Box::new) };
        (!taken.is_empty()).then_some(Written::Taken(taken))
    };
    Ok(refused.iter().zip(found).zip(namesakes).map(reason).collect())
}

/// What is stored of the customer of each write, and who has the address that it claims.
fn conflicts(
    connection: &mut PgConnection,
    layout: Layout,
    refused: &[&Write],
) -> Result<Vec<Option<Conflict>>, Fault> {
    let claimed: Vec<(&Customer, Option<&str>)> =
        refused.iter().map(|write| (write.after(), write.claims().email_key)).collect();
    if layout == Layout::Citus {
        return citus::writes::conflicts(connection, &claimed);
    }
    let mut statement = FindConflicts::default();
    (1..).zip(&claimed).for_each(|(place, (customer, email_key))| statement.push(place, customer, *email_key));
    let found: Vec<(i64, Conflict)> = statement.load(connection)?;
    Ok(in_order(refused.len(), found, Ok)?)
}

/// The customer that has the external identifier that each write claims.
fn namesakes(
    connection: &mut PgConnection,
    layout: Layout,
    refused: &[&Write],
) -> Result<Vec<Option<Customer>>, Fault> {
    let claims = (1..).zip(refused).filter_map(|(place, write)| Some((place, write, write.claims().external_id?)));
    let (mut places, mut keys) = (Vec::new(), Vec::new());
    for (place, write, external_id) in claims {
        places.push(place);
        let customer = CustomerRef::ExternalId(external_id.clone());
        keys.push(CustomerKey { tenant: write.after().tenant(), customer });
    }
    let found = customers::find_many(connection, layout, &keys)?;
    let found = places.into_iter().zip(found).filter_map(|(place, found)| Some((place, found?)));
    Ok(in_order(refused.len(), found, Ok)?)
}

/// The keys of refused writes that have a reply: what refused such a write may be the customer of the first request.
fn repeats(connection: &mut PgConnection, layout: Layout, refused: &[&Write]) -> Result<HashSet<ReplyKey>, Fault> {
    let replies: Vec<&SavedReply> = refused.iter().filter_map(|write| write.reply()).collect();
    let keys: Vec<ReplyKey> = replies.iter().map(|reply| reply.key).collect();
    let found = replies.iter().zip(replies::find(connection, layout, &keys)?);
    let is_there = |(reply, found): (&&SavedReply, Option<SavedReply>)| {
        found.filter(|found| !found.has_expired(reply.created_at)).map(|found| found.key)
    };
    Ok(found.filter_map(is_there).collect())
}

/// The order in which every batch claims what it claims, so that batches rarely deadlock each other.
pub fn order(row: &CustomerRow) -> impl Ord + '_ {
    (row.merchant_id, &row.environment, &row.email_key, &row.external_id, row.id)
}

/// How the rows of a statement are given: one as values, many as arrays.
pub trait Given {
    /// The value of `search_hashes` in the row called `given`.
    const SEARCH_HASHES: &'static str;

    /// What is behind `FROM`.
    fn push_given<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()>;
}

/// The row of a new customer, and what the index for searches has of it.
struct New {
    row: CustomerRow,
    search_hashes: Option<Vec<i32>>,
}

/// Many new customers.
struct NewOnes {
    rows: CustomerRows,
    search_hashes: Vec<Option<String>>,
}

impl New {
    fn of(write: &Write, is_indexed: bool) -> Self {
        let (row, search_hashes) = row(write, is_indexed);
        Self { row, search_hashes }
    }
}

impl NewOnes {
    fn of(writes: &[&Write], is_indexed: bool) -> Self {
        let mut rows: Vec<_> = writes.iter().map(|write| row(write, is_indexed)).collect();
        rows.sort_unstable_by(|(one, _), (other, _)| order(one).cmp(&order(other)));
        let mut search_hashes = Vec::with_capacity(rows.len());
        let rows = rows.into_iter().map(|(row, hashes)| {
            search_hashes.push(hashes.as_deref().map(array_text));
            row
        });
        Self { rows: rows.collect(), search_hashes }
    }
}

/// The new row of a customer, and what the index for searches has of it: nothing once it is deleted.
pub fn row(write: &Write, is_indexed: bool) -> (CustomerRow, Option<Vec<i32>>) {
    let after = write.after();
    let hashes = (is_indexed && after.is_live()).then(|| search_hashes(after));
    (CustomerRow::from(CustomerRecord::from(after)), hashes)
}

impl Given for New {
    const SEARCH_HASHES: &'static str = "given.search_hashes::int4[]";

    fn push_given<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("(VALUES (");
        self.row.push_values(out)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<Array<Integer>>, _>(&self.search_hashes)?;
        out.push_sql("))");
        Ok(())
    }
}

impl Given for NewOnes {
    const SEARCH_HASHES: &'static str = FROM_ARRAY_TEXT;

    fn push_given<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("unnest(");
        self.rows.push_arrays(out)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<Text>>, _>(&self.search_hashes)?;
        out.push_sql(")");
        Ok(())
    }
}

/// The new row of a customer, the version that it replaces, and what it claims.
struct Change {
    row: CustomerRow,
    search_hashes: Option<Vec<i32>>,
    before_version: i64,
    claimed_email_key: Option<String>,
    claimed_external_id: Option<String>,
}

/// Many changes.
pub struct Changes {
    rows: CustomerRows,
    search_hashes: Vec<Option<String>>,
    before_versions: Vec<i64>,
    claimed_email_keys: Vec<Option<String>>,
    claimed_external_ids: Vec<Option<String>>,
}

impl Change {
    fn of(write: &Write, is_indexed: bool) -> Self {
        let claims = write.claims();
        let (row, search_hashes) = row(write, is_indexed);
        Self {
            row,
            search_hashes,
            before_version: write.before().map_or(0, Customer::version),
            claimed_email_key: claims.email_key.map(str::to_owned),
            claimed_external_id: claims.external_id.map(|id| id.as_str().to_owned()),
        }
    }
}

impl Changes {
    pub fn of(writes: &[&Write], is_indexed: bool) -> Self {
        let mut changes: Vec<Change> = writes.iter().map(|write| Change::of(write, is_indexed)).collect();
        // By primary key: that is the order in which rows are locked.
        changes.sort_unstable_by(|one, other| {
            let key = |change: &Change| (change.row.merchant_id, change.row.id);
            key(one).cmp(&key(other)).then_with(|| one.row.environment.cmp(&other.row.environment))
        });
        let (mut before_versions, mut claimed_email_keys, mut claimed_external_ids) = (vec![], vec![], vec![]);
        let mut search_hashes = Vec::with_capacity(changes.len());
        let rows = changes
            .into_iter()
            .map(|change| {
                search_hashes.push(change.search_hashes.as_deref().map(array_text));
                before_versions.push(change.before_version);
                claimed_email_keys.push(change.claimed_email_key);
                claimed_external_ids.push(change.claimed_external_id);
                change.row
            })
            .collect();
        Self { rows, search_hashes, before_versions, claimed_email_keys, claimed_external_ids }
    }
}

impl Given for Change {
    const SEARCH_HASHES: &'static str = "given.search_hashes::int4[]";

    fn push_given<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("(VALUES (");
        self.row.push_values(out)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<Array<Integer>>, _>(&self.search_hashes)?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, _>(&self.before_version)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<Text>, _>(&self.claimed_email_key)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<Text>, _>(&self.claimed_external_id)?;
        out.push_sql("))");
        Ok(())
    }
}

impl Given for Changes {
    const SEARCH_HASHES: &'static str = FROM_ARRAY_TEXT;

    fn push_given<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("unnest(");
        self.rows.push_arrays(out)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<Text>>, _>(&self.search_hashes)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.before_versions)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<Text>>, _>(&self.claimed_email_keys)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<Text>>, _>(&self.claimed_external_ids)?;
        out.push_sql(")");
        Ok(())
    }
}

/// Inserts the customers whose claims are free, and returns their primary keys.
///
/// `WHERE NOT EXISTS` sees customers that shared an address before the statement, which no unique index covers. `ON
/// CONFLICT DO NOTHING`, without a target, covers all others, and waits for a transaction that claims the same.
struct Insert<G>(G);

impl<G: Given> QueryFragment<Pg> for Insert<G> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("INSERT INTO customers (");
        out.push_sql(CustomerRow::COLUMNS);
        out.push_sql(", search_hashes, search_of) SELECT ");
        for name in CustomerRow::NAMES {
            out.push_sql("given.");
            out.push_sql(name);
            out.push_sql(", ");
        }
        out.push_sql(G::SEARCH_HASHES);
        out.push_sql(", ");
        push_search_of(&mut out);
        out.push_sql(" FROM ");
        self.0.push_given(&mut out)?;
        out.push_sql(" AS given (");
        out.push_sql(CustomerRow::COLUMNS);
        // A customer that shares its address compares with NULL, which equals nothing.
        out.push_sql(
            ", search_hashes) WHERE NOT EXISTS (SELECT FROM customers AS other \
             WHERE other.merchant_id = given.merchant_id AND other.environment = given.environment \
             AND other.email_key = CASE WHEN given.email_exclusive THEN given.email_key END \
             AND other.deleted_at IS NULL AND NOT other.email_exclusive OFFSET 0) \
             ON CONFLICT DO NOTHING RETURNING merchant_id, environment, id",
        );
        Ok(())
    }
}

/// Stores changes that claim nothing, each where the version that it replaces is stored.
pub struct Update<G, W> {
    pub given: G,
    pub whose: W,
}

/// The same for changes that claim identifiers, each if these are free.
///
/// `NOT EXISTS` sees what was committed before the statement. Against another transaction that claims the same at the same
/// time the unique indexes decide: the statement fails, and the batch runs again and sees the winner.
pub struct UpdateClaiming<G, W> {
    pub given: G,
    pub whose: W,
}

/// What is behind `SET`: the columns that are not in `key`, each with its value in the row called `source`.
pub fn assignments(names: &[&str], key: &[&str], source: &str) -> String {
    let rest = names.iter().filter(|name| !key.contains(name));
    rest.map(|name| format!("{name} = {source}.{name}")).collect::<Vec<_>>().join(", ")
}

fn push_update<'b, G: Given, W: Whose>(given: &'b G, whose: &'b W, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
    whose.push_locks(out)?;
    out.push_sql("UPDATE customers SET ");
    out.push_sql(&assignments(CustomerRow::NAMES, &["merchant_id", "environment", "id"], "given"));
    out.push_sql(", search_hashes = ");
    out.push_sql(G::SEARCH_HASHES);
    out.push_sql(", search_of = ");
    push_search_of(out);
    out.push_sql(" FROM ");
    given.push_given(out)?;
    out.push_sql(" AS given (");
    out.push_sql(CustomerRow::COLUMNS);
    out.push_sql(", search_hashes, before_version, claimed_email_key, claimed_external_id) WHERE ");
    whose.push_is_of("customers", out)?;
    out.push_sql(" AND customers.id = given.id AND customers.version = given.before_version");
    out.push_sql(W::IS_LOCKED);
    Ok(())
}

const RETURNING_KEY: &str = " RETURNING customers.merchant_id, customers.environment, customers.id";

impl<G: Given, W: Whose> QueryFragment<Pg> for Update<G, W> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        push_update(&self.given, &self.whose, &mut out)?;
        out.push_sql(RETURNING_KEY);
        Ok(())
    }
}

impl<G: Given, W: Whose> QueryFragment<Pg> for UpdateClaiming<G, W> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        push_update(&self.given, &self.whose, &mut out)?;
        // One condition per index, each of which is partial.
        for holder in [
            "other.email_key = given.claimed_email_key AND other.email_exclusive",
            "other.email_key = given.claimed_email_key AND NOT other.email_exclusive",
            "other.external_id = given.claimed_external_id",
        ] {
            out.push_sql(" AND NOT EXISTS (SELECT 1 FROM customers AS other WHERE ");
            self.whose.push_is_of("other", &mut out)?;
            out.push_sql(" AND other.deleted_at IS NULL AND ");
            out.push_sql(holder);
            out.push_sql(W::FENCE);
            out.push_sql(")");
        }
        out.push_sql(RETURNING_KEY);
        Ok(())
    }
}

/// Stores subscriptions, each if the versions of its customer and of itself that it was decided from are stored. The row of
/// the customer is locked until the commit; a report that has waited for it meets the version of the other in the conflict.
struct Record {
    rows: SubscriptionRows,
    customer_versions: Vec<i64>,
    /// The versions of the subscriptions that are replaced.
    before_versions: Vec<Option<i64>>,
}

impl Record {
    fn of(writes: &[&Write]) -> Self {
        let mut given: Vec<(SubscriptionRow, i64, Option<i64>)> = writes
            .iter()
            .filter_map(|write| {
                let (customer, subscription) = (write.after(), write.subscription()?);
                let record = SubscriptionRecord::new(customer.tenant(), customer.id(), &subscription.after);
                let before_version = subscription.before.as_ref().map(|before| before.version);
                Some((SubscriptionRow::from(record), customer.version(), before_version))
            })
            .collect();
        // By the primary key of the customer: that is the order in which rows are locked.
        given.sort_unstable_by(|(one, ..), (other, ..)| {
            let key = |row: &SubscriptionRow| (row.merchant_id, row.customer_id);
            key(one).cmp(&key(other)).then_with(|| one.environment.cmp(&other.environment))
        });
        let (mut customer_versions, mut before_versions) = (vec![], vec![]);
        let rows = given
            .into_iter()
            .map(|(row, customer_version, before_version)| {
                customer_versions.push(customer_version);
                before_versions.push(before_version);
                row
            })
            .collect();
        Self { rows, customer_versions, before_versions }
    }
}

impl QueryFragment<Pg> for Record {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("INSERT INTO subscriptions (");
        out.push_sql(SubscriptionRow::COLUMNS);
        out.push_sql(") SELECT ");
        for (place, name) in SubscriptionRow::NAMES.iter().enumerate() {
            out.push_sql(if place > 0 { ", given." } else { "given." });
            out.push_sql(name);
        }
        out.push_sql(" FROM unnest(");
        self.rows.push_arrays(&mut out)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.customer_versions)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<BigInt>>, _>(&self.before_versions)?;
        out.push_sql(") AS given (");
        out.push_sql(SubscriptionRow::COLUMNS);
        out.push_sql(
            ", customer_version, before_version) CROSS JOIN customers \
             WHERE customers.merchant_id = given.merchant_id AND customers.environment = given.environment \
             AND customers.id = given.customer_id AND customers.version = given.customer_version \
             AND (given.before_version IS NULL OR EXISTS (SELECT FROM subscriptions AS before \
             WHERE before.merchant_id = given.merchant_id AND before.environment = given.environment \
             AND before.customer_id = given.customer_id AND before.id = given.id \
             AND before.version = given.before_version)) FOR NO KEY UPDATE OF customers \
             ON CONFLICT (merchant_id, environment, customer_id, id) DO UPDATE SET ",
        );
        let key = ["merchant_id", "environment", "customer_id", "id"];
        out.push_sql(&assignments(SubscriptionRow::NAMES, &key, "excluded"));
        out.push_sql(
            " WHERE subscriptions.version = excluded.version - 1 \
             RETURNING subscriptions.merchant_id, subscriptions.environment, subscriptions.customer_id",
        );
        Ok(())
    }
}

/// The replies of writes, each with the identifier of its customer.
#[derive(Default)]
struct Replies {
    rows: ReplyRows,
    customers: Vec<Uuid>,
}

impl Replies {
    fn of(writes: &[&Write]) -> Self {
        let with_reply = |write: &&Write| write.reply().cloned().map(|reply| (reply, write.after().id().uuid()));
        let mut replies: Vec<(SavedReply, Uuid)> = writes.iter().filter_map(with_reply).collect();
        replies.sort_unstable_by_key(|(reply, _)| reply.key);
        let customers = replies.iter().map(|(_, customer)| *customer).collect();
        Self { rows: replies.iter().map(|(reply, _)| ReplyRow::from(ReplyRecord::from(reply))).collect(), customers }
    }
}

/// The events of writes, and once more what numbers them: whose they are.
#[derive(Default)]
struct LoggedRows {
    rows: EventRows,
    merchants: Vec<Uuid>,
    environments: Vec<&'static str>,
    customers: Vec<Uuid>,
}

impl LoggedRows {
    fn of(events: impl Iterator<Item = Event>) -> Self {
        let (mut merchants, mut environments, mut customers) = (vec![], vec![], vec![]);
        let rows = events
            .map(|event| {
                merchants.push(event.tenant.merchant.uuid());
                environments.push(event.tenant.environment.as_str());
                customers.push(event.customer.uuid());
                EventRow::from(EventRecord::from(event))
            })
            .collect();
        Self { rows, merchants, environments, customers }
    }

    fn of_writes(writes: &[&Write]) -> Self {
        Self::of((1..).zip(writes).filter_map(|(place, write)| Event::of(write, place)))
    }

    /// Counts the events of each tenant that `condition` includes on top of its last number. The rows are locked in one order.
    fn push_heads<'b>(&'b self, condition: &str, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "INSERT INTO feed_heads (merchant_id, environment, seq) \
             SELECT event.merchant_id, event.environment, count(*) FROM unnest(",
        );
        out.push_bind_param::<Array<sql_types::Uuid>, _>(&self.merchants)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.environments)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<sql_types::Uuid>, _>(&self.customers)?;
        out.push_sql(") AS event (merchant_id, environment, customer_id)");
        out.push_sql(condition);
        out.push_sql(
            " GROUP BY event.merchant_id, event.environment ORDER BY event.merchant_id, event.environment \
             ON CONFLICT (merchant_id, environment) DO UPDATE SET seq = feed_heads.seq + excluded.seq \
             RETURNING feed_heads.merchant_id, feed_heads.environment, feed_heads.seq",
        );
        Ok(())
    }

    /// Inserts the events that `condition` includes. Those of a tenant have the numbers up to that of its row in `head`, in
    /// the order of their places.
    fn push_rows<'b>(&'b self, condition: &str, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("INSERT INTO events (");
        out.push_sql(EventRow::COLUMNS);
        out.push_sql(") SELECT ");
        for (place, name) in EventRow::NAMES.iter().enumerate() {
            out.push_sql(if place > 0 { ", " } else { "" });
            if *name == "seq" {
                out.push_sql(
                    "head.seq + 1 - row_number() OVER (PARTITION BY event.merchant_id, event.environment \
                     ORDER BY event.seq DESC)",
                );
            } else {
                out.push_sql("event.");
                out.push_sql(name);
            }
        }
        out.push_sql(" FROM unnest(");
        self.rows.push_arrays(out)?;
        out.push_sql(") AS event (");
        out.push_sql(EventRow::COLUMNS);
        out.push_sql(
            ") CROSS JOIN head WHERE head.merchant_id = event.merchant_id AND head.environment = event.environment",
        );
        out.push_sql(condition);
        Ok(())
    }
}

/// Numbers events, and inserts them.
struct Append {
    events: LoggedRows,
}

impl QueryFragment<Pg> for Append {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH head (merchant_id, environment, seq) AS (");
        self.events.push_heads("", &mut out)?;
        out.push_sql(") ");
        self.events.push_rows("", &mut out)
    }
}

/// A statement that returns the primary keys of the customers that it has written, and the replies and the events of these. The
/// keys of the replies must have none: a row of the same key, or one that another transaction is about to commit, fails the
/// statement.
struct Together<S, const REPLIES: bool, const EVENTS: bool> {
    statement: S,
    replies: Replies,
    events: LoggedRows,
}

fn push_reply_columns(out: &mut AstPass<'_, '_, Pg>) {
    for (place, name) in ReplyRow::NAMES.iter().enumerate() {
        out.push_sql(if place > 0 { ", reply." } else { "reply." });
        out.push_sql(name);
    }
}

impl<S: QueryFragment<Pg>, const REPLIES: bool, const EVENTS: bool> QueryFragment<Pg> for Together<S, REPLIES, EVENTS> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH written (merchant_id, environment, id) AS (");
        self.statement.walk_ast(out.reborrow())?;
        out.push_sql(")");
        if REPLIES {
            self.replies.push_saved(&mut out)?;
        }
        if EVENTS {
            self.events.push_logged(REPLIES, &mut out)?;
        }
        out.push_sql(" SELECT merchant_id, environment, id FROM written");
        Ok(())
    }
}

impl Replies {
    fn push_saved<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(", saved AS (INSERT INTO replies (");
        out.push_sql(ReplyRow::COLUMNS);
        out.push_sql(") SELECT ");
        push_reply_columns(out);
        out.push_sql(" FROM unnest(");
        self.rows.push_arrays(out)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<sql_types::Uuid>, _>(&self.customers)?;
        out.push_sql(") AS reply (");
        out.push_sql(ReplyRow::COLUMNS);
        // IS TRUE keeps it from becoming a join, which would compare each row with each: this looks up each in a hash table.
        out.push_sql(
            ", written_id) WHERE ((reply.merchant_id, reply.environment, reply.written_id) IN \
             (SELECT written.merchant_id, written.environment, written.id FROM written)) IS TRUE \
             RETURNING 1)",
        );
        Ok(())
    }
}

impl LoggedRows {
    fn push_logged<'b>(&'b self, with_replies: bool, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        const IS_WRITTEN: &str = "((event.merchant_id, event.environment, event.customer_id) IN \
                                  (SELECT written.merchant_id, written.environment, written.id FROM written)) IS TRUE";
        // The replies are saved before events are numbered, as that may wait for another transaction.
        let behind_replies = if with_replies { " AND (SELECT count(*) FROM saved) >= 0" } else { "" };
        out.push_sql(", head (merchant_id, environment, seq) AS (");
        self.push_heads(&format!(" WHERE {IS_WRITTEN}{behind_replies}"), out)?;
        out.push_sql("), logged AS (");
        self.push_rows(&format!(" AND {IS_WRITTEN}"), out)?;
        out.push_sql(" RETURNING 1)");
        Ok(())
    }
}

/// Saves replies, each in the place of none, or of one that has expired, and returns the keys of those that are saved.
struct Save {
    rows: ReplyRows,
}

impl QueryFragment<Pg> for Save {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("INSERT INTO replies (");
        out.push_sql(ReplyRow::COLUMNS);
        out.push_sql(") SELECT ");
        push_reply_columns(&mut out);
        out.push_sql(" FROM unnest(");
        self.rows.push_arrays(&mut out)?;
        out.push_sql(") AS reply (");
        out.push_sql(ReplyRow::COLUMNS);
        out.push_sql(") ON CONFLICT (merchant_id, environment, key_digest) DO UPDATE SET ");
        out.push_sql(&assignments(ReplyRow::NAMES, &["merchant_id", "environment", "key_digest"], "excluded"));
        out.push_sql(
            " WHERE replies.expires_at <= excluded.created_at \
             RETURNING replies.merchant_id, replies.environment, replies.key_digest",
        );
        Ok(())
    }
}

/// The version of a customer that is stored, and the customers that have an e-mail key exclusively and shared.
pub type Conflict = (Option<i64>, Option<Uuid>, Option<Uuid>);

/// What may have kept each of some writes from being made.
#[derive(Default)]
struct FindConflicts {
    wanted: Wanted,
    ids: Vec<Uuid>,
    email_keys: Vec<Option<String>>,
}

impl FindConflicts {
    fn push(&mut self, place: i64, customer: &Customer, email_key: Option<&str>) {
        self.wanted.push(place, customer.tenant());
        self.ids.push(customer.id().uuid());
        self.email_keys.push(email_key.map(str::to_owned));
    }
}

impl QueryFragment<Pg> for FindConflicts {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "SELECT wanted.place, \
             (SELECT version FROM customers WHERE customers.merchant_id = wanted.merchant_id \
              AND customers.environment = wanted.environment AND customers.id = wanted.id), \
             (SELECT id FROM customers WHERE customers.merchant_id = wanted.merchant_id \
              AND customers.environment = wanted.environment AND customers.email_key = wanted.email_key \
              AND customers.deleted_at IS NULL AND customers.email_exclusive), \
             (SELECT id FROM customers WHERE customers.merchant_id = wanted.merchant_id \
              AND customers.environment = wanted.environment AND customers.email_key = wanted.email_key \
              AND customers.deleted_at IS NULL AND NOT customers.email_exclusive ORDER BY id LIMIT 1) \
             FROM unnest(",
        );
        self.wanted.push_arrays(&mut out)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<sql_types::Uuid>, _>(&self.ids)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<Text>>, _>(&self.email_keys)?;
        out.push_sql(") AS wanted (place, merchant_id, environment, id, email_key)");
        Ok(())
    }
}

type KeySql = (sql_types::Uuid, Text, sql_types::Uuid);

kept_prepared!(Insert<G>, KeySql, for G);
kept_prepared!(Update<G, W>, KeySql, for G and W);
kept_prepared!(UpdateClaiming<G, W>, KeySql, for G and W);
kept_prepared!(Record, KeySql);
kept_prepared!(Together<S, REPLIES, EVENTS>, KeySql, for S, const REPLIES, const EVENTS);
kept_prepared!(Append, ());
kept_prepared!(Save, (sql_types::Uuid, Text, Binary));
kept_prepared!(FindConflicts, (BigInt, (Nullable<BigInt>, Nullable<sql_types::Uuid>, Nullable<sql_types::Uuid>)));
