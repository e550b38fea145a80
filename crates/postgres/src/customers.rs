use std::collections::HashSet;

use chrono::{DateTime, Utc};
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::dsl::{auto_type, not};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::{self, Array, BigInt, Bool, Json, Nullable, Text, Timestamptz};
use roster_application::ports::{
    Claims, CustomerKey, CustomerRecord, CustomerRef, CustomerRepository, StoreError, Taken,
};
use roster_domain::{Customer, CustomerId, ExternalId, Tenant, Timestamp};
use uuid::Uuid;

use crate::error::Fault;
use crate::rows::{Places, in_order, limit};
use crate::schema::{customers, customers_of};
use crate::unit_of_work::PostgresUnitOfWork;

impl CustomerRepository for PostgresUnitOfWork<'_> {
    fn insert_free(&mut self, customers: &[&Customer]) -> Result<Vec<bool>, StoreError> {
        let inserted: Vec<PrimaryKey> = match customers {
            [customer] => {
                let statement = InsertFree(CustomerRow::from(*customer));
                self.run_write(|connection| Ok(statement.load(connection)?))?
            }
            many => {
                let statement = InsertFree(Columns::of(many));
                self.run_write(|connection| Ok(statement.load(connection)?))?
            }
        };
        let inserted: HashSet<PrimaryKey> = inserted.into_iter().collect();
        Ok(customers.iter().map(|customer| inserted.contains(&primary_key(customer))).collect())
    }

    fn taken(&mut self, claims: &Claims<'_>) -> Result<Taken, StoreError> {
        self.run(|connection| {
            let is_other = customers::id.ne(claims.customer.uuid());
            let mut taken = Taken::default();
            if let Some(key) = claims.email_key {
                // Whoever has it alone, or else the first who shares it: each is in an index of its own.
                let with_email = || live(claims.tenant).filter(customers::email_key.eq(key)).filter(is_other);
                let alone = with_email().filter(customers::email_exclusive).select(customers::id);
                let shared = with_email().filter(not(customers::email_exclusive)).select(customers::id);
                let mut found: Option<Uuid> = alone.get_result(connection).optional()?;
                if found.is_none() {
                    found = shared.order(customers::id).limit(1).get_result(connection).optional()?;
                }
                taken.email = found.map(CustomerId::new);
            }
            if let Some(external_id) = claims.external_id {
                let with_id =
                    live(claims.tenant).filter(customers::external_id.eq(external_id.as_str())).filter(is_other);
                let found: Option<CustomerRow> = with_id.get_result(connection).optional()?;
                taken.external_id = found.map(Customer::try_from).transpose()?.map(Box::new);
            }
            Ok(taken)
        })
    }

    fn find(&mut self, keys: &[CustomerKey]) -> Result<Vec<Option<Customer>>, StoreError> {
        self.run(|connection| match keys {
            [key] => Ok(vec![find_one(connection, key)?]),
            many => find_many(connection, many),
        })
    }

    fn lock(&mut self, key: &CustomerKey) -> Result<Option<Customer>, StoreError> {
        self.run(|connection| {
            // No key of the row is ever changed, so whoever only refers to it need not wait.
            let found: Option<CustomerRow> = match &key.customer {
                CustomerRef::Id(id) => live_by_id(key.tenant, *id).for_no_key_update().get_result(connection),
                CustomerRef::ExternalId(id) => live(key.tenant)
                    .filter(customers::external_id.eq(id.as_str()))
                    .for_no_key_update()
                    .get_result(connection),
            }
            .optional()?;
            Ok(found.map(Customer::try_from).transpose()?)
        })
    }

    fn update(&mut self, customer: &Customer, claims: &Claims<'_>) -> Result<(), StoreError> {
        self.run(|connection| {
            let update = Update { row: CustomerRow::from(customer), email_key: claims.email_key };
            match update.execute(connection)? {
                0 => Err(StoreError::lost_race("the customer, or what it claims, is gone").into()),
                _ => Ok(()),
            }
        })
    }

    fn list(&mut self, tenant: Tenant, before: Option<CustomerId>, size: usize) -> Result<Vec<Customer>, StoreError> {
        self.run(|connection| {
            let page = live(tenant).order(customers::id.desc()).limit(limit(size));
            let found: Vec<CustomerRow> = match before {
                Some(before) => page.filter(customers::id.lt(before.uuid())).load(connection)?,
                None => page.load(connection)?,
            };
            found.into_iter().map(|row| Customer::try_from(row).map_err(Fault::Store)).collect()
        })
    }
}

// Until the table is analysed for the first time, PostgreSQL believes every index that starts with merchant and
// environment to be as good as any other. What statements ask for leaves it no choice but the right one: otherwise it
// walks through all customers of a tenant.

/// What a live customer is known by where its identifier is known: `deleted_at IS NULL`, said in a way that no partial
/// index is known by, which leaves the primary key.
const LIVES: &str = "num_nulls(customers.deleted_at) = 1";

diesel::define_sql_function! {
    /// How many of its arguments are NULL.
    fn num_nulls(time: Nullable<Timestamptz>) -> Integer;
}

/// The live customers of `tenant`.
#[auto_type(no_type_alias)]
fn live(tenant: Tenant) -> _ {
    let of_tenant: customers_of = customers_of(tenant);
    of_tenant.filter(customers::deleted_at.is_null())
}

/// The live customer of `tenant` with our identifier `id`.
#[auto_type(no_type_alias)]
fn live_by_id(tenant: Tenant, id: CustomerId) -> _ {
    let of_tenant: customers_of = customers_of(tenant);
    let id: Uuid = id.uuid();
    // See `LIVES`.
    of_tenant.filter(customers::id.eq(id)).filter(num_nulls(customers::deleted_at).eq(1_i32))
}

fn find_one(connection: &mut PgConnection, key: &CustomerKey) -> Result<Option<Customer>, Fault> {
    let found: Option<CustomerRow> = match &key.customer {
        CustomerRef::Id(id) => live_by_id(key.tenant, *id).get_result(connection),
        CustomerRef::ExternalId(id) => {
            live(key.tenant).filter(customers::external_id.eq(id.as_str())).get_result(connection)
        }
    }
    .optional()?;
    Ok(found.map(Customer::try_from).transpose()?)
}

/// One statement for the keys by our own identifier, one for those by the merchants'.
fn find_many(connection: &mut PgConnection, keys: &[CustomerKey]) -> Result<Vec<Option<Customer>>, Fault> {
    let mut by_id = FindById::default();
    let mut by_external_id = FindByExternalId::default();
    for (place, key) in (1..).zip(keys) {
        match &key.customer {
            CustomerRef::Id(id) => by_id.push(place, key.tenant, *id),
            CustomerRef::ExternalId(id) => by_external_id.push(place, key.tenant, id),
        }
    }
    let mut found: Vec<(i64, CustomerRow)> = Vec::new();
    if !by_id.ids.is_empty() {
        found.extend(by_id.load::<(i64, CustomerRow)>(connection)?);
    }
    if !by_external_id.external_ids.is_empty() {
        found.extend(by_external_id.load::<(i64, CustomerRow)>(connection)?);
    }
    Ok(in_order(keys.len(), found)?)
}

// `OFFSET 0` in a subquery, here and below, makes PostgreSQL look up each key by itself. Left to choose, it would read
// the whole table once for all keys where that is small, and go on doing so when it has grown: statements are planned
// once, and the first are run on an empty table.

/// The live customers with some of our identifiers, each with the place that stood beside its identifier.
#[derive(Default)]
struct FindById {
    places: Places,
    ids: Vec<Uuid>,
}

/// The live customers with some of the merchants' identifiers, each with the place that stood beside its identifier.
#[derive(Default)]
struct FindByExternalId {
    places: Places,
    external_ids: Vec<String>,
}

impl FindById {
    fn push(&mut self, place: i64, tenant: Tenant, id: CustomerId) {
        self.places.push(place, tenant);
        self.ids.push(id.uuid());
    }
}

impl FindByExternalId {
    fn push(&mut self, place: i64, tenant: Tenant, id: &ExternalId) {
        self.places.push(place, tenant);
        self.external_ids.push(id.as_str().to_owned());
    }
}

impl QueryFragment<Pg> for FindById {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.places.push_select(&customers::all_columns, &mut out)?;
        out.push_bind_param::<Array<sql_types::Uuid>, _>(&self.ids)?;
        Places::push_tenant("customers", &mut out);
        out.push_sql("customers.id = wanted.key AND ");
        out.push_sql(LIVES);
        out.push_sql(" OFFSET 0) AS customers");
        Ok(())
    }
}

impl QueryFragment<Pg> for FindByExternalId {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.places.push_select(&customers::all_columns, &mut out)?;
        out.push_bind_param::<Array<Text>, _>(&self.external_ids)?;
        Places::push_tenant("customers", &mut out);
        out.push_sql("customers.external_id = wanted.key AND customers.deleted_at IS NULL OFFSET 0) AS customers");
        Ok(())
    }
}

impl QueryId for FindById {
    type QueryId = Self;

    const HAS_STATIC_QUERY_ID: bool = true;
}

impl QueryId for FindByExternalId {
    type QueryId = Self;

    const HAS_STATIC_QUERY_ID: bool = true;
}

impl Query for FindById {
    type SqlType = (BigInt, customers::SqlType);
}

impl Query for FindByExternalId {
    type SqlType = (BigInt, customers::SqlType);
}

impl RunQueryDsl<PgConnection> for &FindById {}
impl RunQueryDsl<PgConnection> for &FindByExternalId {}

/// What a row is told apart by.
type PrimaryKey = (Uuid, String, Uuid);

fn primary_key(customer: &Customer) -> PrimaryKey {
    let tenant = customer.tenant();
    (tenant.merchant.uuid(), tenant.environment.as_str().to_owned(), customer.id().uuid())
}

/// Inserts the customers whose claims are free, and returns their primary keys.
///
/// `WHERE NOT EXISTS` sees those who shared an address before the statement, whom no unique index knows; `ON CONFLICT DO
/// NOTHING`, with no target, sees everybody else, and waits for whoever claims the same at the same time.
struct InsertFree<G>(G);

/// How the rows of an insert are given: one as [`CustomerRow`], many as [`Columns`].
trait Given {
    /// What stands behind `FROM`.
    fn push_given<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()>;
}

/// Writes all but the primary key of a live customer, if nobody else has the address that it claims.
struct Update<'a> {
    row: CustomerRow,
    email_key: Option<&'a str>,
}

/// Defines what writes columns: [`Columns`], the rows of a batch as one array for each column,
/// [`CustomerRow::push_values`] and [`CustomerRow::push_changes`].
macro_rules! columns {
    (
        key: { $($key:ident: $key_rust:ty => $key_sql:ty),* $(,)? }
        rest: { $($column:ident: $rust:ty => $sql:ty),* $(,)? }
    ) => {
        struct Columns {
            $($key: Vec<$key_rust>,)*
            $($column: Vec<$rust>,)*
        }

        impl From<Vec<CustomerRow>> for Columns {
            fn from(rows: Vec<CustomerRow>) -> Self {
                let mut columns = Self {
                    $($key: Vec::with_capacity(rows.len()),)*
                    $($column: Vec::with_capacity(rows.len()),)*
                };
                for row in rows {
                    $(columns.$key.push(row.$key);)*
                    $(columns.$column.push(row.$column);)*
                }
                columns
            }
        }

        impl Columns {
            const NAMES: &str = concat!($(stringify!($key), ", ",)* columns!(@list $($column)*));

            /// The arrays, in the order of the names.
            fn push_arrays<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
                let mut list = List::default();
                $(list.next(out).push_bind_param::<Array<$key_sql>, _>(&self.$key)?;)*
                $(list.next(out).push_bind_param::<Array<$sql>, _>(&self.$column)?;)*
                Ok(())
            }
        }

        impl CustomerRow {
            /// The values, in the order of [`Columns::NAMES`].
            fn push_values<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
                let mut list = List::default();
                $(list.next(out).push_bind_param::<$key_sql, _>(&self.$key)?;)*
                $(list.next(out).push_bind_param::<$sql, _>(&self.$column)?;)*
                Ok(())
            }

            /// `column = value` for each column but those of the primary key.
            fn push_changes<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
                let mut list = List::default();
                $(
                    list.next(out).push_sql(concat!(stringify!($column), " = "));
                    out.push_bind_param::<$sql, _>(&self.$column)?;
                )*
                Ok(())
            }
        }
    };
    (@list $first:ident $($other:ident)*) => { concat!(stringify!($first), $(", ", stringify!($other),)*) };
}

/// Puts commas between the items of a list.
#[derive(Default)]
struct List {
    has_begun: bool,
}

impl List {
    fn next<'o, 'a, 'b>(&mut self, out: &'o mut AstPass<'a, 'b, Pg>) -> &'o mut AstPass<'a, 'b, Pg> {
        if std::mem::replace(&mut self.has_begun, true) {
            out.push_sql(", ");
        }
        out
    }
}

columns! {
    key: {
        merchant_id: Uuid => sql_types::Uuid,
        environment: String => Text,
        id: Uuid => sql_types::Uuid,
    }
    rest: {
        email: Option<String> => Nullable<Text>,
        email_key: Option<String> => Nullable<Text>,
        email_exclusive: bool => Bool,
        external_id: Option<String> => Nullable<Text>,
        name: Option<String> => Nullable<Text>,
        phone: Option<String> => Nullable<Text>,
        address_line1: Option<String> => Nullable<Text>,
        address_line2: Option<String> => Nullable<Text>,
        address_city: Option<String> => Nullable<Text>,
        address_state: Option<String> => Nullable<Text>,
        address_postal_code: Option<String> => Nullable<Text>,
        address_country: Option<String> => Nullable<Text>,
        tax_id: Option<String> => Nullable<Text>,
        metadata: JsonText => Json,
        version: i64 => BigInt,
        created_at: DateTime<Utc> => Timestamptz,
        updated_at: DateTime<Utc> => Timestamptz,
        deleted_at: Option<DateTime<Utc>> => Nullable<Timestamptz>,
    }
}

impl Columns {
    fn of(customers: &[&Customer]) -> Self {
        let mut rows: Vec<CustomerRow> = customers.iter().map(|&customer| CustomerRow::from(customer)).collect();
        // Batches that claim the same things claim them in the same order, so that they rarely deadlock.
        rows.sort_unstable_by(|one, other| one.order().cmp(&other.order()));
        Self::from(rows)
    }
}

impl Given for CustomerRow {
    fn push_given<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("(VALUES (");
        self.push_values(out)?;
        out.push_sql("))");
        Ok(())
    }
}

impl Given for Columns {
    fn push_given<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("unnest(");
        self.push_arrays(out)?;
        out.push_sql(")");
        Ok(())
    }
}

impl<G: Given> QueryFragment<Pg> for InsertFree<G> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("INSERT INTO customers (");
        out.push_sql(Columns::NAMES);
        out.push_sql(") SELECT * FROM ");
        self.0.push_given(&mut out)?;
        out.push_sql(" AS given (");
        out.push_sql(Columns::NAMES);
        // A customer that shares its address compares NULL, which nothing is equal to.
        out.push_sql(
            ") WHERE NOT EXISTS (SELECT FROM customers AS other \
             WHERE other.merchant_id = given.merchant_id AND other.environment = given.environment \
             AND other.email_key = CASE WHEN given.email_exclusive THEN given.email_key END \
             AND other.deleted_at IS NULL AND NOT other.email_exclusive OFFSET 0) \
             ON CONFLICT DO NOTHING RETURNING merchant_id, environment, id",
        );
        Ok(())
    }
}

impl<G: 'static> QueryId for InsertFree<G> {
    type QueryId = Self;

    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<G> Query for InsertFree<G> {
    type SqlType = (sql_types::Uuid, Text, sql_types::Uuid);
}

impl<G> RunQueryDsl<PgConnection> for &InsertFree<G> {}

impl QueryFragment<Pg> for Update<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("UPDATE customers SET ");
        self.row.push_changes(&mut out)?;
        out.push_sql(" WHERE merchant_id = ");
        out.push_bind_param::<sql_types::Uuid, _>(&self.row.merchant_id)?;
        out.push_sql(" AND environment = ");
        out.push_bind_param::<Text, _>(&self.row.environment)?;
        out.push_sql(" AND id = ");
        out.push_bind_param::<sql_types::Uuid, _>(&self.row.id)?;
        out.push_sql(" AND ");
        out.push_sql(LIVES);
        // The unique indexes miss those who share the address. NULL, for no claim, is equal to nothing.
        out.push_sql(
            " AND NOT EXISTS (SELECT FROM customers AS other \
             WHERE other.merchant_id = customers.merchant_id AND other.environment = customers.environment \
             AND other.deleted_at IS NULL AND NOT other.email_exclusive AND other.id <> customers.id \
             AND other.email_key = ",
        );
        out.push_bind_param::<Nullable<Text>, _>(&self.email_key)?;
        out.push_sql(" OFFSET 0)");
        Ok(())
    }
}

impl QueryId for Update<'_> {
    type QueryId = Update<'static>;

    const HAS_STATIC_QUERY_ID: bool = true;
}

impl RunQueryDsl<PgConnection> for Update<'_> {}

/// JSON, as the text that it is.
#[derive(Debug, AsExpression, FromSqlRow)]
#[diesel(sql_type = Json)]
struct JsonText(String);

impl ToSql<Json, Pg> for JsonText {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        // The binary form of `json` is its text, as for `text`.
        <String as ToSql<Text, Pg>>::to_sql(&self.0, out)
    }
}

impl FromSql<Json, Pg> for JsonText {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        <String as FromSql<Text, Pg>>::from_sql(value).map(Self)
    }
}

#[derive(Queryable)]
struct CustomerRow {
    merchant_id: Uuid,
    environment: String,
    id: Uuid,
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
    metadata: JsonText,
    version: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    deleted_at: Option<DateTime<Utc>>,
}

impl From<&Customer> for CustomerRow {
    fn from(customer: &Customer) -> Self {
        let record = CustomerRecord::from(customer);
        Self {
            merchant_id: record.merchant_id,
            environment: record.environment,
            id: record.id,
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
            metadata: JsonText(record.metadata),
            version: record.version,
            created_at: customer.created_at().to_utc(),
            updated_at: customer.updated_at().to_utc(),
            deleted_at: customer.deleted_at().map(Timestamp::to_utc),
        }
    }
}

impl CustomerRow {
    /// What rows of a batch are sorted by.
    fn order(&self) -> impl Ord + '_ {
        (self.merchant_id, &self.environment, &self.email_key, &self.external_id, self.id)
    }
}

impl TryFrom<CustomerRow> for Customer {
    type Error = StoreError;

    fn try_from(row: CustomerRow) -> Result<Self, StoreError> {
        Self::try_from(CustomerRecord {
            merchant_id: row.merchant_id,
            environment: row.environment,
            id: row.id,
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
            metadata: row.metadata.0,
            version: row.version,
            created_at: row.created_at.timestamp_millis(),
            updated_at: row.updated_at.timestamp_millis(),
            deleted_at: row.deleted_at.map(|time| time.timestamp_millis()),
        })
    }
}
