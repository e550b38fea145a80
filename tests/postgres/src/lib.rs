//! A real PostgreSQL server for tests. It is started from installed binaries and ends with the test process.
//!
//! [`database()`] gives a test an empty database and [`Template`] a prepared one, on one server that all tests of
//! a process share. [`Cluster`] is a server for one test, which may stop, kill and freeze it, and make a standby of it.
//!
//! Environment variables:
//!
//! - `TEST_DATABASE_URL`: the URL of a running server, whose role may create databases. [`database()`] and [`Template`]
//!   use it and start no server.
//! - `TEST_CITUS_URL`: the URL of a database on the coordinator of a Citus cluster, whose role may create databases on all of its
//!   servers. [`CitusTemplate`] and [`citus_database()`] use it; without it they report once that their tests are skipped.
//! - `ROSTER_REQUIRE_POSTGRES=1`: a test that finds no server panics. Without it, the test reports on standard error
//!   that it is skipped.
//! - `ROSTER_STATEMENT_LOG`: the absolute path of a folder. Every server that is started logs all statements there.
//!   [`read_statements`] reads them after the tests.
//!
//! This crate must not know this service: neither its schema nor its other crates. Read [`Cluster`] first.

mod citus;
mod cluster;
mod database;
mod installation;
mod process;
mod statements;

pub use citus::{CitusDatabase, CitusTemplate, citus_database};
pub use cluster::{Cluster, ClusterOptions};
pub use database::{Database, Template, database};
pub use installation::{client_program, run_as_server_account};
pub use statements::{Statement, read_statements};
