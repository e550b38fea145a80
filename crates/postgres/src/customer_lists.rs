//! The statements that lists of customers and their numbers are made of ([`listing`]).
//!
//! All forms of these statements are built here, from conditions in one order: each combination of filters is one statement,
//! which diesel keeps prepared.

use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{self, Array, BigInt, Integer, Text, Timestamptz};
use roster_application::listing::{self, CustomerRows};
use roster_application::ports::{
    CustomerKey, CustomerQuery, CustomerRef, CustomerState, ListOrder, Listed, MetadataCondition, Place,
};
use roster_domain::{Customer, CustomerId, Tenant, Timestamp};
use uuid::Uuid;

use crate::citus::Layout;
use crate::customers::{find_many, find_one};
use crate::error::Fault;
use crate::rows::{Column as _, Wanted, at_place, limit};
use crate::schema::{CustomerRow, customers};
use crate::search_index::{self, is_unindexed};

/// The statements, on one connection.
pub struct Rows<'a> {
    pub connection: &'a mut PgConnection,
    pub layout: Layout,
    pub has_search_index: bool,
}

impl Rows<'_> {
    /// Several pages, in the order of `queries`. Those of one form share a statement.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub fn list_many(&mut self, queries: &[CustomerQuery]) -> Result<Vec<Listed>, Fault> {
        let mut listed = vec![Listed::default(); queries.len()];
        let mut left: Vec<usize> = (0..queries.len()).collect();
        while let Some(&first) = left.first() {
            let layout = self.layout;
            let is_together =
                |place: &usize| *place == first || have_one_form(&queries[first], &queries[*place], layout);
            let (together, rest): (Vec<usize>, Vec<usize>) = left.into_iter().partition(is_together);
            left = rest;
            if together.len() == 1 {
                listed[first] = listing::list(self, &queries[first])?;
                continue;
            }
            let queries: Vec<&CustomerQuery> = together.iter().map(|place| &queries[*place]).collect();
            for (place, customers) in together.into_iter().zip(self.pages(&queries)?) {
                listed[place].customers = customers;
            }
        }
        Ok(listed)
    }

    /// Pages of one form.
    fn pages(&mut self, queries: &[&CustomerQuery]) -> Result<Vec<Vec<Customer>>, Fault> {
        let rows: Vec<(i64, CustomerRow)> = Pages::of(queries, self.layout).load(self.connection)?;
        let mut pages: Vec<Vec<Customer>> = queries.iter().map(|query| Vec::with_capacity(query.limit)).collect();
        for (place, row) in rows {
            at_place(&mut pages, place)?.push(Customer::try_from(row)?);
        }
        for (page, query) in pages.iter_mut().zip(queries) {
            // They are in order as the statement is planned, though it does not have to be.
            page.sort_by(|one, other| query.compare(one.into(), other.into()));
        }
        Ok(pages)
    }
}

/// Whether two pages are plain, and differ only in the place after which they begin and, unless tenants are on several servers, in
/// their tenant.
fn have_one_form(one: &CustomerQuery, other: &CustomerQuery, layout: Layout) -> bool {
    let form = |query: &CustomerQuery| (query.order, query.limit, query.after.is_some());
    let is_near = layout == Layout::Plain || one.tenant == other.tenant;
    is_near && one.is_plain() && other.is_plain() && form(one) == form(other) && one.filter == other.filter
}

impl CustomerRows for Rows<'_> {
    type Error = Fault;

    fn find(&mut self, key: &CustomerKey) -> Result<Option<Customer>, Fault> {
        find_one(self.connection, key)
    }

    fn page(
        &mut self,
        query: &CustomerQuery,
        until: Option<Place>,
        offset: usize,
        size: usize,
    ) -> Result<Vec<Customer>, Fault> {
        let conditions = Conditions { until: until.map(bound), ..Conditions::of(query) };
        restored(Page { conditions, offset: limit(offset), limit: limit(size) }.load(self.connection)?)
    }

    fn exclusive_holder(&mut self, query: &CustomerQuery) -> Result<Vec<Customer>, Fault> {
        let conditions = Conditions { holder: Holder::Exclusive, ..Conditions::of(query) };
        restored(TheOne { conditions }.load(self.connection)?)
    }

    fn place(&mut self, query: &CustomerQuery, offset: usize) -> Result<Option<Place>, Fault> {
        let statement = PlaceAt { conditions: Conditions::of(query), offset: limit(offset) };
        let found: Option<Bound> = statement.get_result(self.connection).optional()?;
        Ok(found.and_then(place))
    }

    fn number_of_rows(&mut self, query: &CustomerQuery, most: usize) -> Result<usize, Fault> {
        let conditions = Conditions::of(query);
        let found: i64 = Number { conditions, limit: limit(most) }.get_result(self.connection)?;
        Ok(usize::try_from(found).unwrap_or(usize::MAX))
    }

    fn has_search_index(&self) -> bool {
        self.has_search_index
    }

    fn not_in_index(&mut self, query: &CustomerQuery, most: usize) -> Result<Vec<Place>, Fault> {
        let of = PlacesOf::Unindexed;
        load_places(self.connection, Places { conditions: Conditions::of(query), of, limit: limit(most) })
    }

    fn in_index(&mut self, query: &CustomerQuery, hashes: Vec<i32>, most: usize) -> Result<Vec<Place>, Fault> {
        let conditions = Conditions::of(query);
        let of = PlacesOf::WithHashes { hashes, layout: self.layout };
        let statement = Places { conditions, of, limit: limit(most) };
        search_index::with_bitmaps(self.connection, |connection| load_places(connection, statement))
    }

    fn at(&mut self, tenant: Tenant, places: &[Place]) -> Result<Vec<Customer>, Fault> {
        let key = |place: &Place| CustomerKey { tenant, customer: CustomerRef::Id(place.id) };
        let keys: Vec<CustomerKey> = places.iter().map(key).collect();
        Ok(find_many(self.connection, self.layout, &keys)?.into_iter().flatten().collect())
    }
}

fn load_places(connection: &mut PgConnection, statement: Places) -> Result<Vec<Place>, Fault> {
    let found: Vec<Bound> = RunQueryDsl::load(statement, connection)?;
    Ok(found.into_iter().filter_map(place).collect())
}

fn restored(rows: Vec<CustomerRow>) -> Result<Vec<Customer>, Fault> {
    rows.into_iter().map(|row| Customer::try_from(row).map_err(Fault::Store)).collect()
}

/// A place as its columns have it.
type Bound = (DateTime<Utc>, Uuid);

fn bound(place: Place) -> Bound {
    (DateTime::pack(place.created_at.as_millis()), place.id.uuid())
}

fn place((created_at, id): Bound) -> Option<Place> {
    let created_at = Timestamp::from_millis(created_at.unpack()).ok()?;
    Some(Place { created_at, id: CustomerId::new(id) })
}

/// Which of the two indexes over e-mail keys is read: no customer is in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    Shared,
    Exclusive,
}

/// Where a statement has the tenant of a list, and the place after which a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// In parameters, once.
    Parameters,
    /// The place is in the rows of `wanted`, one of which each page has.
    PlaceOfEach,
    /// Both are.
    BothOfEach,
}

/// Which rows a statement is about, and their order.
struct Conditions {
    source: Source,
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
            source: Source::Parameters,
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
        if self.source == Source::BothOfEach {
            out.push_sql("customers.merchant_id = wanted.merchant_id AND customers.environment = wanted.environment");
            return Ok(());
        }
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
        if self.source == Source::Parameters {
            self.push_bound(beyond, self.after.as_ref(), out)?;
        } else {
            self.push_bound_of_each(beyond, out);
        }
        self.push_bound(up_to, self.until.as_ref(), out)
    }

    fn push_bound_of_each(&self, comparison: &str, out: &mut AstPass<'_, '_, Pg>) {
        let (row, bound) = match (self.after, self.is_by_creation) {
            (None, _) => return,
            (Some(_), false) => ("customers.id", "wanted.id"),
            (Some(_), true) => ("(customers.created_at, customers.id)", "(wanted.created_at, wanted.id)"),
        };
        for part in [" AND ", row, comparison, bound] {
            out.push_sql(part);
        }
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

/// The rows of several pages, each with the number of its page.
struct Pages {
    /// Those of all pages. Whether there is a place after which they begin is the same for all.
    conditions: Conditions,
    wanted: Wanted,
    created_at: Vec<DateTime<Utc>>,
    ids: Vec<Uuid>,
    limit: i64,
}

impl Pages {
    /// The pages of at least one query, all of one form.
    fn of(queries: &[&CustomerQuery], layout: Layout) -> Self {
        let source = if layout == Layout::Citus { Source::PlaceOfEach } else { Source::BothOfEach };
        let conditions = Conditions { source, ..Conditions::of(queries[0]) };
        let (created_at, ids) = queries.iter().filter_map(|query| query.after).map(bound).unzip();
        let mut wanted = Wanted::default();
        for (place, query) in (1..).zip(queries) {
            wanted.push(place, query.tenant);
        }
        Self { conditions, wanted, created_at, ids, limit: limit(queries[0].limit) }
    }

    /// The pages as rows, for tenants of one server: arrays.
    fn push_arrays<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("unnest(");
        self.wanted.push_arrays(out)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Timestamptz>, _>(&self.created_at)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<sql_types::Uuid>, _>(&self.ids)?;
        out.push_sql(") AS wanted (place, merchant_id, environment, created_at, id)");
        Ok(())
    }

    /// The pages as rows, for one tenant on Citus, which does not send functions of arrays to the server that has the tenant.
    fn push_values<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("(VALUES ");
        for (number, place) in self.wanted.places().iter().enumerate() {
            out.push_sql(if number > 0 { ", (" } else { "(" });
            out.push_bind_param::<BigInt, _>(place)?;
            if let (Some(created_at), Some(id)) = (self.created_at.get(number), self.ids.get(number)) {
                out.push_sql(", ");
                out.push_bind_param::<Timestamptz, _>(created_at)?;
                out.push_sql(", ");
                out.push_bind_param::<sql_types::Uuid, _>(id)?;
            }
            out.push_sql(")");
        }
        out.push_sql(if self.ids.is_empty() { ") AS wanted (place)" } else { ") AS wanted (place, created_at, id)" });
        Ok(())
    }
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
    WithHashes { hashes: Vec<i32>, layout: Layout },
}

/// The number of rows of a list, up to a limit.
struct Number {
    conditions: Conditions,
    limit: i64,
}

impl QueryFragment<Pg> for Page {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        push_page(&self.conditions, &mut out)?;
        out.push_bind_param::<BigInt, _>(&self.limit)?;
        if self.offset == 0 {
            return Ok(());
        }
        out.push_sql(" OFFSET ");
        out.push_bind_param::<BigInt, _>(&self.offset)
    }
}

impl QueryFragment<Pg> for Pages {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT wanted.place, ");
        push_columns(&mut out);
        out.push_sql(" FROM ");
        match self.conditions.source {
            Source::BothOfEach => self.push_arrays(&mut out)?,
            Source::PlaceOfEach | Source::Parameters => self.push_values(&mut out)?,
        }
        out.push_sql(" CROSS JOIN LATERAL (");
        push_page(&self.conditions, &mut out)?;
        out.push_bind_param::<BigInt, _>(&self.limit)?;
        out.push_sql(") AS customers");
        Ok(())
    }
}

impl QueryFragment<Pg> for TheOne {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        push_select(&mut out);
        self.conditions.push_where(&mut out)
    }
}

/// The rows of a page, up to their number, which follows.
fn push_page<'b>(conditions: &'b Conditions, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
    push_select(out);
    conditions.push_where(out)?;
    conditions.push_order(out);
    out.push_sql(" LIMIT ");
    Ok(())
}

fn push_select(out: &mut AstPass<'_, '_, Pg>) {
    out.push_sql("SELECT ");
    push_columns(out);
}

fn push_columns(out: &mut AstPass<'_, '_, Pg>) {
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
                out.push_sql(&is_unindexed());
            }
            PlacesOf::WithHashes { hashes, layout } => {
                // The tenant is in each hash; that it is a condition, too, names the shard.
                if *layout == Layout::Citus {
                    self.conditions.push_tenant(&mut out)?;
                    out.push_sql(" AND ");
                }
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
kept_by_text!(Pages, (BigInt, customers::SqlType));
kept_by_text!(TheOne, customers::SqlType);
kept_by_text!(PlaceAt, (Timestamptz, sql_types::Uuid));
kept_by_text!(Places, (Timestamptz, sql_types::Uuid));
kept_by_text!(Number, BigInt);
