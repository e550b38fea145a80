//! The store on PostgreSQL keeps the promise that every store keeps.

use std::sync::Arc;
use std::time::Duration;

use roster_application::ports::Store as _;
use roster_executor::Reads;
use roster_postgres::{Options, PostgresStore};
use roster_store_contract::Subject;
use roster_test_postgres::{CitusTemplate, Template};

static MIGRATED: Template = Template::new(|url| {
    store(url).migrate().expect("the migrations apply");
});

static DISTRIBUTED: CitusTemplate = CitusTemplate::new(|url| {
    let store = store(url);
    store.migrate().expect("the migrations apply");
    assert!(!store.distribute().expect("the tables are distributed").is_empty());
});

fn store(url: &str) -> PostgresStore {
    let options = Options {
        url: url.to_owned(),
        connections: 16,
        wait: Duration::from_secs(20),
        deadline: Duration::from_secs(30),
        search_index: true,
    };
    PostgresStore::connect(&options).expect("the options are usable")
}

/// The store, called directly.
mod direct {
    use super::*;

    /// An empty, migrated store; none where there is no server.
    pub fn empty_store() -> Option<Subject> {
        let database = MIGRATED.database()?;
        Some(Subject::guarded(Arc::new(store(database.url())), database))
    }

    roster_store_contract::store_contract_tests!(empty_store);
}

/// The store behind the batching, as the service uses it.
mod batched {
    use super::*;

    fn empty_store() -> Option<Subject> {
        Some(direct::empty_store()?.batched(Reads::ByWorkers))
    }

    roster_store_contract::store_contract_tests!(empty_store);
}

/// The store on tables that Citus distributes.
mod citus {
    use super::*;

    /// An empty, distributed store; none without a cluster.
    pub fn empty_store() -> Option<Subject> {
        let database = DISTRIBUTED.database()?;
        Some(Subject::guarded(Arc::new(store(database.url())), database))
    }

    roster_store_contract::store_contract_tests!(empty_store);
}

/// The same, behind batches of one tenant each.
mod citus_batched {
    use super::*;

    fn empty_store() -> Option<Subject> {
        Some(citus::empty_store()?.batched(Reads::ByWorkersOfTenants))
    }

    roster_store_contract::store_contract_tests!(empty_store);
}
