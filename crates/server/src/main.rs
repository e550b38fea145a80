//! The program `roster`: its command line, its configuration, and the composition of all adapters.
//!
//! [`cli`] defines the command line, [`config`] the configuration, and [`commands`] runs the commands, one file each.
//! Only [`compose`] knows which store is used. [`clock`], [`ids`] and [`entropy`] implement the ports of these names.
//! This crate must not contain rules about customers.

mod cli;
mod clock;
mod commands;
mod compose;
mod config;
mod database_url;
mod demo;
mod entropy;
mod ids;
mod import_worker;
mod issuers;
mod json_lines;
mod layers;
mod log_buffer;
mod open_files;
mod output;
mod signals;
mod telemetry;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match run(cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("roster: {error:#}");
            // A wrong configuration exits with 2, like a wrong command line, for which clap has exited already.
            if error.is::<layers::Faults>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn run(cli: cli::Cli) -> anyhow::Result<()> {
    let config = config::Config::load(cli.config.as_deref(), std::env::vars_os())?;
    // Dropped at the end of this function, so that all log lines are written before `main` prints an error.
    let _log = telemetry::start(&config.log)?;
    commands::run(cli.command, &config)
}
