//! The memory store keeps the promise that every store keeps.

use std::sync::Arc;

use roster_memory::MemoryStore;
use roster_store_contract::Subject;

fn empty_store() -> Subject {
    Subject::new(Arc::new(MemoryStore::default()))
}

roster_store_contract::store_contract_tests!(empty_store);
