//! What all tables share.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment};
use diesel::sql_types::{self, Array, BigInt, Text};
use roster_application::ports::StoreError;
use roster_domain::Tenant;
use uuid::Uuid;

/// A limit as SQL has it.
pub fn limit(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// Puts rows, each with the place of its key in a list of `count` keys, in the order of the keys. Places count from 1.
///
/// # Errors
/// [`StoreError::Corrupt`] if a row cannot be read, [`StoreError::Internal`] if a place is outside the list.
pub fn in_order<T, R>(count: usize, rows: Vec<(i64, R)>) -> Result<Vec<Option<T>>, StoreError>
where
    T: TryFrom<R, Error = StoreError>,
{
    let mut values: Vec<Option<T>> = std::iter::repeat_with(|| None).take(count).collect();
    for (place, row) in rows {
        let index = usize::try_from(place).ok().and_then(|place| place.checked_sub(1));
        let value = index.and_then(|index| values.get_mut(index));
        *value.ok_or_else(|| StoreError::internal("a row has a place that nothing was asked for"))? =
            Some(T::try_from(row)?);
    }
    Ok(values)
}

/// Where in a list the keys of a statement stand, and of which tenants they are.
#[derive(Default)]
pub struct Places {
    numbers: Vec<i64>,
    merchants: Vec<Uuid>,
    environments: Vec<&'static str>,
}

impl Places {
    /// Adds the key at `place`.
    pub fn push(&mut self, place: i64, tenant: Tenant) {
        self.numbers.push(place);
        self.merchants.push(tenant.merchant.uuid());
        self.environments.push(tenant.environment.as_str());
    }

    /// A statement that finds `columns`, up to the array of keys.
    ///
    /// # Errors
    /// Those of diesel.
    pub fn push_select<'b>(
        &'b self,
        columns: &'b impl QueryFragment<Pg>,
        out: &mut AstPass<'_, 'b, Pg>,
    ) -> QueryResult<()> {
        out.push_sql("SELECT wanted.place, ");
        columns.walk_ast(out.reborrow())?;
        out.push_sql(" FROM unnest(");
        out.push_bind_param::<Array<BigInt>, _>(&self.numbers)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<sql_types::Uuid>, _>(&self.merchants)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.environments)?;
        out.push_sql(", ");
        Ok(())
    }

    /// The statement from there to the conditions on the key, which stands in `table`.
    pub fn push_tenant(table: &str, out: &mut AstPass<'_, '_, Pg>) {
        out.push_sql(") AS wanted (place, merchant_id, environment, key) CROSS JOIN LATERAL (SELECT * FROM ");
        out.push_sql(table);
        out.push_sql(" WHERE merchant_id = wanted.merchant_id AND environment = wanted.environment AND ");
    }
}
