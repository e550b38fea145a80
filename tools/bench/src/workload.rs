//! The requests for the service, and `wrk`, which sends them.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use crate::database::Database;
use crate::deliver;
use crate::feed;
use crate::process;
use crate::stream;
use crate::whole_list;

/// The most customers that requests name.
const SAMPLE: u64 = 20_000;

/// The script of `wrk`.
const SCRIPT: &str = include_str!("requests.lua");

/// The customers of a batch.
pub const BATCH: u32 = 100;

/// The longest time of a response that does not count as failed.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Liveness, which needs neither a credential nor the database: the cost of HTTP itself.
    Live,
    /// Gets a customer by its id.
    Get,
    /// Gets a customer by its external id.
    GetByExternalId,
    /// Creates a customer with a unique e-mail address, a unique external id, a name and metadata.
    Create,
    /// The same, each request with an idempotency key.
    CreateWithKey,
    /// Creates 100 such customers in one batch, of which a part shares a name.
    CreateBatch,
    /// Gets a customer with `If-None-Match`, so that the answer is 304.
    GetNotModified,
    /// Searches for six characters of an external id, which few customers have.
    Search,
    /// Changes the name and the metadata of a customer.
    Update,
    /// Lists the newest 25 customers of a merchant.
    List,
    /// Lists 25 customers of a merchant from the middle of its list.
    ListDeep,
    /// Lists all customers of a merchant in one response of Lumen. The largest merchant is left out.
    ListAll,
    /// Lists all customers of the largest merchant.
    ListLargest,
    /// Reads the log of the largest merchant from its beginning, 1,000 events a page.
    ReadFeed,
    /// Delivers the log of the largest merchant to a webhook endpoint.
    Deliver,
    /// Creates 1,000 customers a second and waits for each in the stream of events.
    Stream,
    /// Creates customers of all merchants in two processes of the service on one database.
    CreateOnTwo,
    /// Creates customers of the largest merchant only.
    CreateInOne,
    /// Creates customers of the largest merchant only, in two processes.
    CreateInOneOnTwo,
}

impl Operation {
    /// The name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "liveness, no database",
            Self::Get => "get by id",
            Self::GetByExternalId => "get by external id",
            Self::Create => "create",
            Self::CreateWithKey => "create with an idempotency key",
            Self::CreateBatch => "create 100 in a batch",
            Self::GetNotModified => "get, not modified",
            Self::Search => "search",
            Self::Update => "update",
            Self::List => "list of 25",
            Self::ListDeep => "list of 25, deep",
            Self::ListAll => "full list (Lumen)",
            Self::ListLargest => "full list of the largest merchant (Lumen)",
            Self::ReadFeed => "feed of the largest merchant",
            Self::Deliver => "webhooks",
            Self::Stream => "stream",
            Self::CreateOnTwo => "create, two services",
            Self::CreateInOne => "create for one merchant",
            Self::CreateInOneOnTwo => "create for one merchant, two services",
        }
    }

    /// Whether its rate is that of rows, because a request has many, and how many a request has.
    pub fn rows(self) -> Option<u32> {
        match self {
            Self::CreateBatch => Some(BATCH),
            _ => None,
        }
    }

    /// The name in the script. `None` if `wrk` cannot measure it.
    fn in_script(self) -> Option<&'static str> {
        match self {
            Self::Live => Some("live"),
            Self::Get => Some("get"),
            Self::GetByExternalId => Some("get_by_external_id"),
            Self::Create | Self::CreateOnTwo | Self::CreateInOne | Self::CreateInOneOnTwo => Some("create"),
            Self::CreateWithKey => Some("create_with_key"),
            Self::CreateBatch => Some("create_batch"),
            Self::GetNotModified => Some("get_not_modified"),
            Self::Search => Some("search"),
            Self::Update => Some("update"),
            Self::List => Some("list"),
            Self::ListDeep => Some("list_deep"),
            Self::ListAll => Some("list_all"),
            Self::ListLargest | Self::ReadFeed | Self::Deliver | Self::Stream => None,
        }
    }

    /// Whether half of its requests are for a second process of the service.
    pub fn is_on_two(self) -> bool {
        matches!(self, Self::CreateOnTwo | Self::CreateInOneOnTwo)
    }
}

/// The files that `wrk` reads, for one database.
pub struct Workload {
    script: PathBuf,
    /// Customers of all merchants.
    all: PathBuf,
    /// Customers of all merchants except the largest.
    others: PathBuf,
    /// Customers of the largest merchant.
    largest: PathBuf,
    key_of_largest: String,
    /// The key of a merchant with few customers.
    key_of_small: String,
}

impl Workload {
    /// Writes the files to `folder`, which must be used for this database only.
    pub fn prepare(database: &Database, folder: &Path) -> anyhow::Result<Self> {
        let path = |name| folder.join(name);
        let workload = Self {
            script: path("requests.lua"),
            all: path("all"),
            others: path("others"),
            largest: path("largest"),
            key_of_largest: database.keys[0].clone(),
            key_of_small: database.keys[database.keys.len() - 1].clone(),
        };
        std::fs::write(&workload.script, SCRIPT)?;
        write_sample(database, &workload.all, |_| true)?;
        write_sample(database, &workload.others, |merchant| merchant != 0)?;
        write_sample(database, &workload.largest, |merchant| merchant == 0)?;
        Ok(workload)
    }

    /// Sends requests over `connections` connections for `seconds`, or longer if no response is complete by then.
    /// `number` must be different for each run.
    pub fn run(
        &self,
        operation: Operation,
        service: SocketAddr,
        connections: u32,
        seconds: u32,
        number: u32,
    ) -> anyhow::Result<LoadResult> {
        let Some(in_script) = operation.in_script() else {
            return Ok(match operation {
                Operation::ReadFeed => feed::read(service, &self.key_of_largest, seconds)?,
                Operation::Deliver => deliver::receive(service, &self.key_of_largest, seconds)?,
                Operation::Stream => stream::measure(service, &self.key_of_small, seconds, number)?,
                _ => whole_list::read(service, "/api/customers", &self.key_of_largest, seconds)?,
            });
        };
        let sample = match operation {
            Operation::ListAll => &self.others,
            Operation::CreateInOne | Operation::CreateInOneOnTwo => &self.largest,
            _ => &self.all,
        };
        let mut command = process::child_command("wrk");
        command
            .args(["--threads", if connections == 1 { "1" } else { "2" }])
            .args(["--connections", &connections.to_string(), "--duration", &format!("{seconds}s")])
            .args(["--timeout", &format!("{}s", TIMEOUT.as_secs()), "--script"])
            .args([&self.script])
            .args([&format!("http://{service}"), "--", in_script])
            .arg(sample)
            .arg(number.to_string());
        let printed = process::output(&mut command, Duration::from_secs(seconds.into()) + 2 * TIMEOUT)?;
        let result =
            LoadResult::read(&printed).with_context(|| format!("the output of wrk has no result:\n{printed}"))?;
        let rows = operation.rows().map(|rows| result.requests * f64::from(rows));
        Ok(LoadResult { rows, ..result })
    }
}

fn write_sample(database: &Database, path: &Path, wanted: impl Fn(usize) -> bool) -> anyhow::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for customer in database.dataset.sample(SAMPLE).filter(|customer| wanted(customer.merchant)) {
        let key = &database.keys[customer.merchant];
        writeln!(file, "{key}\t{}\t{}\t{}", customer.id, customer.id.suffix(), customer.external_id)?;
    }
    Ok(file.flush()?)
}

/// The result of a load generator. Times are in microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoadResult {
    /// The number of responses.
    pub requests: f64,
    /// The duration.
    pub seconds: f64,
    /// The number of requests that were refused or not answered.
    pub failed: f64,
    /// The mean latency.
    pub mean: f64,
    /// The median of the latency.
    pub p50: f64,
    /// The 99th percentile of the latency.
    pub p99: f64,
    /// The 99.9th percentile of the latency.
    pub p999: f64,
    /// The number of rows in the responses. `None` if they are not counted.
    pub rows: Option<f64>,
}

impl LoadResult {
    /// The result of responses that took these times, at least one.
    pub fn of_times(mut took: Vec<f64>, seconds: f64, failed: u32, rows: u64) -> Self {
        took.sort_by(f64::total_cmp);
        let at = |permille: usize| took[(took.len() * permille).div_ceil(1000).max(1) - 1];
        let requests = f64::from(u32::try_from(took.len()).unwrap_or(u32::MAX));
        Self {
            requests,
            seconds,
            failed: f64::from(failed),
            mean: took.iter().sum::<f64>() / requests,
            p50: at(500),
            p99: at(990),
            p999: at(999),
            #[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^53 rows")]
            rows: Some(rows as f64),
        }
    }

    /// The result of a number of things that are not timed one by one.
    pub fn of_number(number: f64, seconds: f64) -> Self {
        let untimed = f64::NAN;
        Self {
            requests: number,
            seconds,
            failed: 0.0,
            mean: untimed,
            p50: untimed,
            p99: untimed,
            p999: untimed,
            rows: None,
        }
    }

    /// The results of two load generators that ran at the same time: the rates of both, the later percentiles.
    pub fn beside(self, other: Self) -> Self {
        let requests = self.requests + other.requests;
        Self {
            requests,
            seconds: self.seconds.max(other.seconds),
            failed: self.failed + other.failed,
            mean: (self.mean * self.requests + other.mean * other.requests) / requests,
            p50: self.p50.max(other.p50),
            p99: self.p99.max(other.p99),
            p999: self.p999.max(other.p999),
            rows: None,
        }
    }

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
            rows: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_the_script_is_read() {
        let printed = "Running 1s test\nRESULT requests=10 seconds=1.5 failed=1 mean=2.5 p50=2 p99=3 p999=4\n";
        let (requests, seconds, failed) = (10.0, 1.5, 1.0);
        let read = LoadResult { requests, seconds, failed, mean: 2.5, p50: 2.0, p99: 3.0, p999: 4.0, rows: None };
        assert_eq!(LoadResult::read(printed), Some(read));
        assert_eq!(LoadResult::read("Running 1s test"), None);
    }

    #[test]
    fn two_results_of_the_same_time_are_added() {
        let of = |times: &[f64], seconds| LoadResult::of_times(times.to_vec(), seconds, 1, 0);
        let both = of(&[1.0, 3.0], 2.0).beside(of(&[5.0], 1.0));
        let (requests, seconds, failed) = (3.0, 2.0, 2.0);
        let read = LoadResult { requests, seconds, failed, mean: 3.0, p50: 5.0, p99: 5.0, p999: 5.0, rows: None };
        assert_eq!(both, read);
    }
}
