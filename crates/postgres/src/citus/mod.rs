//! Tables that Citus distributes over several servers, by merchant.
//!
//! A statement about one merchant, given as a parameter, is planned for one shard, and runs on the server that has it. A statement
//! about the tenants of a batch, whose merchants are rows of arrays, goes to every shard. So each call of a repository is done
//! tenant by tenant here, with statements of their own: [`reads`] and [`writes`], beside the plain ones in the file of their
//! repository. Statements that are about one tenant anyway are the same for both.

mod distribute;
pub mod reads;
pub mod writes;

use std::collections::BTreeMap;
use std::time::Duration;

use diesel::dsl::sql;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::AstPass;
use diesel::sql_types::{self, Array, Bool, Text};
use roster_domain::{Customer, Tenant};
use uuid::Uuid;

pub use distribute::{distribute, distribute_rest};

use crate::error::Fault;

/// How the tables are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// By one server.
    Plain,
    /// By the servers of a Citus cluster: those of tenants are distributed by merchant.
    Citus,
}

/// What the sessions of a distributed database have besides the settings of all.
///
/// Citus finds the shard of a statement when it knows the parameters. A plan that is made without them works for the simplest
/// statements only: others fail, or go to all shards. A worker that cannot be reached is waited for a quarter of `deadline`, the time that a unit
/// of work may take, so that those who ask others have their turn; by default Citus waits for 30 seconds.
pub fn settings(deadline: Duration) -> String {
    let quarter = deadline.as_millis().max(40) / 4;
    format!("SET plan_cache_mode = force_custom_plan; SET citus.node_connection_timeout = {quarter};")
}

impl Layout {
    /// Reads how the tables are stored.
    ///
    /// # Errors
    /// Those of diesel.
    pub fn read(connection: &mut PgConnection) -> QueryResult<Self> {
        // Without the extension there is no such catalogue, and a statement that names it cannot be parsed.
        const IS_INSTALLED: &str = "to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL";
        const IS_DISTRIBUTED: &str = "EXISTS (SELECT 1 FROM pg_catalog.pg_dist_partition \
                                      WHERE logicalrelid = to_regclass('customers') AND partmethod = 'h')";
        let is_installed: bool = diesel::select(sql::<Bool>(IS_INSTALLED)).get_result(connection)?;
        let is_distributed = is_installed && diesel::select(sql::<Bool>(IS_DISTRIBUTED)).get_result(connection)?;
        Ok(if is_distributed { Self::Citus } else { Self::Plain })
    }
}

/// Calls `each` with the items of one tenant after the other, in the order of tenants, and puts the results in the order of the items.
///
/// # Errors
/// The first of `each`.
pub fn tenant_by_tenant<T, R>(
    items: &[T],
    tenant_of: impl Fn(&T) -> Tenant,
    mut each: impl FnMut(Tenant, &[&T]) -> Result<Vec<R>, Fault>,
) -> Result<Vec<R>, Fault> {
    let mut places: BTreeMap<Tenant, Vec<usize>> = BTreeMap::new();
    for (place, item) in items.iter().enumerate() {
        places.entry(tenant_of(item)).or_default().push(place);
    }
    let mut results: Vec<(usize, R)> = Vec::with_capacity(items.len());
    for (tenant, places) in places {
        let of_tenant: Vec<&T> = places.iter().map(|&place| &items[place]).collect();
        results.extend(places.into_iter().zip(each(tenant, &of_tenant)?));
    }
    results.sort_unstable_by_key(|(place, _)| *place);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// Whose rows a statement writes, and how it says so.
pub trait Whose: 'static {
    /// What is behind a sub-query whose rows are to be looked up one by one: `OFFSET 0` keeps PostgreSQL from joining tables instead. A
    /// shard plans each statement with its values, and needs no such hint.
    const FENCE: &'static str;

    /// A condition that follows others, true once [`Self::push_locks`] has locked the customers.
    const IS_LOCKED: &'static str = "";

    /// Adds what locks customers in front of a statement that changes them, unless the statement locks them in order by itself.
    ///
    /// # Errors
    /// Those of diesel.
    fn push_locks<'b>(&'b self, _: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        Ok(())
    }

    /// Adds the condition that a row of `table` is of the tenant.
    ///
    /// # Errors
    /// Those of diesel.
    fn push_is_of<'b>(&'b self, table: &str, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()>;
}

/// Each row of the table `given` names its tenant.
pub struct EachRow;

/// All rows are of one tenant, a parameter.
pub struct OneTenant {
    merchant_id: Uuid,
    environment: &'static str,
}

impl From<Tenant> for OneTenant {
    fn from(tenant: Tenant) -> Self {
        Self { merchant_id: tenant.merchant.uuid(), environment: tenant.environment.as_str() }
    }
}

impl Whose for EachRow {
    const FENCE: &'static str = " OFFSET 0";

    fn push_is_of<'b>(&'b self, table: &str, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(table);
        out.push_sql(".merchant_id = given.merchant_id AND ");
        out.push_sql(table);
        out.push_sql(".environment = given.environment");
        Ok(())
    }
}

impl Whose for OneTenant {
    const FENCE: &'static str = "";

    fn push_is_of<'b>(&'b self, table: &str, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(table);
        out.push_sql(".merchant_id = ");
        out.push_bind_param::<sql_types::Uuid, _>(&self.merchant_id)?;
        out.push_sql(" AND ");
        out.push_sql(table);
        out.push_sql(".environment = ");
        out.push_bind_param::<Text, _>(&self.environment)
    }
}

/// Customers of one tenant that a statement changes, which it locks in the order of their identifiers first. A shard plans as it likes,
/// and two statements that change the same customers would otherwise lock each other out.
pub struct Locked {
    of: OneTenant,
    ids: Vec<Uuid>,
}

impl Locked {
    pub fn new<'a>(tenant: Tenant, customers: impl Iterator<Item = &'a Customer>) -> Self {
        Self { of: OneTenant::from(tenant), ids: customers.map(|customer| customer.id().uuid()).collect() }
    }
}

impl Whose for Locked {
    const FENCE: &'static str = OneTenant::FENCE;
    // The planner asks for the number once, before it looks for rows.
    const IS_LOCKED: &'static str = " AND (SELECT count(*) FROM locked) > 0";

    fn push_locks<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH locked AS (SELECT customers.id FROM customers WHERE ");
        self.push_is_of("customers", out)?;
        out.push_sql(" AND customers.id = ANY(");
        out.push_bind_param::<Array<sql_types::Uuid>, _>(&self.ids)?;
        out.push_sql(") ORDER BY customers.id FOR NO KEY UPDATE) ");
        Ok(())
    }

    fn push_is_of<'b>(&'b self, table: &str, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.of.push_is_of(table, out)
    }
}

#[cfg(test)]
mod tests {
    use roster_domain::{Environment, MerchantId};

    use super::*;

    fn tenant(merchant: u128) -> Tenant {
        Tenant { merchant: MerchantId::new(Uuid::from_u128(merchant)), environment: Environment::Live }
    }

    #[test]
    fn the_items_of_a_tenant_are_done_together_and_answered_in_their_order() {
        let mut calls = Vec::new();
        let results = tenant_by_tenant(
            &[(2, 'a'), (1, 'b'), (2, 'c')],
            |(merchant, _)| tenant(*merchant),
            |of, items| {
                calls.push((of, items.len()));
                Ok(items.iter().map(|(_, letter)| *letter).collect())
            },
        );
        assert_eq!(results.expect("no error"), ['a', 'b', 'c']);
        assert_eq!(calls, [(tenant(1), 1), (tenant(2), 2)]);
    }
}
