//! This store keeps the promise that every store keeps.

use std::sync::Arc;
use std::time::Duration;

use roster_application::ports::Store as _;
use roster_executor::Reads;
use roster_sqlite::{Options, SqliteStore};
use roster_store_contract::Subject;

/// The store, called directly.
mod direct {
    use super::*;

    /// Makes an empty store in a file of its own.
    pub fn empty_store() -> Subject {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (path, wait) = (folder.path().join("roster.db"), Duration::from_secs(30));
        let options = Options { path, create: true, connections: 4, wait, search_index: true };
        let store = SqliteStore::open(&options).expect("a new file");
        store.migrate().expect("an empty database");
        Subject::guarded(Arc::new(store), folder)
    }

    roster_store_contract::store_contract_tests!(empty_store);
}

/// The store behind the batching, as the service uses it.
mod batched {
    use super::*;

    fn empty_store() -> Subject {
        direct::empty_store().batched(Reads::ByCallers)
    }

    roster_store_contract::store_contract_tests!(empty_store);
}
