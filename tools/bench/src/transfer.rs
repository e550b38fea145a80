//! `make bench`, second part: import and export, compared with the database's own statements for many rows.
//!
//! An import on PostgreSQL is compared with `COPY` of the rows that it has written into the same tables; on SQLite with one
//! transaction that copies them, table by table, with the words of the index for searches; an export with `COPY … TO STDOUT`. The
//! last measurement is what other merchants notice of an import over HTTP.

use std::fmt;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use roster_domain::{
    Customer, CustomerId, Email, EmailUse, Environment, ExternalId, MerchantId, Name, Profile, Tenant, Timestamp,
    search_hashes,
};
use uuid::Uuid;

use crate::bed::Bed;
use crate::database::{Database, Kind, Server};
use crate::dataset::Dataset;
use crate::http;
use crate::interrupt::Interrupt;
use crate::machine;
use crate::process::{self, Running};
use crate::service::Program;
use crate::text::{Table, grouped, millis};

/// The longest time of one measurement.
const LONGEST: Duration = Duration::from_mins(15);

/// How often the memory of a program is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// The most memory of an import or an export, in MiB.
const MEMORY: f64 = 64.0;

/// The most by which an import may delay the gets of other merchants.
const DELAY: f64 = 1.5;

/// Gets at a time while another merchant's file is imported.
const GETS: u32 = 16;

/// How much is measured.
struct Plan {
    /// The rows of the file, on PostgreSQL and on SQLite.
    rows: [u64; 2],
    /// The rows of the file that is imported over HTTP: more than are imported during a measurement.
    rows_over_http: u64,
    /// The customers beside which a file is imported over HTTP.
    dataset: Dataset,
    /// The seconds of each measurement of gets.
    seconds: u32,
    /// How often gets are measured, with an import and without.
    rounds: u32,
}

impl Plan {
    fn full() -> Self {
        let dataset = Dataset { customers: 20_000, merchants: 20 };
        Self { rows: [500_000, 100_000], rows_over_http: 50_000, dataset, seconds: 5, rounds: 3 }
    }

    fn quick() -> Self {
        let dataset = Dataset { customers: 2_000, merchants: 4 };
        Self { rows: [20_000, 10_000], rows_over_http: 20_000, dataset, seconds: 1, rounds: 3 }
    }
}

/// A figure beside the one that it is compared with.
struct Comparison {
    what: String,
    /// What it is compared with.
    yardstick: &'static str,
    /// Both, as text.
    figures: [String; 2],
    ratio: f64,
    /// What the ratio should be, and whether it is that.
    goal: (String, bool),
    /// The most memory of the program in MiB.
    memory: Option<f64>,
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, yardstick, figures: [ours, other], ratio, goal: (goal, is_reached), memory } = self;
        let memory = memory.map(|mebibytes| format!(", {mebibytes:.1} MiB")).unwrap_or_default();
        write!(f, "{what}: {ours}{memory}; {yardstick}: {other}; {ratio:.2} ×, {goal}: {}", verdict(*is_reached))
    }
}

/// Measures, and writes the report.
pub fn run(roster: &Path, output: &Path, quick: bool, interrupt: &Interrupt) -> anyhow::Result<()> {
    let started = Instant::now();
    let plan = if quick { Plan::quick() } else { Plan::full() };
    let program = Program::new(roster)?;
    let folder = tempfile::Builder::new().prefix("roster-bench-").tempdir()?;
    let server = Server::start()?;
    let (mut comparisons, mut copied) = (Vec::new(), f64::NAN);
    for (kind, rows) in Kind::ALL.into_iter().zip(plan.rows) {
        let transfer = Transfer::prepare(&server, kind, rows, &program, folder.path(), interrupt)?;
        interrupt.check()?;
        let mut add = |comparison: Comparison| {
            println!("{comparison}");
            comparisons.push(comparison);
        };
        add(transfer.import(&server, interrupt)?);
        interrupt.check()?;
        if kind == Kind::Postgres {
            copied = transfer.copy_out()?;
        }
        add(transfer.export(copied)?);
        interrupt.check()?;
        add(beside_import(&server, kind, &plan, &program, &transfer.folder, interrupt)?);
    }
    let mut machine = machine::describe(folder.path());
    machine.push(("service", program.version()?));
    machine.push(("PostgreSQL", server.settings()?.0));
    fs::create_dir_all(output)?;
    fs::write(output.join("transfer.md"), report(&plan, &comparisons, &machine))?;
    println!("{} after {:.0?}", output.join("transfer.md").display(), started.elapsed());
    Ok(())
}

/// A file of customers, and an empty database for them.
struct Transfer<'a> {
    program: &'a Program,
    database: Database,
    file: PathBuf,
    folder: PathBuf,
    rows: u64,
    merchant: MerchantId,
}

impl<'a> Transfer<'a> {
    fn prepare(
        server: &Server,
        kind: Kind,
        rows: u64,
        program: &'a Program,
        folder: &Path,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Self> {
        let folder = folder.join(format!("transfer-{}", kind.name()));
        fs::create_dir(&folder)?;
        let database = server.fill(kind, EMPTY, program, &folder, interrupt)?;
        let file = folder.join("customers.csv");
        write_file(&file, rows)?;
        Ok(Self { program, database, file, folder, rows, merchant: merchant() })
    }

    fn import(&self, server: &Server, interrupt: &Interrupt) -> anyhow::Result<Comparison> {
        let file = self.file.to_str().context("a path in UTF-8")?;
        let merchant = self.merchant.to_string();
        let arguments = ["import", file, "--merchant", &merchant, "--environment", "live", "--json"];
        let done = self.run(&arguments, &self.folder.join("import.json"))?;
        let printed = fs::read_to_string(self.folder.join("import.json"))?;
        ensure!(printed.contains(&format!("\"created\":{}", self.rows)), "not all rows were imported: {printed}");
        let (yardstick, took) = match self.database.kind {
            Kind::Postgres => ("COPY into the same tables", self.copy_into(server, interrupt)?),
            Kind::Sqlite => ("one transaction with the same rows", self.insert_all(server, interrupt)?),
        };
        Ok(Comparison {
            what: format!("import of {} rows on {}", grouped(number(self.rows)), self.database.kind.name()),
            yardstick,
            figures: [self.rate(done.seconds), self.rate(took)],
            ratio: took / done.seconds,
            goal: at_least(took / done.seconds, 0.5),
            memory: Some(done.memory),
        })
    }

    /// `copied` is how long `COPY … TO STDOUT` takes for one row, in seconds.
    fn export(&self, copied: f64) -> anyhow::Result<Comparison> {
        let merchant = self.merchant.to_string();
        let arguments = ["export", "--merchant", &merchant, "--environment", "live", "--format", "ndjson"];
        let done = self.run(&arguments, Path::new("/dev/null"))?;
        let took = copied * number(self.rows);
        Ok(Comparison {
            what: format!("export on {}, NDJSON", self.database.kind.name()),
            yardstick: "`COPY … TO STDOUT` of PostgreSQL",
            figures: [self.rate(done.seconds), self.rate(took)],
            ratio: took / done.seconds,
            goal: at_least(took / done.seconds, 0.8),
            memory: Some(done.memory),
        })
    }

    /// How long `COPY … TO STDOUT` takes for one row, in seconds.
    fn copy_out(&self) -> anyhow::Result<f64> {
        let copy = "\\copy (SELECT * FROM customers ORDER BY id) TO /dev/null".to_owned();
        Ok(psql(&self.database.url, &[copy])? / number(self.rows))
    }

    /// Runs a command of the program, which prints to the file `output`.
    fn run(&self, arguments: &[&str], output: &Path) -> anyhow::Result<Done> {
        let mut command = process::child_command(self.program.path());
        command.args(arguments).env("DATABASE_URL", &self.database.url);
        let errors = self.folder.join("errors");
        command.stdin(Stdio::null()).stdout(File::create(output)?).stderr(File::create(&errors)?);
        let begun = Instant::now();
        let mut running = Running(command.spawn()?);
        let mut memory = 0.0_f64;
        loop {
            if let Ok((_, most)) = machine::resident(running.0.id()) {
                memory = memory.max(most);
            }
            if let Some(status) = running.0.try_wait()? {
                ensure!(status.success(), "{arguments:?}: {status}\n{}", fs::read_to_string(&errors)?);
                return Ok(Done { seconds: begun.elapsed().as_secs_f64(), memory });
            }
            ensure!(begun.elapsed() < LONGEST, "{arguments:?} takes too long");
            thread::sleep(LOOK);
        }
    }

    /// Copies the rows that were imported out of their database, and into one that has the same tables and merchants. Returns how
    /// long the second took, in seconds.
    fn copy_into(&self, server: &Server, interrupt: &Interrupt) -> anyhow::Result<f64> {
        let other = server.fill(Kind::Postgres, EMPTY, self.program, &self.folder, interrupt)?;
        let copies = |direction: &str| {
            TABLES.map(|table| format!("\\copy {table} {direction} '{}'", self.folder.join(table).display()))
        };
        psql(&self.database.url, &copies("TO"))?;
        let [begin, commit] = ["BEGIN", "COMMIT"].map(str::to_owned);
        let [customers, events] = copies("FROM");
        psql(&other.url, &[begin, customers, events, commit])
    }

    /// Inserts the rows that were imported into a file that has the same tables and merchants. Returns how long it took, in
    /// seconds.
    fn insert_all(&self, server: &Server, interrupt: &Interrupt) -> anyhow::Result<f64> {
        let folder = self.folder.join("other");
        fs::create_dir(&folder)?;
        let other = server.fill(Kind::Sqlite, EMPTY, self.program, &folder, interrupt)?;
        let path = other.url.strip_prefix("sqlite://").context("not the URL of a file")?;
        let mut connection = SqliteConnection::establish(path)?;
        let from = self.database.url.strip_prefix("sqlite://").context("not the URL of a file")?;
        connection.batch_execute(&format!(
            "ATTACH '{from}' AS imported; CREATE TEMP TABLE words (id INTEGER PRIMARY KEY, words TEXT NOT NULL)"
        ))?;
        for first in (0..self.rows).step_by(1000) {
            let last = self.rows.min(first + 1000);
            let rows = (first..last).map(|row| Ok(format!("({}, '{}')", row + 1, words(row)?)));
            let rows: anyhow::Result<Vec<String>> = rows.collect();
            connection.batch_execute(&format!("INSERT INTO words VALUES {}", rows?.join(", ")))?;
        }
        let begun = Instant::now();
        connection.batch_execute(
            "BEGIN IMMEDIATE;
             INSERT INTO customers SELECT * FROM imported.customers ORDER BY id;
             INSERT INTO events SELECT * FROM imported.events ORDER BY seq;
             INSERT INTO customers_search (rowid, hashes) SELECT id, words FROM words ORDER BY id;
             COMMIT",
        )?;
        Ok(begun.elapsed().as_secs_f64())
    }

    fn rate(&self, seconds: f64) -> String {
        format!("{} rows/s", grouped(number(self.rows) / seconds))
    }
}

/// The result of a command.
struct Done {
    seconds: f64,
    /// The most memory, in MiB.
    memory: f64,
}

/// Two merchants without customers.
const EMPTY: Dataset = Dataset { customers: 0, merchants: 2 };

/// The tables that an import fills, in the order of their references.
const TABLES: [&str; 2] = ["customers", "events"];

/// The merchant whose customers are imported.
fn merchant() -> MerchantId {
    EMPTY.merchant_ids().next().expect("there is a merchant")
}

/// Writes a file with `rows` customers.
fn write_file(path: &Path, rows: u64) -> anyhow::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    writeln!(
        file,
        "external_id,email,name,phone,billing_address.line1,billing_address.city,billing_address.postal_code,\
         billing_address.country,metadata,created_at"
    )?;
    for row in 0..rows {
        let [external_id, email, name] = texts(row);
        writeln!(
            file,
            "{external_id},{email},{name},+14155552671,123 Main Street,San Francisco,94105,US,\
             \"{{\"\"plan\"\":\"\"pro\"\",\"\"seats\"\":12}}\",2025-01-01T00:00:00Z"
        )?;
    }
    Ok(file.flush()?)
}

/// What a customer is searched by: its external id, its e-mail address and its name. Not in the order of the rows.
fn texts(row: u64) -> [String; 3] {
    let mixed = row.wrapping_mul(2_654_435_761) % (1 << 32);
    [format!("usr_{mixed:08x}"), format!("{mixed:08x}.{row}@example.com"), format!("Customer {row}")]
}

/// The words of a row in the index for searches of SQLite.
fn words(row: u64) -> anyhow::Result<String> {
    let [external_id, email, name] = texts(row);
    let profile = Profile {
        email: Some(Email::parse(&email)?),
        external_id: Some(ExternalId::parse(&external_id)?),
        name: Some(Name::parse(&name)?),
        ..Profile::default()
    };
    let tenant = Tenant { merchant: merchant(), environment: Environment::Live };
    let id = CustomerId::new(Uuid::nil());
    let customer = Customer::register(tenant, id, profile, EmailUse::Exclusive, Timestamp::MIN);
    let words: Vec<String> = search_hashes(&customer).iter().map(|hash| format!("{hash:08x}")).collect();
    Ok(words.join(" "))
}

/// Runs commands of `psql` in one session, and returns how long they took together, in seconds, without the start of psql.
fn psql(url: &str, commands: &[String]) -> anyhow::Result<f64> {
    let mut command = process::child_command("psql");
    command.args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--command", "\\timing on"]);
    for each in commands {
        command.args(["--command", each]);
    }
    command.arg(url).env("LC_ALL", "C");
    let printed = process::output(&mut command, LONGEST)?;
    let times = printed.lines().filter_map(|line| line.strip_prefix("Time: ")?.split(' ').next()?.parse::<f64>().ok());
    let times: Vec<f64> = times.collect();
    ensure!(times.len() == commands.len(), "the output of psql has not all times:\n{printed}");
    Ok(times.iter().sum::<f64>() / 1000.0)
}

/// What an import over HTTP of one merchant does to the gets of the others.
fn beside_import(
    server: &Server,
    kind: Kind,
    plan: &Plan,
    program: &Program,
    folder: &Path,
    interrupt: &Interrupt,
) -> anyhow::Result<Comparison> {
    let file = folder.join("over-http.csv");
    write_file(&file, plan.rows_over_http)?;
    let bed = Bed::create(server, kind, plan.dataset, program, folder, interrupt)?;
    // One of many merchants: nearly all gets are for others. It imports one file at a time, so each round ends its own.
    let key = bed.database.keys.last().context("there are keys")?;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        interrupt.check()?;
        alone.push(bed.p99_of_gets(GETS, plan.seconds, 2 * round)?);
        let client = || http::Client::connect(bed.service.address, key);
        let import = client()?.send_file("/v1/imports?from=roster&on_conflict=skip", &file)?;
        let import: serde_json::Value = serde_json::from_slice(&import)?;
        let path = format!("/v1/imports/{}", import["id"].as_str().context("an import")?);
        beside.push(bed.p99_of_gets(GETS, plan.seconds, 2 * round + 1)?);
        // Meanwhile the service has closed a connection that was idle.
        let mut client = client()?;
        let shown: serde_json::Value = serde_json::from_slice(&client.send("GET", &path, "")?)?;
        ensure!(
            shown["ended_at"].is_null() && shown["rows"].as_u64() > Some(0),
            "the import did not run meanwhile: {shown}"
        );
        client.send("DELETE", &path, "")?;
    }
    let [alone, beside] = [alone, beside].map(median);
    Ok(Comparison {
        what: format!("p99 of gets of other merchants on {}, beside an import over HTTP", kind.name()),
        yardstick: "without an import",
        figures: [beside, alone].map(|p99| format!("{} ms", millis(p99))),
        ratio: beside / alone,
        goal: (format!("at most {DELAY} ×"), beside <= DELAY * alone),
        memory: None,
    })
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

fn at_least(ratio: f64, least: f64) -> (String, bool) {
    (format!("at least {least:.2} ×"), ratio >= least)
}

fn verdict(is_reached: bool) -> &'static str {
    if is_reached { "reached" } else { "not reached" }
}

#[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^53 rows")]
fn number(rows: u64) -> f64 {
    rows as f64
}

/// The report as Markdown.
fn report(plan: &Plan, comparisons: &[Comparison], machine: &[(&'static str, String)]) -> String {
    let mut table =
        Table::new(&["what ", "measured", "compared with ", "measured", "ratio", "goal ", "verdict ", "most MiB"]);
    for Comparison { what, yardstick, figures: [ours, other], ratio, goal: (goal, is_reached), memory } in comparisons {
        let memory =
            memory.map_or("–".to_owned(), |mebibytes| format!("{mebibytes:.1} ({})", verdict(mebibytes <= MEMORY)));
        table.row(&[
            what.clone(),
            ours.clone(),
            (*yardstick).to_owned(),
            other.clone(),
            format!("{ratio:.2} ×"),
            goal.clone(),
            verdict(*is_reached).to_owned(),
            memory,
        ]);
    }
    let mut of_machine = Table::new(&["", ""]);
    for (name, value) in machine {
        of_machine.row(&[(*name).to_owned(), value.clone()]);
    }
    [
        "# Import and export\n\nWritten by `make bench`; do not edit it.\n".to_owned(),
        table.into_text(),
        format!(
            "Files are CSV, each row with an external id, an e-mail address, a name, a phone number, an address and metadata; each \
             customer that is imported has its event. *COPY into the same tables*: psql copies the customers and the events of the \
             import, one table after the other in one transaction, into a new database with the same schema. *One transaction with \
             the same rows*: SQLite inserts the customers, the events and the words of the index for searches of the import into a \
             new file with the same schema, with one statement for each table. The time of the programs to start counts for `roster` \
             and not for psql. Gets are sent over {GETS} connections, the median of {} rounds of {} s counts. The goal for memory is \
             at most {MEMORY:.0} MiB.\n",
            plan.rounds, plan.seconds,
        ),
        of_machine.into_text(),
    ]
    .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_has_texts_of_its_own() {
        let mut emails: Vec<String> = (0..1000).map(|row| texts(row)[1].clone()).collect();
        emails.sort();
        emails.dedup();
        assert_eq!(emails.len(), 1000);
        assert!(words(7).expect("a customer").split(' ').count() > 20);
    }
}
