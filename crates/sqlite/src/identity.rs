//! Whether the file that is open is still the one at its path.
//!
//! A file that is deleted or replaced stays open: SQLite would go on writing to it, and each acknowledged write would be
//! lost when the process ends. Worse, the WAL at the path would be replayed into the file that has come into its place.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use roster_application::ports::StoreError;

/// The files that are open, and whether they are still in their place.
#[derive(Debug)]
pub struct OpenFile {
    database: Known,
    /// `None` if there was none when the database was opened.
    wal: Option<Known>,
    /// Held while a thread looks at the files, so that an older look does not count as a newer one.
    is_gone: Mutex<bool>,
}

/// A file at a path, by its device and inode. While it is open, no other file gets the same inode.
#[derive(Debug)]
struct Known {
    path: PathBuf,
    id: FileId,
}

type FileId = (u64, u64);

impl OpenFile {
    /// Remembers the database at `path` and its WAL. Call it when a connection has read, which keeps both as they are.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the file is not there any more.
    pub fn remember(path: &Path) -> Result<Self, StoreError> {
        let database = Known::at(path.to_owned()).map_err(StoreError::unavailable)?;
        // SQLite puts it beside the file that a symbolic link leads to.
        let mut wal = fs::canonicalize(path).map_err(StoreError::unavailable)?.into_os_string();
        wal.push("-wal");
        Ok(Self { database, wal: Known::at(wal.into()).ok(), is_gone: Mutex::new(false) })
    }

    /// Checks that the files are in their place. Logs once when they have gone, and once when they are back.
    ///
    /// It costs about 3 µs.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if another file is there, or none.
    pub fn check(&self) -> Result<(), StoreError> {
        let mut state = self.is_gone.lock().unwrap_or_else(PoisonError::into_inner);
        let is_gone = !(self.database.is_there() && self.wal.as_ref().is_none_or(Known::is_there));
        let was_gone = std::mem::replace(&mut *state, is_gone);
        let path = self.database.path.display();
        match (was_gone, is_gone) {
            (false, true) => tracing::error!(
                %path,
                "the database file or its WAL was deleted or replaced: writes are refused until it is back, or until a \
                 restart opens what is there"
            ),
            (true, false) => tracing::info!(%path, "the database file is back: writes are accepted again"),
            (false, false) | (true, true) => {}
        }
        if is_gone { Err(StoreError::unavailable("the database file was deleted or replaced")) } else { Ok(()) }
    }
}

impl Known {
    fn at(path: PathBuf) -> io::Result<Self> {
        Ok(Self { id: id_of(&path)?, path })
    }

    fn is_there(&self) -> bool {
        id_of(&self.path).is_ok_and(|id| id == self.id)
    }
}

#[cfg(unix)]
fn id_of(path: &Path) -> io::Result<FileId> {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(path).map(|found| (found.dev(), found.ino()))
}

/// Whether there is a file at all.
#[cfg(not(unix))]
fn id_of(path: &Path) -> io::Result<FileId> {
    fs::metadata(path).map(|_| (0, 0))
}
