//! Data from the kernel: CPU time, resident memory, and a description of the machine.

use std::fs;
use std::ops::Sub;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, anyhow};

use crate::process;

/// The unit in which the kernel reports CPU time (`USER_HZ`): 100 per second on every architecture of Debian.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU time, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CpuTime(pub f64);

impl CpuTime {
    fn from_ticks(ticks: u64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "2^53 ticks are three million years")]
        Self(ticks as f64 / TICKS_PER_SECOND)
    }

    /// The CPU time of the processes and of the children that they have waited for. Processes that have ended are
    /// skipped: their parents count them.
    pub fn of(processes: &[u32]) -> Self {
        Self::from_ticks(processes.iter().filter_map(|process| ticks(&format!("/proc/{process}/stat"))).sum())
    }

    /// The CPU time of this process and of the children that it has waited for.
    pub fn of_this_process() -> Self {
        Self::from_ticks(ticks("/proc/self/stat").unwrap_or_default())
    }
}

impl Sub for CpuTime {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        // Not negative: a process that is ending may be counted twice for a moment, and then once.
        Self((self.0 - earlier.0).max(0.0))
    }
}

/// utime, stime, cutime and cstime (`proc_pid_stat(5)`).
fn ticks(stat: &str) -> Option<u64> {
    let text = fs::read_to_string(stat).ok()?;
    // The name of the program is in parentheses and may contain any character.
    let (_, fields) = text.rsplit_once(')')?;
    fields.split_ascii_whitespace().skip(11).take(4).map(|field| field.parse::<u64>().ok()).sum()
}

/// The time of all processors together since the machine was started.
#[derive(Debug, Clone, Copy)]
pub struct Processors {
    /// The time that programs and the kernel used, and the time that other virtual machines got instead.
    pub used: CpuTime,
    /// The whole time.
    pub all: CpuTime,
}

impl Processors {
    /// The times until now.
    pub fn read() -> anyhow::Result<Self> {
        let text = fs::read_to_string("/proc/stat").context("/proc/stat")?;
        let line = text.lines().next().and_then(|line| line.strip_prefix("cpu ")).context("/proc/stat")?;
        let fields: Vec<u64> = line.split_ascii_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        let [user, nice, system, idle, iowait, irq, softirq, steal, ..] = fields[..] else {
            return Err(anyhow!("/proc/stat has too few fields"));
        };
        // Interrupts do not count as used: most kernels add those that a process causes, above all for its loopback
        // connections, to the time of that process, and others to no process.
        Ok(Self {
            used: CpuTime::from_ticks(user + nice + system + steal),
            all: CpuTime::from_ticks(user + nice + system + idle + iowait + irq + softirq + steal),
        })
    }
}

/// The resident memory of `process` in MiB: now, and the most since its start.
pub fn resident(process: u32) -> anyhow::Result<(f64, f64)> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).context("the service has ended")?;
    let mebibytes = |field: &str| -> anyhow::Result<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(field)).with_context(|| format!("no {field}"))?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
    };
    Ok((mebibytes("VmRSS:")?, mebibytes("VmHWM:")?))
}

/// A description of the machine: names and values.
pub fn describe(data: &Path) -> Vec<(&'static str, String)> {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models = || cpus.lines().filter(|line| line.starts_with("model name"));
    let model = models().next().and_then(|line| line.split(": ").nth(1)).unwrap_or("unknown");
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kibibytes: f64 = memory.split_ascii_whitespace().nth(1).and_then(|text| text.parse().ok()).unwrap_or_default();
    let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let system = system.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("unknown");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    vec![
        ("processors", format!("{} × {model}", models().count())),
        ("memory", format!("{:.1} GiB", kibibytes / 1024.0 / 1024.0)),
        ("system", format!("{}, Linux {}", system.trim_matches('"'), kernel.trim())),
        ("file system of the databases", file_system(data)),
        ("commit", commit()),
        ("date", first_line("date", &["-u", "+%F"])),
    ]
}

/// The type of the file system that `path` is on.
fn file_system(path: &Path) -> String {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let nearest = mounts.filter(|(folder, _)| path.starts_with(folder)).max_by_key(|(folder, _)| folder.len());
    nearest.map_or("unknown", |(_, kind)| kind).to_owned()
}

/// The commit of the working folder, with a note if there are changes other than in the reports of this program.
fn commit() -> String {
    let commit = first_line("git", &["rev-parse", "--short=12", "HEAD"]);
    let changes =
        first_line("git", &["status", "--porcelain", "--untracked-files=no", "--", ":/", ":/!docs/benchmarks"]);
    if changes.is_empty() { commit } else { format!("{commit}, with changes that are not committed") }
}

/// The first line that a program prints, or an empty text. Its exit status is ignored: `wrk --version` fails.
pub fn first_line(program: &str, arguments: &[&str]) -> String {
    let printed = Command::new(program).args(arguments).output();
    let printed = printed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    printed.lines().next().unwrap_or_default().trim().to_owned()
}

/// The version that `program` prints.
pub fn version_of(program: &Path) -> anyhow::Result<String> {
    let printed = process::output(process::child_command(program).arg("--version"), Duration::from_secs(10))?;
    Ok(printed.trim().to_owned())
}
