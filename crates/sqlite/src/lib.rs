//! The store on SQLite: rows, SQL, migrations, and what its errors mean.
//!
//! [`SqliteStore`] fills the port `Store` of `roster-application`. The crate knows neither the surfaces nor actix, and
//! decides nothing about customers: it turns them into rows and back. `roster-postgres` is its twin, file for file; both
//! keep the promise that `roster-store-contract` writes down as test cases.
//!
//! One file in WAL mode, any number of connections that read and one that writes. Within the process writers wait for that
//! one (`writer.rs`), between processes for the file's write lock; readers never wait. A commit is on the disk before it
//! is acknowledged, in the file that is at the path then (`identity.rs`).
//!
//! Every statement on a tenant's table names its tenant: `schema.rs` hands out no such table without. Statements that run
//! for every request are types with a name of their own or fixed expressions, because diesel keeps only those prepared;
//! and SQLite is built not to prepare a statement again for other parameters.
//!
//! Read `store.rs` first, then `unit_of_work.rs`, which says when a transaction begins, and `writes.rs`, whose statements
//! decide races; the schema is in `migrations/sqlite`.

mod api_keys;
mod backup;
mod customer_lists;
mod customers;
mod error;
mod events;
mod file;
mod identity;
mod imports;
mod inspection;
mod merchants;
mod migrations;
mod operators;
mod pool;
mod replies;
mod rows;
mod schema;
mod search_index;
mod secrets;
#[cfg(test)]
mod statements;
mod store;
mod subscriptions;
mod unit_of_work;
mod uploads;
mod watch;
mod webhooks;
mod writer;
mod writes;

pub use backup::{BackupError, ShowProgress, back_up, restore};
pub use store::{Options, SqliteStore};
