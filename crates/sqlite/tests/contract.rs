//! This store keeps the promise that every store keeps.

use std::sync::Arc;
use std::time::Duration;

use roster_sqlite::{Options, SqliteStore};
use roster_store_contract::Subject;

/// Makes an empty store in a file of its own.
fn empty_store() -> Subject {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = Options { path: folder.path().join("roster.db"), connections: 4, wait: Duration::from_secs(30) };
    let store = SqliteStore::open(&options).expect("a new file");
    store.migrate().expect("an empty database");
    Subject::guarded(Arc::new(store), folder)
}

roster_store_contract::store_contract_tests!(empty_store);
