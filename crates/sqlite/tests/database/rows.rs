//! Rows that this service did not write.

use diesel::connection::SimpleConnection as _;
use roster_application::ports::StoreError;

use crate::samples::{customer, find, insert, new_tenant, open_migrated, raw};

#[test]
fn a_value_that_does_not_decode_is_reported_with_its_column_and_id() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("roster.db");
    let store = open_migrated(&path);
    let ada = customer(new_tenant(&store), "ada", "ada@example.com");
    insert(&store, &ada).expect("a new customer");
    for (change, broken) in [
        ("address_country = 'us'", "address_country"),
        ("address_country = NULL, updated_at = 9223372036854775807", "updated_at"),
    ] {
        raw(&path).batch_execute(&format!("UPDATE customers SET {change}")).expect("a change behind our back");
        match find(&store, &ada).expect_err("a broken row") {
            StoreError::Corrupt { table: "customers", column, id } => {
                assert_eq!((column, id), (broken, ada.id().uuid()));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_schema_refuses_values_that_the_service_never_writes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("roster.db");
    let store = open_migrated(&path);
    let ada = customer(new_tenant(&store), "ada", "ada@example.com");
    insert(&store, &ada).expect("a new customer");
    for change in [
        "metadata = 'text'",
        "metadata = '[]'",
        "metadata = '{\"a\":1'",
        "metadata = NULL",
        "environment = 'test'",
        "id = x'00'",
        "merchant_id = x'00'",
        "email = NULL",
        "email_key = NULL",
        "email_exclusive = 2",
        "version = 0",
        "version = 'text'",
        "updated_at = created_at - 1",
        "deleted_at = created_at - 1",
    ] {
        let mut connection = raw(&path);
        connection.batch_execute("PRAGMA foreign_keys = ON").expect("a setting");
        assert!(connection.batch_execute(&format!("UPDATE customers SET {change}")).is_err(), "{change}");
    }
    assert_eq!(find(&store, &ada).expect("an answer"), Some(ada));
}

#[test]
fn times_are_kept_in_microseconds() {
    use diesel::prelude::*;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("roster.db");
    let store = open_migrated(&path);
    let ada = customer(new_tenant(&store), "ada", "ada@example.com");
    insert(&store, &ada).expect("a new customer");
    let micros: i64 = diesel::dsl::sql::<diesel::sql_types::BigInt>("SELECT created_at FROM customers")
        .get_result(&mut raw(&path))
        .expect("a time");
    assert_eq!(micros, ada.created_at().as_millis() * 1000);
}
