//! Closing a file: which files stay, and that running reads finish.

use std::path::Path;
use std::sync::mpsc;

use roster_application::ports::StoreError;

use crate::samples::{LONG, customer, find, insert, list_in, new_tenant, open_migrated};

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
fn a_dropped_store_leaves_one_file() {
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
fn dropping_the_last_store_removes_the_wal() {
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
fn a_running_read_finishes_before_the_file_is_closed() {
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
                list_in(uow, ada.tenant())?;
                started.send(()).expect("the test waits");
                wait.recv_timeout(LONG).expect("a word");
                list_in(uow, ada.tenant())
            })
        }
    });
    start.recv_timeout(LONG).expect("a reader that has read");
    // A waiting reader holds a connection but no lock: another thread can write, and can drop its handle of the store.
    insert(&store, &customer(ada.tenant(), "eda", "eda@example.com")).expect("a new customer");
    drop(store);
    go_on.send(()).expect("a reader that waits");
    let seen: Result<_, StoreError> = reader.join().expect("no panic");
    assert_eq!(seen.expect("an answer").len(), 2);
    assert_eq!(files(folder.path()), ["roster.db"]);
}
