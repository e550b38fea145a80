//! The errors of an import: one JSON object a line, in a file that an import that goes on continues.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use anyhow::Context as _;
use roster_transfer::RowError;

/// A file of errors.
pub struct ErrorsFile {
    file: File,
    /// Where the errors of the batches end that are done.
    kept: u64,
}

impl ErrorsFile {
    /// Opens the file for an import that has had `faults` errors already. What is behind these is of a batch that was not done,
    /// or of another import.
    pub fn open(path: &Path, faults: u64) -> anyhow::Result<Self> {
        let open = || -> io::Result<Self> {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            #[cfg(unix)]
            {
                use std::os::unix::fs::OpenOptionsExt as _;
                options.mode(0o600);
            }
            let file = options.open(path)?;
            let mut kept = 0;
            let mut lines = BufReader::new(&file);
            for _ in 0..faults {
                match lines.skip_until(b'\n')? {
                    0 => break,
                    length => kept += length as u64,
                }
            }
            file.set_len(kept)?;
            Ok(Self { file, kept })
        };
        open().with_context(|| format!("{} cannot be written", path.display()))
    }

    /// Writes the errors of a batch, in the place of those that were written since [`ErrorsFile::keep`].
    pub fn write(&mut self, errors: &[RowError]) -> io::Result<()> {
        let mut text = Vec::new();
        for error in errors {
            serde_json::to_writer(&mut text, error)?;
            text.push(b'\n');
        }
        self.file.set_len(self.kept)?;
        self.file.seek(SeekFrom::Start(self.kept))?;
        self.file.write_all(&text)
    }

    /// The batch is done: its errors stay.
    pub fn keep(&mut self) {
        self.kept = self.file.stream_position().unwrap_or(self.kept).max(self.kept);
    }
}

#[cfg(test)]
mod tests {
    use roster_transfer::Fault;

    use super::*;

    fn error(row: u64) -> RowError {
        RowError::of(row, row + 1, &Fault { column: None, code: "c", rule: "r".to_owned() })
    }

    fn rows(path: &Path) -> Vec<u64> {
        let text = std::fs::read_to_string(path).expect("a file");
        let row = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["row"].as_u64();
        text.lines().map(|line| row(line).expect("a number")).collect()
    }

    #[test]
    fn errors_of_batches_that_were_not_done_are_replaced() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("errors.ndjson");
        let mut file = ErrorsFile::open(&path, 0).expect("a new file");
        file.write(&[error(1), error(2)]).expect("a disk");
        file.keep();
        file.write(&[error(3)]).expect("a disk");
        file.write(&[error(4)]).expect("a disk");
        assert_eq!(rows(&path), [1, 2, 4]);
        drop(file);
        let mut file = ErrorsFile::open(&path, 2).expect("the file");
        assert_eq!(rows(&path), [1, 2]);
        file.write(&[error(5)]).expect("a disk");
        assert_eq!(rows(&path), [1, 2, 5]);
        ErrorsFile::open(&path, 0).expect("the file");
        assert_eq!(rows(&path), [0; 0]);
    }
}
