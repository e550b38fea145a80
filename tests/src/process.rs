//! A child process whose output is kept and which never outlives the test.

use std::io;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::deadline::{GENEROUS, until};
use crate::lines::{Lines, Stream};

/// A running process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    guard: Child,
    lines: Lines,
    readers: Vec<JoinHandle<()>>,
}

/// What may be sent to a process.
#[derive(Debug, Clone, Copy)]
pub enum Signal {
    /// Ends it without asking.
    Kill,
    /// Asks it to end, as a service manager does.
    Terminate,
    /// Asks it to end, as Ctrl-C does.
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
    /// Starts `command` with both of its streams kept.
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

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it printed and prints.
    #[must_use]
    pub fn lines(&self) -> &Lines {
        &self.lines
    }

    /// Whether it has ended, and how.
    ///
    /// # Panics
    /// If the system does not say.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the state of a child")
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// If the system refuses, for instance because the process is gone.
    pub fn signal(&self, signal: Signal) {
        // The standard library can only kill, and the shell's own `kill` is there wherever a shell is.
        let script = format!("kill -{} {}", signal.name(), self.id());
        let status = Command::new("sh").args(["-c", &script]).status().expect("a shell");
        assert!(status.success(), "{script}: {status}");
    }

    /// Waits until it has ended and all it printed is read.
    ///
    /// # Panics
    /// If it runs longer than `deadline`.
    pub fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let status = until("the process ends", deadline, || self.ended());
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader that does not panic");
        }
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // In this order: the guard must not wake and kill whoever has the number next.
        let _ = self.guard.kill();
        let _ = self.guard.wait();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A shell that kills process `id` when this process ends, however it ends: its standard input closes then.
fn guard(id: u32) -> io::Result<Child> {
    let script = format!("read -r _; kill -KILL {id}");
    Command::new("sh").args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

/// Runs `command` to its end, which must come within [`GENEROUS`] time.
#[must_use]
pub fn run(command: &mut Command) -> Finished {
    let mut process = Process::spawn(command);
    let status = process.wait(GENEROUS);
    Finished { status, out: process.lines.text(Stream::Out), err: process.lines.text(Stream::Err) }
}

/// What is left of a process.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// All it printed on its standard output.
    pub out: String,
    /// All it printed on its standard error.
    pub err: String,
}
