//! What `README.md` prints: its commands run as they are printed, and its answers have the fields of real ones.
//!
//! Blocks marked `sh` are run in their order, in one shell. A block marked `json` behind one of them shows what it prints.
//! `tests/clients` runs those with a vendor's client library. Any other block is for the reader alone, such as a command
//! that needs a certificate.

use std::collections::BTreeSet;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use roster_tests::markdown::{Block, blocks, readme};
use roster_tests::process::{Finished, run};
use roster_tests::program::binary;
use roster_tests::{App, Database, Kind};
use serde_json::Value;
use tempfile::TempDir;

/// Where `make run` serves.
const ADDRESS: &str = "http://127.0.0.1:8080";

/// `make` has nothing to do: the service runs, and the binary is in its place. curl fails on an error status, which it
/// otherwise prints like any other answer.
const PRELUDE: &str = r#"
make() { :; }
curl() { command curl --fail --silent --show-error --noproxy '*' --max-time 10 "$@"; }
"#;

#[test]
fn every_command_succeeds_and_every_answer_has_the_fields_shown() {
    let blocks = blocks(&readme());
    let app = App::start(Database::prepared(Kind::Sqlite).expect("a file"));
    let checkout = checkout();

    let script = script(&blocks).replace(ADDRESS, &format!("http://{}", app.address()));
    let finished = bash(&script, checkout.path(), &app);
    assert!(finished.status.success(), "{}\n{}", finished.status, finished.err);

    let mut compared = 0;
    for (number, block) in blocks.iter().enumerate().filter(|(_, block)| block.language == "json") {
        let before = number.checked_sub(1).filter(|before| blocks[*before].language == "sh");
        let before = before.unwrap_or_else(|| panic!("no command prints {}", block.text));
        let answer = fs::read_to_string(checkout.path().join(answer_file(before))).expect("an answer");
        let missing: Vec<_> = fields(&block.text).difference(&fields(&answer)).cloned().collect();
        assert!(missing.is_empty(), "{missing:?} not in the answer to {}", blocks[before].text);
        compared += 1;
    }
    assert!(compared >= 3, "not every surface shows an answer: {compared}");
}

/// All commands, the output of each block in a file of its own.
fn script(blocks: &[Block]) -> String {
    let mut script = PRELUDE.to_owned();
    for (number, block) in blocks.iter().enumerate().filter(|(_, block)| block.language == "sh") {
        // Writing to a text cannot fail.
        let _ = write!(script, "exec >{}\n{}", answer_file(number), block.text);
    }
    script
}

fn answer_file(number: usize) -> String {
    format!("answer-{number}")
}

/// A folder in which `target/release/roster` is the binary under test.
fn checkout() -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    let release = folder.path().join("target/release");
    fs::create_dir_all(&release).expect("a folder");
    let binary = fs::canonicalize(binary()).expect("the binary");
    symlink(binary, release.join("roster")).expect("a link");
    folder
}

/// Runs `script` in `folder`, on the database of `app`, with a sandbox key as `$KEY`. Each command is traced to standard
/// error before it runs, so the last one there is the one that failed.
fn bash(script: &str, folder: &Path, app: &App) -> Finished {
    let mut command = Command::new("bash");
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("ROSTER__") {
            command.env_remove(name);
        }
    }
    command.args(["-euxo", "pipefail", "-c", script]).current_dir(folder);
    command.env("DATABASE_URL", app.database().url()).env("KEY", &app.tenants().ours.sandbox);
    run(&mut command)
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
