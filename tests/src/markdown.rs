//! The pages of the project, of which tests run what they print.
//!
//! Blocks marked `sh` are run in their order, in one shell. One marked `sh 412` must be answered so by its requests; any
//! other request succeeds. A block behind one of them shows what it prints: `json` has fields of a real answer, with the
//! kinds of their values; `http` has lines of a real head, each up to `…`. Any other block is for the reader alone, such as
//! a command that needs a certificate.

use std::collections::BTreeSet;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::app::App;
use crate::process::{Finished, run};
use crate::program::binary;

/// Where `make run` serves.
const ADDRESS: &str = "http://127.0.0.1:8080";

/// `make` has nothing to do: the service runs, and the binary is in its place. curl fails unless the answer has the status
/// that is expected, and prints it all the same.
const PRELUDE: &str = r#"
make() { :; }
curl() {
  local status
  { status=$(command curl --silent --show-error --noproxy '*' --max-time 10 --write-out '%{stderr}%{http_code}' "$@" 2>&1 >&3); } 3>&1
  [[ $status == $expected ]]
}
"#;

/// A fenced block of a page.
#[derive(Debug)]
pub struct Block {
    /// What is written behind the fence, such as `sh`.
    pub language: String,
    /// Its lines.
    pub text: String,
}

impl Block {
    /// The pattern of the status that the requests of a block of commands are answered. `None` for other blocks.
    fn expected(&self) -> Option<&str> {
        match self.language.split_once(' ') {
            Some(("sh", status)) => Some(status),
            None if self.language == "sh" => Some("2??"),
            _ => None,
        }
    }

    /// Whether it shows what the commands before it print.
    fn is_answer(&self) -> bool {
        matches!(self.language.as_str(), "json" | "http")
    }

    /// What it shows and `answer` lacks.
    fn missing_in(&self, answer: &str) -> Vec<String> {
        if self.language == "json" { missing_fields(&self.text, answer) } else { missing_lines(&self.text, answer) }
    }
}

/// The text of a page, which is named by its path in the project, such as `README.md`.
///
/// # Panics
/// If it cannot be read.
#[must_use]
pub fn page(path: &str) -> String {
    fs::read_to_string(project().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The folder of the project.
///
/// # Panics
/// Never: the tests are in a folder of it.
#[must_use]
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

/// The fenced blocks of a page, in their order.
///
/// # Panics
/// If the last one does not end.
#[must_use]
pub fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in markdown.lines() {
        if let Some(language) = line.strip_prefix("```") {
            match open.take() {
                Some(block) => blocks.push(block),
                None => open = Some(Block { language: language.to_owned(), text: String::new() }),
            }
        } else if let Some(block) = &mut open {
            block.text.push_str(line);
            block.text.push('\n');
        }
    }
    assert!(open.is_none(), "the last block does not end");
    blocks
}

/// Runs all commands of a page with a service, and with `key` as `$KEY`, and compares what they print with what the page
/// shows. Returns the number of answers that were compared.
///
/// # Panics
/// If a command fails, or an answer lacks something that is shown.
#[must_use]
pub fn run_page(page: &str, app: &App, key: &str) -> usize {
    let blocks = blocks(page);
    let checkout = checkout();
    let script = script(&blocks).replace(ADDRESS, &format!("http://{}", app.address()));
    let finished = bash(&script, checkout.path(), app, key);
    assert!(finished.status.success(), "{}\n{}", finished.status, finished.err);

    let mut compared = 0;
    let mut commands = None;
    for (number, block) in blocks.iter().enumerate() {
        if block.expected().is_some() {
            commands = Some(number);
        } else if block.is_answer() {
            let before = commands.unwrap_or_else(|| panic!("no command prints {}", block.text));
            let answer = fs::read_to_string(checkout.path().join(answer_file(before))).expect("an answer");
            let missing = block.missing_in(&answer);
            assert!(missing.is_empty(), "{missing:?} not in the answer to {}{answer}", blocks[before].text);
            compared += 1;
        } else {
            commands = None;
        }
    }
    compared
}

/// All commands, the output of each block in a file of its own.
fn script(blocks: &[Block]) -> String {
    let mut script = PRELUDE.to_owned();
    for (number, block) in blocks.iter().enumerate() {
        if let Some(status) = block.expected() {
            // Writing to a text cannot fail.
            let _ = write!(script, "expected='{status}'\nexec >{}\n{}", answer_file(number), block.text);
        }
    }
    script
}

fn answer_file(number: usize) -> String {
    format!("answer-{number}")
}

/// A folder in which `target/release/roster` is the binary under test, and the documents are those of the project.
fn checkout() -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    let release = folder.path().join("target/release");
    fs::create_dir_all(&release).expect("a folder");
    let binary = fs::canonicalize(binary()).expect("the binary");
    symlink(binary, release.join("roster")).expect("a link");
    symlink(project().join("docs"), folder.path().join("docs")).expect("a link");
    folder
}

/// Runs `script` in `folder`, on the database of `app`, with `key` as `$KEY`. Each command is traced to standard error
/// before it runs, so the last one there is the one that failed.
fn bash(script: &str, folder: &Path, app: &App, key: &str) -> Finished {
    let mut command = Command::new("bash");
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("ROSTER__") {
            command.env_remove(name);
        }
    }
    command.args(["-euxo", "pipefail", "-c", script]).current_dir(folder);
    command.env("DATABASE_URL", app.database().url()).env("KEY", key);
    // The programs of the pages: they reach the service without a proxy, and leave no files beside themselves.
    command.env("no_proxy", "*").env("PYTHONDONTWRITEBYTECODE", "1");
    run(&mut command)
}

/// The fields of a shown JSON text that an answer lacks.
fn missing_fields(shown: &str, answer: &str) -> Vec<String> {
    // curl prints the head, if it is told to, an empty line, and the body.
    let body = answer.rsplit_once("\r\n\r\n").map_or(answer, |(_, body)| body);
    fields(shown).difference(&fields(body)).cloned().collect()
}

/// The shown lines that an answer lacks. The names of headers are the same in any case.
fn missing_lines(shown: &str, answer: &str) -> Vec<String> {
    let answer: Vec<String> = answer.lines().map(str::to_ascii_lowercase).collect();
    let is_missing = |line: &&str| match line.to_ascii_lowercase().split_once('…') {
        Some((start, _)) => !answer.iter().any(|line| line.starts_with(start)),
        None => !answer.iter().any(|other| other.trim_end() == line.to_ascii_lowercase()),
    };
    shown.lines().filter(is_missing).map(str::to_owned).collect()
}

/// Every field of a JSON text, with its path and the kind of its value.
fn fields(json: &str) -> BTreeSet<String> {
    let value: Value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"));
    let mut fields = BTreeSet::new();
    add_fields(&value, "", &mut fields);
    fields
}

fn add_fields(value: &Value, path: &str, fields: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let path = format!("{path}/{name}");
                add_fields(value, &path, fields);
                fields.insert(format!("{path}: {}", kind(value)));
            }
        }
        Value::Array(items) => items.iter().for_each(|item| add_fields(item, &format!("{path}/*"), fields)),
        _ => {}
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
