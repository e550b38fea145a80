//! Several stores on one file, as if each were in its own process.

use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use roster_application::ports::{Retry, Store, StoreError, Written};
use roster_sqlite::{Options, SqliteStore};

use crate::samples::{LONG, customer, find, insert, insert_in, list_in, new_tenant, open_migrated, options};

#[test]
fn exactly_one_of_many_concurrent_claims_succeeds() {
    const THREADS: usize = 8;
    const ROUNDS: usize = 20;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("roster.db");
    let stores = [open_migrated(&path), open_migrated(&path)];
    let tenant = new_tenant(&stores[0]);
    for round in 0..ROUNDS {
        let (external_id, email) = (format!("ada {round}"), format!("ada{round}@example.com"));
        let start = Barrier::new(THREADS);
        let results: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|n| {
                    // Half of the threads claim the external identifier, half the address.
                    let other = format!("other {round} {n}");
                    let claim = if n < THREADS / 2 {
                        customer(tenant, &external_id, &format!("{round}.{n}@example.com"))
                    } else {
                        customer(tenant, &other, &email)
                    };
                    let (store, start) = (&stores[n % 2], &start);
                    scope.spawn(move || {
                        start.wait();
                        (claim.clone(), insert(store, &claim).expect("an answer"))
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        let (by_name, by_address) = results.split_at(THREADS / 2);
        for (kind, results) in [("name", by_name), ("address", by_address)] {
            let winners: Vec<_> = results.iter().filter(|(_, result)| *result == Written::Done).collect();
            assert_eq!(winners.len(), 1, "{kind}: {results:?}");
            let winner = &winners[0].0;
            for (_, result) in results.iter().filter(|(claim, _)| claim != winner) {
                let Written::Taken(taken) = result else { panic!("{kind}: {result:?}") };
                let named = taken.external_id.as_ref().map(|customer| customer.id()).or(taken.email);
                assert_eq!(named, Some(winner.id()), "{kind}");
            }
        }
    }
}

#[test]
fn a_commit_of_one_store_is_visible_to_the_other() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("roster.db");
    let (one, other) = (open_migrated(&path), open_migrated(&path));
    let tenant = new_tenant(&one);
    for n in 0..20 {
        let ada = customer(tenant, &format!("{n}"), &format!("{n}@example.com"));
        insert(&one, &ada).expect("a new customer");
        assert_eq!(find(&other, &ada).expect("an answer"), Some(ada));
    }
}

#[test]
fn while_one_store_writes_the_other_reads_and_its_writes_time_out() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("roster.db");
    let one = open_migrated(&path);
    let short = Options { wait: Duration::from_millis(200), ..options(&path) };
    let other: Arc<dyn Store> = Arc::new(SqliteStore::open(&short).expect("a file"));
    let ada = customer(new_tenant(&one), "ada", "ada@example.com");
    insert(&one, &ada).expect("a new customer");
    let eda = customer(ada.tenant(), "eda", "eda@example.com");
    one.transaction(|uow| {
        insert_in(uow, &eda)?;
        assert_eq!(find(&other, &ada).expect("an answer"), Some(ada.clone()));
        assert_eq!(find(&other, &eda).expect("an answer"), None, "it is not committed");
        let start = Instant::now();
        let refused = insert(&other, &customer(ada.tenant(), "ida", "ida@example.com")).expect_err("one writes");
        assert!(matches!(refused, StoreError::Unavailable { retry: Retry::Later, .. }), "{refused:?}");
        // The transaction ends after this: a caller without a time limit would wait for `LONG`.
        assert!((short.wait..LONG / 2).contains(&start.elapsed()), "{:?}", start.elapsed());
        Ok::<_, StoreError>(())
    })
    .expect("a transaction");
    assert_eq!(find(&other, &eda).expect("an answer"), Some(eda));
    insert(&other, &customer(ada.tenant(), "ida", "ida@example.com")).expect("no writer any more");
}

#[test]
fn within_a_process_readers_do_not_wait_for_a_writer() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let one_reader = Options { connections: 1, ..options(&folder.path().join("roster.db")) };
    let store = SqliteStore::open(&one_reader).expect("a file");
    store.migrate().expect("the migrations apply");
    let store: Arc<dyn Store> = Arc::new(store);
    let ada = customer(new_tenant(&store), "ada", "ada@example.com");
    insert(&store, &ada).expect("a new customer");
    let eda = customer(ada.tenant(), "eda", "eda@example.com");
    let (has_read, read) = mpsc::channel();
    let reads_and_waits_to_write = || {
        store.direct(|uow| {
            list_in(uow, ada.tenant())?;
            has_read.send(()).expect("the channel is open");
            insert_in(uow, &eda)
        })
    };
    thread::scope(|scope| {
        let transaction = store.transaction(|_| {
            let waits = scope.spawn(reads_and_waits_to_write);
            read.recv_timeout(LONG).expect("a reader that has read");
            // If the waiting thread kept the only connection that reads, this read would wait until its timeout.
            assert_eq!(find(&store, &ada).expect("an answer"), Some(ada.clone()));
            assert!(!waits.is_finished(), "a thread that waits to write keeps others from reading");
            Ok::<_, StoreError>(waits)
        });
        let waits = transaction.expect("a transaction");
        waits.join().expect("no panic").expect("no other writer any more");
    });
}
