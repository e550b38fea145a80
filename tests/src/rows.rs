//! What stands in the tables, asked of the database itself: the program might show less than it keeps.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Text;
use serde_json::Value;

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
    let tables = match database.kind() {
        Kind::Sqlite => ask(database, SQLITE_TABLES),
        Kind::Postgres => ask(database, POSTGRES_TABLES),
    };
    assert!(tables.len() >= 3, "a table of tenants was not found: {tables:#?}");
    let mut rows: Vec<String> = tables.iter().flat_map(|table| ask(database, &format!("{table}{of_tenant}"))).collect();
    rows.sort();
    rows
}

/// All rows of a table in the order of their columns, each an object with every column in it, as its database writes it.
///
/// # Panics
/// If there is no such table.
#[must_use]
pub fn rows_in(database: &Database, table: &str) -> Vec<Value> {
    let rows = match database.kind() {
        Kind::Sqlite => {
            // JSON has no bytes.
            let member = "'''' || name || ''', CASE typeof(' || name || ') WHEN ''blob'' THEN hex(' || name || ') \
                          ELSE ' || name || ' END'";
            let members =
                ask(database, &format!("SELECT group_concat({member}, ', ') FROM pragma_table_info('{table}')"));
            ask(database, &format!("SELECT json_object({}) AS line FROM {table} ORDER BY line", members.concat()))
        }
        Kind::Postgres => {
            ask(database, &format!("SELECT row_to_json(t)::text COLLATE \"C\" AS line FROM {table} t ORDER BY line"))
        }
    };
    rows.iter().map(|row| serde_json::from_str(row).expect("JSON")).collect()
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

/// What the database answers to a query: one text a row.
fn ask(database: &Database, query: &str) -> Vec<String> {
    let rows = match database.kind() {
        Kind::Sqlite => {
            let path = database.url().strip_prefix("sqlite://").expect("the URL of a file");
            let mut connection = SqliteConnection::establish(path).expect("the database");
            sql::<Text>(query).load(&mut connection)
        }
        Kind::Postgres => {
            let mut connection = PgConnection::establish(database.url()).expect("the database");
            sql::<Text>(query).load(&mut connection)
        }
    };
    rows.expect("rows")
}
