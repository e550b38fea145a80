//! What the program and its stores send to PostgreSQL names a tenant, whatever the tests made them do.
//!
//! [`check`] judges one statement and [`cases`] judges that; here it judges the log of a whole run. Row-level security,
//! which would do so in production, was set aside: see `docs/adr/0008-row-level-security-set-aside.md`.

mod cases;
mod check;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use roster_test_postgres::read_statements;

use check::{Exception, Findings, OF_TENANTS, check};

/// What the service calls itself when it connects. What the tests send themselves has another name or none.
const SERVICE: &str = "roster";

/// The least that the tests send, so that half a log is not taken for a whole one. It was 52,222 when this was written.
const LEAST_STATEMENTS: usize = 30_000;

/// All that may read a tenant's table without naming the tenant.
const EXCEPTIONS: [Exception; 2] = [
    Exception {
        table: "api_keys",
        by: "digest",
        columns: &[],
        reason: "whoever shows a key has not said yet whose it is: that is what the key is looked up for",
    },
    Exception {
        table: "api_keys",
        by: "id",
        columns: &["merchant_id", "environment"],
        reason: "the operator names a key on the command line, and what is done to it then names its tenant",
    },
];

#[test]
#[ignore = "it judges what all others have sent: `make test` runs it behind them"]
fn every_statement_of_the_service_names_its_tenant() {
    if env::var_os("TEST_DATABASE_URL").is_some() {
        say_skipped();
        return;
    }
    let folder = env::var_os("ROSTER_STATEMENT_LOG").expect("ROSTER_STATEMENT_LOG names the folder of the log");
    let statements = sent_by_service(Path::new(&folder));
    let sent: usize = statements.values().sum();
    assert!(sent >= LEAST_STATEMENTS, "the log has no more than {sent} statements");
    let mut all = Findings::default();
    for sql in statements.keys() {
        let Findings { faults, touched, needed } = check(sql, &EXCEPTIONS);
        all.faults.extend(faults.iter().map(|fault| format!("{fault}\n    in {sql}")));
        all.touched.extend(touched);
        all.needed.extend(needed);
    }
    println!("{sent} statements were sent, {} different ones", statements.len());
    assert!(all.faults.is_empty(), "{}", all.faults.into_iter().collect::<Vec<_>>().join("\n"));
    assert_eq!(all.touched, BTreeSet::from(OF_TENANTS), "a table that no statement touched");
    assert_eq!(all.needed, BTreeSet::from(EXCEPTIONS), "an exception that no statement needs");
}

/// Each statement that the service sent, and how often.
fn sent_by_service(folder: &Path) -> BTreeMap<String, usize> {
    let migrations = migrations();
    let mut statements = BTreeMap::new();
    read_statements(folder, |statement| {
        if statement.application == SERVICE && !migrations.contains(statement.sql.trim()) {
            *statements.entry(statement.sql).or_default() += 1;
        }
    })
    .unwrap_or_else(|error| panic!("the log in {}: {error}", folder.display()));
    statements
}

/// The texts of the migrations, which change tables for all tenants at once.
fn migrations() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations/postgres");
    let mut texts = BTreeSet::new();
    for migration in entries(&folder) {
        for file in entries(&migration) {
            texts.insert(fs::read_to_string(file).expect("a migration").trim().to_owned());
        }
    }
    texts
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect()
}

fn say_skipped() {
    // Not `eprintln!`, which the test harness keeps to itself when the test passes. Nobody to tell is no failure.
    let _ = io::stderr().write_all(b"SKIPPED: the server that TEST_DATABASE_URL names keeps its log to itself\n");
}
