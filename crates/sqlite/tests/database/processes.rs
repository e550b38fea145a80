//! Several stores on one file, as several processes would have them.

use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use roster_application::ports::{Inserted, Retry, Store, StoreError};
use roster_sqlite::{Options, SqliteStore};

use crate::samples::{LONG, customer, find, insert, new_tenant, open_migrated, options};

#[test]
fn of_many_that_claim_the_same_at_once_exactly_one_gets_it() {
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
                    // Half of them by its name, half of them by its address.
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
            let winners: Vec<_> = results.iter().filter(|(_, result)| *result == Inserted::Created).collect();
            assert_eq!(winners.len(), 1, "{kind}: {results:?}");
            let winner = &winners[0].0;
            for (_, result) in results.iter().filter(|(claim, _)| claim != winner) {
                let Inserted::Taken(taken) = result else { panic!("{kind}: {result:?}") };
                let named = taken.external_id.as_ref().map(|customer| customer.id()).or(taken.email);
                assert_eq!(named, Some(winner.id()), "{kind}");
            }
        }
    }
}

#[test]
fn what_one_has_committed_the_other_sees() {
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
fn while_one_writes_the_other_reads_and_waits_no_longer_than_it_may() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("roster.db");
    let one = open_migrated(&path);
    let short = Options { wait: Duration::from_millis(200), ..options(&path) };
    let other: Arc<dyn Store> = Arc::new(SqliteStore::open(&short).expect("a file"));
    let ada = customer(new_tenant(&one), "ada", "ada@example.com");
    insert(&one, &ada).expect("a new customer");
    let eda = customer(ada.tenant(), "eda", "eda@example.com");
    one.transaction(|uow| {
        uow.customers().insert(std::slice::from_ref(&eda))?;
        assert_eq!(find(&other, &ada).expect("an answer"), Some(ada.clone()));
        assert_eq!(find(&other, &eda).expect("an answer"), None, "it is not committed");
        let start = Instant::now();
        let refused = insert(&other, &customer(ada.tenant(), "ida", "ida@example.com")).expect_err("one writes");
        assert!(matches!(refused, StoreError::Unavailable { retry: Retry::Later, .. }), "{refused:?}");
        assert!((short.wait..LONG / 2).contains(&start.elapsed()), "{:?}", start.elapsed());
        Ok::<_, StoreError>(())
    })
    .expect("a transaction");
    assert_eq!(find(&other, &eda).expect("an answer"), Some(eda));
    insert(&other, &customer(ada.tenant(), "ida", "ida@example.com")).expect("nobody writes any more");
}

#[test]
fn within_a_process_readers_wait_for_no_writer() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let wait = Duration::from_secs(2);
    let one_reader = Options { connections: 1, wait, ..options(&folder.path().join("roster.db")) };
    let store = SqliteStore::open(&one_reader).expect("a file");
    store.migrate().expect("the migrations apply");
    let store: Arc<dyn Store> = Arc::new(store);
    let ada = customer(new_tenant(&store), "ada", "ada@example.com");
    insert(&store, &ada).expect("a new customer");
    let (has_read, read) = mpsc::channel();
    let reads_and_waits_to_write = || {
        store.direct(|uow| {
            uow.customers().list(ada.tenant(), None, 1)?;
            has_read.send(()).expect("somebody waits");
            uow.customers().insert(std::slice::from_ref(&ada))
        })
    };
    let writes = || {
        thread::scope(|scope| {
            let waits = scope.spawn(reads_and_waits_to_write);
            read.recv_timeout(LONG).expect("a reader that has read");
            let start = Instant::now();
            assert_eq!(find(&store, &ada).expect("an answer"), Some(ada.clone()));
            assert!(start.elapsed() < wait / 2, "whoever waits to write keeps others from reading");
            let refused = waits.join().expect("no panic").expect_err("one writes");
            assert!(matches!(refused, StoreError::Unavailable { retry: Retry::Later, .. }), "{refused:?}");
        });
        Ok::<_, StoreError>(())
    };
    store.transaction(|_| writes()).expect("a transaction");
}
