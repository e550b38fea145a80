//! `roster migrate`

use anyhow::Context as _;

use crate::compose::{Database, Missing};
use crate::config::Config;
use crate::output;

/// Brings the schema up to date, even if `database.migrate_on_start` is false, and prints the applied migrations. `citus` distributes the
/// tables, too.
pub fn run(config: &Config, citus: bool) -> anyhow::Result<()> {
    let database = Database::open(config, 0, Missing::Create)?;
    let applied = database.store.migrate().context("the schema cannot be brought up to date")?;
    let mut report: Vec<String> = applied.iter().map(|migration| format!("applied {migration}")).collect();
    if citus {
        let url = &config.database.url;
        let distributed = database.store.distribute().with_context(|| format!("{url} cannot be distributed"))?;
        report.extend(distributed.iter().map(|table| format!("distributed {table}")));
        report.push("The tables are distributed.".to_owned());
    }
    report.push(format!("The schema is up to date: {}\n", config.database.url));
    output::print(&report.join("\n"))
}
