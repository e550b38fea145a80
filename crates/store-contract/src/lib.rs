//! The promises that every store keeps, as test cases that each store runs.
//!
//! A case is a function over a store. Its name is the sentence that a caller may rely on. It knows the ports of
//! `roster-application` and no database, so what passes here behaves the same on every store. Adapters depend on this
//! crate in their tests only.
//!
//! # How an adapter runs it
//!
//! In `tests/contract.rs` of the adapter, write a function that makes an empty store, its schema in place and no row in
//! it, and name that function once:
//!
//! ```
//! # use std::sync::Arc;
//! # use roster_application::ports::{Fact, Position, Store, StoreError, Usage, Work};
//! # struct OtherStore;
//! # impl OtherStore { fn open(_: &std::path::Path) -> Self { Self } }
//! # impl Store for OtherStore {
//! #     fn run_transaction(&self, _: &mut Work<'_>) -> Result<(), StoreError> { Ok(()) }
//! #     fn run_direct(&self, _: &mut Work<'_>) -> Result<(), StoreError> { Ok(()) }
//! #     fn run_snapshot(&self, _: std::time::Duration, _: &mut Work<'_>) -> Result<(), StoreError> { Ok(()) }
//! #     fn ping(&self) -> Result<(), StoreError> { Ok(()) }
//! #     fn flush_search_index(&self) -> Result<bool, StoreError> { Ok(false) }
//! #     fn inspect(&self, _: &mut dyn FnMut(Fact)) -> Result<(), StoreError> { Ok(()) }
//! #     fn usage(&self) -> Usage { Usage::default() }
//! #     fn migrate(&self) -> Result<Vec<String>, StoreError> { Ok(Vec::new()) }
//! #     fn pending_migrations(&self) -> Result<Vec<String>, StoreError> { Ok(Vec::new()) }
//! #     fn check_connections(&self) -> Result<(), StoreError> { Ok(()) }
//! #     fn position(&self) -> Result<Option<Position>, StoreError> { Ok(None) }
//! #     fn is_distributed(&self) -> Result<bool, StoreError> { Ok(false) }
//! #     fn distribute(&self) -> Result<Vec<String>, StoreError> { Ok(Vec::new()) }
//! # }
//! # struct TemporaryFolder;
//! # impl TemporaryFolder {
//! #     fn new() -> Self { Self }
//! #     fn path(&self) -> &std::path::Path { std::path::Path::new("") }
//! # }
//! use roster_store_contract::Subject;
//!
//! fn empty_store() -> Subject {
//!     let folder = TemporaryFolder::new();
//!     let store = Arc::new(OtherStore::open(folder.path()));
//!     Subject::guarded(store, folder)
//! }
//!
//! roster_store_contract::store_contract_tests!(empty_store);
//! ```
//!
//! That makes one `#[test]` per case, such as `races::one_external_id_goes_to_exactly_one_of_many_callers`, each on a
//! store of its own. A function that returns `Option<Subject>` works too: at `None` the case is skipped, and the
//! function says why.
//!
//! An adapter runs the cases twice, each time in a module of its own: on its store, and through the batching of the
//! executor ([`Subject::batched`]), as the service calls it.
//!
//! # How a case is added
//!
//! Write it as a `pub fn` in the file of its subject and name it in the table of `table.rs`. A case that is missing in
//! one of the two places does not compile.

// A case that the table does not name is dead code: the modules are private, the table is the only way out.
#![deny(dead_code)]

mod actions;
mod api_keys;
mod batched;
mod batches;
mod customers;
mod events;
mod fidelity;
mod filters;
mod imports;
mod merchants;
mod operators;
mod pages;
mod race;
mod races;
mod replies;
mod samples;
mod search_index;
mod secrets;
mod snapshots;
mod subject;
mod subscriptions;
mod table;
mod transactions;
mod uploads;
mod webhooks;

pub use roster_executor::Reads;
pub use search_index::{
    a_customer_that_an_older_program_changed_is_found_and_added, customers_that_the_index_lacks_are_found_and_added,
};
pub use subject::{Subject, run};
#[doc(hidden)]
pub use table::cases;
