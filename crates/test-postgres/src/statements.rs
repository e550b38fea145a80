//! What is sent to the servers of tests, as they log it themselves.

use std::env;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

/// Names the folder that the servers log to. Unset, they log no statements.
const FOLDER: &str = "ROSTER_STATEMENT_LOG";

/// Stands before every entry of a log, and behind the name of the application. No name and no statement has either:
/// values are not logged.
const ENTRY: u8 = 0x1e;
const SEPARATOR: char = '\u{1f}';

/// Something that a server was asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The `application_name` of whoever asked; `[unknown]` if it did not say.
    pub application: String,
    /// As it was sent, `$1` where a value was bound. Several, with `;` between them, if they were sent as one text.
    pub sql: String,
}

/// Where a server in `folder` writes what it has to say.
pub(crate) fn log_of(folder: &Path) -> io::Result<PathBuf> {
    match (env::var_os(FOLDER), folder.file_name()) {
        (Some(logs), Some(name)) => {
            fs::create_dir_all(&logs)?;
            Ok(Path::new(&logs).join(name))
        }
        _ => Ok(folder.join("log")),
    }
}

/// What makes a server log every statement, if it is to.
pub(crate) fn settings() -> &'static [&'static str] {
    if env::var_os(FOLDER).is_none() {
        return &[];
    }
    // The two control characters are `ENTRY` and `SEPARATOR`.
    &["log_statement=all", "log_parameter_max_length=0", "log_line_prefix=\u{1e}%a\u{1f}"]
}

/// Hands each statement in the logs in `folder` to `each`. Those of one connection come in their order.
///
/// # Errors
/// If there is no such folder, or it cannot be read.
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
    /// Reads an entry. `None` if it is about something else, or a killed server left it unfinished.
    fn read(entry: &str) -> Option<Self> {
        let (application, message) = entry.split_once(SEPARATOR)?;
        let message = message.strip_prefix("LOG:  ")?;
        let sql = match message.strip_prefix("statement: ") {
            Some(sql) => sql,
            // What was prepared first has a name.
            None => message.strip_prefix("execute ")?.split_once(": ")?.1,
        };
        // A tab stands before each line but the first.
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
    fn a_statement_is_read_whether_it_was_prepared_or_not() {
        for (entry, expected) in [
            ("a\u{1f}LOG:  statement: SELECT 1\n", statement("a", "SELECT 1")),
            ("[unknown]\u{1f}LOG:  execute <unnamed>: SELECT $1\n", statement("[unknown]", "SELECT $1")),
            ("a\u{1f}LOG:  execute s_1: SELECT ': '\nsh: x\n", statement("a", "SELECT ': '")),
        ] {
            assert_eq!(Statement::read(entry), Some(expected));
        }
    }

    #[test]
    fn a_statement_has_the_lines_that_it_was_sent_with() {
        let entry = "a\u{1f}LOG:  statement: \n\tSELECT\n\t\n\t\t1;\n";
        assert_eq!(Statement::read(entry), Some(statement("a", "\nSELECT\n\n\t1;")));
    }

    #[test]
    fn what_is_no_statement_or_half_of_one_is_passed_over() {
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
