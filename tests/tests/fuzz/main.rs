//! Requests that Schemathesis makes from the OpenAPI documents, against the whole program on both databases: each answer
//! must be one that the document allows.
//!
//! `make fuzz` installs Schemathesis and runs this. The requests are the same in each run, so that what one finds is found
//! again.

mod credential;

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use roster_tests::lines::Stream;
use roster_tests::process::Process;
use roster_tests::{App, Database, on_both_databases};
use tempfile::TempDir;

on_both_databases! {
    #[ignore = "needs Schemathesis: make fuzz"]
    native,
    #[ignore = "needs Schemathesis: make fuzz"]
    lumen,
    #[ignore = "needs Schemathesis: make fuzz"]
    lava,
    #[ignore = "needs Schemathesis: make fuzz"]
    admin,
}

fn native(database: Database) {
    every_answer_is_documented("/v1", database, credential::token);
}

fn lumen(database: Database) {
    every_answer_is_documented("/api", database, credential::token);
}

fn lava(database: Database) {
    every_answer_is_documented("/lava/v1", database, credential::token);
}

fn admin(database: Database) {
    every_answer_is_documented("/admin/v1", database, credential::operator);
}

/// How long a run may take, far more than it needs.
const TIMEOUT: Duration = Duration::from_mins(30);

/// Checks that are left out. Some rules are no part of JSON Schema: that a time lies in the future, that a language is a
/// tag of BCP 47, that a cursor was given by an earlier page. A request that breaks one of them is valid by the document,
/// and is refused with reason.
const LEFT_OUT: &str = "positive_data_acceptance";

fn every_answer_is_documented(base: &str, database: Database, credential: fn(&App) -> String) {
    let kind = database.kind();
    let app = App::start_with(
        database,
        &[
            ("ROSTER__AUTH__ISSUERS", credential::ISSUERS),
            // That of operators, too.
            ("ROSTER__LIMITS__LIVE_KEY_PER_SECOND", "1000000"),
            ("ROSTER__LIMITS__SANDBOX_KEY_PER_SECOND", "1000000"),
            ("ROSTER__LIMITS__SANDBOX_MERCHANT_PER_SECOND", "1000000"),
            // Test events go to generated addresses.
            ("ROSTER__WEBHOOKS__TIMEOUT_MS", "1000"),
        ],
    );
    let credential = credential(&app);
    // It keeps what it has found beside where it runs.
    let folder = TempDir::new().expect("a temporary folder");
    let mut process = Process::spawn(
        Command::new(installed())
            .current_dir(folder.path())
            .args(["--config-file", concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/schemathesis.toml")])
            .args(["run", &format!("http://{}{base}/openapi.json", app.address())])
            .args(["--header", &format!("Authorization: Bearer {credential}")])
            .args(["--max-examples", &env::var("ROSTER_FUZZ_EXAMPLES").unwrap_or_else(|_| "100".to_owned())])
            .args(["--generation-deterministic", "--exclude-checks", LEFT_OUT, "--no-color"]),
    );
    let status = process.wait(TIMEOUT);
    let (out, err) = (process.lines().text(Stream::Out), process.lines().text(Stream::Err));
    let summary = out.lines().find(|line| line.contains(" generated, ")).unwrap_or_default();
    println!("{base} on {kind}: {}", summary.trim());
    assert!(status.success(), "{base} on {kind}: {status}\n{out}\n{err}");
    // A run whose credential is refused would find nothing.
    assert!(!out.contains("Authentication failed"), "{out}");
    app.root().get("/readyz").is(200);
}

/// Where `make fuzz` has put it.
fn installed() -> PathBuf {
    env::var_os("ROSTER_SCHEMATHESIS").expect("make fuzz sets ROSTER_SCHEMATHESIS").into()
}
