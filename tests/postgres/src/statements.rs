//! The statements that the servers of tests execute, read from their logs.

use std::env;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

/// The environment variable that names the folder of the logs. If it is unset, no statements are logged.
const FOLDER: &str = "ROSTER_STATEMENT_LOG";

/// The first byte of every entry of a log. Names and statements contain neither this nor [`SEPARATOR`], because the
/// values of parameters are not logged.
const ENTRY: u8 = 0x1e;

/// The character after the name of the application.
const SEPARATOR: char = '\u{1f}';

/// A statement that a client sent to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The `application_name` of the client, or `[unknown]` if it has none.
    pub application: String,
    /// The text as it was sent, with `$1` in the place of a parameter. Statements that were sent as one text are one
    /// text here too, separated by `;`.
    pub sql: String,
}

/// The log file of the server in `folder`.
pub(crate) fn log_of(folder: &Path) -> io::Result<PathBuf> {
    match (env::var_os(FOLDER), folder.file_name()) {
        (Some(logs), Some(name)) => {
            fs::create_dir_all(&logs)?;
            Ok(Path::new(&logs).join(name))
        }
        _ => Ok(folder.join("log")),
    }
}

/// The settings that make a server log every statement. Empty if statements are not to be logged.
pub(crate) fn settings() -> &'static [&'static str] {
    if env::var_os(FOLDER).is_none() {
        return &[];
    }
    // The two control characters are `ENTRY` and `SEPARATOR`.
    &["log_statement=all", "log_parameter_max_length=0", "log_line_prefix=\u{1e}%a\u{1f}"]
}

/// Calls `each` with each statement in the logs in `folder`. The statements of one connection keep their order.
///
/// # Errors
/// If the folder does not exist or cannot be read.
pub fn read_statements(folder: &Path, mut each: impl FnMut(Statement)) -> io::Result<()> {
    for log in fs::read_dir(folder)? {
        for entry in BufReader::new(File::open(log?.path())?).split(ENTRY) {
            if let Some(statement) = Statement::read(&String::from_utf8_lossy(&entry?)) {
                each(statement);
            }
        }
    }
    Ok(())
}

impl Statement {
    /// Reads an entry. `None` if it is not a statement, or incomplete because the server was killed.
    fn read(entry: &str) -> Option<Self> {
        let (application, message) = entry.split_once(SEPARATOR)?;
        let message = message.strip_prefix("LOG:  ")?;
        let sql = match message.strip_prefix("statement: ") {
            Some(sql) => sql,
            // A prepared statement is logged with its name.
            None => message.strip_prefix("execute ")?.split_once(": ")?.1,
        };
        // Each line but the first begins with a tab.
        let end = sql.match_indices('\n').map(|(end, _)| end).find(|end| !sql[end + 1..].starts_with('\t'))?;
        Some(Self { application: application.to_owned(), sql: sql[..end].replace("\n\t", "\n") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(application: &str, sql: &str) -> Statement {
        Statement { application: application.to_owned(), sql: sql.to_owned() }
    }

    #[test]
    fn simple_and_prepared_statements_are_read() {
        for (entry, expected) in [
            ("a\u{1f}LOG:  statement: SELECT 1\n", statement("a", "SELECT 1")),
            ("[unknown]\u{1f}LOG:  execute <unnamed>: SELECT $1\n", statement("[unknown]", "SELECT $1")),
            ("a\u{1f}LOG:  execute s_1: SELECT ': '\nsh: x\n", statement("a", "SELECT ': '")),
        ] {
            assert_eq!(Statement::read(entry), Some(expected));
        }
    }

    #[test]
    fn a_statement_keeps_its_lines() {
        let entry = "a\u{1f}LOG:  statement: \n\tSELECT\n\t\n\t\t1;\n";
        assert_eq!(Statement::read(entry), Some(statement("a", "\nSELECT\n\n\t1;")));
    }

    #[test]
    fn other_entries_and_incomplete_statements_are_skipped() {
        for entry in [
            "",
            "a\u{1f}LOG:  checkpoint starting: time\n",
            "a\u{1f}STATEMENT:  SELECT 1\n",
            "a\u{1f}LOG:  statement: SELECT 1 FROM\n\tcust",
        ] {
            assert_eq!(Statement::read(entry), None, "{entry:?}");
        }
    }
}
