//! `make bench`: how fast the service is, against what its own database does without it.
//!
//! Everything is real: the program as it is deployed, PostgreSQL with its own defaults, `pgbench` and `wrk` as load
//! generators, all on this machine. [`plan`] says what is measured, [`meter`] measures one cell of it, [`goals`] holds
//! the figures against what is wanted, and [`report`] and [`plot`] write it down. [`growth`] asks how the cost of a
//! request grows with the number of customers.
//!
//! It knows the service from outside only, but for the tables that it fills ([`dataset`]) and the two statements that
//! it has `pgbench` run ([`yardstick`]), which a test holds against what the service prepares.

mod bed;
mod database;
mod dataset;
mod goals;
mod growth;
mod interrupt;
mod machine;
mod meter;
mod plan;
mod plot;
mod process;
mod reading;
mod report;
mod service;
mod text;
mod throughput;
mod whole_list;
mod workload;
mod yardstick;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::interrupt::Interrupt;

/// Measures Roster.
#[derive(Debug, Parser)]
#[command(name = "roster-bench", version, arg_required_else_help = true)]
struct Cli {
    /// The program to measure, built as it is deployed
    #[arg(long, value_name = "FILE")]
    roster: PathBuf,

    /// The folder to write the report to
    #[arg(long, value_name = "FOLDER")]
    output: PathBuf,

    /// Measure less, and less exactly: to see whether it works
    #[arg(long)]
    quick: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Requests a second, latency, and CPU time, beside those of pgbench
    Throughput,
    /// How cost and size grow with the number of customers
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
        Command::Growth => growth::run(&cli.roster, &cli.output, cli.quick, &interrupt),
    }
}
