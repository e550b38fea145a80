//! The database file: how it is created, and the settings of every connection to it.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::r2d2::CustomizeConnection;
use diesel::result::Error;
use diesel::sql_types::Text;
use roster_application::ports::{StoreError, Wal};

use crate::error::{connection_error, is_locked, store_error};
use crate::identity::OpenFile;
use crate::pool::WRITE;

/// How long to wait before trying again to use a locked file.
const PAUSE: Duration = Duration::from_millis(2);

/// A database file that exists.
///
/// Only SQLite may open it. SQLite's locks (POSIX) belong to the process, and closing any other handle of the file in
/// the same process would release them.
#[derive(Debug, Clone)]
pub struct DatabaseFile {
    /// The absolute path, which stays right if the process changes its working folder.
    path: PathBuf,
}

impl DatabaseFile {
    /// Finds the file, or creates it and its folder if they are missing and `create` says so.
    ///
    /// Only its owner may access a new file. An older one that users outside of its group can access is restricted to its
    /// owner, too: it has personal data in it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it is missing or cannot be created, if the path is not a regular file, or if others
    /// can access it and its permissions cannot be changed.
    pub fn provide(path: &Path, create: bool) -> Result<Self, StoreError> {
        let unavailable = |error: io::Error| StoreError::unavailable(error);
        let is_new = match fs::metadata(path) {
            Ok(found) if found.is_dir() => return Err(StoreError::unavailable("it is a folder")),
            Ok(found) if !found.is_file() => return Err(StoreError::unavailable("it is not a regular file")),
            Ok(_) => false,
            Err(error) if error.kind() == io::ErrorKind::NotFound && create => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::unavailable("it does not exist"));
            }
            Err(error) => return Err(unavailable(error)),
        };
        let file = Self { path: absolute(path).map_err(unavailable)? };
        if is_new {
            SqliteConnection::establish(&file.uri("rwc")).map_err(|error| connection_error(&error))?;
            restrict_to_owner(&file.path).map_err(unavailable)?;
        } else {
            file.withdraw_from_others()?;
        }
        Ok(file)
    }

    /// A file at an absolute path, of which nothing is checked.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Restricts the file, its WAL and its shared memory to their owner if others can access them.
    fn withdraw_from_others(&self) -> Result<(), StoreError> {
        for suffix in ["", "-wal", "-shm"] {
            let mut path = self.path.clone().into_os_string();
            path.push(suffix);
            let path = Path::new(&path);
            let Some(mode) = fs::metadata(path).ok().and_then(|found| mode_for_others(&found)) else { continue };
            restrict_to_owner(path).map_err(|error| {
                let path = path.display();
                StoreError::unavailable(format!(
                    "every user of this machine can access {path} (mode {mode:o}), and that cannot be changed: {error}"
                ))
            })?;
            tracing::warn!(path = %path.display(), "every user of this machine could access the file; its mode is 600 now");
        }
        Ok(())
    }

    /// Remembers which file is at the path. Call it when a connection is open.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it is not there any more.
    pub fn remember(&self) -> Result<OpenFile, StoreError> {
        OpenFile::remember(&self.path)
    }

    /// The size of the WAL, and how often it was begun anew. `None` if there is none, or none that can be read.
    ///
    /// It reads the header (<https://www.sqlite.org/fileformat2.html#walformat>). SQLite holds no lock on this file, which closing it
    /// would release: its locks are on the database and on the shared memory.
    pub fn wal(&self) -> Option<Wal> {
        let mut path = fs::canonicalize(&self.path).ok()?.into_os_string();
        path.push("-wal");
        let mut file = fs::File::open(path).ok()?;
        let bytes = file.metadata().ok()?.len();
        let mut header = [0; 16];
        // An empty one has no header yet.
        let restarts = match file.read_exact(&mut header) {
            Ok(()) => u32::from_be_bytes([header[12], header[13], header[14], header[15]]),
            Err(_) => 0,
        };
        Some(Wal { bytes, restarts: restarts.into() })
    }

    /// The URL for opening the file. It does not create the file again if that was deleted.
    pub fn url(&self) -> String {
        self.uri("rw")
    }

    /// A URI, in which every special character of the path is escaped.
    fn uri(&self, mode: &str) -> String {
        let encode = |byte: &u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => char::from(*byte).to_string(),
            other => format!("%{other:02X}"),
        };
        let path: String = self.path.as_os_str().as_encoded_bytes().iter().map(encode).collect();
        format!("file:{path}?mode={mode}")
    }

    /// Opens a connection that reads, and waits at most `wait` for a lock.
    ///
    /// # Errors
    /// [`StoreError`] if it is no database.
    pub fn connect_to_read(&self, wait: Duration) -> Result<SqliteConnection, StoreError> {
        let mut connection = SqliteConnection::establish(&self.url()).map_err(|error| connection_error(&error))?;
        Settings::reading(wait).apply(&mut connection).map_err(|error| store_error(&error))?;
        Ok(connection)
    }

    /// Opens a connection and checks that the file is a database that can be written.
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

fn absolute(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    Ok(fs::canonicalize(folder)?.join(name))
}

#[cfg(unix)]
fn restrict_to_owner(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    // SQLite creates the WAL and the shared memory file with the permissions of this file.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

/// The permissions, if users other than the owner and its group have some. The group is left alone: a backup may need it,
/// and no usual umask gives access to the group alone.
#[cfg(unix)]
fn mode_for_others(found: &fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = found.permissions().mode() & 0o777;
    (mode & 0o007 != 0).then_some(mode)
}

#[cfg(not(unix))]
fn mode_for_others(_: &fs::Metadata) -> Option<u32> {
    None
}

#[cfg(not(unix))]
fn restrict_to_owner(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Writes something and undoes it, to find out whether the file can be written.
///
/// SQLite opens a file that it may not write for reading only, and reports that at the first write. If another writer
/// has locked the file, the check is skipped: it does not wait.
fn require_writable(connection: &mut SqliteConnection) -> QueryResult<()> {
    match connection.batch_execute(WRITE) {
        Ok(()) => connection.batch_execute("PRAGMA user_version = 1; ROLLBACK"),
        Err(error) if is_locked(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The settings of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How long to wait for a write lock that another process holds.
    wait: Duration,
    /// The size of the page cache, in KiB.
    cache: u32,
    /// Whether the connection may only read.
    query_only: bool,
}

impl Settings {
    /// For a connection that reads. Its cache is small, as every write to the file empties it; the operating system's
    /// cache serves all connections.
    pub fn reading(wait: Duration) -> Self {
        Self { wait, cache: 1024, query_only: true }
    }

    /// For a connection that writes. Its cache is larger, as it stays valid: no other connection of the process writes. Each new
    /// customer is in pages of six indexes that may be anywhere.
    pub fn writing(wait: Duration) -> Self {
        Self { wait, cache: 16 * 1024, query_only: false }
    }

    fn apply(self, connection: &mut SqliteConnection) -> QueryResult<()> {
        // This comes first: reading the journal mode may already have to wait for a lock.
        connection.batch_execute(&format!("PRAGMA busy_timeout = {}", self.wait.as_millis()))?;
        require_wal(connection, self.wait)?;
        // synchronous: with less than FULL, a power cut can lose acknowledged writes.
        // wal_autocheckpoint: a checkpoint costs two more syncs. At 4000 pages, 16 MiB, an import was a seventh faster
        // than at the default of 1000.
        // journal_size_limit: a WAL that grew because of long readers is truncated to 64 MiB.
        // temp_store: a savepoint's journal has pages with personal data, which must not be in a temporary file.
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
/// The change needs an exclusive lock for a moment, and SQLite does not wait for that lock, whatever `busy_timeout`
/// says. If several processes open a new file at once, all but one find it locked, so this tries again for `wait`.
fn require_wal(connection: &mut SqliteConnection, wait: Duration) -> QueryResult<()> {
    let start = Instant::now();
    loop {
        match sql::<Text>("PRAGMA journal_mode = WAL").get_result::<String>(connection) {
            Ok(mode) if mode == "wal" => return Ok(()),
            // For example, on a file system that has no shared memory.
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
        (DatabaseFile::provide(&folder.path().join("roster.db"), true).expect("a new file"), folder)
    }

    /// Asserts the settings of a connection whose `wait` is half a minute.
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
    fn a_read_only_file_is_refused() {
        let (file, _folder) = new_file();
        file.connect(Settings::writing(LONG))
            .expect("a new file")
            .batch_execute("CREATE TABLE t (a)")
            .expect("a table");
        let mut connection = SqliteConnection::establish(&file.uri("ro")).expect("a file");
        let error = store_error(&require_writable(&mut connection).expect_err("it can only be read"));
        assert!(matches!(error, StoreError::Unavailable { retry: Retry::Later, .. }), "{error:?}");
        let message = error.source().map(ToString::to_string);
        assert_eq!(message.as_deref(), Some("attempt to write a readonly database"));
    }

    #[test]
    fn a_file_with_an_active_writer_can_be_opened() {
        let (file, _folder) = new_file();
        let mut writer = file.connect(Settings::writing(LONG)).expect("a new file");
        writer.batch_execute(WRITE).expect("no other writer");
        let start = Instant::now();
        file.connect(Settings::writing(LONG)).expect("a file in WAL mode");
        assert!(start.elapsed() < LONG, "it waited for the writer");
    }

    #[test]
    fn a_locked_new_file_enters_wal_mode_once_it_is_unlocked() {
        let (file, _folder) = new_file();
        let mut holder = SqliteConnection::establish(&file.url()).expect("a file");
        holder.batch_execute("BEGIN EXCLUSIVE").expect("no other connection");
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
