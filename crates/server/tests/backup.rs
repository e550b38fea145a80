//! Backups of a SQLite file and their restoration, and the documents that are made from the command line's definition.
#![cfg(feature = "sqlite")]

mod program;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use program::{Program, Running};

const DATABASE: &str = "data/roster.db";

/// A folder with a database that has these merchants.
fn with_merchants(names: &[&str]) -> Program {
    let program = Program::migrated();
    for name in names {
        program.run(&["merchants", "create", name]).expect_success();
    }
    program
}

fn merchants(program: &Program) -> Vec<String> {
    let listed = program.run(&["merchants", "list", "--json"]).expect_json();
    let names = listed["data"].as_array().expect("a list").iter();
    names.map(|merchant| merchant["name"].as_str().expect("a name").to_owned()).collect()
}

/// Backs up the database of a program into a file that is not in its folder.
fn backup_of(program: &Program) -> (PathBuf, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("backup.db");
    program.run(&["backup", file.to_str().expect("UTF-8")]).expect_success();
    (file, folder)
}

fn restore(program: &Program, file: &Path, more: &[&str]) -> program::Finished {
    program.run(&[&["restore", file.to_str().expect("UTF-8")], more].concat())
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        folder.read_dir().expect("a folder").map(|entry| entry.expect("a file").file_name()).collect();
    names.sort();
    names.into_iter().map(|name| name.into_string().expect("UTF-8")).collect()
}

fn serve(program: &Program) -> Running {
    let service = program.start(&["serve"]);
    Running::lines_until(&service.err, "listening");
    service
}

#[test]
fn a_backup_is_one_new_file_that_only_its_owner_may_read() {
    let program = with_merchants(&["Acme"]);
    let (file, folder) = backup_of(&program);
    assert_eq!(names_in(folder.path()), ["backup.db"]);
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    let before = fs::read(&file).expect("a file");
    let refused = program.run(&["backup", file.to_str().expect("UTF-8")]).expect_failure(1);
    assert!(refused.contains("backup.db exists already"), "{refused}");
    assert_eq!(fs::read(&file).expect("a file"), before);
    let refused = program.run(&["backup", "missing/backup.db"]).expect_failure(1);
    assert!(refused.contains("missing cannot be used: No such file"), "{refused}");
}

#[test]
fn a_backup_of_a_running_service_has_what_it_has_acknowledged() {
    let program = Program::migrated().with("ROSTER__HTTP__BIND", "127.0.0.1:0");
    let _service = serve(&program);
    // In the WAL only.
    program.run(&["merchants", "create", "Acme"]).expect_success();
    let (file, _folder) = backup_of(&program);
    let other = Program::new();
    let report = restore(&other, &file, &[]).expect_success();
    assert_eq!(report, "Restored into SQLite data/roster.db\n");
    assert_eq!(merchants(&other), ["Acme"]);
}

#[test]
fn a_database_without_merchants_is_replaced_and_another_only_by_force() {
    let (file, _folder) = backup_of(&with_merchants(&["Acme"]));
    let empty = Program::migrated();
    restore(&empty, &file, &[]).expect_success();
    assert_eq!(merchants(&empty), ["Acme"]);
    let other = with_merchants(&["Other", "Third"]);
    let refused = restore(&other, &file, &[]).expect_failure(1);
    assert!(refused.contains("--force") && refused.contains("has data"), "{refused}");
    assert_eq!(merchants(&other), ["Other", "Third"]);
    restore(&other, &file, &["--force"]).expect_success();
    assert_eq!(merchants(&other), ["Acme"]);
    assert_eq!(fs::metadata(other.folder().join(DATABASE)).expect("a file").permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_database_that_a_service_has_open_is_not_replaced() {
    let (file, _folder) = backup_of(&with_merchants(&["Acme"]));
    let program = with_merchants(&["Other"]).with("ROSTER__HTTP__BIND", "127.0.0.1:0");
    let service = serve(&program);
    let refused = restore(&program, &file, &["--force"]).expect_failure(1);
    assert!(refused.contains("roster.db is in use"), "{refused}");
    assert_eq!(merchants(&program), ["Other"]);
    service.signal("TERM");
    assert!(service.wait().0.success());
    restore(&program, &file, &["--force"]).expect_success();
    assert_eq!(merchants(&program), ["Acme"]);
    assert_eq!(names_in(&program.folder().join("data")), ["roster.db"]);
}

#[test]
fn what_is_no_good_backup_replaces_nothing() {
    let program = with_merchants(&["Other"]);
    let (good, folder) = backup_of(&with_merchants(&["Acme"]));
    let bytes = fs::read(&good).expect("a file");
    let damaged = {
        let mut bytes = bytes.clone();
        // The second half: some pages of tables and indexes.
        let half = bytes.len() / 2;
        bytes[half..].fill(0x55);
        bytes
    };
    for (name, content, reason) in [
        ("text", b"this is no database, however long it is ".repeat(100), "file is not a database"),
        ("damaged", damaged, "SQLite cannot read it: "),
        ("short", bytes[..bytes.len() / 2].to_vec(), "cannot be restored: "),
        ("nothing", Vec::new(), "it is not a database of Roster"),
    ] {
        let file = folder.path().join(name);
        fs::write(&file, content).expect("a file");
        let refused = restore(&program, &file, &["--force"]).expect_failure(1);
        assert!(refused.contains("nothing was restored") && refused.contains(reason), "{name}: {refused}");
        assert_eq!(
            (merchants(&program), names_in(&program.folder().join("data"))),
            (vec!["Other".to_owned()], vec!["roster.db".to_owned()])
        );
    }
    fs::write(folder.path().join("backup.db-wal"), "pages").expect("a file");
    let refused = restore(&program, &good, &["--force"]).expect_failure(1);
    assert!(refused.contains("it has a WAL"), "{refused}");
    let refused = restore(&program, &program.folder().join(DATABASE), &["--force"]).expect_failure(1);
    assert!(refused.contains("it is the database itself"), "{refused}");
}

#[test]
fn a_damaged_database_is_replaced_by_force_and_its_wal_is_not_replayed() {
    let (file, _folder) = backup_of(&with_merchants(&["Acme"]));
    let program = with_merchants(&["Other"]).with("ROSTER__HTTP__BIND", "127.0.0.1:0");
    let service = serve(&program);
    program.run(&["merchants", "create", "In the WAL"]).expect_success();
    service.signal("KILL");
    drop(service);
    let database = program.folder().join(DATABASE);
    assert!(fs::metadata(database.with_file_name("roster.db-wal")).expect("a WAL").len() > 0);
    fs::write(&database, b"this is no database any more ".repeat(1000)).expect("a file");
    let refused = restore(&program, &file, &[]).expect_failure(1);
    assert!(refused.contains("has data"), "{refused}");
    restore(&program, &file, &["--force"]).expect_success();
    assert_eq!(merchants(&program), ["Acme"]);
}

#[test]
fn postgresql_is_backed_up_by_its_own_program() {
    let program = Program::new().with("DATABASE_URL", "postgres://roster:hunter@127.0.0.1:1/roster");
    for (arguments, tool) in [(["backup", "file"], "pg_dump"), (["restore", "file"], "pg_restore")] {
        let refused = program.run(&arguments).expect_failure(1);
        assert!(refused.contains(tool) && !refused.contains("hunter"), "{refused}");
    }
}

#[test]
fn completions_and_man_pages_know_every_command() {
    let program = Program::new();
    let help = program.run(&["--help"]).expect_success();
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.len() > 8, "{help}");
    for shell in ["bash", "zsh", "fish"] {
        let script = program.run(&["completions", shell]).expect_success();
        for command in &commands {
            assert!(script.contains(command), "{command} in the completions for {shell}");
        }
    }
    program.run(&["man", "pages/man1"]).expect_success();
    let pages = names_in(&program.folder().join("pages/man1"));
    for page in commands.iter().filter(|command| **command != "help").map(|command| format!("roster-{command}.1")) {
        assert!(pages.contains(&page), "{page} in {pages:?}");
    }
    let page = fs::read_to_string(program.folder().join("pages/man1/roster-keys-create.1")).expect("a page");
    assert!(page.contains("expires\\-in"), "{page}");
}
