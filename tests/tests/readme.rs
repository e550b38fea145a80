//! What `README.md` prints: its commands run as they are printed, and its answers have the fields of real ones. And the links of all
//! pages.
//!
//! `roster_tests::markdown` says which blocks are run. `tests/clients` runs those with a vendor's client library.

use std::fs;
use std::path::{Path, PathBuf};

use roster_tests::markdown::{page, run_page};
use roster_tests::{App, Database, Kind};

#[test]
fn every_command_succeeds_and_every_answer_has_the_fields_shown() {
    let app = App::start(Database::prepared(Kind::Sqlite).expect("a file"));
    let compared = run_page(&page("README.md"), &app, &app.tenants().ours.sandbox);
    assert!(compared >= 3, "not every surface shows an answer: {compared}");
}

#[test]
fn every_link_to_a_file_leads_to_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut pages = vec![root.join("README.md")];
    for folder in ["docs", "docs/adr", "docs/guide"] {
        let files = fs::read_dir(root.join(folder)).expect("a folder").map(|entry| entry.expect("an entry").path());
        pages.extend(files.filter(|file| file.extension().is_some_and(|extension| extension == "md")));
    }
    let mut broken = Vec::new();
    for page in &pages {
        let text = fs::read_to_string(page).expect("a page");
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        let is_file = |target: &&str| !target.is_empty() && !target.contains("://");
        let gone = |target: &PathBuf| !page.with_file_name(target).exists();
        broken.extend(targets.filter(is_file).map(PathBuf::from).filter(gone).map(|target| (page.clone(), target)));
    }
    assert!(pages.len() > 10, "{pages:?}");
    assert!(broken.is_empty(), "{broken:?}");
}
