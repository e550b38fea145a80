//! Finding customers; `customer_lists.rs` lists them, `writes.rs` writes them.

use diesel::dsl::auto_type;
use diesel::prelude::*;
use roster_application::listing;
use roster_application::ports::{
    Count, CustomerFilter, CustomerKey, CustomerQuery, CustomerRef, CustomerRepository, CustomerState, Listed,
    StoreError, Write, Written,
};
use roster_domain::{Customer, Tenant};

use crate::customer_lists::Rows;
use crate::error::Fault;
use crate::rows::Id;
use crate::schema::{CustomerRow, customers, customers_of};
use crate::unit_of_work::SqliteUnitOfWork;
use crate::{search_index, writes};

impl CustomerRepository for SqliteUnitOfWork<'_> {
    fn write(&mut self, writes: &[Write]) -> Result<Vec<Written>, StoreError> {
        let indexes_texts = self.has_search_index();
        self.run_write(|connection| writes::write(connection, writes, indexes_texts))
    }

    fn find(&mut self, state: CustomerState, keys: &[CustomerKey]) -> Result<Vec<Option<Customer>>, StoreError> {
        // A key names at most one customer, so that leaving out those in another state is as good here as in SQL, and
        // each statement has one form.
        self.run_each(
            keys,
            |connection, key| Ok(find_one(connection, key)?.filter(|customer| state.includes(customer))),
        )
    }

    fn list(&mut self, query: &CustomerQuery) -> Result<Listed, StoreError> {
        let has_search_index = self.has_search_index();
        self.run(|connection| listing::list(&mut Rows { connection, has_search_index }, query))
    }

    fn count(&mut self, tenant: Tenant, filter: &CustomerFilter, most: usize) -> Result<Count, StoreError> {
        let has_search_index = self.has_search_index();
        self.run(|connection| listing::count(&mut Rows { connection, has_search_index }, tenant, filter, most))
    }

    fn index_for_search(&mut self, tenants: &[Tenant], most: usize) -> Result<usize, StoreError> {
        // Looked for by a reader first: most often there are none, and only one can write at a time.
        let has_index = self.has_search_index();
        if !has_index || self.run(|connection| search_index::find_missing(connection, tenants, 1))?.is_empty() {
            return Ok(0);
        }
        self.run_write(|connection| search_index::add_missing(connection, tenants, most))
    }
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
