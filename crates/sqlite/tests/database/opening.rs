//! Opening a file, and the errors when it cannot be opened.

use std::error::Error as _;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use roster_application::ports::{Store as _, StoreError};
use roster_sqlite::SqliteStore;

use crate::samples::{LONG, customer, find, insert, new_tenant, open, open_migrated, options};

/// The error for a file that cannot be opened, and the message that the log would show.
fn refusal(path: &Path) -> (StoreError, String) {
    let error = SqliteStore::open(&options(path)).map(drop).expect_err("it cannot be opened");
    let message = error.source().expect("a reason").to_string();
    assert!(message.starts_with(&format!("{}: ", path.display())), "{message}");
    (error, message)
}

#[test]
fn a_missing_file_and_its_folders_are_created() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("a/b/roster.db");
    drop(open(&path));
    assert!(path.is_file());
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_access_a_created_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("roster.db");
    let _store = open_migrated(&path);
    for name in ["roster.db", "roster.db-wal", "roster.db-shm"] {
        let mode = fs::metadata(folder.path().join(name)).expect(name).permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_every_user_can_access_is_restricted_to_its_owner() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("roster.db");
    let mode_of = |name: &str| fs::metadata(folder.path().join(name)).expect(name).permissions().mode() & 0o777;
    for (before, after) in [(0o644, 0o600), (0o604, 0o600), (0o666, 0o600), (0o640, 0o640), (0o600, 0o600)] {
        drop(open_migrated(&path));
        // The last connection of a store may close a moment later, on a thread of the pool, and these files with it.
        let end = Instant::now() + LONG;
        while ["roster.db-wal", "roster.db-shm"].iter().any(|name| folder.path().join(name).exists()) {
            assert!(Instant::now() < end, "a store that was dropped is not closed");
            thread::yield_now();
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(before)).expect("permissions");
        let store = open_migrated(&path);
        insert(&store, &customer(new_tenant(&store), "ada", "ada@example.com")).expect("a new customer");
        for name in ["roster.db", "roster.db-wal", "roster.db-shm"] {
            assert_eq!(mode_of(name), after, "{name}, which was {before:o}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_wal_that_a_killed_process_left_readable_is_restricted_too() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("roster.db");
    let store = open_migrated(&path);
    for name in ["roster.db-wal", "roster.db-shm"] {
        let path = folder.path().join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("permissions");
    }
    let _other = open(&path);
    for name in ["roster.db-wal", "roster.db-shm"] {
        let mode = fs::metadata(folder.path().join(name)).expect(name).permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    store.ping().expect("an answer");
}

#[test]
fn a_missing_file_is_not_created_unless_the_options_say_so() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("a/roster.db");
    let options = roster_sqlite::Options { create: false, ..options(&path) };
    let error = SqliteStore::open(&options).map(drop).expect_err("there is no file");
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert_eq!(folder.path().read_dir().expect("a folder").count(), 0);
    drop(open(&path));
    assert!(SqliteStore::open(&options).is_ok());
}

#[test]
fn written_rows_are_there_when_the_file_is_reopened() {
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
fn special_characters_in_a_file_name_have_no_meaning() {
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
    let (error, message) = refusal(folder.path());
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!(message.ends_with("it is a folder"), "{message}");
}

#[cfg(unix)]
#[test]
fn a_device_file_is_refused() {
    let (_, message) = refusal(Path::new("/dev/null"));
    assert!(message.ends_with("it is not a regular file"), "{message}");
}

#[test]
fn a_path_below_a_regular_file_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("file");
    fs::write(&file, "text").expect("a file");
    let (error, _) = refusal(&file.join("roster.db"));
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert_eq!(fs::read_to_string(&file).expect("a file"), "text");
}

#[test]
fn a_file_that_is_no_database_is_refused_and_stays_unchanged() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("roster.db");
    let text = "This is no database. ".repeat(1000);
    fs::write(&path, &text).expect("a file");
    let start = Instant::now();
    let (error, message) = refusal(&path);
    // Opening is tried again only while the file is locked, for at most `wait`, which is minutes.
    assert!(start.elapsed() < options(&path).wait / 2, "it was tried again and again");
    assert!(matches!(error, StoreError::Internal { .. }), "{error:?}");
    assert!(message.ends_with("file is not a database"), "{message}");
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
    let (error, message) = refusal(&path);
    assert!(matches!(error, StoreError::Internal { .. }), "{error:?}");
    assert!(message.ends_with("database disk image is malformed"), "{message}");
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
    let (error, message) = refusal(&path);
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!(message.contains("denied"), "{message}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_in_which_no_file_can_be_created_is_refused() {
    // Not even root can make a file or a folder there.
    for path in ["/proc/roster.db", "/proc/roster/roster.db"] {
        let (error, _) = refusal(Path::new(path));
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    }
}

#[test]
fn an_unusable_option_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("roster.db");
    let no_connection = roster_sqlite::Options { connections: 0, ..options(&path) };
    let no_time = roster_sqlite::Options { wait: Duration::ZERO, ..options(&path) };
    for options in [no_connection, no_time] {
        assert!(SqliteStore::open(&options).is_err(), "{options:?}");
    }
}
