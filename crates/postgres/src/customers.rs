//! Reading customers; `writes.rs` writes them.

use std::cmp::Reverse;

use diesel::dsl::{auto_type, not};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{self, Array, BigInt, Text};
use roster_application::ports::{
    CustomerFilter, CustomerKey, CustomerQuery, CustomerRef, CustomerRepository, CustomerState, StoreError, Write,
    Written,
};
use roster_domain::{Customer, CustomerId, ExternalId, Tenant};
use uuid::Uuid;

use crate::error::Fault;
use crate::rows::{Wanted, in_order, kept_prepared, limit};
use crate::schema::{CustomerRow, customers, customers_of};
use crate::unit_of_work::PostgresUnitOfWork;
use crate::writes;

impl CustomerRepository for PostgresUnitOfWork<'_> {
    fn write(&mut self, writes: &[Write]) -> Result<Vec<Written>, StoreError> {
        let is_alone = !self.is_in_transaction();
        self.run_write(|connection| writes::write(connection, writes, is_alone))
    }

    fn find(&mut self, state: CustomerState, keys: &[CustomerKey]) -> Result<Vec<Option<Customer>>, StoreError> {
        let locks = self.is_in_transaction();
        let found = self.run(|connection| match keys {
            keys if locks => keys.iter().map(|key| find_and_lock(connection, key)).collect(),
            [] => Ok(Vec::new()),
            [key] => Ok(vec![find_one(connection, key)?]),
            many => find_many(connection, many),
        })?;
        // A key names at most one customer, so that leaving out those in another state is as good here as in SQL, and
        // each statement has one form.
        Ok(found.into_iter().map(|found| found.filter(|customer| state.includes(customer))).collect())
    }

    fn list(&mut self, query: &CustomerQuery) -> Result<Vec<Customer>, StoreError> {
        self.run(|connection| match &query.filter {
            CustomerFilter { external_id: Some(id), .. } => find_page(connection, query, id),
            CustomerFilter { email_key: Some(key), .. } => load_page_with_email(connection, query, key),
            CustomerFilter { state, .. } => restored(load_page(connection, query, *state)?),
        })
    }
}

/// The page of a list of at most one customer.
fn find_page(connection: &mut PgConnection, query: &CustomerQuery, id: &ExternalId) -> Result<Vec<Customer>, Fault> {
    let key = CustomerKey { tenant: query.tenant, customer: CustomerRef::ExternalId(id.clone()) };
    let found = find_one(connection, &key)?.filter(|customer| query.filter.includes(customer));
    let is_before = |customer: &Customer| query.before.is_none_or(|before| customer.id() < before);
    Ok(found.into_iter().filter(is_before).skip(query.offset).take(query.limit).collect())
}

/// Each combination of state and beginning is a statement of its own, which diesel keeps prepared.
fn load_page(
    connection: &mut PgConnection,
    query: &CustomerQuery,
    state: CustomerState,
) -> QueryResult<Vec<CustomerRow>> {
    let CustomerQuery { tenant, before, offset, limit: size, .. } = *query;
    let page = || customers_of(tenant).order(customers::id.desc()).offset(limit(offset)).limit(limit(size));
    let (live, deleted) = (customers::deleted_at.is_null(), customers::deleted_at.is_not_null());
    let (active, archived) = (customers::archived_at.is_null(), customers::archived_at.is_not_null());
    match before.map(|before| customers::id.lt(before.uuid())) {
        None => match state {
            CustomerState::Live => page().filter(live).load(connection),
            CustomerState::Active => page().filter(live).filter(active).load(connection),
            CustomerState::Archived => page().filter(live).filter(archived).load(connection),
            CustomerState::Deleted => page().filter(deleted).load(connection),
            CustomerState::Any => page().load(connection),
        },
        Some(before) => match state {
            CustomerState::Live => page().filter(live).filter(before).load(connection),
            CustomerState::Active => page().filter(live).filter(active).filter(before).load(connection),
            CustomerState::Archived => page().filter(live).filter(archived).filter(before).load(connection),
            CustomerState::Deleted => page().filter(deleted).filter(before).load(connection),
            CustomerState::Any => page().filter(before).load(connection),
        },
    }
}

/// Two look-ups: those that have the address exclusively, at most one, and those that share it are in an index each.
fn load_page_with_email(
    connection: &mut PgConnection,
    query: &CustomerQuery,
    email_key: &str,
) -> Result<Vec<Customer>, Fault> {
    let holders = || live(query.tenant).filter(customers::email_key.eq(email_key));
    let mut shared = holders().filter(not(customers::email_exclusive)).order(customers::id.desc()).into_boxed();
    if let Some(before) = query.before {
        shared = shared.filter(customers::id.lt(before.uuid()));
    }
    shared = match query.filter.state {
        CustomerState::Live | CustomerState::Any | CustomerState::Deleted => shared,
        CustomerState::Active => shared.filter(customers::archived_at.is_null()),
        CustomerState::Archived => shared.filter(customers::archived_at.is_not_null()),
    };
    let mut rows: Vec<CustomerRow> = shared.limit(limit(query.offset + query.limit)).load(connection)?;
    rows.extend(holders().filter(customers::email_exclusive).load::<CustomerRow>(connection)?);
    let is_listed = |customer: &Customer| {
        query.filter.includes(customer) && query.before.is_none_or(|before| customer.id() < before)
    };
    let mut found: Vec<_> = restored(rows)?.into_iter().filter(is_listed).collect();
    found.sort_unstable_by_key(|customer| Reverse(customer.id()));
    // Between the two statements a customer may have given the address up and taken it again, in the other way.
    found.dedup_by_key(|customer| customer.id());
    Ok(found.into_iter().skip(query.offset).take(query.limit).collect())
}

fn restored(rows: Vec<CustomerRow>) -> Result<Vec<Customer>, Fault> {
    rows.into_iter().map(|row| Customer::try_from(row).map_err(Fault::Store)).collect()
}

/// The live customers of `tenant`.
#[auto_type(no_type_alias)]
fn live(tenant: Tenant) -> _ {
    let of_tenant: customers_of = customers_of(tenant);
    of_tenant.filter(customers::deleted_at.is_null())
}

/// The customer with a key: by our identifier in any state, by external identifier a live one.
fn find_one(connection: &mut PgConnection, key: &CustomerKey) -> Result<Option<Customer>, Fault> {
    let found: Option<CustomerRow> = match &key.customer {
        CustomerRef::Id(id) => customers_of(key.tenant).filter(customers::id.eq(id.uuid())).get_result(connection),
        CustomerRef::ExternalId(id) => {
            live(key.tenant).filter(customers::external_id.eq(id.as_str())).get_result(connection)
        }
    }
    .optional()?;
    Ok(found.map(Customer::try_from).transpose()?)
}

/// The same, locked until the end of the transaction, in the version that the last writer left.
fn find_and_lock(connection: &mut PgConnection, key: &CustomerKey) -> Result<Option<Customer>, Fault> {
    let load = |connection: &mut PgConnection| -> QueryResult<Option<CustomerRow>> {
        match &key.customer {
            CustomerRef::Id(id) => {
                let by_id = customers_of(key.tenant).filter(customers::id.eq(id.uuid()));
                by_id.for_no_key_update().get_result(connection).optional()
            }
            CustomerRef::ExternalId(id) => {
                let by_external_id = live(key.tenant).filter(customers::external_id.eq(id.as_str()));
                by_external_id.for_no_key_update().get_result(connection).optional()
            }
        }
    };
    let found = match load(connection)? {
        // The statement has waited for a writer that took the identifier away, perhaps. Another customer that has it since
        // is only seen by a new statement.
        None => load(connection)?,
        found => found,
    };
    Ok(found.map(Customer::try_from).transpose()?)
}

/// One statement for the keys by our own identifier, one for those by the merchants'.
fn find_many(connection: &mut PgConnection, keys: &[CustomerKey]) -> Result<Vec<Option<Customer>>, Fault> {
    let mut by_id = FindById::default();
    let mut by_external_id = FindByExternalId::default();
    for (place, key) in (1..).zip(keys) {
        match &key.customer {
            CustomerRef::Id(id) => by_id.push(place, key.tenant, *id),
            CustomerRef::ExternalId(id) => by_external_id.push(place, key.tenant, id.as_str()),
        }
    }
    let mut found: Vec<(i64, CustomerRow)> = Vec::new();
    if !by_id.wanted.is_empty() {
        found.extend(by_id.load::<(i64, CustomerRow)>(connection)?);
    }
    if !by_external_id.wanted.is_empty() {
        found.extend(by_external_id.load::<(i64, CustomerRow)>(connection)?);
    }
    Ok(in_order(keys.len(), found, Customer::try_from)?)
}

/// The customers with some of our identifiers, deleted or not, each with the place of its key.
#[derive(Default)]
struct FindById {
    wanted: Wanted,
    ids: Vec<Uuid>,
}

/// The live customers with some external identifiers, each with the place of its key.
#[derive(Default)]
pub struct FindByExternalId {
    wanted: Wanted,
    external_ids: Vec<String>,
}

impl FindById {
    fn push(&mut self, place: i64, tenant: Tenant, id: CustomerId) {
        self.wanted.push(place, tenant);
        self.ids.push(id.uuid());
    }
}

impl FindByExternalId {
    /// Adds a key.
    pub fn push(&mut self, place: i64, tenant: Tenant, external_id: &str) {
        self.wanted.push(place, tenant);
        self.external_ids.push(external_id.to_owned());
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }
}

/// From the arrays of keys to the customer with our identifier `wanted.key`.
///
/// `OFFSET 0` makes PostgreSQL look up each key by itself. Left to choose, it could read the whole table once for all
/// keys while that is small, and would go on doing so when it has grown: statements are planned once.
pub const CUSTOMER_BY_ID: &str = "CROSS JOIN LATERAL (SELECT * FROM customers \
    WHERE customers.merchant_id = wanted.merchant_id AND customers.environment = wanted.environment \
    AND customers.id = wanted.key OFFSET 0) AS customers";

/// From the arrays of keys to the live customer with the external identifier `wanted.key`.
pub const CUSTOMER_BY_EXTERNAL_ID: &str = "CROSS JOIN LATERAL (SELECT * FROM customers \
    WHERE customers.merchant_id = wanted.merchant_id AND customers.environment = wanted.environment \
    AND customers.external_id = wanted.key AND customers.deleted_at IS NULL OFFSET 0) AS customers";

const KEYS: &str = ") AS wanted (place, merchant_id, environment, key) ";

impl QueryFragment<Pg> for FindById {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.wanted.push_select(&customers::all_columns, &mut out)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<sql_types::Uuid>, _>(&self.ids)?;
        out.push_sql(KEYS);
        out.push_sql(CUSTOMER_BY_ID);
        Ok(())
    }
}

impl QueryFragment<Pg> for FindByExternalId {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.wanted.push_select(&customers::all_columns, &mut out)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.external_ids)?;
        out.push_sql(KEYS);
        out.push_sql(CUSTOMER_BY_EXTERNAL_ID);
        Ok(())
    }
}

kept_prepared!(FindById, (BigInt, customers::SqlType));
kept_prepared!(FindByExternalId, (BigInt, customers::SqlType));
