//! A real PostgreSQL for tests, started from installed binaries and gone when the test process is.
//!
//! [`database()`] gives a test an empty database of its own and [`Template`] a prepared one, on one server that all
//! tests of a process share. [`Cluster`] is a whole server that one test may stop, kill and freeze.
//!
//! - `TEST_DATABASE_URL`: the URL of a running server, with the right to create databases. [`database()`] and
//!   [`Template`] use it and start nothing.
//! - `ROSTER_REQUIRE_POSTGRES=1`: a test that finds no server panics. Without it, the test says on the standard error
//!   that it is skipped.
//! - `ROSTER_STATEMENT_LOG`: the absolute path of a folder. Every server that is started logs all statements there, and
//!   [`read_statements`] reads them, when the tests are through.
//!
//! It knows nothing of this service: neither its schema nor its crates. Read [`Cluster`] first.

mod cluster;
mod database;
mod installation;
mod process;
mod statements;

pub use cluster::{Cluster, ClusterOptions};
pub use database::{Database, Template, database};
pub use statements::{Statement, read_statements};
