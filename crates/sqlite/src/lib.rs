//! The store on SQLite: rows, SQL, migrations, and what its errors mean.
//!
//! [`SqliteStore`] fills the port `Store` of `roster-application`. The crate knows neither the surfaces nor actix, and
//! decides nothing about customers: it turns them into rows and back. `roster-postgres` is its twin, file for file; both
//! keep the promise that `roster-store-contract` writes down as test cases.
//!
//! One file in WAL mode, any number of connections that read and one that writes: within the process writers stand in
//! line for that one and share a commit where many do (`writer.rs`), between processes they wait for the file's write
//! lock, and readers for nobody. A commit is on the disk before it is acknowledged.
//!
//! Every statement on a tenant's table names its tenant: `schema.rs` hands out no such table without. Those that run for
//! every request are types with a name of their own or fixed expressions, because diesel keeps only those prepared; and
//! SQLite is built to prepare none of them anew for what is bound.
//!
//! Read `store.rs` first, then `unit_of_work.rs`, which says when a transaction begins, and `customers.rs`, whose
//! statements decide races; the schema stands in `migrations/sqlite`.

mod api_keys;
mod customers;
mod error;
mod file;
mod merchants;
mod migrations;
mod pool;
mod rows;
mod schema;
#[cfg(test)]
mod statements;
mod store;
mod subscriptions;
mod unit_of_work;
mod writer;

pub use store::{Options, SqliteStore};
