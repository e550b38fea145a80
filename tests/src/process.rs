//! A child process whose output is kept, and which ends with the test.

use std::io;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::deadline::{TIMEOUT, until};
use crate::lines::{Lines, Stream};

/// A running process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    guard: Child,
    lines: Lines,
    readers: Vec<JoinHandle<()>>,
}

/// A signal to a process.
#[derive(Debug, Clone, Copy)]
pub enum Signal {
    /// SIGKILL.
    Kill,
    /// SIGTERM, as a service manager sends it.
    Terminate,
    /// SIGINT, as Ctrl-C sends it.
    Interrupt,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "KILL",
            Self::Terminate => "TERM",
            Self::Interrupt => "INT",
        }
    }
}

impl Process {
    /// Starts `command` and keeps its standard output and standard error.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", command.get_program().display()));
        let guard = guard(child.id()).expect("a shell");
        let lines = Lines::default();
        let out = child.stdout.take().map(|out| lines.follow(Stream::Out, out));
        let err = child.stderr.take().map(|err| lines.follow(Stream::Err, err));
        Self { child, guard, lines, readers: out.into_iter().chain(err).collect() }
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The lines that it has printed so far, and those that it will print.
    #[must_use]
    pub fn lines(&self) -> &Lines {
        &self.lines
    }

    /// The exit status. `None` while it runs.
    ///
    /// # Panics
    /// If the system does not return it.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the state of a child")
    }

    /// Sends it a signal. When this returns, the process may not have received it yet.
    ///
    /// # Panics
    /// If the system refuses, for instance because the process has ended.
    pub fn signal(&self, signal: Signal) {
        // The standard library can only kill, and every shell has a `kill` of its own.
        let script = format!("kill -{} {}", signal.name(), self.id());
        let status = Command::new("sh").args(["-c", &script]).status().expect("a shell");
        assert!(status.success(), "{script}: {status}");
    }

    /// Waits until it has ended and all its output has been read.
    ///
    /// # Panics
    /// If it runs longer than `timeout`.
    pub fn wait(&mut self, timeout: Duration) -> ExitStatus {
        let status = until("the process ends", timeout, || self.ended());
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader that does not panic");
        }
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // In this order: the guard must not kill another process that gets the same id.
        let _ = self.guard.kill();
        let _ = self.guard.wait();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A shell that kills process `id` when this process ends, even if that is killed: the standard input of the shell is
/// closed then.
fn guard(id: u32) -> io::Result<Child> {
    let script = format!("read -r _; kill -KILL {id}");
    Command::new("sh").args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

/// Runs `command` to its end.
///
/// # Panics
/// If it runs longer than [`TIMEOUT`].
#[must_use]
pub fn run(command: &mut Command) -> Finished {
    let mut process = Process::spawn(command);
    let status = process.wait(TIMEOUT);
    Finished { status, out: process.lines.text(Stream::Out), err: process.lines.text(Stream::Err) }
}

/// The result of a process that has ended.
#[derive(Debug)]
pub struct Finished {
    /// The exit status.
    pub status: ExitStatus,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}
