//! What PostgreSQL itself brings along: connections that break, migrations, and a schema that can be asked.

mod connections;
mod migrations;
mod schema;

use std::time::Duration;

use roster_postgres::{Options, PostgresStore};
use roster_test_postgres::Template;

/// A database with every migration applied.
static MIGRATED: Template = Template::new(|url| {
    store(url, 1, Duration::from_secs(20)).migrate().expect("the migrations apply");
});

/// A store over the database with this URL.
fn store(url: &str, connections: u32, wait: Duration) -> PostgresStore {
    let options = Options { url: url.to_owned(), connections, wait };
    PostgresStore::connect(&options).expect("the options are usable")
}
