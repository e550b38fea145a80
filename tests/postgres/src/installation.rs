use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

/// The environment variable that is `1` where a missing server is a failure.
const REQUIRED: &str = "ROSTER_REQUIRE_POSTGRES";

/// The binaries of an installed PostgreSQL server.
#[derive(Debug, Clone)]
pub struct Installation {
    folder: PathBuf,
}

impl Installation {
    /// Finds the newest server in Debian's folders, or else a server on the `PATH`.
    pub fn find() -> Option<Self> {
        let found = debian_folders().into_iter().chain(path_folders()).find(|folder| is_complete(folder));
        found.map(|folder| Self { folder })
    }

    /// The path of one of its binaries.
    pub fn binary(&self, name: &str) -> PathBuf {
        // Without links: `initdb` looks for its shared files relative to its own path.
        let path = self.folder.join(name);
        path.canonicalize().unwrap_or(path)
    }
}

/// A command that runs a client program of the installation that servers are started from, such as `pg_dump`.
///
/// # Panics
/// If PostgreSQL is not installed.
#[must_use]
pub fn client_program(name: &str) -> Command {
    Command::new(Installation::find().expect("an installed PostgreSQL").binary(name))
}

/// Lets `command` run as the account of the servers, which becomes the owner of `folder`: like PostgreSQL, what belongs to
/// it refuses to run as root.
///
/// # Panics
/// If this machine has no such account.
pub fn run_as_server_account(command: &mut Command, folder: &Path) {
    if let Some(account) = Account::for_server().expect("an account for the server") {
        account.own(folder).expect("a folder of this account");
        account.run(command);
    }
}

/// Debian installs each version in a folder of its own, outside the `PATH`.
fn debian_folders() -> Vec<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    folders.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    folders.into_iter().map(|(_, folder)| folder).collect()
}

fn path_folders() -> Vec<PathBuf> {
    env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default()
}

fn is_complete(folder: &Path) -> bool {
    ["initdb", "postgres"].iter().all(|name| folder.join(name).is_file())
}

/// Reports that the current test is skipped because there is no server.
///
/// # Panics
/// If `ROSTER_REQUIRE_POSTGRES` is `1`.
pub fn report_skipped() {
    let message = "no PostgreSQL server is installed and TEST_DATABASE_URL is not set";
    assert!(env::var(REQUIRED).as_deref() != Ok("1"), "{message}, but {REQUIRED}=1");
    let current = thread::current();
    let line = format!("SKIPPED {}: {message}\n", current.name().unwrap_or("a test"));
    // Not `eprintln!`: the test harness hides its output when the test passes. A closed standard error is no failure.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// A user account of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// The account that the server must run as, since PostgreSQL refuses to run as root. `None`: the account of this
    /// process.
    pub fn for_server() -> io::Result<Option<Self>> {
        if fs::metadata("/proc/self")?.uid() != 0 {
            return Ok(None);
        }
        let accounts = fs::read_to_string("/etc/passwd")?;
        let account = ["postgres", "nobody"].iter().find_map(|name| Self::read(&accounts, name));
        account.map(Some).ok_or_else(|| io::Error::other("/etc/passwd has neither postgres nor nobody"))
    }

    /// Reads the line of `name` in a file of the format passwd(5).
    fn read(accounts: &str, name: &str) -> Option<Self> {
        let mut fields = accounts.lines().map(|line| line.split(':')).find_map(|mut fields| {
            let found = fields.next() == Some(name);
            found.then_some(fields)
        })?;
        let _password = fields.next()?;
        Some(Self { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    }

    /// Makes the account the owner of `folder`.
    pub fn own(self, folder: &Path) -> io::Result<()> {
        std::os::unix::fs::chown(folder, Some(self.uid), Some(self.gid))
    }

    /// Sets the account that `command` runs as.
    pub fn run(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_read_from_its_own_line() {
        let accounts = "postgresql:x:1:2::/:/bin/sh\npostgres:x:101:104:PostgreSQL,,,:/var/lib/postgresql:/bin/bash\n";
        assert_eq!(Account::read(accounts, "postgres"), Some(Account { uid: 101, gid: 104 }));
        assert_eq!(Account::read(accounts, "nobody"), None);
    }
}
