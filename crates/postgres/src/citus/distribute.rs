//! Distributing the tables of a database, empty or filled.

use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use roster_application::ports::StoreError;

use crate::error::store_error;

const CUSTOMERS: &str = "customers";

/// The tables of tenants, by the merchant, so that all of a merchant is on one server; those that others refer to first.
const DISTRIBUTED: [&str; 12] = [
    CUSTOMERS,
    "subscriptions",
    "events",
    "feed_heads",
    "feed_floors",
    "replies",
    "webhook_endpoints",
    "webhook_lanes",
    "webhook_attempts",
    "imports",
    "uploads",
    "upload_parts",
];

/// The tables that every server has a copy of: what a credential is looked up in, and what other tables refer to. So a credential is
/// looked up on the server that is asked, and while others are down.
const REFERENCE: [&str; 4] = ["merchants", "api_keys", "operators", "secrets"];

/// One transaction makes all tables distributed or none. Foreign keys between them would have connections to the same shard wait for each
/// other, unless shards are done one after the other.
const BEGIN: &str = "
    SET LOCAL statement_timeout = 0;
    SET LOCAL idle_in_transaction_session_timeout = 0;
    SET LOCAL client_min_messages = warning;
    SET LOCAL citus.multi_shard_modify_mode = 'sequential';
";

/// Foreign keys between tables that are to be distributed, and how each is made.
const FOREIGN_KEYS: &str = "SELECT conrelid::regclass::text, conname::text, pg_get_constraintdef(oid) FROM pg_constraint \
                            WHERE contype = 'f' AND connamespace = current_schema()::regnamespace \
                            AND conparentid = 0 AND confrelid <> to_regclass('merchants')";

/// Distributes the tables over the servers of a Citus cluster, with their rows. Returns the names of the tables; none if all are
/// distributed already. Writers wait until it has ended.
///
/// # Errors
/// [`StoreError::Internal`] without the extension, or if Citus refuses; [`StoreError::Unavailable`]
pub fn distribute(connection: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    const IS_INSTALLED: &str = "EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'citus')";
    let is_installed = diesel::select(sql::<Bool>(IS_INSTALLED)).get_result(connection);
    if !is_installed.map_err(|error| store_error(&error))? {
        return Err(StoreError::internal(
            "the database has no extension citus: run CREATE EXTENSION citus in it, on every server of the cluster",
        ));
    }
    distribute_rest(connection).map_err(|error| store_error(&error))
}

/// Distributes the tables that are not distributed yet, such as those that a migration of a distributed database has made. Returns their
/// names.
///
/// # Errors
/// Those of diesel.
pub fn distribute_rest(connection: &mut PgConnection) -> QueryResult<Vec<String>> {
    // What Citus has for a local table that refers to a reference table is neither.
    const DISTRIBUTED_ALREADY: &str = "SELECT logicalrelid::regclass::text FROM pg_catalog.pg_dist_partition \
                                       WHERE partmethod = 'h' OR (partmethod = 'n' AND repmodel = 't')";
    let already: Vec<String> = sql::<Text>(DISTRIBUTED_ALREADY).load(connection)?;
    let is_left = |table: &&str| !already.iter().any(|done| done == table);
    let references: Vec<&str> = REFERENCE.into_iter().filter(is_left).collect();
    let distributed: Vec<&str> = DISTRIBUTED.into_iter().filter(is_left).collect();
    if references.is_empty() && distributed.is_empty() {
        return Ok(Vec::new());
    }
    connection.transaction(|connection| {
        connection.batch_execute(BEGIN)?;
        let foreign_keys = foreign_keys(connection, &distributed)?;
        for (table, name, _) in &foreign_keys {
            connection.batch_execute(&format!("ALTER TABLE {table} DROP CONSTRAINT \"{name}\""))?;
        }
        for table in &references {
            connection.batch_execute(&format!("SELECT create_reference_table('{table}')"))?;
        }
        for table in &distributed {
            // Beside the rows of the merchant's customers, of which there may be some already.
            let beside = if *table == CUSTOMERS { "" } else { ", colocate_with => 'customers'" };
            connection.batch_execute(&format!("SELECT create_distributed_table('{table}', 'merchant_id'{beside})"))?;
        }
        for (table, name, definition) in &foreign_keys {
            connection.batch_execute(&format!("ALTER TABLE {table} ADD CONSTRAINT \"{name}\" {definition}"))?;
        }
        QueryResult::Ok(())
    })?;
    // Behind the transaction: it takes long on many rows, and nothing waits for it.
    connection.batch_execute("ANALYZE")?;
    Ok(references.into_iter().chain(distributed).map(str::to_owned).collect())
}

/// The foreign keys of `tables` to other tables of tenants: the table, the name and the definition of each.
fn foreign_keys(connection: &mut PgConnection, tables: &[&str]) -> QueryResult<Vec<(String, String, String)>> {
    let found: Vec<(String, String, String)> = sql::<(Text, Text, Text)>(FOREIGN_KEYS).load(connection)?;
    Ok(found.into_iter().filter(|(table, ..)| tables.contains(&table.as_str())).collect())
}
