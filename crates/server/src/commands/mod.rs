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
mod progress;
mod serve;
mod subjects;
mod webhooks;

use anyhow::anyhow;
use roster_application::Roster;
use roster_domain::Tenant;

use crate::cli::Command;
use crate::config::Config;
use crate::output;

/// Runs a command.
///
/// # Errors
/// Any failure, with a message for the user.
pub fn run(command: Command, config: &Config) -> anyhow::Result<()> {
    match command {
        Command::Serve { demo } => serve::run(config, demo),
        Command::Migrate => migrate::run(config),
        Command::Merchants(command) => merchants::run(command, config),
        Command::Keys(command) => keys::run(command, config),
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
    roster.merchant(tenant.merchant)?.map(drop).ok_or_else(|| anyhow!("there is no merchant {}", tenant.merchant))
}
