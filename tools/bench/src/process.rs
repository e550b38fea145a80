//! Child processes, which end with this process.

use std::ffi::OsStr;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// The pause between two checks whether a child has ended: short compared with a measurement, long compared with
/// a check.
const PAUSE: Duration = Duration::from_millis(10);

/// A command whose process the kernel kills when this process ends, even if this is killed.
pub fn child_command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Runs `command` and returns its output, which must fit into a pipe.
///
/// # Errors
/// If it takes longer than `timeout`, or its exit status is not 0.
pub fn output(command: &mut Command, timeout: Duration) -> anyhow::Result<String> {
    let name = format!("{command:?}");
    let mut child = Running(
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{name} cannot be started"))?,
    );
    let end = Instant::now() + timeout;
    let status = loop {
        if let Some(status) = child.0.try_wait()? {
            break status;
        }
        if Instant::now() > end {
            bail!("{name} takes longer than {timeout:?}");
        }
        thread::sleep(PAUSE);
    };
    let (mut printed, mut complaint) = (String::new(), String::new());
    child.0.stdout.take().context("no standard output")?.read_to_string(&mut printed)?;
    child.0.stderr.take().context("no standard error")?.read_to_string(&mut complaint)?;
    if !status.success() {
        bail!("{name}: {status}\n{printed}{complaint}");
    }
    Ok(printed)
}

/// A child that is killed when it is dropped.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
