//! Writes the report as Markdown.

use crate::database::Kind;
use crate::goals::{self, Goal};
use crate::pgbench::SESSION_OPTIONS;
use crate::plan::{Cell, Target};
use crate::reading::{Reading, Series, TOLERATED};
use crate::stream;
use crate::text::{Table, grouped, millis};
use crate::throughput::Results;
use crate::workload::Operation;

/// The report of throughput, latency, CPU time and memory.
pub fn throughput(results: &Results) -> String {
    let plan = &results.plan;
    let dataset = plan.dataset;
    [
        "# Throughput\n\nWritten by `make bench`; do not edit it.\n".to_owned(),
        "![Requests a second](throughput.svg)\n".to_owned(),
        format!("## Goals\n\n{}", goals_table(&goals::evaluate(results))),
        format!("## The baseline: pgbench\n\n{}", pgbench_table(results)),
        format!(
            "`pgbench -M prepared` with the statements that the service prepares for a single request. An update is \
             one statement, written by hand: the service reads the customer first. A list reads all 26 rows that the \
             service reads for a page of 25. *Best pgbench* is the best median of an operation.\n\nThe sessions of \
             pgbench and psql plan like those of the service: `{}={}`. Without these options a list is planned anew \
             each time.\n",
            SESSION_OPTIONS.0, SESSION_OPTIONS.1,
        ),
        service_tables(results),
        format!("## All customers of the largest merchant\n\n{}", rows_table(results, Operation::ListLargest)),
        "One client, one list at a time: Lumen's list of the service, and `COPY (SELECT * …) TO STDOUT` of the same \
         customers in the same order, which psql writes to `/dev/null`. Rates are of rows, because each create makes \
         the list longer. The time of psql to start and to connect does not count. The ratio of this list in the \
         tables above is the same.\n"
            .to_owned(),
        format!("## Customers in batches\n\n{}", rows_table(results, Operation::CreateBatch)),
        "One client, one batch of 100 creates at a time, each of which has its own result and its own event; and `COPY` of 20,000 \
         such rows into the same table, without events and without the words of the index for searches.\n"
            .to_owned(),
        format!("## Events\n\n{}", rows_table(results, Operation::ReadFeed)),
        format!(
            "One reader of the log of the largest merchant, 1,000 events a page. In the tables above, *{}* are deliveries of the \
             same log, from its beginning, to one endpoint whose receiver is on this machine; and *{}* is the time from the \
             response to a create until its event is in a stream of server-sent events, at {} creates/s of one merchant by 20 \
             writers.\n",
            Operation::Deliver.name(),
            Operation::Stream.name(),
            grouped(f64::from(stream::RATE)),
        ),
        format!("## Two processes on one PostgreSQL\n\n{}", processes_table(results)),
        "Creates at 64 requests at a time, half of them for each process.\n".to_owned(),
        format!("## Memory\n\n{}", memory_table(results)),
        format!("## How it was measured\n\n{}", machine_table(&results.machine)),
        format!(
            "{} customers of {} merchants, one of whom has half of all; requests are for customers drawn evenly from \
             all, with the key of their merchant, of which there is one each. Each figure is the median of {} rounds of \
             {} s, from smallest to largest in brackets; each round goes once through everything, pgbench included. \
             Load generator, service and database share the processors. The service and pgbench reach PostgreSQL over \
             the same Unix socket. The service has its default configuration but for its port, the receivers it may \
             deliver to (`webhooks.allow_private`), and the rates it allows (`limits`), which are raised to the most there is, \
             not switched off; it logs each request, as JSON, to a \
             file. CPU time is that of the process and, apart, of the database server with all its processes. \
             Processors that are shared with other machines give more at one minute than at another: neither the rates \
             nor the ratios of two runs compare closely then.\n",
            grouped(plan_number(dataset.customers)),
            dataset.merchants,
            plan.rounds,
            plan.seconds,
        ),
        settings(&results.settings),
        trust(results),
    ]
    .join("\n")
}

#[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^53 customers")]
fn plan_number(number: u64) -> f64 {
    number as f64
}

/// The goals and their results.
fn goals_table(goals: &[Goal]) -> String {
    let mut table = Table::new(&["goal ", "measured", "verdict "]);
    for goal in goals {
        table.row(&[goal.wanted.clone(), goal.measured.clone(), goal.verdict().to_owned()]);
    }
    table.into_text()
}

fn pgbench_table(results: &Results) -> String {
    let mut table = Table::new(&["statement ", "clients", "per second", "mean ms", "database CPU µs"]);
    for (cell, series) in of(results, Target::Pgbench) {
        table.row(&[
            cell.operation.name().to_owned(),
            cell.connections.to_string(),
            rate(series),
            millis(series.median(|reading| reading.mean)),
            cpu(series.median(|reading| reading.database_cpu)),
        ]);
    }
    table.into_text()
}

fn service_tables(results: &Results) -> String {
    let tables = Kind::ALL.map(|kind| {
        let mut table = Table::new(&[
            "operation ",
            "requests at a time",
            "per second",
            "× best pgbench",
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "service CPU µs",
            "database CPU µs",
            "failed",
        ]);
        for (cell, series) in of(results, Target::Service(kind)) {
            let ratio = goals::ratio(results, cell.target, cell.operation, cell.connections);
            table.row(&[
                cell.operation.name().to_owned(),
                cell.connections.to_string(),
                rate(series),
                ratio.map_or(String::new(), |ratio| format!("{ratio:.2}")),
                millis(series.median(|reading| reading.p50)),
                millis(series.median(|reading| reading.p99)),
                millis(series.median(|reading| reading.p999)),
                cpu(series.median(|reading| reading.service_cpu)),
                if kind == Kind::Postgres { cpu(series.median(|reading| reading.database_cpu)) } else { String::new() },
                grouped(series.sum(|reading| reading.failed)),
            ]);
        }
        format!("## The service on {}\n\n{}{}", kind.name(), table.into_text(), floor(results, kind))
    });
    tables.join("\n")
}

/// Rows per second over one connection.
fn rows_table(results: &Results, operation: Operation) -> String {
    let mut table = Table::new(&["by ", "rows per second", "× COPY"]);
    for target in [Target::Copy, Target::Service(Kind::Postgres), Target::Service(Kind::Sqlite)] {
        let Some(series) = results.series(target, operation, 1) else { continue };
        let ratio = goals::ratio(results, target, operation, 1);
        table.row(&[
            target.description(),
            rate_of(series, |reading| reading.rows_per_second),
            ratio.map_or(String::new(), |ratio| format!("{ratio:.2}")),
        ]);
    }
    table.into_text()
}

/// Creates per second of one process and of two.
fn processes_table(results: &Results) -> String {
    let mut table = Table::new(&["customers of ", "one process", "two processes", "× one process"]);
    for (merchants, one, two) in [
        (format!("all {} merchants", results.plan.dataset.merchants), Operation::Create, Operation::CreateOnTwo),
        ("one merchant".to_owned(), Operation::CreateInOne, Operation::CreateInOneOnTwo),
    ] {
        let series = |operation| results.series(Target::Service(Kind::Postgres), operation, 64);
        let Some((one, two)) = series(one).zip(series(two)) else { continue };
        let median = |series: &Series| series.median(|reading| reading.per_second);
        table.row(&[merchants, rate(one), rate(two), format!("{:.2}", median(two) / median(one))]);
    }
    table.into_text()
}

/// An explanation of the row for liveness, if there is one.
fn floor(results: &Results, kind: Kind) -> &'static str {
    if of(results, Target::Service(kind)).all(|(cell, _)| cell.operation != Operation::Live) {
        return "";
    }
    "\nLiveness is answered without a credential and without the database, but with a request identifier and a line in the \
     log: it shows what HTTP takes of the processors, the load generator included, before a database is asked. Its ratio is \
     to pgbench's gets; no get can have a better one.\n"
}

fn memory_table(results: &Results) -> String {
    let mut table = Table::new(&["service on ", "resident MiB after the run", "at most"]);
    for (kind, now, most) in &results.memory {
        table.row(&[kind.name().to_owned(), format!("{now:.1}"), format!("{most:.1}")]);
    }
    table.into_text()
}

/// The description of the machine.
pub fn machine_table(machine: &[(&'static str, String)]) -> String {
    let mut table = Table::new(&["what ", "which "]);
    for (name, text) in machine {
        table.row(&[(*name).to_owned(), text.clone()]);
    }
    table.into_text()
}

/// The settings of the database server.
pub fn settings(settings: &[String]) -> String {
    let settings = settings.join("`, `");
    format!("PostgreSQL's settings are its own defaults but for `max_connections`: `{settings}`.\n")
}

fn trust(results: &Results) -> String {
    let disturbed = results.series.iter().filter(|series| series.is_disturbed()).count();
    let tolerated = 100.0 * TOLERATED;
    if disturbed == 0 {
        return format!("Others never used more than {tolerated} % of the processors while something was measured.\n");
    }
    format!(
        "**The machine was too busy for {disturbed} of {} rows, marked with \\*: others used more than {tolerated} % of \
         the processors, and measuring again did not help.**\n",
        results.series.len()
    )
}

/// The median of the requests per second, with its range.
pub fn rate(series: &Series) -> String {
    rate_of(series, |reading| reading.per_second)
}

/// The median of a rate, with its range.
fn rate_of(series: &Series, per_second: fn(&Reading) -> f64) -> String {
    let (least, most) = series.range(per_second);
    let mark = if series.is_disturbed() { " \\*" } else { "" };
    let median = series.median(per_second);
    if median < 100.0 {
        return format!("{median:.1} ({least:.1}–{most:.1}){mark}");
    }
    format!("{} ({}–{}){mark}", grouped(median), grouped(least), grouped(most))
}

fn cpu(micros: f64) -> String {
    if micros < 100.0 { format!("{micros:.1}") } else { grouped(micros) }
}

fn of(results: &Results, target: Target) -> impl Iterator<Item = (&Cell, &Series)> {
    results.plan.cells.iter().zip(&results.series).filter(move |(cell, _)| cell.target == target)
}
