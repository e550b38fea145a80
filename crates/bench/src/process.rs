//! Programs that are run, none of which outlives this one.

use std::ffi::OsStr;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// How long to wait before looking again whether a program has ended. Short against what it measures, long against what
/// looking costs.
const PAUSE: Duration = Duration::from_millis(10);

/// A command that the kernel kills when this process ends, however that comes.
pub fn tied(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Runs `command` to its end, which must come within `limit` and be a good one, and returns what it printed. That must
/// be less than a pipe holds.
pub fn output(command: &mut Command, limit: Duration) -> anyhow::Result<String> {
    let name = format!("{command:?}");
    let mut child = Running(
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{name} cannot be started"))?,
    );
    let end = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.0.try_wait()? {
            break status;
        }
        if Instant::now() > end {
            bail!("{name} takes longer than {limit:?}");
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
