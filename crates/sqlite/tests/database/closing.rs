//! Closing a file.

use std::path::Path;
use std::sync::mpsc;

use roster_application::ports::StoreError;

use crate::samples::{LONG, customer, find, insert, new_tenant, open_migrated};

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = folder
        .read_dir()
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_store_that_is_dropped_leaves_one_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("roster.db");
    let store = open_migrated(&path);
    let tenant = new_tenant(&store);
    for n in 0..10 {
        insert(&store, &customer(tenant, &format!("{n}"), &format!("{n}@example.com"))).expect("a new customer");
    }
    assert_eq!(files(folder.path()), ["roster.db", "roster.db-shm", "roster.db-wal"]);
    drop(store);
    assert_eq!(files(folder.path()), ["roster.db"]);
}

#[test]
fn the_last_store_to_go_takes_the_wal_with_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("roster.db");
    let (one, other) = (open_migrated(&path), open_migrated(&path));
    let ada = customer(new_tenant(&one), "ada", "ada@example.com");
    insert(&one, &ada).expect("a new customer");
    drop(one);
    assert_eq!(find(&other, &ada).expect("an answer"), Some(ada));
    assert_eq!(files(folder.path()).len(), 3);
    drop(other);
    assert_eq!(files(folder.path()), ["roster.db"]);
}

#[test]
fn a_reader_in_the_middle_of_its_work_ends_it_before_the_store_goes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = open_migrated(&folder.path().join("roster.db"));
    let ada = customer(new_tenant(&store), "ada", "ada@example.com");
    insert(&store, &ada).expect("a new customer");
    let (started, start) = mpsc::channel();
    let (go_on, wait) = mpsc::channel::<()>();
    let reader = std::thread::spawn({
        let (store, ada) = (std::sync::Arc::clone(&store), ada.clone());
        move || {
            store.direct(|uow| {
                uow.customers().list(ada.tenant(), None, 10)?;
                started.send(()).expect("somebody waits");
                wait.recv_timeout(LONG).expect("a word");
                uow.customers().list(ada.tenant(), None, 10)
            })
        }
    });
    start.recv_timeout(LONG).expect("a reader that has read");
    // It holds its connection and nothing else: others write, and let go of the store, as they like.
    insert(&store, &customer(ada.tenant(), "eda", "eda@example.com")).expect("a new customer");
    drop(store);
    go_on.send(()).expect("a reader that waits");
    let seen: Result<_, StoreError> = reader.join().expect("no panic");
    assert_eq!(seen.expect("an answer").len(), 2);
    assert_eq!(files(folder.path()), ["roster.db"]);
}
