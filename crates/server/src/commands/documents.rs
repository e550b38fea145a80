//! `roster completions` and `roster man`: documents that are made from the definition of the command line.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::output;

/// Prints the script that completes the command line in `shell`.
pub fn completions(shell: Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "roster", &mut script);
    output::print(&String::from_utf8(script)?)
}

/// Writes a man page for the program, and one for each command, into a folder, which is made if it is missing.
pub fn man(folder: &Path) -> anyhow::Result<()> {
    let written = fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(Cli::command(), folder));
    written.with_context(|| format!("{} cannot be written", folder.display()))
}
