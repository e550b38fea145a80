//! Runs the real program in a temporary folder, with an empty environment.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long a step may take before the test fails.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// A folder to run the program in; without further settings its database is `data/roster.db` there.
pub struct Program {
    folder: TempDir,
    variables: Vec<(&'static str, String)>,
}

/// The result of a finished command.
pub struct Finished {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// A running command, which is killed when dropped.
pub struct Running {
    child: Child,
    pub out: Receiver<String>,
    pub err: Receiver<String>,
}

impl Program {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder"), variables: Vec::new() }
    }

    /// A folder in which the database is made already.
    pub fn migrated() -> Self {
        let program = Self::new();
        program.run(&["migrate"]).expect_success();
        program
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_roster"));
        command.args(arguments);
        self.prepared(command)
    }

    fn prepared(&self, mut command: Command) -> Command {
        command.current_dir(self.folder()).env_clear().stdin(Stdio::null());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        let Output { status, stdout, stderr } = self.command(arguments).output().expect("the program starts");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Finished { code: status.code(), out: text(stdout), err: text(stderr) }
    }

    /// Like [`Program::start`], under a limit that the shell's `ulimit` sets.
    pub fn start_within(&self, limit: &str, arguments: &[&str]) -> Running {
        let script = format!("ulimit {limit} && exec \"$@\"");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_roster")]).args(arguments);
        Self::running(self.prepared(command))
    }

    /// Starts a command and reads its two output streams line by line.
    pub fn start(&self, arguments: &[&str]) -> Running {
        Self::running(self.command(arguments))
    }

    fn running(mut command: Command) -> Running {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let out = lines_of(child.stdout.take().expect("a pipe"));
        let err = lines_of(child.stderr.take().expect("a pipe"));
        Running { child, out, err }
    }
}

impl Finished {
    #[track_caller]
    pub fn expect_success(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self.out
    }

    #[track_caller]
    pub fn expect_json(self) -> Value {
        let out = self.expect_success();
        assert_eq!(out.lines().count(), 1, "{out}");
        serde_json::from_str(&out).expect("JSON")
    }

    /// The message of a command that failed with `code` and printed no result.
    #[track_caller]
    pub fn expect_failure(self, code: i32) -> String {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{}", self.err);
        self.err
    }
}

impl Running {
    /// The lines of one stream, up to and including the first that contains `text`.
    #[track_caller]
    pub fn lines_until(lines: &Receiver<String>, text: &str) -> Vec<String> {
        let end = Instant::now() + DEADLINE;
        let mut read = Vec::new();
        while !read.last().is_some_and(|line: &String| line.contains(text)) {
            match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => read.push(line),
                Err(error) => panic!("{text:?} did not come ({error}), but {read:#?}"),
            }
        }
        read
    }

    /// The rest of one stream, until it is closed.
    #[track_caller]
    pub fn rest_of(lines: &Receiver<String>) -> Vec<String> {
        let end = Instant::now() + DEADLINE;
        let mut read = Vec::new();
        while let Ok(line) = lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            read.push(line);
        }
        read
    }

    /// The soft limit of open files of the process.
    pub fn open_files(&self) -> u64 {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", self.child.id())).expect("a running process");
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("a limit");
        line.split_whitespace().next().and_then(|soft| soft.parse().ok()).expect("a number")
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().expect("kill starts");
        assert!(sent.success(), "{name} was not sent");
    }

    /// Waits for the end of the process; returns its status and the rest of its log.
    #[track_caller]
    pub fn wait(mut self) -> (ExitStatus, Vec<String>) {
        let log = Self::rest_of(&self.err);
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return (status, log);
            }
            assert!(Instant::now() < end, "the program does not end: {log:#?}");
            thread::yield_now();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}
