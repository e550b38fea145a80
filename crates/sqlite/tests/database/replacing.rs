//! A file that is deleted or replaced while it is open.
#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Text;
use roster_application::ports::{Store, StoreError};
use roster_domain::Tenant;

use crate::samples::{LONG, customer, find, insert, new_tenant, open_migrated, raw};

/// A store with a customer, in a file that the test moves about.
struct Moved {
    store: Arc<dyn Store>,
    tenant: Tenant,
    path: PathBuf,
    folder: tempfile::TempDir,
}

impl Moved {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("roster.db");
        let store = open_migrated(&path);
        let tenant = new_tenant(&store);
        insert(&store, &customer(tenant, "ada", "ada@example.com")).expect("a new customer");
        Self { store, tenant, path, folder }
    }

    fn elsewhere(&self) -> PathBuf {
        self.folder.path().join("elsewhere.db")
    }

    fn wal(&self) -> PathBuf {
        self.folder.path().join("roster.db-wal")
    }

    fn try_insert(&self, id: &str) -> Result<(), StoreError> {
        let customer = customer(self.tenant, id, &format!("{id}@example.com"));
        insert(&self.store, &customer).map(drop)
    }

    #[track_caller]
    fn assert_refused(&self) {
        for refused in [self.try_insert("bob"), self.store.ping(), self.store.migrate().map(drop)] {
            let error = refused.expect_err("the file has gone");
            assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        }
    }
}

/// A complete copy, as `VACUUM INTO` writes it.
fn copy(from: &Path, to: &Path) {
    diesel::sql_query(format!("VACUUM INTO '{}'", to.display())).execute(&mut raw(from)).expect("a copy");
}

#[track_caller]
fn assert_intact(path: &Path, customers: &[&str]) {
    let mut connection = raw(path);
    let check: String = sql::<Text>("PRAGMA integrity_check").get_result(&mut connection).expect("an answer");
    assert_eq!(check, "ok");
    let found = sql::<Text>("SELECT external_id FROM customers ORDER BY external_id").load::<String>(&mut connection);
    assert_eq!(found.expect("the customers"), customers);
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < LONG, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |found| found.len())
}

#[test]
fn after_the_file_was_deleted_writes_are_refused_and_reads_go_on() {
    let moved = Moved::new();
    let ada = customer(moved.tenant, "eve", "eve@example.com");
    insert(&moved.store, &ada).expect("a new customer");
    fs::remove_file(&moved.path).expect("a file");
    moved.assert_refused();
    assert_eq!(find(&moved.store, &ada).expect("an answer"), Some(ada));
    assert!(!moved.path.exists(), "it was created again");
}

#[test]
fn after_the_file_was_replaced_writes_are_refused_and_the_new_file_stays_intact() {
    let moved = Moved::new();
    let copied = moved.elsewhere();
    copy(&moved.path, &copied);
    moved.try_insert("after the copy").expect("the file is in its place");
    fs::rename(&copied, &moved.path).expect("a file in its place");
    moved.assert_refused();
    // Otherwise a process that opens the new file would replay the WAL of the old one into it.
    wait_until("the WAL is emptied", || length(&moved.wal()) == 0);
    let Moved { store, path, .. } = &moved;
    assert_intact(path, &["ada"]);
    drop(Arc::clone(store));
    moved.assert_refused();
}

#[test]
fn a_store_that_is_dropped_leaves_the_wal_of_the_file_that_replaced_its_own() {
    let Moved { store, tenant, path, folder } = Moved::new();
    let copied = folder.path().join("elsewhere.db");
    copy(&path, &copied);
    for old in [path.clone(), folder.path().join("roster.db-wal"), folder.path().join("roster.db-shm")] {
        fs::remove_file(old).expect("a file");
    }
    fs::rename(&copied, &path).expect("a file in its place");
    let other = open_migrated(&path);
    insert(&other, &customer(tenant, "bob", "bob@example.com")).expect("a new customer");
    drop(store);
    // The WAL has the new customer, and the other store goes on writing to it.
    assert_ne!(length(&folder.path().join("roster.db-wal")), 0, "it was deleted");
    insert(&other, &customer(tenant, "eve", "eve@example.com")).expect("a new customer");
    assert_intact(&path, &["ada", "bob", "eve"]);
}

#[test]
fn a_store_that_is_dropped_right_after_its_file_was_replaced_harms_neither_file() {
    let Moved { store, path, folder, .. } = Moved::new();
    let (copied, old) = (folder.path().join("copied.db"), folder.path().join("old.db"));
    copy(&path, &copied);
    fs::rename(&path, &old).expect("the old file elsewhere");
    fs::rename(&copied, &path).expect("a file in its place");
    drop(store);
    assert_eq!(length(&folder.path().join("roster.db-wal")), 0);
    for file in [&path, &old] {
        assert_intact(file, &["ada"]);
    }
}

#[test]
fn once_the_same_file_is_back_writes_are_accepted_again_and_nothing_is_lost() {
    let moved = Moved::new();
    fs::rename(&moved.path, moved.elsewhere()).expect("a file elsewhere");
    moved.assert_refused();
    wait_until("the WAL is emptied", || length(&moved.wal()) == 0);
    // Complete without its WAL.
    let copied = moved.folder.path().join("copied.db");
    fs::copy(moved.elsewhere(), &copied).expect("a copy");
    assert_intact(&copied, &["ada"]);
    fs::remove_file(copied).expect("a copy");
    fs::rename(moved.elsewhere(), &moved.path).expect("the file in its place");
    moved.store.ping().expect("the same file");
    moved.try_insert("bob").expect("the same file");
    let Moved { store, path, folder, .. } = moved;
    drop(store);
    assert_intact(&path, &["ada", "bob"]);
    assert_eq!(folder.path().read_dir().expect("a folder").count(), 1);
}

#[test]
fn a_deleted_wal_is_noticed_and_loses_nothing() {
    let moved = Moved::new();
    fs::remove_file(moved.wal()).expect("a WAL");
    moved.assert_refused();
    let Moved { store, path, .. } = &moved;
    wait_until("the file is complete", || {
        let customers = sql::<Text>("SELECT external_id FROM customers");
        customers.load::<String>(&mut raw(path)).is_ok_and(|found| found == ["ada"])
    });
    assert_eq!(Arc::strong_count(store), 1);
}

#[test]
fn a_file_behind_a_symbolic_link_is_the_one_that_is_watched() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [link, first, second] = ["link.db", "first.db", "second.db"].map(|name| folder.path().join(name));
    drop(open_migrated(&first));
    copy(&first, &second);
    std::os::unix::fs::symlink(&first, &link).expect("a link");
    let store = open_migrated(&link);
    let tenant = new_tenant(&store);
    fs::remove_file(&link).expect("a link");
    std::os::unix::fs::symlink(&second, &link).expect("a link");
    // The file that is open is still in its own place, but that is not the one which was configured.
    assert!(insert(&store, &customer(tenant, "bob", "bob@example.com")).is_err());
}
