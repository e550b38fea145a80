//! What stands in the tables, asked of the database itself.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::app::Merchant;
use crate::database::{Database, Kind};

/// Every row of `merchant` in `environment`, of whatever table, as text that starts with the table's name, in order.
///
/// A table is of tenants if it has a column `merchant_id`. When a key was last used is left out: whoever looks at
/// something with it changes that.
///
/// # Panics
/// If the database does not answer, or such a table has no column `environment`.
#[must_use]
pub fn rows_of(database: &Database, merchant: &Merchant, environment: &str) -> Vec<String> {
    let of_tenant = format!(
        "WHERE merchant_id = (SELECT id FROM merchants WHERE name = '{}') AND environment = '{environment}'",
        merchant.name
    );
    match database.kind() {
        Kind::Sqlite => {
            let path = database.url().strip_prefix("sqlite://").expect("the URL of a file");
            let mut connection = SqliteConnection::establish(path).expect("the database");
            rows(SQLITE_TABLES, &of_tenant, |query| sql::<Text>(query).load(&mut connection))
        }
        Kind::Postgres => {
            let mut connection = PgConnection::establish(database.url()).expect("the database");
            rows(POSTGRES_TABLES, &of_tenant, |query| sql::<Text>(query).load(&mut connection))
        }
    }
}

/// What reads a table of tenants, up to the condition: one query for each table.
const SQLITE_TABLES: &str = "
    SELECT 'SELECT ''' || t.name || ' '' || ' || group_concat('quote(' || c.name || ')', ' || '' '' || ')
           || ' FROM ' || t.name || ' '
    FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
    WHERE t.type = 'table' AND c.name <> 'last_used_at'
    GROUP BY t.name HAVING max(c.name = 'merchant_id')";

/// [`SQLITE_TABLES`], in the other database's words.
const POSTGRES_TABLES: &str = "
    SELECT format('SELECT %L || (to_jsonb(t) - ''last_used_at'')::text FROM %I AS t ', table_name || ' ', table_name)
    FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'merchant_id'";

fn rows(tables: &str, condition: &str, mut ask: impl FnMut(&str) -> QueryResult<Vec<String>>) -> Vec<String> {
    let tables = ask(tables).expect("the tables");
    assert!(tables.len() >= 3, "a table of tenants was not found: {tables:#?}");
    let mut rows: Vec<String> =
        tables.iter().flat_map(|table| ask(&format!("{table}{condition}")).expect("rows")).collect();
    rows.sort();
    rows
}
