//! What is asked of the service, and `wrk`, which asks it.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use crate::database::Database;
use crate::process;
use crate::whole_list;

/// How many customers are asked for, at most.
const SAMPLE: u64 = 20_000;

/// What `wrk` runs.
const SCRIPT: &str = include_str!("requests.lua");

/// How long an answer may take before it counts as failed.
const TIMEOUT: Duration = Duration::from_secs(30);

/// One kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Whether the service lives, which it says without a credential and without its database: what HTTP itself takes.
    Live,
    /// A customer by its identifier.
    Get,
    /// A customer by the merchant's identifier.
    GetByExternalId,
    /// A new customer with an address, an identifier, a name and metadata of its own.
    Create,
    /// Another name and other metadata for a customer.
    Update,
    /// The newest 25 customers of a merchant.
    List,
    /// 25 customers of a merchant from somewhere in the middle.
    ListDeep,
    /// All customers of a merchant in one answer, on Lumen; not of the largest merchant.
    ListAll,
    /// All customers of the largest merchant.
    ListLargest,
}

impl Operation {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "liveness, no database",
            Self::Get => "get by id",
            Self::GetByExternalId => "get by external id",
            Self::Create => "create",
            Self::Update => "update",
            Self::List => "list of 25",
            Self::ListDeep => "list of 25, deep",
            Self::ListAll => "full list (Lumen)",
            Self::ListLargest => "full list of the largest merchant (Lumen)",
        }
    }

    /// What the script calls it. `None` for what `wrk` cannot measure.
    fn in_script(self) -> Option<&'static str> {
        match self {
            Self::Live => Some("live"),
            Self::Get => Some("get"),
            Self::GetByExternalId => Some("get_by_external_id"),
            Self::Create => Some("create"),
            Self::Update => Some("update"),
            Self::List => Some("list"),
            Self::ListDeep => Some("list_deep"),
            Self::ListAll => Some("list_all"),
            Self::ListLargest => None,
        }
    }
}

/// The files that `wrk` reads, for one database.
pub struct Workload {
    script: PathBuf,
    everybody: PathBuf,
    others: PathBuf,
    key_of_largest: String,
}

impl Workload {
    /// Writes them to `folder`, which is for this database alone.
    pub fn prepare(database: &Database, folder: &Path) -> anyhow::Result<Self> {
        let path = |name| folder.join(name);
        let workload = Self {
            script: path("requests.lua"),
            everybody: path("everybody"),
            others: path("others"),
            key_of_largest: database.keys[0].clone(),
        };
        std::fs::write(&workload.script, SCRIPT)?;
        write_sample(database, &workload.everybody, |_| true)?;
        write_sample(database, &workload.others, |merchant| merchant != 0)?;
        Ok(workload)
    }

    /// Sends requests over so many connections for `seconds`, or longer if no answer is whole by then. No two runs have
    /// the same number.
    pub fn run(
        &self,
        operation: Operation,
        service: SocketAddr,
        connections: u32,
        seconds: u32,
        number: u32,
    ) -> anyhow::Result<Answers> {
        let Some(in_script) = operation.in_script() else {
            return Ok(whole_list::read(service, "/api/customers", &self.key_of_largest, seconds)?);
        };
        let sample = if operation == Operation::ListAll { &self.others } else { &self.everybody };
        let mut command = process::tied("wrk");
        command
            .args(["--threads", if connections == 1 { "1" } else { "2" }])
            .args(["--connections", &connections.to_string(), "--duration", &format!("{seconds}s")])
            .args(["--timeout", &format!("{}s", TIMEOUT.as_secs()), "--script"])
            .args([&self.script])
            .args([&format!("http://{service}"), "--", in_script])
            .arg(sample)
            .arg(number.to_string());
        let printed = process::output(&mut command, Duration::from_secs(seconds.into()) + 2 * TIMEOUT)?;
        Answers::read(&printed).with_context(|| format!("wrk prints something else:\n{printed}"))
    }
}

fn write_sample(database: &Database, path: &Path, wanted: impl Fn(usize) -> bool) -> anyhow::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for known in database.dataset.sample(SAMPLE).filter(|known| wanted(known.merchant)) {
        let key = &database.keys[known.merchant];
        writeln!(file, "{key}\t{}\t{}\t{}", known.id, known.id.suffix(), known.external_id)?;
    }
    Ok(file.flush()?)
}

/// What `wrk` says of the answers. Times are in microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answers {
    /// How many came.
    pub requests: f64,
    /// How long it took.
    pub seconds: f64,
    /// How many of the requests were refused, or not answered.
    pub failed: f64,
    /// The mean latency.
    pub mean: f64,
    /// Half of the requests took no longer.
    pub p50: f64,
    /// 99 % took no longer.
    pub p99: f64,
    /// 99.9 % took no longer.
    pub p999: f64,
}

impl Answers {
    fn read(printed: &str) -> Option<Self> {
        let line = printed.lines().find_map(|line| line.strip_prefix("RESULT "))?;
        let figure = |name: &str| {
            let pair = line.split(' ').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
            pair.parse::<f64>().ok()
        };
        Some(Self {
            requests: figure("requests")?,
            seconds: figure("seconds")?,
            failed: figure("failed")?,
            mean: figure("mean")?,
            p50: figure("p50")?,
            p99: figure("p99")?,
            p999: figure("p999")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_script_prints_is_read() {
        let printed = "Running 1s test\nRESULT requests=10 seconds=1.5 failed=1 mean=2.5 p50=2 p99=3 p999=4\n";
        let read = Answers { requests: 10.0, seconds: 1.5, failed: 1.0, mean: 2.5, p50: 2.0, p99: 3.0, p999: 4.0 };
        assert_eq!(Answers::read(printed), Some(read));
        assert_eq!(Answers::read("Running 1s test"), None);
    }
}
