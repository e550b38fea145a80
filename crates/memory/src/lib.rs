//! Adapters for tests: they implement the ports without a database, a clock or randomness.
//!
//! [`MemoryStore`] passes the same contract as the database adapters (`tests/contract.rs`), so a test on it has the
//! same results as on a database. [`FixedClock`], [`CountingIds`] and [`CountingEntropy`] return the same values in
//! every run. The crate must not know a database or a protocol; nothing that is deployed depends on it.
//!
//! Read `store.rs` first. Each repository is in a file of the same name as in the database adapters.

mod api_keys;
mod clock;
mod customers;
mod entropy;
mod events;
mod ids;
mod imports;
mod intercepted;
mod merchants;
mod operators;
mod replies;
mod secrets;
mod store;
mod subscriptions;
mod unit_of_work;
mod uploads;
mod webhooks;

pub use clock::FixedClock;
pub use entropy::CountingEntropy;
pub use ids::CountingIds;
pub use intercepted::{InterceptedStore, Interceptor};
pub use store::MemoryStore;
