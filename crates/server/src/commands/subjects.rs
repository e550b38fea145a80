//! `roster subjects`

use anyhow::anyhow;
use roster_application::ports::{CustomerKey, MAX_SNAPSHOT_AGE};

use super::require_merchant;
use crate::cli::Subjects;
use crate::compose::{self, Missing};
use crate::config::Config;
use crate::output;

/// Writes everything that is kept about one person.
pub fn run(command: Subjects, config: &Config) -> anyhow::Result<()> {
    let Subjects::Export { customer, of } = command;
    let roster = compose::open_up_to_date(config, 0, Missing::Refuse)?.roster();
    let key = CustomerKey { tenant: of.into(), customer };
    require_merchant(&roster, key.tenant)?;
    let subject = roster.export_subject(&key, MAX_SNAPSHOT_AGE)?.ok_or_else(|| anyhow!("there is no such customer"))?;
    output::print(&(roster_http::subject_document(&subject)? + "\n"))
}
