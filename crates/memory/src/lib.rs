//! The ports, filled without a database, a clock or randomness: for tests of whatever stands above them.
//!
//! [`MemoryStore`] passes the same contract as the databases do (`tests/contract.rs`), so what a test sees on it, it
//! would see on them. [`FixedClock`], [`CountingIds`] and [`CountingEntropy`] give the same values in every run. The
//! crate knows no database and no protocol; nothing that is deployed depends on it.
//!
//! Read `store.rs` first; each repository stands in the file that has its name in the database adapters, too.

mod api_keys;
mod clock;
mod customers;
mod entropy;
mod ids;
mod merchants;
mod store;
mod subscriptions;
mod unit_of_work;

pub use clock::FixedClock;
pub use entropy::CountingEntropy;
pub use ids::CountingIds;
pub use store::MemoryStore;
