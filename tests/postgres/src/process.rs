use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for a state that a quiet machine reaches in milliseconds.
const PATIENCE: Duration = Duration::from_mins(1);

/// The pause between two looks at a state.
const PAUSE: Duration = Duration::from_millis(5);

/// Calls `done` again and again until it returns true.
///
/// # Panics
/// After [`PATIENCE`], with the description that `what` returns.
pub fn wait_until(what: impl Fn() -> String, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "gave up after {PATIENCE:?}: {}", what());
        thread::sleep(PAUSE);
    }
}

/// Sends `signal`, named as in `kill -s`, to processes. Those that have ended are skipped.
///
/// When this returns, a signal is sent, but a process may not have received it yet: wait for the state that it causes.
/// The shell's own `kill` needs neither unsafe code nor a program that a small system may lack.
pub fn signal(signal: &str, processes: &[u32]) {
    let script = r#"for process; do kill -s "$0" "$process" 2>/dev/null; done; :"#;
    let ids = processes.iter().map(u32::to_string);
    let status = Command::new("sh").args(["-c", script, signal]).args(ids).status().expect("a shell runs");
    assert!(status.success(), "the shell could not send {signal}: {status}");
}

/// Whether the process exists and is not a zombie.
pub fn is_running(process: u32) -> bool {
    stat(process).is_some_and(|stat| stat.state != "Z")
}

/// Whether SIGSTOP has stopped the process.
pub fn is_stopped(process: u32) -> bool {
    stat(process).is_some_and(|stat| stat.state == "T")
}

/// The children of `parent`.
pub fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("a system with /proc").flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&process| stat(process).is_some_and(|stat| stat.parent == parent))
        .collect()
}

/// Two fields of `/proc/PID/stat` (`proc_pid_stat(5)`).
struct Stat {
    state: String,
    parent: u32,
}

fn stat(process: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name of the program is in parentheses and may contain any character.
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    Some(Stat { state: fields.next()?.to_owned(), parent: fields.next()?.parse().ok()? })
}
