//! The vendors' own client libraries, unmodified, against the whole program: their users must be able to change the base
//! URL and nothing else.
//!
//! The programs that use a library are in a folder of `tests/clients` each, and `README.md` prints one for each. `make
//! test-clients` installs the libraries, and these tests start the services that the programs call. `docs/clients.md` says
//! what the libraries send and read.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use roster_tests::app::create_key;
use roster_tests::lines::Stream;
use roster_tests::lock::Lock;
use roster_tests::markdown::{blocks, page};
use roster_tests::process::{Finished, Process};
use roster_tests::{App, Database, on_both_databases};

on_both_databases! {
    #[ignore = "needs the libraries: make test-clients"]
    billingio,
    #[ignore = "needs the libraries: make test-clients"]
    lumen,
    #[ignore = "needs the libraries: make test-clients"]
    lava,
    #[ignore = "needs the libraries: make test-clients"]
    the_programs_of_the_readme,
}

fn billingio(database: Database) {
    every_check_passes("billingio", python_checks("billingio"), database);
}

fn lumen(database: Database) {
    every_check_passes("lumen", python_checks("lumen"), database);
}

fn lava(database: Database) {
    every_check_passes("lava", node_checks("lava"), database);
}

/// Runs the blocks of `README.md` in a language of a library. What each prints is the comment at its end.
fn the_programs_of_the_readme(database: Database) {
    let app = App::start(database);
    let adapted = |text: &str| {
        let text = text.replace("http://127.0.0.1:8080", &origin(&app));
        text.replace("sk_live_…", &app.tenants().ours.live)
    };
    let mut languages = Vec::new();
    for block in blocks(&page("README.md")) {
        let (mut program, comment) = match block.language.as_str() {
            "python" => (python("-c"), "  # "),
            "js" => (node("-e"), " // "),
            _ => continue,
        };
        let finished = run(program.arg(adapted(&block.text)));
        let (_, expected) = block.text.trim_end().rsplit_once(comment).expect("a comment that says what is printed");
        assert_eq!(finished.out.trim_end(), expected, "{}\n{}", block.text, finished.err);
        languages.push(block.language);
    }
    assert_eq!(languages, ["python", "js", "python"], "a program for each library");
}

/// Runs the program of a library. It prints every check, and at its end the lines `# pass 12`, `# fail 0` and
/// `# skipped 0`, as Node's test runner does.
fn every_check_passes(library: &str, mut program: Command, database: Database) {
    let kind = database.kind();
    let services = Services::start(database);
    let finished = run(program.envs(services.environment()));
    let (passed, failed, skipped) =
        (count(&finished, "# pass "), count(&finished, "# fail "), count(&finished, "# skipped "));
    println!("{library} on {kind}: {passed} checks passed, {failed} failed, {skipped} skipped");
    let complete = finished.status.success() && passed > 0 && failed == 0 && skipped == 0;
    assert!(complete, "{library} on {kind}: {}\n{}\n{}", finished.status, finished.out, finished.err);
}

/// How long a program may run. On a quiet machine it takes seconds.
const TIMEOUT: Duration = Duration::from_mins(5);

fn run(program: &mut Command) -> Finished {
    let mut process = Process::spawn(program);
    let status = process.wait(TIMEOUT);
    Finished { status, out: process.lines().text(Stream::Out), err: process.lines().text(Stream::Err) }
}

fn count(finished: &Finished, line: &str) -> usize {
    let counted = finished.out.lines().find_map(|text| text.strip_prefix(line)?.trim().parse().ok());
    counted.unwrap_or_else(|| panic!("no line {line:?}: {}\n{}", finished.out, finished.err))
}

/// The services that a program calls.
///
/// They are dropped in this order: `limited` uses the database of `app`.
struct Services {
    _lock: Lock,
    /// A service on a database of its own, with the same keys, in which another client keeps all writes waiting.
    locked: App,
    /// Another instance on the database of `app`, which allows two requests per second.
    limited: App,
    /// The one that nearly all checks are about.
    app: App,
}

impl Services {
    fn start(database: Database) -> Self {
        // Both instances on this database deliver to webhooks, which are on this machine.
        let here = ("ROSTER__WEBHOOKS__ALLOW_PRIVATE", "true");
        let limits = [("ROSTER__LIMITS__LIVE_KEY_PER_SECOND", "2"), here];
        let limited = App::start_with(database.reached_by(database.url().to_owned()), &limits);
        let copy = Database::prepared(database.kind()).expect("a second database");
        let locked = App::start_with(copy, &[("ROSTER__DATABASE__DEADLINE_MS", "500")]);
        let lock = Lock::take(locked.database());
        let app = App::start_with(database, &[here]);
        Self { _lock: lock, locked, limited, app }
    }

    /// What a program reads from its environment: the origins of the services, and keys.
    fn environment(&self) -> Vec<(&'static str, String)> {
        let tenants = self.app.tenants();
        let reader = create_key(self.app.database().url(), &tenants.ours.id, "live", &["--scope", "customers:read"]);
        vec![
            ("ROSTER_URL", origin(&self.app)),
            ("ROSTER_LIMITED_URL", origin(&self.limited)),
            ("ROSTER_LOCKED_URL", origin(&self.locked)),
            ("ROSTER_KEY", tenants.ours.live.clone()),
            ("ROSTER_SANDBOX_KEY", tenants.ours.sandbox.clone()),
            ("ROSTER_OTHER_KEY", tenants.theirs.live.clone()),
            ("ROSTER_LIST_KEY", tenants.theirs.sandbox.clone()),
            ("ROSTER_READ_KEY", reader.key),
        ]
    }
}

fn origin(app: &App) -> String {
    format!("http://{}", app.address())
}

/// The checks in `tests/clients/{library}`, in Python.
fn python_checks(library: &str) -> Command {
    let mut command = python("-B");
    command.arg(programs().join("python/run.py")).arg(programs().join(library));
    command
}

/// The checks in `tests/clients/{library}`, in JavaScript.
fn node_checks(library: &str) -> Command {
    let mut command = node("--test");
    // One file at a time: a check that counts customers must not see those of another.
    command.args(["--test-concurrency=1", "--test-reporter=tap"]).args(test_files(&programs().join(library)));
    command
}

fn python(option: &str) -> Command {
    let mut command = Command::new(installed().join("python/bin/python"));
    command.arg(option);
    command
}

fn node(option: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(option).env("NODE_PATH", installed().join("node_modules"));
    command
}

/// The files of a folder with checks. A folder as an argument means something else in each version of Node.
fn test_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of the project").map(|entry| entry.expect("a file").path());
    let mut files: Vec<_> = entries.filter(|path| path.to_string_lossy().ends_with(".test.js")).collect();
    files.sort();
    files
}

fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// Where the libraries are installed.
fn installed() -> PathBuf {
    env::var_os("ROSTER_CLIENTS").expect("ROSTER_CLIENTS, which `make test-clients` sets").into()
}
