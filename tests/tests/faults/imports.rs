//! An import whose importer and whose database are killed again and again.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use roster_test_postgres::Cluster;
use roster_tests::app::Merchant;
use roster_tests::client::{Caller, Surface, agent};
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::process::{Process, Signal};
use roster_tests::program::{Program, launch, roster};
use roster_tests::{Database, Kind};
use serde_json::Value;
use tempfile::TempDir;

const ROWS: usize = 100_000;
const KILLS: usize = 50;

/// One row of so many is refused, so that the file of errors shows how far an import has come.
const REFUSED: usize = 200;

#[test]
#[ignore = "slow: make faults"]
fn each_row_is_imported_once_however_often_importer_and_postgres_are_killed() {
    let Some((database, cluster)) = Database::on_own_server() else { return };
    import_with_kills(&database, Some(&cluster));
}

#[test]
#[ignore = "slow: make faults"]
fn each_row_is_imported_once_however_often_the_importer_of_a_file_is_killed() {
    let database = Database::prepared(Kind::Sqlite).expect("a file");
    import_with_kills(&database, None);
}

#[test]
#[ignore = "slow: make faults"]
fn a_file_whose_instance_is_killed_is_imported_by_another_on_postgres() {
    let Some((database, _cluster)) = Database::on_own_server() else { return };
    let other = Program::serve(database.url(), &[]);
    kill_while_it_imports(&database, 5000);
    assert_imported(&database, &other, 5000);
}

#[test]
#[ignore = "slow: make faults"]
fn a_file_whose_service_is_killed_is_imported_by_the_next_on_sqlite() {
    let database = Database::prepared(Kind::Sqlite).expect("a file");
    kill_while_it_imports(&database, 5000);
    let next = Program::serve(database.url(), &[]);
    assert_imported(&database, &next, 5000);
}

fn caller(database: &Database, program: &Program) -> Caller {
    Caller::new(agent(), program.address(), Surface::Native.base()).with_key(&database.tenants().ours.live)
}

/// Sends a file to a service of its own, and kills that as soon as some rows are imported.
fn kill_while_it_imports(database: &Database, rows: usize) {
    let mut program = Program::serve(database.url(), &[]);
    let native = caller(database, &program);
    let row = |row: usize| format!("{{\"name\":\"Row {row}\"}}\n");
    let file: String = (0..rows).map(row).collect();
    let sent = native.request("POST", "/imports").bytes(file.into_bytes()).send().expect(202);
    let path = format!("/imports/{}", sent.text_at("/id"));
    until("some rows are imported", TIMEOUT, || native.get(&path).json()["rows"].as_u64().filter(|rows| *rows > 0));
    program.signal(Signal::Kill);
    program.wait(TIMEOUT);
}

/// No row has an identifier: nothing but the import keeps it from being done twice.
fn assert_imported(database: &Database, program: &Program, rows: usize) {
    let native = caller(database, program);
    until("the lease is over and all rows are imported", Duration::from_mins(3), || {
        let customers = native.get("/customers?include=total&limit=1").expect(200).json();
        (customers["total_count"] == rows).then_some(())
    });
    let arguments = ["export", "--merchant", &database.tenants().ours.id, "--environment", "live"];
    let exported = roster(database.url(), &[], &arguments);
    let name = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["name"].to_string();
    let names: HashSet<String> = exported.out.lines().map(name).collect();
    assert_eq!((exported.out.lines().count(), names.len()), (rows, rows), "each row once");
}

/// Kills the importer, or every third time its server, as the import has come a bit further each time.
fn import_with_kills(database: &Database, cluster: Option<&Cluster>) {
    let folder = TempDir::new().expect("a temporary folder");
    let import = Import {
        database,
        merchant: &database.tenants().ours,
        errors: folder.path().join("errors.ndjson"),
        file: write_rows(&folder),
    };
    let mut killed = 0;
    while killed < KILLS {
        let mut process = import.start();
        let goal = (killed + 1) * (ROWS / REFUSED) / (KILLS + 5);
        until("the import goes on", TIMEOUT, || (import.reported() >= goal || process.ended().is_some()).then_some(()));
        assert!(process.ended().is_none(), "it was to be killed {KILLS} times: {killed}, {:#?}", process.lines().all());
        match cluster {
            Some(cluster) if killed % 3 == 2 => {
                cluster.crash();
                // It ends by itself, and says that it goes on.
                let status = process.wait(TIMEOUT);
                let printed = process.lines().all().join("\n");
                assert_eq!(status.code(), Some(1), "{printed}");
                assert!(printed.contains("goes on from there"), "{printed}");
                cluster.start();
            }
            _ => {
                process.signal(Signal::Kill);
                process.wait(TIMEOUT);
            }
        }
        killed += 1;
    }
    let mut process = import.start();
    let status = process.wait(Duration::from_mins(5));
    let printed = process.lines().all().join("\n");
    assert_eq!(status.code(), Some(1), "rows are refused: {printed}");
    assert!(
        printed.contains("100,000 rows: 99,500 created, 0 updated, 0 unchanged, 0 skipped, 500 refused"),
        "{printed}"
    );
    import.assert_each_row_once();
}

struct Import<'a> {
    database: &'a Database,
    merchant: &'a Merchant,
    file: PathBuf,
    errors: PathBuf,
}

impl Import<'_> {
    fn start(&self) -> Process {
        let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        let (file, errors) = (text(&self.file), text(&self.errors));
        let tenant = ["--merchant", self.merchant.id.as_str(), "--environment", "live"];
        let arguments = [&["import", file.as_str(), "--errors", errors.as_str()], &tenant[..]].concat();
        launch(self.database.url(), &[], &arguments)
    }

    /// How many errors are reported.
    fn reported(&self) -> usize {
        fs::read_to_string(&self.errors).map_or(0, |text| text.lines().count())
    }

    /// No row but those that are refused has an identifier: nothing but the import keeps it from being done twice.
    fn assert_each_row_once(&self) {
        let arguments = ["export", "--merchant", &self.merchant.id, "--environment", "live"];
        let exported = roster(self.database.url(), &[], &arguments);
        assert!(exported.status.success(), "{}", exported.err);
        let name = |line: &str| {
            let customer: Value = serde_json::from_str(line).expect("JSON");
            customer["name"].as_str().expect("a name").to_owned()
        };
        let names: Vec<String> = exported.out.lines().map(name).collect();
        let expected = (0..ROWS).filter(|row| row % REFUSED > 0).map(|row| format!("Row {row}"));
        assert!(names.iter().eq(expected.collect::<Vec<_>>().iter()), "a row is missing, twice, or out of its order");
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
        let errors = fs::read_to_string(&self.errors).expect("a file");
        let row = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["row"].as_u64().expect("a number");
        let rows: Vec<u64> = errors.lines().map(row).collect();
        assert_eq!(rows, (1..=ROWS as u64).step_by(REFUSED).collect::<Vec<_>>(), "each error once");
    }
}

fn write_rows(folder: &TempDir) -> PathBuf {
    let mut text = "name,email\n".to_owned();
    for row in 0..ROWS {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "Row {row},{}", if row % REFUSED == 0 { "none" } else { "" });
    }
    let path = folder.path().join("rows.csv");
    fs::write(&path, text).expect("a file");
    path
}
