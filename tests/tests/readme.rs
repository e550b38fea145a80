//! What `README.md` prints: its commands run as they are printed, and its answers have the fields of real ones.
//!
//! `roster_tests::markdown` says which blocks are run. `tests/clients` runs those with a vendor's client library.

use roster_tests::markdown::{page, run_page};
use roster_tests::{App, Database, Kind};

#[test]
fn every_command_succeeds_and_every_answer_has_the_fields_shown() {
    let app = App::start(Database::prepared(Kind::Sqlite).expect("a file"));
    let compared = run_page(&page("README.md"), &app, &app.tenants().ours.sandbox);
    assert!(compared >= 3, "not every surface shows an answer: {compared}");
}
