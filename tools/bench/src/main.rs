//! `make bench`: compares the throughput of the service with that of its database alone.
//!
//! It measures the program as it is deployed and PostgreSQL with its own defaults; `pgbench`, `psql` and `wrk` generate
//! the load, all on this machine. [`plan`] lists the measurements, [`meter`] executes them, [`goals`] compares the
//! results with the goals, and [`report`] and [`plot`] write the report. [`transfer`] measures import and export, and [`growth`] measures how the cost of a request
//! grows with the number of customers.
//!
//! It must not know the crates of the service, except the domain. It does know the tables that it fills ([`dataset`])
//! and the statements that `pgbench` runs ([`pgbench`]); a test compares these with what the service prepares.

mod bed;
mod copy;
mod database;
mod dataset;
mod deliver;
mod feed;
mod goals;
mod growth;
mod http;
mod interrupt;
mod machine;
mod meter;
mod pgbench;
mod plan;
mod plot;
mod process;
mod reading;
mod report;
mod service;
mod stream;
mod text;
mod throughput;
mod transfer;
mod whole_list;
mod workload;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::interrupt::Interrupt;

/// Measures Roster.
#[derive(Debug, Parser)]
#[command(name = "roster-bench", version, arg_required_else_help = true)]
struct Cli {
    /// The program to measure, in the profile that is deployed
    #[arg(long, value_name = "FILE")]
    roster: PathBuf,

    /// The folder to write the report to
    #[arg(long, value_name = "FOLDER")]
    output: PathBuf,

    /// Measure less, and less exactly, to test the benchmark itself
    #[arg(long)]
    quick: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Requests per second, latency and CPU time, compared with pgbench
    Throughput,
    /// Import and export, compared with COPY
    Transfer,
    /// Cost and size by number of customers
    Growth,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("roster-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    let interrupt = Interrupt::catch()?;
    match cli.command {
        Command::Throughput => throughput::run(&cli.roster, &cli.output, cli.quick, &interrupt),
        Command::Transfer => transfer::run(&cli.roster, &cli.output, cli.quick, &interrupt),
        Command::Growth => growth::run(&cli.roster, &cli.output, cli.quick, &interrupt),
    }
}
