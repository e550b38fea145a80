use diesel::dsl::{auto_type, not};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};
use diesel::sqlite::Sqlite;
use roster_application::ports::{
    Claims, CustomerKey, CustomerRecord, CustomerRef, CustomerRepository, StoreError, Taken,
};
use roster_domain::{Customer, CustomerId, Tenant};

use crate::error::Fault;
use crate::rows::{Id, Time, limit};
use crate::schema::{customers, customers_of};
use crate::unit_of_work::SqliteUnitOfWork;

impl CustomerRepository for SqliteUnitOfWork<'_> {
    fn insert_free(&mut self, customers: &[&Customer]) -> Result<Vec<bool>, StoreError> {
        let statements: Vec<InsertFree<'_>> = customers.iter().map(|customer| InsertFree::new(customer)).collect();
        // One statement each, in one transaction: nobody else writes in between, which is as good as one for all.
        self.run_write(|connection| {
            statements.iter().map(|statement| Ok(statement.execute(connection)? == 1)).collect()
        })
    }

    fn taken(&mut self, claims: &Claims<'_>) -> Result<Taken, StoreError> {
        self.run_together(|connection| {
            let is_other = customers::id.ne(Id(claims.customer.uuid()));
            let mut taken = Taken::default();
            if let Some(key) = claims.email_key {
                // Whoever has it alone, or else the first who shares it: each is in an index of its own.
                let with_email = || live(claims.tenant).filter(customers::email_key.eq(key)).filter(is_other);
                let alone = with_email().filter(customers::email_exclusive).select(customers::id);
                let shared = with_email().filter(not(customers::email_exclusive)).select(customers::id);
                let mut found: Option<Id> = alone.get_result(connection).optional()?;
                if found.is_none() {
                    found = shared.order(customers::id).limit(1).get_result(connection).optional()?;
                }
                taken.email = found.map(|id| CustomerId::new(id.0));
            }
            if let Some(external_id) = claims.external_id {
                let others = live(claims.tenant).filter(is_other);
                let with_id = others.filter(customers::external_id.eq(external_id.as_str()));
                let found: Option<CustomerRow> = with_id.get_result(connection).optional()?;
                taken.external_id = found.map(Customer::try_from).transpose()?.map(Box::new);
            }
            Ok(taken)
        })
    }

    fn find(&mut self, keys: &[CustomerKey]) -> Result<Vec<Option<Customer>>, StoreError> {
        self.run_each(keys, find_one)
    }

    // A transaction has the write lock from its beginning on, so that finding is locking.
    fn lock(&mut self, key: &CustomerKey) -> Result<Option<Customer>, StoreError> {
        self.run(|connection| find_one(connection, key))
    }

    fn update(&mut self, customer: &Customer, claims: &Claims<'_>) -> Result<(), StoreError> {
        let statement = UpdateFree::new(customer, claims);
        self.run_write(|connection| match statement.execute(connection)? {
            0 => Err(StoreError::lost_race("the customer, or what it claims, is gone").into()),
            _ => Ok(()),
        })
    }

    fn list(&mut self, tenant: Tenant, before: Option<CustomerId>, size: usize) -> Result<Vec<Customer>, StoreError> {
        self.run(|connection| {
            let page = live(tenant).order(customers::id.desc()).limit(limit(size));
            let found: Vec<CustomerRow> = match before {
                Some(before) => page.filter(customers::id.lt(Id(before.uuid()))).load(connection)?,
                None => page.load(connection)?,
            };
            found.into_iter().map(|row| Customer::try_from(row).map_err(Fault::Store)).collect()
        })
    }
}

/// The live customers of `tenant`.
#[auto_type(no_type_alias)]
fn live(tenant: Tenant) -> _ {
    let of_tenant: customers_of = customers_of(tenant);
    of_tenant.filter(customers::deleted_at.is_null())
}

fn find_one(connection: &mut SqliteConnection, key: &CustomerKey) -> Result<Option<Customer>, Fault> {
    let live = live(key.tenant);
    let found: Option<CustomerRow> = match &key.customer {
        CustomerRef::Id(id) => live.filter(customers::id.eq(Id(id.uuid()))).get_result(connection),
        CustomerRef::ExternalId(id) => live.filter(customers::external_id.eq(id.as_str())).get_result(connection),
    }
    .optional()?;
    Ok(found.map(Customer::try_from).transpose()?)
}

/// Inserts a customer unless somebody has what it claims.
///
/// The look finds those who share an address, whom no unique index knows; the conflict clause, everything else that is
/// there already.
struct InsertFree<'a> {
    row: CustomerRow,
    nobody_shares: NobodyShares<'a>,
}

impl<'a> InsertFree<'a> {
    fn new(customer: &'a Customer) -> Self {
        Self {
            row: CustomerRow::from(CustomerRecord::from(customer)),
            nobody_shares: NobodyShares::new(&Claims::of_new(customer)),
        }
    }
}

impl QueryFragment<Sqlite> for InsertFree<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("INSERT INTO customers (merchant_id, environment, id, created_at, ");
        out.push_sql(CustomerRow::CHANGING_COLUMNS);
        out.push_sql(") SELECT ");
        out.push_bind_param::<Binary, _>(&self.row.merchant_id)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(&self.row.environment)?;
        out.push_sql(", ");
        out.push_bind_param::<Binary, _>(&self.row.id)?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, _>(&self.row.created_at)?;
        out.push_sql(", ");
        self.row.push_changing_values(&mut out)?;
        out.push_sql(" WHERE ");
        self.nobody_shares.walk_ast(out.reborrow())?;
        out.push_sql(" ON CONFLICT DO NOTHING");
        Ok(())
    }
}

impl QueryId for InsertFree<'_> {
    type QueryId = InsertFree<'static>;

    const HAS_STATIC_QUERY_ID: bool = true;
}

impl RunQueryDsl<SqliteConnection> for &InsertFree<'_> {}

/// Writes a live customer in its own place unless somebody else has what it claims.
struct UpdateFree<'a> {
    row: CustomerRow,
    nobody_shares: NobodyShares<'a>,
}

impl<'a> UpdateFree<'a> {
    fn new(customer: &Customer, claims: &Claims<'a>) -> Self {
        Self { row: CustomerRow::from(CustomerRecord::from(customer)), nobody_shares: NobodyShares::new(claims) }
    }
}

impl QueryFragment<Sqlite> for UpdateFree<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("UPDATE customers SET (");
        out.push_sql(CustomerRow::CHANGING_COLUMNS);
        out.push_sql(") = (");
        self.row.push_changing_values(&mut out)?;
        out.push_sql(") WHERE merchant_id = ");
        out.push_bind_param::<Binary, _>(&self.row.merchant_id)?;
        out.push_sql(" AND environment = ");
        out.push_bind_param::<Text, _>(&self.row.environment)?;
        out.push_sql(" AND id = ");
        out.push_bind_param::<Binary, _>(&self.row.id)?;
        out.push_sql(" AND deleted_at IS NULL AND ");
        self.nobody_shares.walk_ast(out.reborrow())
    }
}

impl QueryId for UpdateFree<'_> {
    type QueryId = UpdateFree<'static>;

    const HAS_STATIC_QUERY_ID: bool = true;
}

impl RunQueryDsl<SqliteConnection> for &UpdateFree<'_> {}

/// That no other live customer shares the address that is claimed: the unique indexes know everybody else. NULL, for no
/// claim, is equal to nothing.
struct NobodyShares<'a> {
    merchant_id: Id,
    environment: &'static str,
    customer: Id,
    email_key: Option<&'a str>,
}

impl<'a> NobodyShares<'a> {
    fn new(claims: &Claims<'a>) -> Self {
        Self {
            merchant_id: Id(claims.tenant.merchant.uuid()),
            environment: claims.tenant.environment.as_str(),
            customer: Id(claims.customer.uuid()),
            email_key: claims.email_key,
        }
    }
}

impl QueryFragment<Sqlite> for NobodyShares<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("NOT EXISTS (SELECT 1 FROM customers AS o WHERE o.merchant_id = ");
        out.push_bind_param::<Binary, _>(&self.merchant_id)?;
        out.push_sql(" AND o.environment = ");
        out.push_bind_param::<Text, _>(self.environment)?;
        out.push_sql(" AND o.email_key = ");
        out.push_bind_param::<Nullable<Text>, _>(&self.email_key)?;
        out.push_sql(" AND o.deleted_at IS NULL AND NOT o.email_exclusive AND o.id <> ");
        out.push_bind_param::<Binary, _>(&self.customer)?;
        out.push_sql(")");
        Ok(())
    }
}

#[derive(Queryable)]
struct CustomerRow {
    merchant_id: Id,
    environment: String,
    id: Id,
    email: Option<String>,
    email_key: Option<String>,
    email_exclusive: bool,
    external_id: Option<String>,
    name: Option<String>,
    phone: Option<String>,
    address_line1: Option<String>,
    address_line2: Option<String>,
    address_city: Option<String>,
    address_state: Option<String>,
    address_postal_code: Option<String>,
    address_country: Option<String>,
    tax_id: Option<String>,
    metadata: String,
    version: i64,
    created_at: Time,
    updated_at: Time,
    deleted_at: Option<Time>,
}

impl CustomerRow {
    /// The columns that a change may write, in the order of [`CustomerRow::push_changing_values`].
    const CHANGING_COLUMNS: &str = "email, email_key, external_id, name, phone, \
        address_line1, address_line2, address_city, address_state, address_postal_code, address_country, tax_id, \
        email_exclusive, metadata, version, updated_at, deleted_at";

    fn push_changing_values<'b>(&'b self, out: &mut AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let texts = [
            &self.email,
            &self.email_key,
            &self.external_id,
            &self.name,
            &self.phone,
            &self.address_line1,
            &self.address_line2,
            &self.address_city,
            &self.address_state,
            &self.address_postal_code,
            &self.address_country,
            &self.tax_id,
        ];
        for text in texts {
            out.push_bind_param::<Nullable<Text>, _>(text)?;
            out.push_sql(", ");
        }
        out.push_bind_param::<Bool, _>(&self.email_exclusive)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(&self.metadata)?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, _>(&self.version)?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, _>(&self.updated_at)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<BigInt>, _>(&self.deleted_at)
    }
}

impl From<CustomerRecord> for CustomerRow {
    fn from(record: CustomerRecord) -> Self {
        Self {
            merchant_id: Id(record.merchant_id),
            environment: record.environment,
            id: Id(record.id),
            email: record.email,
            email_key: record.email_key,
            email_exclusive: record.email_exclusive,
            external_id: record.external_id,
            name: record.name,
            phone: record.phone,
            address_line1: record.address_line1,
            address_line2: record.address_line2,
            address_city: record.address_city,
            address_state: record.address_state,
            address_postal_code: record.address_postal_code,
            address_country: record.address_country,
            tax_id: record.tax_id,
            metadata: record.metadata,
            version: record.version,
            created_at: Time::from_millis(record.created_at),
            updated_at: Time::from_millis(record.updated_at),
            deleted_at: record.deleted_at.map(Time::from_millis),
        }
    }
}

impl TryFrom<CustomerRow> for Customer {
    type Error = StoreError;

    fn try_from(row: CustomerRow) -> Result<Self, StoreError> {
        Self::try_from(CustomerRecord {
            merchant_id: row.merchant_id.0,
            environment: row.environment,
            id: row.id.0,
            email: row.email,
            email_key: row.email_key,
            email_exclusive: row.email_exclusive,
            external_id: row.external_id,
            name: row.name,
            phone: row.phone,
            address_line1: row.address_line1,
            address_line2: row.address_line2,
            address_city: row.address_city,
            address_state: row.address_state,
            address_postal_code: row.address_postal_code,
            address_country: row.address_country,
            tax_id: row.tax_id,
            metadata: row.metadata,
            version: row.version,
            created_at: row.created_at.as_millis(),
            updated_at: row.updated_at.as_millis(),
            deleted_at: row.deleted_at.map(Time::as_millis),
        })
    }
}
