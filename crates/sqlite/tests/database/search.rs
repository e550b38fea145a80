//! The index for searches.

use std::sync::Arc;

use diesel::connection::SimpleConnection as _;
use roster_application::ports::Store;
use roster_sqlite::{Options, SqliteStore};
use roster_store_contract as contract;

use crate::samples::{open_migrated, options, raw};

#[test]
fn customers_that_the_index_lacks_are_found_and_added() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("roster.db");
    let indexed = open_migrated(&path);
    let without = SqliteStore::open(&Options { search_index: false, ..options(&path) }).expect("the same file");
    let without: Arc<dyn Store> = Arc::new(without);
    contract::customers_that_the_index_lacks_are_found_and_added(&indexed, &without);
}

#[test]
fn a_customer_that_an_older_program_changed_is_found_and_added() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("roster.db");
    contract::a_customer_that_an_older_program_changed_is_found_and_added(&open_migrated(&path), |name| {
        let change = format!("UPDATE customers SET name = '{name}', version = version + 1");
        raw(&path).batch_execute(&change).expect("a change");
    });
}
