//! The memory store passes the contract of all stores, called directly and through the batching.

use std::sync::Arc;

use roster_memory::MemoryStore;
use roster_store_contract::Subject;

fn empty_store() -> Subject {
    Subject::new(Arc::new(MemoryStore::default()))
}

mod direct {
    use super::empty_store;

    roster_store_contract::store_contract_tests!(empty_store);
}

mod batched {
    use roster_store_contract::{Reads, Subject};

    fn empty_store() -> Subject {
        super::empty_store().batched(Reads::ByWorkers)
    }

    roster_store_contract::store_contract_tests!(empty_store);
}
