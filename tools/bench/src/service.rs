//! The service as it is deployed: with its default configuration, except for its port, its limits of requests, and the
//! receivers that it may deliver to.

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

/// How long a command may take, and the service until it listens.
const TIMEOUT: Duration = Duration::from_mins(1);

/// The default configuration of the program.
const DEFAULTS: &str = include_str!("../../../config/default.toml");

/// The program `roster`.
#[derive(Clone)]
pub struct Program {
    path: PathBuf,
}

impl Program {
    /// The program at `path`.
    pub fn new(path: &Path) -> anyhow::Result<Self> {
        let path = fs::canonicalize(path).with_context(|| format!("{} is not there", path.display()))?;
        Ok(Self { path })
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The version that it prints.
    pub fn version(&self) -> anyhow::Result<String> {
        crate::machine::version_of(&self.path)
    }

    /// Runs one of its commands on the database with `url` and returns its output.
    pub fn command(&self, url: &str, arguments: &[&str]) -> anyhow::Result<String> {
        process::output(process::child_command(&self.path).args(arguments).env("DATABASE_URL", url), TIMEOUT)
    }

    /// Creates a key for the live environment of a merchant.
    pub fn create_key(&self, url: &str, merchant: MerchantId) -> anyhow::Result<String> {
        let merchant = merchant.to_string();
        let made =
            self.command(url, &["keys", "create", "--merchant", merchant.as_str(), "--environment", "live", "--json"])?;
        let made: Value = serde_json::from_str(&made)?;
        Ok(made["key"].as_str().context("the new key is not in the output")?.to_owned())
    }

    /// Starts the service on the database with `url` and waits until it listens. It logs to the file `log`.
    pub fn serve(&self, url: &str, log: &Path) -> anyhow::Result<Service> {
        let file = File::create(log)?;
        let child = process::child_command(&self.path)
            .arg("serve")
            .env("DATABASE_URL", url)
            .env("ROSTER__HTTP__BIND", "127.0.0.1:0")
            // The receiver of webhooks is on this machine.
            .env("ROSTER__WEBHOOKS__ALLOW_PRIVATE", "true")
            .envs(raised_limits())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .context("the service cannot be started")?;
        let mut running = Running(child);
        let end = Instant::now() + TIMEOUT;
        loop {
            let logged = fs::read_to_string(log)?;
            // Only complete lines: the last one may end in the middle of the port.
            let complete = logged.rfind('\n').map_or("", |end| &logged[..end]);
            if let Some(address) = address_in(complete) {
                return Ok(Service { running, address });
            }
            if running.0.try_wait()?.is_some() || Instant::now() > end {
                bail!("the service logs no address: {logged}");
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The first address in a text whose port is not 0.
fn address_in(text: &str) -> Option<SocketAddr> {
    text.match_indices("127.0.0.1:").find_map(|(start, _)| {
        let rest = &text[start..];
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').unwrap_or(rest.len());
        rest[..end].parse().ok().filter(|address: &SocketAddr| address.port() != 0)
    })
}

/// A running service.
pub struct Service {
    running: Running,
    /// The address that it listens on.
    pub address: SocketAddr,
}

impl Service {
    /// Its CPU time since its start.
    pub fn cpu_time(&self) -> CpuTime {
        CpuTime::of(&[self.running.0.id()])
    }

    /// Its resident memory in MiB: now, and the most since its start.
    pub fn resident(&self) -> anyhow::Result<(f64, f64)> {
        resident(self.running.0.id())
    }
}

/// Environment variables that set every key of `[limits]` to its maximum, which the comment of the key contains. So the
/// limits are checked as in production, and no request exceeds them.
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
        if let Some((key, maximum)) = key.zip(maximum_in(&comment)) {
            let name = format!("ROSTER__{section}__{key}").replace('.', "__").to_uppercase();
            raised.push((name, maximum.to_owned()));
        }
        comment.clear();
    }
    raised
}

/// The second number of the first range, such as `1 to 1000`, in a comment.
fn maximum_in(comment: &str) -> Option<&str> {
    comment.match_indices(" to ").find_map(|(start, separator)| {
        let rest = &comment[start + separator.len()..];
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let is_range = comment[..start].ends_with(|c: char| c.is_ascii_digit());
        Some(&rest[..digits]).filter(|digits| is_range && !digits.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_raised_to_its_maximum() {
        let keys = DEFAULTS.split("[limits]").nth(1).expect("limits").split("\n[").next().expect("a section");
        let keys = keys.lines().filter(|line| line.contains(" = ") && !line.starts_with('#')).count();
        let raised = raised_limits();
        assert!(keys > 0);
        assert_eq!(raised.len(), keys, "{raised:?}");
        for (name, maximum) in &raised {
            assert!(name.starts_with("ROSTER__LIMITS__"), "{name}");
            assert!(maximum.parse::<u32>().is_ok_and(|maximum| maximum >= 100_000), "{name}: {maximum}");
        }
    }

    #[test]
    fn an_address_is_found_in_a_line_of_the_log() {
        let log = r#"{"bind":"127.0.0.1:0"} {"message":"listening","address":"127.0.0.1:40123"}"#;
        assert_eq!(address_in(log), "127.0.0.1:40123".parse().ok());
        assert_eq!(address_in("127.0.0.1:0"), None);
    }
}
