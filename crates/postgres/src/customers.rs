//! Finding customers; `customer_lists.rs` lists them, `writes.rs` writes them.

use diesel::dsl::auto_type;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{self, Array, BigInt, Text};
use roster_application::listing;
use roster_application::ports::{
    Count, CustomerFilter, CustomerKey, CustomerQuery, CustomerRef, CustomerRepository, CustomerState, Listed,
    StoreError, Write, Written,
};
use roster_domain::{Customer, CustomerId, Tenant};
use uuid::Uuid;

use crate::citus::{self, Layout};
use crate::customer_lists::Rows;
use crate::error::Fault;
use crate::rows::{Wanted, in_order, kept_prepared};
use crate::schema::{CustomerRow, customers, customers_of};
use crate::search_index;
use crate::unit_of_work::PostgresUnitOfWork;
use crate::writes::{self, Keys};

impl CustomerRepository for PostgresUnitOfWork<'_> {
    fn write(&mut self, writes: &[Write]) -> Result<Vec<Written>, StoreError> {
        let is_alone = !self.is_in_transaction();
        // A reply that is refused ends the transaction of a caller, who could do nothing about it. Outside of one the writes
        // are made anew.
        let mut keys = if is_alone { Keys::Tried } else { Keys::Taken };
        let form = (self.layout(), self.has_search_index());
        let written = self.run_write(|connection| {
            let written = writes::write(connection, writes, is_alone, keys, form);
            keys = Keys::Taken;
            written
        })?;
        if !is_alone {
            self.keep_events(writes::events_of(writes, &written));
        }
        Ok(written)
    }

    fn find(&mut self, state: CustomerState, keys: &[CustomerKey]) -> Result<Vec<Option<Customer>>, StoreError> {
        let (locks, layout) = (self.is_in_transaction(), self.layout());
        let found = self.run(|connection| match keys {
            keys if locks => keys.iter().map(|key| find_and_lock(connection, key)).collect(),
            [] => Ok(Vec::new()),
            [key] => Ok(vec![find_one(connection, key)?]),
            many => find_many(connection, layout, many),
        })?;
        // A key names at most one customer, so that leaving out those in another state is as good here as in SQL, and
        // each statement has one form.
        Ok(found.into_iter().map(|found| found.filter(|customer| state.includes(customer))).collect())
    }

    fn list(&mut self, query: &CustomerQuery) -> Result<Listed, StoreError> {
        let (layout, has_search_index) = (self.layout(), self.has_search_index());
        self.run(|connection| listing::list(&mut Rows { connection, layout, has_search_index }, query))
    }

    fn list_many(&mut self, queries: &[CustomerQuery]) -> Result<Vec<Listed>, StoreError> {
        let (layout, has_search_index) = (self.layout(), self.has_search_index());
        self.run(|connection| Rows { connection, layout, has_search_index }.list_many(queries))
    }

    fn count(&mut self, tenant: Tenant, filter: &CustomerFilter, most: usize) -> Result<Count, StoreError> {
        let (layout, has_search_index) = (self.layout(), self.has_search_index());
        self.run(|connection| listing::count(&mut Rows { connection, layout, has_search_index }, tenant, filter, most))
    }

    fn index_for_search(&mut self, tenants: &[Tenant], most: usize) -> Result<usize, StoreError> {
        if !self.has_search_index() {
            return Ok(0);
        }
        let layout = self.layout();
        self.run_write(|connection| search_index::add_missing(connection, layout, tenants, most))
    }
}

/// The live customers of `tenant`.
#[auto_type(no_type_alias)]
fn live(tenant: Tenant) -> _ {
    let of_tenant: customers_of = customers_of(tenant);
    of_tenant.filter(customers::deleted_at.is_null())
}

/// The customer with a key: by our identifier in any state, by external identifier a live one.
///
/// # Errors
/// If it cannot be read.
pub fn find_one(connection: &mut PgConnection, key: &CustomerKey) -> Result<Option<Customer>, Fault> {
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
///
/// # Errors
/// If they cannot be read.
pub fn find_many(
    connection: &mut PgConnection,
    layout: Layout,
    keys: &[CustomerKey],
) -> Result<Vec<Option<Customer>>, Fault> {
    if layout == Layout::Citus {
        return citus::reads::customers(connection, keys);
    }
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
struct FindByExternalId {
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
    fn push(&mut self, place: i64, tenant: Tenant, external_id: &str) {
        self.wanted.push(place, tenant);
        self.external_ids.push(external_id.to_owned());
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
