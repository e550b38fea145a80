//! What the contract of all stores does not cover on PostgreSQL: broken connections, migrations, and the schema.

mod citus;
mod connections;
mod migrations;
mod schema;
mod search;

use std::time::Duration;

use roster_application::ports::Store as _;
use roster_postgres::{Options, PostgresStore};
use roster_test_postgres::Template;

/// A database with every migration applied.
static MIGRATED: Template = Template::new(|url| {
    store(url, 1, Duration::from_secs(20)).migrate().expect("the migrations apply");
});

/// A store over the database with this URL.
fn store(url: &str, connections: u32, wait: Duration) -> PostgresStore {
    store_with(url, connections, wait, true)
}

/// The same, with or without the index for searches.
fn store_with(url: &str, connections: u32, wait: Duration, search_index: bool) -> PostgresStore {
    let options = Options { url: url.to_owned(), connections, wait, deadline: Duration::from_secs(30), search_index };
    PostgresStore::connect(&options).expect("the options are usable")
}
