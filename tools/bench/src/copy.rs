//! Measures the database without the service: `psql` reads all customers of the largest merchant with `COPY`, and writes new
//! ones.
//!
//! `COPY` is the statement of PostgreSQL for reading and writing many rows, so it is what a full list and a batch are compared
//! with.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::database::Database;
use crate::dataset::Dataset;
use crate::pgbench::SESSION_OPTIONS;
use crate::process;
use crate::workload::LoadResult;

/// The longest time of one `COPY`.
const LONGEST: Duration = Duration::from_mins(2);

/// Copies new customers into the table, [`AT_ONCE`] at a time, again and again until `seconds` have passed, and deletes them
/// again. Only the time of `COPY` is part of the result. `number` must be different for each run.
pub fn run_into(database: &Database, folder: &Path, seconds: u32, number: u32) -> anyhow::Result<LoadResult> {
    let file = folder.join("new-customers.csv");
    let (started, mut took, mut rows) = (Instant::now(), Vec::new(), 0);
    while took.is_empty() || started.elapsed() < Duration::from_secs(seconds.into()) {
        fs::write(&file, new_customers(database.dataset, number, took.len()))?;
        let mut command = process::child_command("psql");
        let copy = format!("\\copy customers ({NEW_COLUMNS}) FROM '{}' (FORMAT csv)", file.display());
        command.args(["--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--command", "\\timing on", "--command", &copy]);
        command.args(["--command", "\\timing off", "--command", "DELETE FROM customers WHERE name = 'Copied'"]);
        command.arg(&database.url).env("LC_ALL", "C");
        let printed = process::output(&mut command, LONGEST)?;
        let copied = Copied::read(&printed).with_context(|| format!("the output of psql has no result:\n{printed}"))?;
        rows += copied.rows;
        took.push(copied.millis * 1000.0);
    }
    let seconds = took.iter().sum::<f64>() / 1e6;
    Ok(LoadResult::of_times(took, seconds, 0, rows))
}

/// The customers of one `COPY` into the table.
const AT_ONCE: usize = 20_000;

const NEW_COLUMNS: &str = "merchant_id, environment, id, email, email_key, email_exclusive, external_id, name, metadata, \
                           version, created_at, updated_at, search_hashes, search_of";

/// The lines of a file with new customers of the first merchant. Each has the name by which they are deleted.
fn new_customers(dataset: Dataset, number: u32, part: usize) -> String {
    let merchant = dataset.merchant_ids().next().expect("there is a merchant").uuid();
    let line = |row: usize| {
        let name = format!("copy-{number}-{part}-{row}");
        let id = format!("0198{number:08}70008{:015}", part * AT_ONCE + row);
        let (time, metadata) = ("2026-01-01Z", r#""{""plan"":""pro"",""seats"":12}""#);
        let email = format!("{name}@example.com");
        format!("{merchant},live,{id},{email},{email},true,{name},Copied,{metadata},1,{time},{time},{{}},0\n")
    };
    (0..AT_ONCE).map(line).collect()
}

/// Copies the list to `/dev/null` again and again until `seconds` have passed, but at least once. The time to start
/// `psql` and to connect is not part of the result.
pub fn run(database: &Database, seconds: u32) -> anyhow::Result<LoadResult> {
    let (started, mut took, mut rows) = (Instant::now(), Vec::new(), 0);
    while took.is_empty() || started.elapsed() < Duration::from_secs(seconds.into()) {
        let copied = copy(database)?;
        rows += copied.rows;
        took.push(copied.millis * 1000.0);
    }
    let seconds = took.iter().sum::<f64>() / 1e6;
    Ok(LoadResult::of_times(took, seconds, 0, rows))
}

fn copy(database: &Database) -> anyhow::Result<Copied> {
    let mut command = process::child_command("psql");
    // `\copy` is `COPY … TO STDOUT`, of which psql writes the rows to a file and then prints their number.
    let copy = format!("\\copy ({}) TO /dev/null", statement(database.dataset));
    command.args(["--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--command", "\\timing on", "--command", &copy]);
    command.arg(&database.url).env(SESSION_OPTIONS.0, SESSION_OPTIONS.1).env("LC_ALL", "C");
    let printed = process::output(&mut command, LONGEST)?;
    Copied::read(&printed).with_context(|| format!("the output of psql has no result:\n{printed}"))
}

fn statement(dataset: Dataset) -> String {
    let merchant = dataset.merchant_ids().next().expect("there is a merchant").uuid();
    format!(
        "SELECT * FROM customers WHERE merchant_id = '{merchant}' AND environment = 'live' AND deleted_at IS NULL \
         ORDER BY id DESC"
    )
}

/// What `psql` prints about one `COPY`.
#[derive(Debug, PartialEq)]
struct Copied {
    rows: u64,
    millis: f64,
}

impl Copied {
    fn read(printed: &str) -> Option<Self> {
        let value = |name| printed.lines().find_map(|line| line.strip_prefix(name)?.split(' ').next());
        Some(Self { rows: value("COPY ")?.parse().ok()?, millis: value("Time: ")?.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use roster_test_postgres::{Cluster, ClusterOptions};

    #[test]
    fn all_customers_of_the_largest_merchant_are_copied() {
        let Some(cluster) = Cluster::create(ClusterOptions::default()) else { return };
        let (_, database) = Database::small(&cluster);
        let copied = run(&database, 0).expect("a result");
        assert_eq!((copied.requests.to_string(), copied.rows), ("1".to_owned(), Some(10.0)));
        assert!(copied.mean > 0.0 && copied.mean <= copied.seconds * 1e6, "{copied:?}");
    }

    #[test]
    fn the_output_of_psql_is_read() {
        let printed = "Timing is on.\nCOPY 250000\nTime: 1234.567 ms (00:01.235)\n";
        assert_eq!(Copied::read(printed), Some(Copied { rows: 250_000, millis: 1234.567 }));
        assert_eq!(Copied::read("Timing is on.\n"), None);
    }
}
