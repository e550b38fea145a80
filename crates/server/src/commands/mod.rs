//! The commands, one per file.

mod events;
mod keys;
mod merchants;
mod migrate;
mod operators;
mod serve;
mod webhooks;

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
        Command::Operators(command) => operators::run(command, config),
        Command::Events(command) => events::run(&command, config),
        Command::Webhooks(command) => webhooks::run(command, config),
        Command::Openapi { api } => output::print(&api.document()),
    }
}
