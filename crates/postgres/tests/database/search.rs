//! The index for searches.

use std::sync::Arc;
use std::time::Duration;

use diesel::connection::{Connection as _, SimpleConnection as _};
use diesel::dsl::sql;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use roster_application::ports::Store;
use roster_store_contract as contract;
use roster_test_postgres::Database;

use crate::{MIGRATED, store_with};

/// A database, and two stores on it: with the index and without.
fn start() -> Option<(Database, [Arc<dyn Store>; 2])> {
    let database = MIGRATED.database()?;
    let store = |index| Arc::new(store_with(database.url(), 2, Duration::from_secs(20), index)) as Arc<dyn Store>;
    let stores = [store(true), store(false)];
    Some((database, stores))
}

/// Changes the name of all customers as a program that does not know the index.
fn older_program(database: &Database) -> impl Fn(&str) {
    |name| {
        let mut connection = PgConnection::establish(database.url()).expect("a connection");
        let change = format!("UPDATE customers SET name = '{name}', version = version + 1");
        connection.batch_execute(&change).expect("a change");
    }
}

#[test]
fn customers_that_the_index_lacks_are_found_and_added() {
    let Some((_database, [indexed, without])) = start() else { return };
    contract::customers_that_the_index_lacks_are_found_and_added(&indexed, &without);
}

#[test]
fn a_customer_that_an_older_program_changed_is_found_and_added() {
    let Some((database, [indexed, _])) = start() else { return };
    contract::a_customer_that_an_older_program_changed_is_found_and_added(&indexed, older_program(&database));
}

#[test]
fn what_writes_leave_to_do_for_the_index_is_done_once() {
    let Some((database, [indexed, without])) = start() else { return };
    let mut connection = PgConnection::establish(database.url()).expect("a connection");
    contract::a_customer_that_an_older_program_changed_is_found_and_added(&indexed, older_program(&database));
    assert!(!without.flush_search_index().expect("an answer"));
    assert!(indexed.flush_search_index().expect("an answer"));
    assert!(!indexed.flush_search_index().expect("an answer"));
    let left = sql::<BigInt>("SELECT gin_clean_pending_list('customers_search')").get_result::<i64>(&mut connection);
    assert_eq!(left, Ok(0));
}

#[test]
fn a_change_that_leaves_the_texts_alone_leaves_all_indexes_alone() {
    let Some((database, [indexed, _])) = start() else { return };
    contract::a_customer_that_an_older_program_changed_is_found_and_added(&indexed, older_program(&database));
    let mut connection = PgConnection::establish(database.url()).expect("a connection");
    let hot_updates = |connection: &mut PgConnection| -> i64 {
        let counted = "SELECT n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = 'customers'";
        sql::<BigInt>(counted).get_result(connection).expect("a number")
    };
    let number = connection.transaction(|connection| {
        let before = hot_updates(connection);
        let change = "UPDATE customers SET phone = '+4930123456', metadata = '{\"a\":1}', version = version + 1, \
                      search_hashes = search_hashes || '{}'::int4[], updated_at = now()";
        connection.batch_execute(change)?;
        diesel::QueryResult::Ok(hot_updates(connection) - before)
    });
    assert_eq!(number, Ok(1));
}
