//! The rows in the database, read with SQL: the program might show less than it stores.

use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Text;
use serde_json::Value;

use crate::app::Merchant;
use crate::database::{Database, Kind};

/// Every row of `merchant` in `environment`, in all tables, as text that begins with the name of the table, sorted.
///
/// A table with a column `merchant_id` holds rows of tenants. The column `last_used_at` is left out: each request with
/// a key may change it.
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
        Kind::Sqlite => query(database, SQLITE_TABLES),
        Kind::Postgres => query(database, POSTGRES_TABLES),
    };
    assert!(tables.len() >= 3, "tables are missing: {tables:#?}");
    let mut rows: Vec<String> =
        tables.iter().flat_map(|table| query(database, &format!("{table}{of_tenant}"))).collect();
    rows.sort();
    rows
}

/// All rows of a table, ordered by their columns. Each is an object with every column, as its database writes it.
///
/// # Panics
/// If there is no such table.
#[must_use]
pub fn rows_in(database: &Database, table: &str) -> Vec<Value> {
    let rows = match database.kind() {
        Kind::Sqlite => {
            // JSON has no type for bytes.
            let member = "'''' || name || ''', CASE typeof(' || name || ') WHEN ''blob'' THEN hex(' || name || ') \
                          ELSE ' || name || ' END'";
            let members =
                query(database, &format!("SELECT group_concat({member}, ', ') FROM pragma_table_info('{table}')"));
            query(database, &format!("SELECT json_object({}) AS line FROM {table} ORDER BY line", members.concat()))
        }
        Kind::Postgres => {
            query(database, &format!("SELECT row_to_json(t)::text COLLATE \"C\" AS line FROM {table} t ORDER BY line"))
        }
    };
    rows.iter().map(|row| serde_json::from_str(row).expect("JSON")).collect()
}

/// Returns, for each table with rows of tenants, a query that reads it and still needs its condition.
const SQLITE_TABLES: &str = "
    SELECT 'SELECT ''' || t.name || ' '' || ' || group_concat('quote(' || c.name || ')', ' || '' '' || ')
           || ' FROM ' || t.name || ' '
    FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
    WHERE t.type = 'table' AND c.name <> 'last_used_at'
    GROUP BY t.name HAVING max(c.name = 'merchant_id')";

/// [`SQLITE_TABLES`] for PostgreSQL.
const POSTGRES_TABLES: &str = "
    SELECT format('SELECT %L || (to_jsonb(t) - ''last_used_at'')::text FROM %I AS t ', table_name || ' ', table_name)
    FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'merchant_id'";

/// Makes the first events of each tenant older by some days.
///
/// # Panics
/// If the database does not answer.
pub fn age_events(database: &Database, last: i64, days: i64) {
    match database.kind() {
        Kind::Sqlite => {
            let micros = days * 86_400_000_000;
            let older = format!("UPDATE events SET created_at = created_at - {micros} WHERE seq <= {last}");
            database.open_file().batch_execute(&older)
        }
        Kind::Postgres => {
            // In a zone that is named: what depends on the session's is no update that Citus distributes.
            let older = format!("(created_at AT TIME ZONE 'UTC' - interval '{days} days') AT TIME ZONE 'UTC'");
            postgres(database).batch_execute(&format!("UPDATE events SET created_at = {older} WHERE seq <= {last}"))
        }
    }
    .expect("an update");
}

fn postgres(database: &Database) -> PgConnection {
    PgConnection::establish(database.url()).expect("the database")
}

/// Runs a query that returns one text per row.
fn query(database: &Database, query: &str) -> Vec<String> {
    let rows = match database.kind() {
        Kind::Sqlite => sql::<Text>(query).load(&mut database.open_file()),
        Kind::Postgres => sql::<Text>(query).load(&mut postgres(database)),
    };
    rows.expect("rows")
}
