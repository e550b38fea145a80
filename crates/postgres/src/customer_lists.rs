//! Lists of customers, and their numbers.
//!
//! All forms of these statements are built here, from conditions in one order: each combination of filters is one statement,
//! which diesel keeps prepared.

use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{self, Array, BigInt, Integer, Text, Timestamptz};
use roster_application::ports::{
    Count, CustomerFilter, CustomerKey, CustomerQuery, CustomerRef, CustomerState, ListOrder, Listed,
    MetadataCondition, Place,
};
use roster_domain::{Customer, CustomerId, SearchTerm, Tenant, Timestamp};
use uuid::Uuid;

use crate::customers::{find_many, find_one};
use crate::error::Fault;
use crate::rows::{Column as _, limit};
use crate::schema::{CustomerRow, customers};
use crate::search_index::{self, push_is_unindexed};

/// A page of customers.
///
/// # Errors
/// If it cannot be read.
pub fn list(connection: &mut PgConnection, query: &CustomerQuery, has_index: bool) -> Result<Listed, Fault> {
    let filter = &query.filter;
    if let Some(id) = &filter.external_id {
        let key = CustomerKey { tenant: query.tenant, customer: CustomerRef::ExternalId(id.clone()) };
        let customers = query.page_of(find_one(connection, &key)?);
        return Ok(Listed { customers, ..Listed::default() });
    }
    if let Some(term) = filter.indexed_search().filter(|_| has_index) {
        return search(connection, query, term);
    }
    if filter.email_key.is_some() || filter.is_walked() {
        return walk(connection, query);
    }
    let page = Page { conditions: Conditions::of(query), offset: limit(query.offset), limit: limit(query.limit) };
    Ok(Listed { customers: restored(page.load(connection)?)?, ..Listed::default() })
}

/// How many customers a list has, up to `most`.
///
/// # Errors
/// If they cannot be counted.
pub fn count(
    connection: &mut PgConnection,
    tenant: Tenant,
    filter: &CustomerFilter,
    most: usize,
    has_index: bool,
) -> Result<Count, Fault> {
    let query = CustomerQuery { filter: filter.clone(), max_rows: most, ..CustomerQuery::newest(tenant, most + 1) };
    if filter.external_id.is_some() || filter.email_key.is_some() || filter.is_walked() {
        return Ok(list(connection, &query, has_index)?.count(most));
    }
    let found: i64 = Number { conditions: Conditions::of(&query), limit: limit(most + 1) }.get_result(connection)?;
    Ok(Count::of_at_most(most, usize::try_from(found).unwrap_or(usize::MAX)))
}

/// The most rows that are read at once where few of them may be found.
const CHUNK: usize = 500;

/// A page of a list whose rows are checked again after they were read, or are in two indexes.
fn walk(connection: &mut PgConnection, query: &CustomerQuery) -> Result<Listed, Fault> {
    // Before the page is read: what is added or deleted meanwhile does not move the place.
    let end = if query.filter.is_walked() { place_of_last_row(connection, query)? } else { None };
    let mut listed = walk_on(connection, query, end)?;
    while let Some(place) = listed.stopped_at.filter(|place| Some(*place) != end) {
        let limit = query.limit - listed.customers.len();
        let rest = CustomerQuery { after: Some(place), offset: 0, limit, ..query.clone() };
        let more = walk_on(connection, &rest, end)?;
        listed.customers.extend(more.customers);
        listed.stopped_at = more.stopped_at;
    }
    Ok(listed)
}

/// The next part of the same, up to `end` at most.
fn walk_on(connection: &mut PgConnection, query: &CustomerQuery, end: Option<Place>) -> Result<Listed, Fault> {
    let wanted = query.offset + query.limit;
    let wanted = if query.filter.search.is_some() { wanted.max(CHUNK) } else { wanted };
    let conditions = Conditions { until: end.map(bound), ..Conditions::of(query) };
    let mut candidates = restored(Page { conditions, offset: 0, limit: limit(wanted) }.load(connection)?)?;
    let last = candidates.last().filter(|_| candidates.len() == wanted).map(Place::from);
    let read_until = last.or(end);
    if query.filter.email_key.is_some() {
        let exclusive = Conditions { holder: Holder::Exclusive, ..Conditions::of(query) };
        let rows = TheOne { conditions: exclusive }.load(connection)?;
        let is_read = |place: Place| read_until.is_none_or(|end| query.compare(place, end).is_le());
        candidates.extend(restored(rows)?.into_iter().filter(|holder| is_read(holder.into())));
        // Between the two statements a customer may have given the address up and taken it again, in the other way.
        candidates.sort_unstable_by_key(Customer::id);
        candidates.dedup_by_key(|customer| customer.id());
    }
    let customers = query.page_of(candidates);
    // A row that the statement found and the filter does not include has taken the place of another.
    let stopped_at = read_until.filter(|_| customers.len() < query.limit);
    Ok(Listed { customers, stopped_at, ..Listed::default() })
}

/// A page of the customers in which `term` is found, by the index.
///
/// The customers that the index lacks are looked for first: one that is indexed meanwhile is found twice, and none is missed.
fn search(connection: &mut PgConnection, query: &CustomerQuery, term: &SearchTerm) -> Result<Listed, Fault> {
    let all = CustomerQuery { after: None, ..query.clone() };
    let most = query.max_rows;
    let missing = Places { conditions: Conditions::of(&all), of: PlacesOf::Unindexed, limit: limit(most + 1) };
    let mut places = load_places(connection, missing)?;
    if places.len() > most {
        // Until a background job has indexed most of the customers, or if it cannot.
        return walk(connection, query);
    }
    let hashes = PlacesOf::WithHashes(term.hashes(query.tenant));
    let with_hashes = Places { conditions: Conditions::of(&all), of: hashes, limit: limit(most + 1) };
    let found = search_index::with_bitmaps(connection, |connection| load_places(connection, with_hashes))?;
    if found.len() > most {
        return Ok(Listed { is_too_broad: true, ..Listed::default() });
    }
    places.extend(found);
    read_in_order(connection, query, places)
}

/// Reads customers at some places, in the order of the list, until the page is full.
fn read_in_order(connection: &mut PgConnection, query: &CustomerQuery, places: Vec<Place>) -> Result<Listed, Fault> {
    let places = query.in_order(places);
    let wanted = query.offset + query.limit;
    let mut customers: Vec<Customer> = Vec::new();
    for some in places.chunks(wanted.clamp(1, CHUNK)) {
        let key = |place: &Place| CustomerKey { tenant: query.tenant, customer: CustomerRef::Id(place.id) };
        let keys: Vec<CustomerKey> = some.iter().map(key).collect();
        let found = find_many(connection, &keys)?.into_iter().flatten();
        customers.extend(found.filter(|customer| query.filter.includes(customer)));
        if customers.len() >= wanted {
            break;
        }
    }
    Ok(Listed { customers: query.page_of(customers), ..Listed::default() })
}

fn load_places(connection: &mut PgConnection, statement: Places) -> Result<Vec<Place>, Fault> {
    let found: Vec<Bound> = RunQueryDsl::load(statement, connection)?;
    Ok(found.into_iter().filter_map(place).collect())
}

fn place((created_at, id): Bound) -> Option<Place> {
    let created_at = Timestamp::from_millis(created_at.unpack()).ok()?;
    Some(Place { created_at, id: CustomerId::new(id) })
}

/// The place of the last row that may be looked at, if there are as many.
fn place_of_last_row(connection: &mut PgConnection, query: &CustomerQuery) -> Result<Option<Place>, Fault> {
    let conditions =
        Conditions { state: CustomerState::Any, updated_after: None, traces: Vec::new(), ..Conditions::of(query) };
    let found: Option<(DateTime<Utc>, Uuid)> =
        PlaceAt { conditions, offset: limit(query.max_rows.saturating_sub(1)) }.get_result(connection).optional()?;
    Ok(found.and_then(place))
}

fn restored(rows: Vec<CustomerRow>) -> Result<Vec<Customer>, Fault> {
    rows.into_iter().map(|row| Customer::try_from(row).map_err(Fault::Store)).collect()
}

/// A place as its columns have it.
type Bound = (DateTime<Utc>, Uuid);

fn bound(place: Place) -> Bound {
    (DateTime::pack(place.created_at.as_millis()), place.id.uuid())
}

/// Which of the two indexes over e-mail keys is read: no customer is in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    Shared,
    Exclusive,
}

/// Which rows a statement is about, and their order.
struct Conditions {
    merchant_id: Uuid,
    environment: &'static str,
    email_key: Option<String>,
    holder: Holder,
    state: CustomerState,
    created_after: Option<DateTime<Utc>>,
    created_before: Option<DateTime<Utc>>,
    updated_after: Option<DateTime<Utc>>,
    /// For each condition on the metadata two texts, one of which its text has.
    traces: Vec<[String; 2]>,
    is_by_creation: bool,
    order: ListOrder,
    /// Only rows after this place.
    after: Option<Bound>,
    /// Only rows up to this place.
    until: Option<Bound>,
}

impl Conditions {
    fn of(query: &CustomerQuery) -> Self {
        let CustomerQuery { tenant, filter, order, after, .. } = query;
        let time = |time: Timestamp| DateTime::pack(time.as_millis());
        Self {
            merchant_id: tenant.merchant.uuid(),
            environment: tenant.environment.as_str(),
            email_key: filter.email_key.clone(),
            holder: Holder::Shared,
            state: filter.state,
            created_after: filter.created_after.map(time),
            created_before: filter.created_before.map(time),
            updated_after: filter.updated_after.map(time),
            traces: filter.metadata.iter().map(MetadataCondition::traces).collect(),
            is_by_creation: filter.is_by_creation(),
            order: *order,
            after: after.map(bound),
            until: None,
        }
    }

    fn push_where<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(" FROM customers WHERE ");
        self.push_conditions(out)
    }

    fn push_tenant<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("customers.merchant_id = ");
        out.push_bind_param::<sql_types::Uuid, _>(&self.merchant_id)?;
        out.push_sql(" AND customers.environment = ");
        out.push_bind_param::<Text, _>(&self.environment)
    }

    fn push_conditions<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.push_tenant(out)?;
        if let Some(key) = &self.email_key {
            out.push_sql(" AND customers.email_key = ");
            out.push_bind_param::<Text, _>(key)?;
            // Only live customers are found by an address, and only they are in its indexes.
            out.push_sql(match self.holder {
                Holder::Shared => " AND customers.deleted_at IS NULL AND NOT customers.email_exclusive",
                Holder::Exclusive => " AND customers.deleted_at IS NULL AND customers.email_exclusive",
            });
        }
        out.push_sql(match self.state {
            CustomerState::Live => " AND customers.deleted_at IS NULL",
            CustomerState::Active => " AND customers.deleted_at IS NULL AND customers.archived_at IS NULL",
            CustomerState::Archived => " AND customers.deleted_at IS NULL AND customers.archived_at IS NOT NULL",
            CustomerState::Deleted => " AND customers.deleted_at IS NOT NULL",
            CustomerState::Any => "",
        });
        push_time(" AND customers.created_at >= ", self.created_after.as_ref(), out)?;
        push_time(" AND customers.created_at <= ", self.created_before.as_ref(), out)?;
        push_time(" AND customers.updated_at >= ", self.updated_after.as_ref(), out)?;
        for [one, other] in &self.traces {
            out.push_sql(" AND (strpos(customers.metadata::text, ");
            out.push_bind_param::<Text, _>(one)?;
            out.push_sql(") > 0 OR strpos(customers.metadata::text, ");
            out.push_bind_param::<Text, _>(other)?;
            out.push_sql(") > 0)");
        }
        let (beyond, up_to) = match self.order {
            ListOrder::Ascending => (" > ", " <= "),
            ListOrder::Descending => (" < ", " >= "),
        };
        self.push_bound(beyond, self.after.as_ref(), out)?;
        self.push_bound(up_to, self.until.as_ref(), out)
    }

    fn push_bound<'b>(
        &self,
        comparison: &str,
        bound: Option<&'b Bound>,
        out: &mut AstPass<'_, 'b, Pg>,
    ) -> QueryResult<()> {
        let Some((created_at, id)) = bound else { return Ok(()) };
        if !self.is_by_creation {
            out.push_sql(" AND customers.id");
            out.push_sql(comparison);
            return out.push_bind_param::<sql_types::Uuid, _>(id);
        }
        out.push_sql(" AND (customers.created_at, customers.id)");
        out.push_sql(comparison);
        out.push_sql("(");
        out.push_bind_param::<Timestamptz, _>(created_at)?;
        out.push_sql(", ");
        out.push_bind_param::<sql_types::Uuid, _>(id)?;
        out.push_sql(")");
        Ok(())
    }

    fn push_order(&self, out: &mut AstPass<'_, '_, Pg>) {
        out.push_sql(match (self.is_by_creation, self.order) {
            (false, ListOrder::Ascending) => " ORDER BY customers.id",
            (false, ListOrder::Descending) => " ORDER BY customers.id DESC",
            (true, ListOrder::Ascending) => " ORDER BY customers.created_at, customers.id",
            (true, ListOrder::Descending) => " ORDER BY customers.created_at DESC, customers.id DESC",
        });
    }
}

fn push_time<'b>(comparison: &str, time: Option<&'b DateTime<Utc>>, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
    let Some(time) = time else { return Ok(()) };
    out.push_sql(comparison);
    out.push_bind_param::<Timestamptz, _>(time)
}

/// The rows of a page.
struct Page {
    conditions: Conditions,
    offset: i64,
    limit: i64,
}

/// The row of the customer that has an address exclusively: at most one, which an order or a limit would only have looked for by
/// another index.
struct TheOne {
    conditions: Conditions,
}

/// The place of one row of a list.
struct PlaceAt {
    conditions: Conditions,
    offset: i64,
}

/// The places of rows that may be found by a search, in any order.
struct Places {
    conditions: Conditions,
    of: PlacesOf,
    limit: i64,
}

enum PlacesOf {
    /// Rows that the index for searches lacks, or has with former texts.
    Unindexed,
    /// Rows that it has with all of these hashes.
    WithHashes(Vec<i32>),
}

/// The number of rows of a list, up to a limit.
struct Number {
    conditions: Conditions,
    limit: i64,
}

impl QueryFragment<Pg> for Page {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        push_select(&mut out);
        self.conditions.push_where(&mut out)?;
        self.conditions.push_order(&mut out);
        out.push_sql(" LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)?;
        if self.offset == 0 {
            return Ok(());
        }
        out.push_sql(" OFFSET ");
        out.push_bind_param::<BigInt, _>(&self.offset)
    }
}

impl QueryFragment<Pg> for TheOne {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        push_select(&mut out);
        self.conditions.push_where(&mut out)
    }
}

fn push_select(out: &mut AstPass<'_, '_, Pg>) {
    out.push_sql("SELECT ");
    for (place, name) in CustomerRow::NAMES.iter().enumerate() {
        out.push_sql(if place > 0 { ", customers." } else { "customers." });
        out.push_sql(name);
    }
}

impl QueryFragment<Pg> for PlaceAt {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT customers.created_at, customers.id");
        self.conditions.push_where(&mut out)?;
        self.conditions.push_order(&mut out);
        out.push_sql(" LIMIT 1 OFFSET ");
        out.push_bind_param::<BigInt, _>(&self.offset)
    }
}

impl QueryFragment<Pg> for Places {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT customers.created_at, customers.id");
        out.push_sql(" FROM customers WHERE ");
        match &self.of {
            PlacesOf::Unindexed => {
                self.conditions.push_tenant(&mut out)?;
                out.push_sql(" AND customers.deleted_at IS NULL AND ");
                push_is_unindexed(&mut out);
            }
            PlacesOf::WithHashes(hashes) => {
                out.push_sql("customers.search_hashes @> ");
                out.push_bind_param::<Array<Integer>, _>(hashes)?;
            }
        }
        // IS TRUE hides the conditions from all other indexes: these alone are good however large a tenant is.
        out.push_sql(" AND (");
        self.conditions.push_conditions(&mut out)?;
        out.push_sql(") IS TRUE LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)
    }
}

impl QueryFragment<Pg> for Number {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT count(*) FROM (SELECT customers.id");
        self.conditions.push_where(&mut out)?;
        self.conditions.push_order(&mut out);
        out.push_sql(" LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)?;
        out.push_sql(") AS found");
        Ok(())
    }
}

/// Makes a type a statement of several forms, each of which diesel keeps prepared under its text.
macro_rules! kept_by_text {
    ($statement:ty, $sql_type:ty) => {
        impl QueryId for $statement {
            type QueryId = ();

            const HAS_STATIC_QUERY_ID: bool = false;
        }

        impl Query for $statement {
            type SqlType = $sql_type;
        }

        impl RunQueryDsl<PgConnection> for $statement {}
    };
}

kept_by_text!(Page, customers::SqlType);
kept_by_text!(TheOne, customers::SqlType);
kept_by_text!(PlaceAt, (Timestamptz, sql_types::Uuid));
kept_by_text!(Places, (Timestamptz, sql_types::Uuid));
kept_by_text!(Number, BigInt);
