//! The whole program from outside: a harness that starts the binary `roster` on a real database and talks to it over
//! real sockets.
//!
//! Nothing here knows a crate of the program. [`app::App`] is one running service with two merchants; [`program`] finds
//! the binary and runs it; [`database`] gives each test a database of its own; [`client`] speaks HTTP and [`raw`] speaks
//! what is not quite HTTP. The tests stand in `tests/roster`, one file per promise; the test of the crates' own order
//! stands in `tests/architecture.rs`. `cargo test -p roster-tests seeds` runs those of one file.
//!
//! A test that says [`on_both_databases!`] runs on SQLite and on PostgreSQL, under a name that says which. Without a
//! PostgreSQL server the second half says aloud that it is skipped, and fails if `ROSTER_REQUIRE_POSTGRES=1`.

pub mod app;
pub mod bulk;
pub mod client;
pub mod database;
pub mod deadline;
pub mod lines;
pub mod process;
pub mod program;
pub mod raw;
pub mod rows;

pub use app::App;
pub use client::{Answer, Caller};
pub use database::{Database, Kind};

/// Makes two tests of each function: one on SQLite, one on PostgreSQL.
///
/// Each takes a [`Database`] that is migrated and holds the two merchants of [`Tenants`](crate::app::Tenants), and
/// nothing else. A test that is missing from the list is dead code, and so is refused by the compiler.
#[macro_export]
macro_rules! on_both_databases {
    ($($name:ident,)+) => {$(
        mod $name {
            #[test]
            fn on_sqlite() {
                $crate::Database::prepared($crate::Kind::Sqlite).into_iter().for_each(super::$name);
            }

            #[test]
            fn on_postgres() {
                $crate::Database::prepared($crate::Kind::Postgres).into_iter().for_each(super::$name);
            }
        }
    )+};
}
