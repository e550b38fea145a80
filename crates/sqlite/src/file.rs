//! The file: made if it is missing, and how every connection uses it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::r2d2::CustomizeConnection;
use diesel::result::Error;
use diesel::sql_types::Text;
use roster_application::ports::StoreError;

use crate::error::{connection_error, is_locked, store_error};
use crate::pool::WRITE;

/// How long to pause before looking again whether a file is free.
const PAUSE: Duration = Duration::from_millis(2);

/// A file that is there.
///
/// Nothing here opens it but SQLite: its locks belong to the process, and closing any other handle would let go of them
/// behind its back.
#[derive(Debug, Clone)]
pub struct DatabaseFile {
    /// The whole path, which stays right wherever the process goes.
    path: PathBuf,
}

impl DatabaseFile {
    /// Makes the file, and its folder, unless they are there. A file that is made is for its owner alone.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it cannot be made, or if something else is in its place.
    pub fn provide(path: &Path) -> Result<Self, StoreError> {
        let place = |error: io::Error| StoreError::unavailable(error);
        let is_new = match fs::metadata(path) {
            Ok(found) if found.is_dir() => return Err(StoreError::unavailable("it is a folder")),
            Ok(found) if !found.is_file() => return Err(StoreError::unavailable("it is not a regular file")),
            Ok(_) => false,
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(place(error)),
        };
        let file = Self { path: whole(path).map_err(place)? };
        if is_new {
            SqliteConnection::establish(&file.uri("rwc")).map_err(|error| connection_error(&error))?;
            keep_from_others(&file.path).map_err(place)?;
        }
        Ok(file)
    }

    /// What to open it by. Once it is gone, that does not make it anew.
    pub fn url(&self) -> String {
        self.uri("rw")
    }

    /// A URI, in which no character of the path means anything else.
    fn uri(&self, mode: &str) -> String {
        let encode = |byte: &u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => char::from(*byte).to_string(),
            other => format!("%{other:02X}"),
        };
        let path: String = self.path.as_os_str().as_encoded_bytes().iter().map(encode).collect();
        format!("file:{path}?mode={mode}")
    }

    /// Makes the first connection, which finds out what there is to find out about the file.
    ///
    /// # Errors
    /// [`StoreError`] if it is no database, or cannot be written.
    pub fn connect(&self, settings: Settings) -> Result<SqliteConnection, StoreError> {
        let mut connection = SqliteConnection::establish(&self.url()).map_err(|error| connection_error(&error))?;
        require_writable(&mut connection).map_err(|error| store_error(&error))?;
        settings.apply(&mut connection).map_err(|error| store_error(&error))?;
        Ok(connection)
    }
}

fn whole(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    Ok(fs::canonicalize(folder)?.join(name))
}

#[cfg(unix)]
fn keep_from_others(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    // The other files that SQLite makes beside it take these permissions over.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn keep_from_others(_: &Path) -> io::Result<()> {
    Ok(())
}

/// SQLite opens for reading what it may not write, and would not say so before the first write: so here is one, which is
/// undone. Whoever finds the file locked by another writer knows as little as before, and does not wait to know more.
fn require_writable(connection: &mut SqliteConnection) -> QueryResult<()> {
    match connection.batch_execute(WRITE) {
        Ok(()) => connection.batch_execute("PRAGMA user_version = 1; ROLLBACK"),
        Err(error) if is_locked(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What a connection is set to.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How long to wait for another process that writes.
    wait: Duration,
    /// What to keep in memory of the file, in KiB.
    cache: u32,
    /// Whether it may do no more than read.
    query_only: bool,
}

impl Settings {
    /// For a connection that reads. It keeps little of the file, and that only until somebody writes; the system keeps
    /// more, once for all.
    pub fn reading(wait: Duration) -> Self {
        Self { wait, cache: 1024, query_only: true }
    }

    /// For a connection that writes. What it keeps stays true, as nobody else in the process writes.
    pub fn writing(wait: Duration) -> Self {
        Self { wait, cache: 4 * 1024, query_only: false }
    }

    fn apply(self, connection: &mut SqliteConnection) -> QueryResult<()> {
        // Before all else: to find out whether the file is in WAL mode may take waiting already.
        connection.batch_execute(&format!("PRAGMA busy_timeout = {}", self.wait.as_millis()))?;
        require_wal(connection, self.wait)?;
        // FULL, because with less a power cut can take back what was acknowledged. Copying the WAL into the file takes
        // two more syncs; at 4000 pages, 16 MiB, an import was a seventh faster than at the default of 1000. The limit
        // is what a WAL that readers have made grow is cut to. What a savepoint keeps to go back to are pages with
        // personal data, which are not to lie in a temporary file.
        connection.batch_execute(&format!(
            "PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON;
             PRAGMA trusted_schema = OFF;
             PRAGMA temp_store = MEMORY;
             PRAGMA cache_size = -{};
             PRAGMA wal_autocheckpoint = 4000;
             PRAGMA journal_size_limit = 67108864;
             PRAGMA query_only = {};",
            self.cache, self.query_only
        ))
    }
}

impl CustomizeConnection<SqliteConnection, diesel::r2d2::Error> for Settings {
    fn on_acquire(&self, connection: &mut SqliteConnection) -> Result<(), diesel::r2d2::Error> {
        self.apply(connection).map_err(diesel::r2d2::Error::QueryError)
    }
}

/// Puts the file into WAL mode, in which readers and the writer do not wait for each other.
///
/// The first time that takes the file for a moment alone, and for that SQLite does not wait, whatever its time limit:
/// of several that open a new file at once, all but one find it locked.
fn require_wal(connection: &mut SqliteConnection, wait: Duration) -> QueryResult<()> {
    let start = Instant::now();
    loop {
        match sql::<Text>("PRAGMA journal_mode = WAL").get_result::<String>(connection) {
            Ok(mode) if mode == "wal" => return Ok(()),
            // Where the file system has no shared memory.
            Ok(mode) => {
                let refused = format!("the file cannot be put into WAL mode, only into {mode}");
                return Err(Error::QueryBuilderError(refused.into()));
            }
            Err(error) if is_locked(&error) && start.elapsed() < wait => thread::sleep(PAUSE),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use diesel::sql_types::BigInt;
    use roster_application::ports::Retry;
    use std::error::Error as _;

    const LONG: Duration = Duration::from_secs(30);
    const SHORT: Duration = Duration::from_millis(50);

    fn new_file() -> (DatabaseFile, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        (DatabaseFile::provide(&folder.path().join("roster.db")).expect("a new file"), folder)
    }

    /// Asserts what a connection with `wait` of half a minute is set to.
    pub fn assert_settings(connection: &mut SqliteConnection, cache: i64, query_only: bool) {
        let mode: String = sql::<Text>("PRAGMA journal_mode").get_result(connection).expect("a mode");
        assert_eq!(mode, "wal");
        for (name, value) in [
            ("busy_timeout", 30_000),
            ("synchronous", 2),
            ("foreign_keys", 1),
            ("trusted_schema", 0),
            ("temp_store", 2),
            ("cache_size", cache),
            ("wal_autocheckpoint", 4000),
            ("journal_size_limit", 67_108_864),
            ("query_only", i64::from(query_only)),
        ] {
            let found: i64 = sql::<BigInt>(&format!("PRAGMA {name}")).get_result(connection).expect("a number");
            assert_eq!(found, value, "{name}");
        }
    }

    #[test]
    fn a_file_that_can_only_be_read_is_refused() {
        let (file, _folder) = new_file();
        file.connect(Settings::writing(LONG))
            .expect("a new file")
            .batch_execute("CREATE TABLE t (a)")
            .expect("a table");
        let mut connection = SqliteConnection::establish(&file.uri("ro")).expect("a file");
        let error = store_error(&require_writable(&mut connection).expect_err("it can only be read"));
        assert!(matches!(error, StoreError::Unavailable { retry: Retry::Later, .. }), "{error:?}");
        let told = error.source().map(ToString::to_string);
        assert_eq!(told.as_deref(), Some("attempt to write a readonly database"));
    }

    #[test]
    fn a_file_that_is_being_written_is_opened_all_the_same() {
        let (file, _folder) = new_file();
        let mut writer = file.connect(Settings::writing(LONG)).expect("a new file");
        writer.batch_execute(WRITE).expect("nobody else writes");
        let start = Instant::now();
        file.connect(Settings::writing(LONG)).expect("a file in WAL mode");
        assert!(start.elapsed() < LONG, "it waited for the writer");
    }

    #[test]
    fn a_new_file_that_is_locked_is_put_into_wal_mode_as_soon_as_it_is_free() {
        let (file, _folder) = new_file();
        let mut holder = SqliteConnection::establish(&file.url()).expect("a file");
        holder.batch_execute("BEGIN EXCLUSIVE").expect("nobody else is there");
        let start = Instant::now();
        let refused = file.connect(Settings::writing(SHORT)).map(drop).expect_err("it is locked");
        assert!(matches!(refused, StoreError::Unavailable { retry: Retry::Later, .. }), "{refused:?}");
        assert!(start.elapsed() >= SHORT);
        thread::scope(|scope| {
            let waits = scope.spawn(|| file.connect(Settings::writing(LONG)).map(drop));
            holder.batch_execute("ROLLBACK").expect("a transaction");
            waits.join().expect("no panic").expect("it is free");
        });
    }
}
