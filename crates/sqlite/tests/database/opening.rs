//! Opening a file, and what is told when it cannot be.

use std::error::Error as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use roster_application::ports::StoreError;
use roster_sqlite::SqliteStore;

use crate::samples::{customer, find, insert, new_tenant, open, open_migrated, options};

/// What the log would show of a file that cannot be opened.
fn refusal(path: &Path) -> (StoreError, String) {
    let error = SqliteStore::open(&options(path)).map(drop).expect_err("it cannot be opened");
    let told = error.source().expect("a reason").to_string();
    assert!(told.starts_with(&format!("{}: ", path.display())), "{told}");
    (error, told)
}

#[test]
fn a_file_and_its_folders_are_made() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("a/b/roster.db");
    drop(open(&path));
    assert!(path.is_file());
}

#[cfg(unix)]
#[test]
fn a_file_that_is_made_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("roster.db");
    let _store = open_migrated(&path);
    for name in ["roster.db", "roster.db-wal", "roster.db-shm"] {
        let mode = fs::metadata(folder.path().join(name)).expect(name).permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn what_was_written_is_there_when_the_file_is_opened_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("roster.db");
    let store = open_migrated(&path);
    let ada = customer(new_tenant(&store), "ada", "ada@example.com");
    insert(&store, &ada).expect("a new customer");
    drop(store);
    let again = open(&path);
    assert_eq!(again.pending_migrations().expect("an answer"), Vec::<String>::new());
    assert_eq!(find(&open_migrated(&path), &ada).expect("an answer"), Some(ada));
}

#[test]
fn a_name_means_nothing_but_itself() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in [":memory:", "file:x?mode=memory", "a b#c%20d?e=f&g", "é名'\"\\", "sqlite:"] {
        let path = folder.path().join(name);
        let store = open_migrated(&path);
        store.ping().expect("a sign of life");
        assert!(path.is_file(), "{name}");
        drop(store);
        assert_eq!(fs::metadata(&path).expect(name).len() % 4096, 0, "{name}");
        assert_ne!(fs::metadata(&path).expect(name).len(), 0, "{name}");
    }
    assert_eq!(folder.path().read_dir().expect("a folder").count(), 5);
}

#[test]
fn a_folder_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (error, told) = refusal(folder.path());
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!(told.ends_with("it is a folder"), "{told}");
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_refused() {
    let (_, told) = refusal(Path::new("/dev/null"));
    assert!(told.ends_with("it is not a regular file"), "{told}");
}

#[test]
fn a_file_in_the_place_of_the_folder_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("file");
    fs::write(&file, "text").expect("a file");
    let (error, _) = refusal(&file.join("roster.db"));
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert_eq!(fs::read_to_string(&file).expect("a file"), "text");
}

#[test]
fn a_file_that_is_no_database_is_refused_at_once_and_left_as_it_was() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("roster.db");
    let text = "This is no database. ".repeat(1000);
    fs::write(&path, &text).expect("a file");
    let start = Instant::now();
    let (error, told) = refusal(&path);
    assert!(start.elapsed() < options(&path).wait / 2, "it was tried again and again");
    assert!(matches!(error, StoreError::Internal { .. }), "{error:?}");
    assert!(told.ends_with("file is not a database"), "{told}");
    assert_eq!(fs::read_to_string(&path).expect("a file"), text);
}

#[test]
fn a_damaged_database_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("roster.db");
    drop(open_migrated(&path));
    let mut bytes = fs::read(&path).expect("a file");
    bytes[4096..].fill(0x55);
    fs::write(&path, bytes).expect("a file");
    let (error, told) = refusal(&path);
    assert!(matches!(error, StoreError::Internal { .. }), "{error:?}");
    assert!(told.ends_with("database disk image is malformed"), "{told}");
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_written_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("roster.db");
    drop(open_migrated(&path));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).expect("permissions");
    if fs::OpenOptions::new().write(true).open(&path).is_ok() {
        eprintln!("skipped: this user may write whatever the permissions say");
        return;
    }
    let (error, told) = refusal(&path);
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!(told.contains("denied"), "{told}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_place_where_nothing_can_be_made_is_refused() {
    // Not even root can make a file or a folder there.
    for path in ["/proc/roster.db", "/proc/roster/roster.db"] {
        let (error, _) = refusal(Path::new(path));
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    }
}

#[test]
fn an_option_that_makes_no_sense_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("roster.db");
    let no_connection = roster_sqlite::Options { connections: 0, ..options(&path) };
    let no_time = roster_sqlite::Options { wait: Duration::ZERO, ..options(&path) };
    for options in [no_connection, no_time] {
        assert!(SqliteStore::open(&options).is_err(), "{options:?}");
    }
}
