//! The index for searches: what is stored for it, and how it is used and kept complete.
//!
//! `search_hashes` are what the domain computes from the texts of a customer, `search_of` is a hash of these texts. A row whose
//! texts have another hash is in `customers_unsearched`: it was written before there was an index, without it, or by a program
//! that does not know it. So a search can tell which rows the index has, and no row is missed.

use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{self, Array, BigInt, Bool, Nullable, Text};
use roster_domain::{Customer, Tenant, search_hashes};
use uuid::Uuid;

use crate::citus::{self, EachRow, Layout, Locked, Whose, tenant_by_tenant};
use crate::error::Fault;
use crate::rows::{kept_prepared, limit};
use crate::schema::{CustomerRow, customers};

/// An array as text: PostgreSQL cannot unnest an array of arrays row by row.
pub fn array_text(hashes: &[i32]) -> String {
    let numbers: Vec<String> = hashes.iter().map(i32::to_string).collect();
    numbers.join(",")
}

/// The value of `search_hashes` for a row called `given` that has it as [`array_text`]. A cast from text to an array is not allowed in an
/// update of tables that Citus distributes, as its result may depend on settings.
pub const FROM_ARRAY_TEXT: &str = "string_to_array(given.search_hashes, ',')::int4[]";

/// The value of `search_of` for a row called `given`.
pub fn push_search_of(out: &mut AstPass<'_, '_, Pg>) {
    out.push_sql("CASE WHEN given.search_hashes IS NOT NULL THEN ");
    push_hash_of_texts("given", out);
    out.push_sql(" END");
}

/// The condition of the index `customers_unsearched`, besides that on deleted customers.
pub fn is_unindexed() -> String {
    format!("customers.search_of IS DISTINCT FROM {}", hash_of_texts("customers"))
}

/// The hash of the texts that are searched, given as values in the order of [`hash_of_texts`].
pub fn push_hash_of_values<'b>(texts: [&'b Option<String>; 4], out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
    for (place, text) in texts.into_iter().enumerate() {
        out.push_sql(if place > 0 { ", '') || chr(31) || coalesce(" } else { "hashtextextended((coalesce(" });
        out.push_bind_param::<Nullable<Text>, _>(text)?;
    }
    out.push_sql(", '')) COLLATE \"C\", 1)");
    Ok(())
}

/// The hash of the texts that are searched, exactly as in the condition of `customers_unsearched`.
fn push_hash_of_texts(row: &str, out: &mut AstPass<'_, '_, Pg>) {
    out.push_sql(&hash_of_texts(row));
}

/// See [`push_hash_of_texts`].
pub fn hash_of_texts(row: &str) -> String {
    let texts = ["email", "name", "business_name", "external_id"].map(|name| format!("coalesce({row}.{name}, '')"));
    format!("hashtextextended(({}) COLLATE \"C\", 1)", texts.join(" || chr(31) || "))
}

/// Runs a statement that may combine rows of an index in a bitmap: an index over arrays can be read in no other way. All other
/// statements would read too much so, on a table that has grown since they were planned.
pub fn with_bitmaps<T>(
    connection: &mut PgConnection,
    statement: impl FnOnce(&mut PgConnection) -> Result<T, Fault>,
) -> Result<T, Fault> {
    connection.transaction(|connection| {
        connection.batch_execute("SET LOCAL enable_bitmapscan = on")?;
        let result = statement(connection)?;
        // The transaction may be a part of another, for whose statements it would stay on.
        connection.batch_execute("SET LOCAL enable_bitmapscan = off")?;
        Ok(result)
    })
}

/// Moves what was written last into the index, which otherwise a writer has to do once 256 kB of it are waiting. Returns whether
/// there was anything. Only the owner of the index may do it, and no standby.
pub fn flush(connection: &mut PgConnection) -> QueryResult<bool> {
    const FLUSH: &str = "SELECT gin_clean_pending_list(pg_class.oid::regclass) > 0 FROM pg_class \
                         WHERE pg_class.oid = to_regclass('customers_search') AND pg_has_role(relowner, 'USAGE') \
                         AND NOT pg_is_in_recovery()";
    let flushed: Option<bool> = sql::<Bool>(FLUSH).get_result(connection).optional()?;
    Ok(flushed.unwrap_or_default())
}

/// Adds at most `most` customers that the index lacks. Returns how many it has found.
pub fn add_missing(
    connection: &mut PgConnection,
    layout: Layout,
    tenants: &[Tenant],
    most: usize,
) -> Result<usize, Fault> {
    let rows: Vec<CustomerRow> = match layout {
        Layout::Plain => (&FindMissing::of(tenants, most)).load(connection)?,
        Layout::Citus => citus::reads::unindexed_customers(connection, tenants, most)?,
    };
    let customers: Vec<Customer> = rows.into_iter().map(Customer::try_from).collect::<Result<_, _>>()?;
    match layout {
        _ if customers.is_empty() => {}
        Layout::Plain => {
            RunQueryDsl::execute(&Add { of: AddOf::of(&customers), whose: EachRow }, connection)?;
        }
        Layout::Citus => {
            tenant_by_tenant(&customers, Customer::tenant, |tenant, customers| {
                let whose = Locked::new(tenant, customers.iter().copied());
                let add = Add { of: AddOf::of(customers.iter().copied()), whose };
                RunQueryDsl::execute(&add, connection)?;
                Ok(Vec::<()>::new())
            })?;
        }
    }
    Ok(customers.len())
}

/// Customers of some tenants that the index lacks.
struct FindMissing {
    merchant_ids: Vec<Uuid>,
    environments: Vec<&'static str>,
    limit: i64,
}

impl FindMissing {
    fn of(tenants: &[Tenant], most: usize) -> Self {
        let merchant_ids = tenants.iter().map(|tenant| tenant.merchant.uuid()).collect();
        let environments = tenants.iter().map(|tenant| tenant.environment.as_str()).collect();
        Self { merchant_ids, environments, limit: limit(most) }
    }
}

impl QueryFragment<Pg> for FindMissing {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT ");
        customers::all_columns.walk_ast(out.reborrow())?;
        out.push_sql(" FROM unnest(");
        out.push_bind_param::<Array<sql_types::Uuid>, _>(&self.merchant_ids)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.environments)?;
        out.push_sql(
            ") AS tenant (merchant_id, environment) CROSS JOIN LATERAL (SELECT * FROM customers \
             WHERE customers.merchant_id = tenant.merchant_id AND customers.environment = tenant.environment \
             AND customers.deleted_at IS NULL AND ",
        );
        out.push_sql(&is_unindexed());
        out.push_sql(" ORDER BY customers.id LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)?;
        out.push_sql(") AS customers LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)
    }
}

/// Adds customers to the index, each if it is still in the version that was read, and so has the texts.
struct Add<W> {
    of: AddOf,
    whose: W,
}

struct AddOf {
    merchant_ids: Vec<Uuid>,
    environments: Vec<&'static str>,
    ids: Vec<Uuid>,
    versions: Vec<i64>,
    hashes: Vec<String>,
}

impl AddOf {
    fn of<'a>(customers: impl IntoIterator<Item = &'a Customer, IntoIter: Clone>) -> Self {
        let customers = customers.into_iter();
        let tenants = || customers.clone().map(Customer::tenant);
        Self {
            merchant_ids: tenants().map(|tenant| tenant.merchant.uuid()).collect(),
            environments: tenants().map(|tenant| tenant.environment.as_str()).collect(),
            ids: customers.clone().map(|customer| customer.id().uuid()).collect(),
            versions: customers.clone().map(Customer::version).collect(),
            hashes: customers.clone().map(|customer| array_text(&search_hashes(customer))).collect(),
        }
    }
}

impl<W: Whose> QueryFragment<Pg> for Add<W> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.whose.push_locks(&mut out)?;
        out.push_sql("UPDATE customers SET search_hashes = ");
        out.push_sql(FROM_ARRAY_TEXT);
        out.push_sql(", search_of = ");
        push_hash_of_texts("customers", &mut out);
        out.push_sql(" FROM unnest(");
        out.push_bind_param::<Array<sql_types::Uuid>, _>(&self.of.merchant_ids)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.of.environments)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<sql_types::Uuid>, _>(&self.of.ids)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.of.versions)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.of.hashes)?;
        out.push_sql(") AS given (merchant_id, environment, id, version, search_hashes) WHERE ");
        self.whose.push_is_of("customers", &mut out)?;
        out.push_sql(" AND customers.id = given.id AND customers.version = given.version");
        out.push_sql(W::IS_LOCKED);
        Ok(())
    }
}

kept_prepared!(FindMissing, customers::SqlType);
kept_prepared!(Add<W>, (), for W);
