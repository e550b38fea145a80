//! The service, as it is deployed: the program with its default configuration, but for the rates that it allows.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use roster_domain::MerchantId;
use serde_json::Value;

use crate::machine::{CpuTime, resident};
use crate::process::{self, Running};

/// How long a command, or the service until it listens, may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// The configuration as it is built into the program.
const DEFAULTS: &str = include_str!("../../../config/default.toml");

/// The program `roster`.
pub struct Program {
    path: PathBuf,
}

impl Program {
    /// The program at `path`.
    pub fn new(path: &Path) -> anyhow::Result<Self> {
        let path = fs::canonicalize(path).with_context(|| format!("{} is not there", path.display()))?;
        Ok(Self { path })
    }

    /// What it says of its version.
    pub fn version(&self) -> anyhow::Result<String> {
        crate::machine::version_of(&self.path)
    }

    /// Runs one of its commands on the database with `url`, and returns what it prints.
    pub fn command(&self, url: &str, arguments: &[&str]) -> anyhow::Result<String> {
        process::output(process::tied(&self.path).args(arguments).env("DATABASE_URL", url), PATIENCE)
    }

    /// Makes a key that opens the live customers of a merchant.
    pub fn create_key(&self, url: &str, merchant: MerchantId) -> anyhow::Result<String> {
        let merchant = merchant.to_string();
        let made =
            self.command(url, &["keys", "create", "--merchant", merchant.as_str(), "--environment", "live", "--json"])?;
        let made: Value = serde_json::from_str(&made)?;
        Ok(made["key"].as_str().context("a key was made but not shown")?.to_owned())
    }

    /// Starts the service on the database with `url` and waits until it listens. It logs to a file at `log`.
    pub fn serve(&self, url: &str, log: &Path) -> anyhow::Result<Service> {
        let file = File::create(log)?;
        let child = process::tied(&self.path)
            .arg("serve")
            .env("DATABASE_URL", url)
            .env("ROSTER__HTTP__BIND", "127.0.0.1:0")
            .envs(raised_limits())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .context("the service cannot be started")?;
        let mut running = Running(child);
        let end = Instant::now() + PATIENCE;
        loop {
            let logged = fs::read_to_string(log)?;
            if let Some(address) = address_in(&logged) {
                return Ok(Service { running, address });
            }
            if running.0.try_wait()?.is_some() || Instant::now() > end {
                bail!("the service does not say where it listens: {logged}");
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The first address in a text that is one to connect to.
fn address_in(text: &str) -> Option<SocketAddr> {
    text.match_indices("127.0.0.1:").find_map(|(place, _)| {
        let rest = &text[place..];
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').unwrap_or(rest.len());
        rest[..end].parse().ok().filter(|address: &SocketAddr| address.port() != 0)
    })
}

/// A running service.
pub struct Service {
    running: Running,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Service {
    /// What it used of the processors since it began.
    pub fn cpu_time(&self) -> CpuTime {
        CpuTime::of(&[self.running.0.id()])
    }

    /// Its resident memory in MiB, now and at most.
    pub fn resident(&self) -> anyhow::Result<(f64, f64)> {
        resident(self.running.0.id())
    }
}

/// The environment that raises every key of `[limits]` to the most that its comment allows: the limits are checked as
/// in production, and let everything through.
pub fn raised_limits() -> Vec<(String, String)> {
    let mut section = "";
    let mut comment = String::new();
    let mut raised = Vec::new();
    for line in DEFAULTS.lines() {
        if let Some(text) = line.strip_prefix('#') {
            comment.push_str(text);
            continue;
        }
        section = line.strip_prefix('[').map_or(section, |rest| rest.trim_end_matches(']'));
        let key = line.split_once(" = ").map(|(key, _)| key).filter(|_| section.starts_with("limits"));
        if let Some((key, most)) = key.zip(most_in(&comment)) {
            let name = format!("ROSTER__{section}__{key}").replace('.', "__").to_uppercase();
            raised.push((name, most.to_owned()));
        }
        comment.clear();
    }
    raised
}

/// The second number of the first `1 to 1000` in a comment.
fn most_in(comment: &str) -> Option<&str> {
    comment.match_indices(" to ").find_map(|(place, separator)| {
        let rest = &comment[place + separator.len()..];
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let is_range = comment[..place].ends_with(|c: char| c.is_ascii_digit());
        Some(&rest[..digits]).filter(|digits| is_range && !digits.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_raised_to_the_most_that_is_allowed() {
        let keys = DEFAULTS.split("[limits]").nth(1).expect("limits").split("\n[").next().expect("a section");
        let keys = keys.lines().filter(|line| line.contains(" = ") && !line.starts_with('#')).count();
        let raised = raised_limits();
        assert!(keys > 0);
        assert_eq!(raised.len(), keys, "{raised:?}");
        for (name, most) in &raised {
            assert!(name.starts_with("ROSTER__LIMITS__"), "{name}");
            assert!(most.parse::<u32>().is_ok_and(|most| most >= 100_000), "{name}: {most}");
        }
    }

    #[test]
    fn an_address_is_found_in_a_line_of_the_log() {
        let log = r#"{"bind":"127.0.0.1:0"} {"message":"listening","address":"127.0.0.1:40123"}"#;
        assert_eq!(address_in(log), "127.0.0.1:40123".parse().ok());
        assert_eq!(address_in("127.0.0.1:0"), None);
    }
}
