use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// How long anything that a test waits for may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(5);

/// Looks again and again until `done` says so.
///
/// # Panics
/// After [`PATIENCE`], with what `what` says was waited for.
pub fn wait_until(what: impl Fn() -> String, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "gave up after {PATIENCE:?}: {}", what());
        thread::sleep(PAUSE);
    }
}

/// Sends `signal`, named as in `kill -s`, to processes. Those that are gone are passed over.
///
/// The shell's own `kill`: signals need no unsafe code that way, and no program that a small system may lack.
pub fn signal(signal: &str, processes: &[u32]) {
    let script = r#"for process; do kill -s "$0" "$process" 2>/dev/null; done; :"#;
    let ids = processes.iter().map(u32::to_string);
    let status = Command::new("sh").args(["-c", script, signal]).args(ids).status().expect("a shell runs");
    assert!(status.success(), "the shell could not send {signal}: {status}");
}

/// Whether the process runs: it is there, and not just the memory of one that ended.
pub fn is_running(process: u32) -> bool {
    stat(process).is_some_and(|stat| stat.state != "Z")
}

/// The processes that `parent` started.
pub fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("a system with /proc").flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&process| stat(process).is_some_and(|stat| stat.parent == parent))
        .collect()
}

/// What is wanted of `/proc/…/stat`.
struct Stat {
    state: String,
    parent: u32,
}

fn stat(process: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name of the program stands in parentheses and may hold any character.
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    Some(Stat { state: fields.next()?.to_owned(), parent: fields.next()?.parse().ok()? })
}
