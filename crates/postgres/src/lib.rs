//! The store on PostgreSQL: rows, SQL, migrations, and what its errors mean.
//!
//! [`PostgresStore`] fills the port `Store` of `roster-application`. The crate knows neither the surfaces nor actix,
//! and decides nothing about customers: it turns them into rows and back. `roster-sqlite` is its twin, file for file;
//! both keep the promise that `roster-store-contract` writes down as test cases.
//!
//! Every statement on a tenant's table names its tenant: `schema.rs` hands out no such table without. The hot ones take
//! arrays, so that one statement serves any number of callers, and are types with a name of their own, because diesel
//! keeps only those prepared.
//!
//! Read `store.rs` first, then `writes.rs`, whose statements decide races; the schema is in `migrations/postgres`.
//!
//! The server must report errors in English (`lc_messages` `C` or `en_…`), as diesel tells some of them apart by
//! nothing but their text; a connection that may sets that by itself, one that may not says so in the log.

mod api_keys;
mod citus;
mod conninfo;
mod customer_lists;
mod customers;
mod error;
mod events;
mod hosts;
mod imports;
mod inspection;
mod loans;
mod merchants;
mod migrations;
mod operators;
mod pool;
mod pooler;
mod position;
mod replica;
mod replies;
mod rows;
mod schema;
mod search_index;
mod secrets;
mod session;
#[cfg(test)]
mod statements;
mod store;
mod subscriptions;
mod unit_of_work;
mod uploads;
mod webhooks;
mod writes;

pub use replica::PostgresReplica;
pub use store::{Options, PostgresStore};
