//! Reading customers; `writes.rs` writes them.

use std::cmp::Reverse;

use diesel::dsl::{auto_type, not};
use diesel::prelude::*;
use roster_application::ports::{
    CustomerFilter, CustomerKey, CustomerQuery, CustomerRef, CustomerRepository, CustomerState, StoreError, Write,
    Written,
};
use roster_domain::{Customer, ExternalId, Tenant};

use crate::error::Fault;
use crate::rows::{Id, limit};
use crate::schema::{CustomerRow, customers, customers_of};
use crate::unit_of_work::SqliteUnitOfWork;
use crate::writes;

impl CustomerRepository for SqliteUnitOfWork<'_> {
    fn write(&mut self, writes: &[Write]) -> Result<Vec<Written>, StoreError> {
        self.run_write(|connection| writes::write(connection, writes))
    }

    fn find(&mut self, state: CustomerState, keys: &[CustomerKey]) -> Result<Vec<Option<Customer>>, StoreError> {
        // A key names at most one customer, so that leaving out those in another state is as good here as in SQL, and
        // each statement has one form.
        self.run_each(
            keys,
            |connection, key| Ok(find_one(connection, key)?.filter(|customer| state.includes(customer))),
        )
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
fn find_page(
    connection: &mut SqliteConnection,
    query: &CustomerQuery,
    id: &ExternalId,
) -> Result<Vec<Customer>, Fault> {
    let key = CustomerKey { tenant: query.tenant, customer: CustomerRef::ExternalId(id.clone()) };
    let found = find_one(connection, &key)?.filter(|customer| query.filter.includes(customer));
    let is_before = |customer: &Customer| query.before.is_none_or(|before| customer.id() < before);
    Ok(found.into_iter().filter(is_before).skip(query.offset).take(query.limit).collect())
}

/// Each combination of state and beginning is a statement of its own, which diesel keeps prepared.
fn load_page(
    connection: &mut SqliteConnection,
    query: &CustomerQuery,
    state: CustomerState,
) -> QueryResult<Vec<CustomerRow>> {
    let CustomerQuery { tenant, before, offset, limit: size, .. } = *query;
    let page = || customers_of(tenant).order(customers::id.desc()).offset(limit(offset)).limit(limit(size));
    let (live, deleted) = (customers::deleted_at.is_null(), customers::deleted_at.is_not_null());
    let (active, archived) = (customers::archived_at.is_null(), customers::archived_at.is_not_null());
    match before.map(|before| customers::id.lt(Id(before.uuid()))) {
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
    connection: &mut SqliteConnection,
    query: &CustomerQuery,
    email_key: &str,
) -> Result<Vec<Customer>, Fault> {
    let holders = || live(query.tenant).filter(customers::email_key.eq(email_key));
    let mut shared = holders().filter(not(customers::email_exclusive)).order(customers::id.desc()).into_boxed();
    if let Some(before) = query.before {
        shared = shared.filter(customers::id.lt(Id(before.uuid())));
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
pub fn live(tenant: Tenant) -> _ {
    let of_tenant: customers_of = customers_of(tenant);
    of_tenant.filter(customers::deleted_at.is_null())
}

/// The customer with a key: by our identifier in any state, by external identifier a live one.
///
/// # Errors
/// If it cannot be read.
pub fn find_one(connection: &mut SqliteConnection, key: &CustomerKey) -> Result<Option<Customer>, Fault> {
    let found: Option<CustomerRow> = match &key.customer {
        CustomerRef::Id(id) => customers_of(key.tenant).filter(customers::id.eq(Id(id.uuid()))).get_result(connection),
        CustomerRef::ExternalId(id) => {
            live(key.tenant).filter(customers::external_id.eq(id.as_str())).get_result(connection)
        }
    }
    .optional()?;
    Ok(found.map(Customer::try_from).transpose()?)
}
