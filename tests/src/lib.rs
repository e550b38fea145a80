//! A harness that tests the whole program from outside: it starts the binary `roster` on a real database and sends
//! requests over real sockets.
//!
//! It must not know a crate of the program. [`app::App`] is a running service with two merchants; [`program`] finds the
//! binary and runs it; [`database`] gives each test its own database; [`client`] sends well-formed HTTP and [`raw`] any
//! bytes. The tests are in `tests/roster`, one file per promise, and in `tests/faults`, one file per kind of fault;
//! `tests/clients` runs the vendors' own client libraries; the test of the dependencies between crates is
//! `tests/architecture.rs`. `cargo test -p roster-tests seeds` runs the tests of one file.
//!
//! A test in [`on_both_databases!`] runs on SQLite and on PostgreSQL; its name contains the database. Without
//! a PostgreSQL server the second test is reported as skipped, or fails if `ROSTER_REQUIRE_POSTGRES=1`. With `TEST_CITUS_URL` it also runs
//! on the Citus cluster of that coordinator.

pub mod app;
pub mod bulk;
pub mod client;
pub mod database;
pub mod deadline;
pub mod lines;
pub mod lock;
pub mod markdown;
pub mod pair;
pub mod process;
pub mod program;
pub mod raw;
pub mod receiver;
pub mod rows;

pub use app::App;
pub use client::{Caller, Response};
pub use database::{Database, Kind};
pub use pair::Pair;

/// Defines three tests for each function: one on SQLite, one on PostgreSQL, and one on PostgreSQL with tables that Citus distributes.
///
/// The function takes a migrated [`Database`] with the two merchants of [`Tenants`](crate::app::Tenants), and nothing
/// else. The compiler warns about a function that is missing from the list: it is dead code. Attributes of a name in the
/// list, such as `#[ignore]`, are those of all tests.
#[macro_export]
macro_rules! on_both_databases {
    ($($(#[$attribute:meta])* $name:ident,)+) => {$(
        mod $name {
            #[test]
            $(#[$attribute])*
            fn on_sqlite() {
                $crate::Database::prepared($crate::Kind::Sqlite).into_iter().for_each(super::$name);
            }

            #[test]
            $(#[$attribute])*
            fn on_postgres() {
                $crate::Database::prepared($crate::Kind::Postgres).into_iter().for_each(super::$name);
            }

            #[test]
            $(#[$attribute])*
            fn on_citus() {
                $crate::Database::distributed().into_iter().for_each(super::$name);
            }
        }
    )+};
}
