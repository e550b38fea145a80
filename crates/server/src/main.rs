//! `roster`, the program: its command line, its configuration, and the place where adapters meet ports.
//!
//! [`cli`] says what can be asked, [`config`] what can be set, [`commands`] does it, one file each. [`compose`] alone
//! knows which store there is; [`clock`], [`ids`] and [`entropy`] are the outside world behind the ports of the same
//! names. No rule about customers stands here.

mod cli;
mod clock;
mod commands;
mod compose;
mod config;
mod database_url;
mod demo;
mod entropy;
mod ids;
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
            // For a command line that is wrong clap has exited already, with 2 as well.
            if error.is::<layers::Faults>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn run(cli: cli::Cli) -> anyhow::Result<()> {
    let config = config::Config::load(cli.config.as_deref(), std::env::vars_os())?;
    // Dropped, the last lines are written before anything else is said.
    let _log = telemetry::start(&config.log)?;
    commands::run(cli.command, &config)
}
