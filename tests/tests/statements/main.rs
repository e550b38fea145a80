//! Every statement that the service sent to PostgreSQL during the tests names a tenant.
//!
//! [`check`] checks one statement, and [`cases`] tests it; this test checks the log of a whole test run. Row-level
//! security would check the same in production, but is not used: see `docs/adr/0008-row-level-security-set-aside.md`.

mod cases;
mod check;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use roster_test_postgres::read_statements;

use check::{Exception, Findings, OF_TENANTS, check};

/// The `application_name` of the service. Connections of the tests themselves have another name or none.
const SERVICE: &str = "roster";

/// The least number of statements in a complete log, so that an incomplete one fails. There were 52,222 when this was
/// written.
const LEAST_STATEMENTS: usize = 30_000;

/// The statements that may read a table of tenants without naming the tenant.
const EXCEPTIONS: [Exception; 3] = [
    Exception {
        table: "api_keys",
        by: "digest",
        columns: &[],
        reason: "the tenant of a key is unknown until the key is found",
    },
    Exception {
        table: "api_keys",
        by: "id",
        columns: &["merchant_id", "environment"],
        reason: "an operator names only the key, by command or over HTTP; all further statements name its tenant",
    },
    Exception {
        table: "webhook_endpoints",
        by: "status",
        columns: &["merchant_id", "environment", "id"],
        reason: "workers look for endpoints of all tenants that are due; all further statements name their tenants",
    },
];

#[test]
#[ignore = "it checks the statements of all other tests: `make test` runs it after them"]
fn every_statement_of_the_service_names_its_tenant() {
    if env::var_os("TEST_DATABASE_URL").is_some() {
        report_skipped();
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
    assert_eq!(all.touched, BTreeSet::from(OF_TENANTS), "a table that no statement uses");
    assert_eq!(all.needed, BTreeSet::from(EXCEPTIONS), "an exception that no statement needs");
}

/// How the removal of a half-built index begins, which belongs to a migration and touches no row.
const REMOVAL: &str = "DROP INDEX CONCURRENTLY IF EXISTS ";

/// Each statement that the service sent, with the number of times.
fn sent_by_service(folder: &Path) -> BTreeMap<String, usize> {
    let migrations = migrations();
    let mut statements = BTreeMap::new();
    read_statements(folder, |statement| {
        let migrates = migrations.contains(statement.sql.trim()) || statement.sql.starts_with(REMOVAL);
        if statement.application == SERVICE && !migrates {
            *statements.entry(statement.sql).or_default() += 1;
        }
    })
    .unwrap_or_else(|error| panic!("the log in {}: {error}", folder.display()));
    statements
}

/// The texts of the migrations, which change the tables of all tenants.
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

fn report_skipped() {
    // Not `eprintln!`: the test harness hides its output when the test passes. A closed standard error is no failure.
    let _ = io::stderr().write_all(b"SKIPPED: the server that TEST_DATABASE_URL names keeps its log to itself\n");
}
