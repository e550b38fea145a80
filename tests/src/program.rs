//! The binary `roster`: finds or builds it, and runs it.

use std::env;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

use crate::deadline::TIMEOUT;
use crate::lines::Lines;
use crate::process::{Finished, Process, Signal, run};

/// The binary under test: the one that `ROSTER_BINARY` names, or else the workspace's, which is built first.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| env::var_os("ROSTER_BINARY").map_or_else(build, PathBuf::from))
}

/// Builds the binary with all features, in the profile and the target folder of the running test.
fn build() -> PathBuf {
    let test = env::current_exe().expect("the path of the running test");
    // target/<profile>/deps/<test>
    let folder = test.ancestors().nth(2).expect("a folder per profile");
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "roster-server", "--bin", "roster", "--all-features"])
        .args(["--profile", profile, "--target-dir"])
        .arg(folder.parent().expect("a target folder"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo");
    assert!(status.success(), "the program does not build");
    keep(folder).expect("a second name for the binary")
}

/// Gives the binary a second name, which keeps its content when another build replaces the binary during the tests.
fn keep(folder: &Path) -> io::Result<PathBuf> {
    let kept = folder.join("roster-under-test");
    let linked = folder.join(format!("roster-under-test.{}", std::process::id()));
    fs::hard_link(folder.join("roster"), &linked)?;
    fs::rename(&linked, &kept)?;
    // `rename` does nothing and keeps both names if they are names of the same file.
    match fs::remove_file(&linked) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(kept),
    }
}

/// How long a request waits for the database, in milliseconds: longer than by default, so that a busy machine changes
/// no response. A test of the deadline sets its own.
const LONG_DEADLINE: (&str, &str) = ("ROSTER__DATABASE__DEADLINE_MS", "30000");

/// A command of the program on the database with `url`. It gets `settings` in its environment, and no setting of the
/// environment of this process.
fn command(url: &str, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(binary());
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("ROSTER__") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command.env("DATABASE_URL", url).env("ROSTER__HTTP__BIND", "127.0.0.1:0");
    command.envs([LONG_DEADLINE]).envs(settings.iter().copied());
    command
}

/// Runs a command of the program to its end.
#[must_use]
pub fn roster(url: &str, settings: &[(&str, &str)], arguments: &[&str]) -> Finished {
    run(command(url, settings).args(arguments))
}

/// Starts a command of the program and does not wait for its end.
#[must_use]
pub fn launch(url: &str, settings: &[(&str, &str)], arguments: &[&str]) -> Process {
    Process::spawn(command(url, settings).args(arguments))
}

/// Runs a command of the program that prints one JSON object.
///
/// # Panics
/// If it fails, or prints something else.
#[must_use]
pub fn roster_json(url: &str, arguments: &[&str]) -> Value {
    let finished = roster(url, &[], arguments);
    assert!(finished.status.success(), "roster {arguments:?}: {finished:?}");
    serde_json::from_str(&finished.out).unwrap_or_else(|error| panic!("roster {arguments:?}: {error}: {finished:?}"))
}

/// A running service.
#[derive(Debug)]
pub struct Program {
    process: Process,
    address: SocketAddr,
}

impl Program {
    /// Starts the service on the database with `url` and waits until it listens.
    ///
    /// # Panics
    /// If it does not listen within [`TIMEOUT`].
    #[must_use]
    pub fn serve(url: &str, settings: &[(&str, &str)]) -> Self {
        let process = Self::launch(url, settings);
        Self::listening(process)
    }

    /// Starts the service and does not wait until it listens.
    #[must_use]
    pub fn launch(url: &str, settings: &[(&str, &str)]) -> Process {
        launch(url, settings, &["serve"])
    }

    /// Waits until a service that was launched logs the address that it listens on.
    ///
    /// # Panics
    /// If it does not within [`TIMEOUT`].
    #[must_use]
    pub fn listening(mut process: Process) -> Self {
        let Some(address) = process.lines().find(TIMEOUT, address_in) else {
            panic!("the service logs no address ({:?}): {:#?}", process.ended(), process.lines().all());
        };
        Self { process, address }
    }

    /// The address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The lines that it has printed so far, and those that it will print.
    #[must_use]
    pub fn lines(&self) -> &Lines {
        self.process.lines()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits until it has ended and all its output has been read.
    pub fn wait(&mut self, timeout: Duration) -> ExitStatus {
        self.process.wait(timeout)
    }

    /// The number of its open sockets.
    ///
    /// # Panics
    /// If it has ended.
    #[must_use]
    pub fn sockets(&self) -> usize {
        let files = fs::read_dir(format!("/proc/{}/fd", self.process.id())).expect("a running process");
        let targets = files.flatten().filter_map(|file| fs::read_link(file.path()).ok());
        targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
    }

    /// Its memory.
    #[must_use]
    pub fn memory(&self) -> Memory {
        Memory { process: self.process.id() }
    }
}

/// The first address in a line whose port is not 0.
fn address_in(line: &str) -> Option<SocketAddr> {
    line.match_indices("127.0.0.1:").find_map(|(place, _)| {
        let rest = &line[place..];
        let end = rest.find(|c: char| !matches!(c, '0'..='9' | '.' | ':')).unwrap_or(rest.len());
        rest[..end].parse().ok().filter(|address: &SocketAddr| address.port() != 0)
    })
}

/// The memory of a process as the kernel counts it.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    process: u32,
}

impl Memory {
    /// The memory that is resident now, in bytes.
    #[must_use]
    pub fn resident(self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most memory that was resident since the last [`Memory::reset_peak`], in bytes.
    #[must_use]
    pub fn peak(self) -> u64 {
        self.status("VmHWM:")
    }

    /// Resets the peak to the memory that is resident now.
    ///
    /// # Panics
    /// If the kernel refuses.
    pub fn reset_peak(self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.process), "5").expect("a process of this user");
    }

    fn status(self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process)).expect("a running process");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a field of /proc/PID/status");
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number of kibibytes");
        kibibytes * 1024
    }
}
