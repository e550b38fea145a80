//! Backups of a file, and their restoration.
//!
//! A backup is made by SQLite, from one moment, while others read and write. It is a complete file without a WAL. Both a backup and a
//! restored file are written under another name first: at the path there is all of it, or nothing.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};
use roster_application::ports::StoreError;
use tempfile::{NamedTempFile, TempPath};

use crate::error::{connection_error, is_locked, store_error};
use crate::file::DatabaseFile;
use crate::migrations;

/// How long a backup waits for a lock of another process.
const WAIT: Duration = Duration::from_secs(10);

/// How often the size of a backup that is being written is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// What is copied between two calls of the function that shows progress.
const BLOCK: usize = 1 << 20;

/// Shows how many bytes of how many are copied, roughly.
pub type ShowProgress<'a> = dyn FnMut(u64, u64) + 'a;

/// Why there is no backup, or why nothing was restored. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is something at the path of the new backup.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// The file to be restored is not a backup of a database of Roster.
    #[error("{} cannot be restored: {reason}", path.display())]
    NotRestorable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The database that would be replaced has data.
    #[error("{} has data", .0.display())]
    NotEmpty(PathBuf),
    /// A program has the database open that would be replaced.
    #[error("{} is in use", .0.display())]
    InUse(PathBuf),
    /// A file or a folder cannot be read or written.
    #[error("{} cannot be used", path.display())]
    File {
        /// The file, or the folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// SQLite failed.
    #[error("SQLite cannot copy it")]
    Store(#[source] StoreError),
}

/// Copies the database at `database` into the new file `to`, as it is at one moment. Returns the size of the copy in bytes.
///
/// Only its owner may read the copy. It is on the disk when this returns, and so is its name.
///
/// # Errors
/// [`BackupError`]
pub fn back_up(database: &Path, to: &Path, progress: &mut ShowProgress<'_>) -> Result<u64, BackupError> {
    if to.symlink_metadata().is_ok() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let folder = folder_of(to);
    let file = DatabaseFile::provide(database, false).map_err(BackupError::Store)?;
    let mut connection = file.connect_to_read(WAIT).map_err(BackupError::Store)?;
    // The mode is 600 from the beginning.
    let copy = new_file_in(folder)?.into_temp_path();
    let query = |error| BackupError::Store(store_error(&error));
    let total = size_of(&mut connection).map_err(query)?;
    let into = DatabaseFile::at(copy.to_path_buf()).url();
    thread::scope(|scope| {
        let copying = scope.spawn(move || copy_into(&mut connection, &into));
        while !copying.is_finished() {
            progress(fs::metadata(&copy).map_or(0, |found| found.len()).min(total), total);
            thread::sleep(LOOK);
        }
        copying.join().unwrap_or_else(|panicked| resume_unwind(panicked))
    })
    .map_err(query)?;
    let size = fs::metadata(&copy).map_err(|source| BackupError::File { path: copy.to_path_buf(), source })?.len();
    progress(size, size);
    let refused = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(to.to_owned()),
        _ => BackupError::File { path: to.to_owned(), source },
    };
    sync(&copy)?;
    copy.persist_noclobber(to).map_err(|error| refused(error.error))?;
    sync(folder)?;
    Ok(size)
}

/// Puts a copy of the backup `from` into the place of the database at `database`. Refuses one that has a merchant unless `replaces`
/// says so. Returns the names of the migrations that the backup lacks.
///
/// The copy is checked before anything is replaced: its pages and indexes, and that this program knows its schema. No program may have
/// the old database open; none can open it until this returns. The new file has the owner of the old one.
///
/// # Errors
/// [`BackupError`]
pub fn restore(
    database: &Path,
    from: &Path,
    replaces: bool,
    progress: &mut ShowProgress<'_>,
) -> Result<Vec<String>, BackupError> {
    let target = place_of(database)?;
    let old = Old::take(&target)?;
    if old.has_data() && !replaces {
        return Err(BackupError::NotEmpty(target));
    }
    let copy = copy_of(from, &target, progress)?;
    let missing = check(&copy, from)?;
    keep_owner(&copy, &target)?;
    sync(&copy)?;
    // The WAL or the journal of the old file would be replayed into the new one. They are empty, unless the old file is damaged.
    for suffix in ["-wal", "-shm", "-journal"] {
        let path = beside(&target, suffix);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(BackupError::File { path, source }),
            _ => {}
        }
    }
    // Where there was none, a service may have made one meanwhile.
    let put = if matches!(old, Old::Missing) { copy.persist_noclobber(&target) } else { copy.persist(&target) };
    put.map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::InUse(target.clone()),
        _ => BackupError::File { path: target.clone(), source: error.error },
    })?;
    sync(folder_of(&target))?;
    // Until now it has kept others from opening the old file.
    drop(old);
    Ok(missing)
}

fn copy_into(connection: &mut SqliteConnection, url: &str) -> QueryResult<()> {
    // The setting would keep it from writing the copy.
    connection.batch_execute("PRAGMA query_only = OFF")?;
    diesel::sql_query("VACUUM INTO ?").bind::<Text, _>(url).execute(connection).map(drop)
}

/// The bytes of the pages that are in use.
fn size_of(connection: &mut SqliteConnection) -> QueryResult<u64> {
    let mut value = |name: &str| sql::<BigInt>(&format!("PRAGMA {name}")).get_result::<i64>(connection);
    let pages = value("page_count")? - value("freelist_count")?;
    Ok(u64::try_from(pages * value("page_size")?).unwrap_or_default())
}

/// Where the database is, or will be: behind symbolic links.
fn place_of(database: &Path) -> Result<PathBuf, BackupError> {
    match fs::canonicalize(database) {
        Ok(place) => Ok(place),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = folder_of(database);
            let name = database.file_name().unwrap_or_default();
            let found = fs::create_dir_all(folder).and_then(|()| fs::canonicalize(folder));
            found
                .map(|folder| folder.join(name))
                .map_err(|source| BackupError::File { path: folder.to_owned(), source })
        }
        Err(source) => Err(BackupError::File { path: database.to_owned(), source }),
    }
}

/// The database that is to be replaced.
enum Old {
    /// There is none.
    Missing,
    /// The connection keeps every other program from opening it.
    Held { has_data: bool, _connection: SqliteConnection },
    /// SQLite cannot read it.
    Unreadable,
}

impl Old {
    /// Keeps every other program from opening the old database, and moves its WAL into it.
    fn take(target: &Path) -> Result<Self, BackupError> {
        if !target.exists() {
            return Ok(Self::Missing);
        }
        let url = DatabaseFile::at(target.to_owned()).url();
        let connection = SqliteConnection::establish(&url);
        let mut connection = connection.map_err(|error| BackupError::Store(connection_error(&error)))?;
        // A program that has the file open holds a lock, also between its transactions, which a file in WAL mode is not
        // taken out of that mode with.
        let taken = connection
            .batch_execute("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE;")
            .and_then(|()| has_merchants(&mut connection));
        match taken {
            Ok(has_data) => Ok(Self::Held { has_data, _connection: connection }),
            Err(error) if is_locked(&error) => Err(BackupError::InUse(target.to_owned())),
            Err(_) => Ok(Self::Unreadable),
        }
    }

    /// What cannot be read may be data.
    fn has_data(&self) -> bool {
        match self {
            Self::Missing => false,
            Self::Held { has_data, .. } => *has_data,
            Self::Unreadable => true,
        }
    }
}

fn has_merchants(connection: &mut SqliteConnection) -> QueryResult<bool> {
    let has = |condition: &str| diesel::select(sql::<Bool>(&format!("EXISTS (SELECT 1 FROM {condition})")));
    let has_table = has("sqlite_schema WHERE name = 'merchants'").get_result::<bool>(connection)?;
    Ok(has_table && has("merchants").get_result(connection)?)
}

/// A copy of the file `from`, in the folder of `target`.
fn copy_of(from: &Path, target: &Path, progress: &mut ShowProgress<'_>) -> Result<TempPath, BackupError> {
    let unreadable = |source| BackupError::File { path: from.to_owned(), source };
    let refuse = |reason: &str| BackupError::NotRestorable { path: from.to_owned(), reason: reason.to_owned() };
    let mut source = File::open(from).map_err(unreadable)?;
    let found = source.metadata().map_err(unreadable)?;
    if !found.is_file() {
        return Err(refuse("it is not a regular file"));
    }
    if fs::canonicalize(from).is_ok_and(|from| from == target) {
        return Err(refuse("it is the database itself"));
    }
    if fs::metadata(beside(from, "-wal")).is_ok_and(|wal| wal.len() > 0) {
        return Err(refuse(
            "it has a WAL, so it is the file of a service and no backup; `roster backup` makes one of it",
        ));
    }
    let mut copy = new_file_in(folder_of(target))?;
    let mut block = vec![0; BLOCK];
    let mut done = 0;
    loop {
        progress(done, found.len());
        let read = source.read(&mut block).map_err(unreadable)?;
        if read == 0 {
            return Ok(copy.into_temp_path());
        }
        let written = copy.write_all(&block[..read]);
        written.map_err(|source| BackupError::File { path: copy.path().to_owned(), source })?;
        done += u64::try_from(read).unwrap_or_default();
    }
}

/// Checks a copy of the backup `from`. Returns the names of the migrations that it lacks.
fn check(copy: &Path, from: &Path) -> Result<Vec<String>, BackupError> {
    let refuse = |reason: String| BackupError::NotRestorable { path: from.to_owned(), reason };
    let url = DatabaseFile::at(copy.to_owned()).url();
    let mut connection = SqliteConnection::establish(&url).map_err(|error| refuse(error.to_string()))?;
    let damage = damage(&mut connection, 1).map_err(|error| refuse(format!("SQLite cannot read it: {error}")))?;
    if let Some(damage) = damage.into_iter().next() {
        return Err(refuse(format!("it is damaged: {damage}")));
    }
    if !migrations::is_migrated(&mut connection).map_err(|error| refuse(error.to_string()))? {
        return Err(refuse("it is not a database of Roster".to_owned()));
    }
    let missing = migrations::pending(&mut connection);
    let reason = |error: StoreError| std::error::Error::source(&error).unwrap_or(&error).to_string();
    let missing = missing.map_err(|error| refuse(reason(error)))?;
    // As a backup is: no WAL stays beside it, whatever mode it was in.
    connection.batch_execute("PRAGMA journal_mode = DELETE").map_err(|error| refuse(error.to_string()))?;
    Ok(missing)
}

/// What is wrong with the pages, the indexes and the constraints of a file: at most `most` faults.
///
/// # Errors
/// If it is no database.
pub fn damage(connection: &mut SqliteConnection, most: usize) -> QueryResult<Vec<String>> {
    let checked = diesel::sql_query(format!("PRAGMA integrity_check({most})")).load::<Checked>(connection)?;
    Ok(checked.into_iter().map(|row| row.integrity_check).filter(|line| line != "ok").collect())
}

#[derive(QueryableByName)]
struct Checked {
    #[diesel(sql_type = Text)]
    integrity_check: String,
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// An empty file that only its owner may access.
fn new_file_in(folder: &Path) -> Result<NamedTempFile, BackupError> {
    let made = tempfile::Builder::new().prefix(".roster-").suffix(".part").tempfile_in(folder);
    made.map_err(|source| BackupError::File { path: folder.to_owned(), source })
}

/// Waits until a file or a folder is on the disk.
fn sync(path: &Path) -> Result<(), BackupError> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|source| BackupError::File { path: path.to_owned(), source })
}

/// Gives the copy the owner and the group of the file that it replaces, or else of the folder: the service may be another user.
#[cfg(unix)]
fn keep_owner(copy: &Path, target: &Path) -> Result<(), BackupError> {
    use std::os::unix::fs::MetadataExt as _;
    let unusable = |source| BackupError::File { path: target.to_owned(), source };
    let found = fs::metadata(target).or_else(|_| fs::metadata(folder_of(target))).map_err(unusable)?;
    let ours = fs::metadata(copy).map_err(unusable)?;
    if (found.uid(), found.gid()) == (ours.uid(), ours.gid()) {
        return Ok(());
    }
    std::os::unix::fs::chown(copy, Some(found.uid()), Some(found.gid())).map_err(unusable)
}

#[cfg(not(unix))]
fn keep_owner(_: &Path, _: &Path) -> Result<(), BackupError> {
    Ok(())
}
