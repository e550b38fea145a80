//! The commands, one per file.

mod backup;
mod check;
mod documents;
mod errors_file;
mod events;
mod export;
mod import;
mod keys;
mod merchants;
mod migrate;
mod operators;
mod progress;
mod serve;
mod subjects;
mod webhooks;

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use roster_application::Roster;
use roster_application::ports::Clock as _;
use roster_domain::{Tenant, Timestamp};

use crate::cli::Command;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::output;

/// Runs a command.
///
/// # Errors
/// Any failure, with a message for the user.
pub fn run(command: Command, config: &Config) -> anyhow::Result<()> {
    match command {
        Command::Serve { demo } => serve::run(config, demo),
        Command::Migrate { citus } => migrate::run(config, citus),
        Command::Merchants(command) => merchants::run(command, config),
        Command::Keys(command) => keys::run(command, config),
        Command::Operators(command) => operators::run(command, config),
        Command::Import(arguments) => import::run(&arguments, config),
        Command::Export(arguments) => export::run(&arguments, config),
        Command::Subjects(command) => subjects::run(command, config),
        Command::Events(command) => events::run(&command, config),
        Command::Webhooks(command) => webhooks::run(command, config),
        Command::Backup { file } => backup::back_up(config, &file),
        Command::Restore { file, force } => backup::restore(config, &file, force),
        Command::Check { form } => check::run(config, form),
        Command::Completions { shell } => documents::completions(shell),
        Command::Man { folder } => documents::man(&folder),
        Command::Openapi { api } => output::print(&api.document()),
    }
}

/// Refuses a tenant whose merchant does not exist.
fn require_merchant(roster: &Roster, tenant: Tenant) -> anyhow::Result<()> {
    roster.find_merchant(tenant.merchant)?.map(drop).ok_or_else(|| anyhow!("there is no merchant {}", tenant.merchant))
}

/// The end of a credential that is valid for so long from now on.
fn end_of(validity: Duration) -> anyhow::Result<Timestamp> {
    let end =
        i64::try_from(validity.as_millis()).ok().and_then(|millis| SystemClock.now().as_millis().checked_add(millis));
    Timestamp::from_millis(end.unwrap_or(i64::MAX)).context("--expires-in ends after the year 9999")
}

/// The state of a credential in words.
fn state(revoked_at: Option<Timestamp>, expires_at: Option<Timestamp>, now: Timestamp) -> String {
    match (revoked_at, expires_at) {
        (Some(time), _) => format!("revoked {time}"),
        (None, Some(end)) if end <= now => format!("expired {end}"),
        (None, Some(end)) => format!("valid until {end}"),
        (None, None) => "valid".to_owned(),
    }
}
