//! `roster operators`

use roster_application::{LogEntry, PageSize};
use serde::Serialize;

use crate::cli::{Form, Operators};
use crate::compose::{self, Missing};
use crate::config::Config;
use crate::output::{self, List};

/// Prints the operator log.
pub fn run(command: Operators, config: &Config) -> anyhow::Result<()> {
    let roster = compose::open_up_to_date(config, 0, Missing::Refuse)?.roster();
    let Operators::Log { last, form } = command;
    let size = PageSize::new(last).unwrap_or(PageSize::DEFAULT);
    print(&roster.list_operator_log(None, size)?.items, form)
}

fn print(entries: &[LogEntry], form: Form) -> anyhow::Result<()> {
    if form.json {
        return output::print_json(&List { data: entries.iter().map(EntryView::from).collect() });
    }
    let row = |entry: &LogEntry| {
        [
            entry.created_at.to_string(),
            actor(entry),
            entry.action.as_str().to_owned(),
            entry.target.to_string(),
            entry.operation.request_id.clone().unwrap_or_default(),
        ]
    };
    let headings = ["TIME", "BY", "ACTION", "TARGET", "REQUEST"];
    output::print(&output::table(headings, &entries.iter().map(row).collect::<Vec<_>>()))
}

fn actor(entry: &LogEntry) -> String {
    entry.operation.operator.map_or("command line".to_owned(), |id| id.to_string())
}

/// An entry as JSON.
#[derive(Serialize)]
struct EntryView {
    id: String,
    /// None: the command line.
    operator_id: Option<String>,
    action: &'static str,
    target: String,
    request_id: Option<String>,
    created_at: String,
}

impl From<&LogEntry> for EntryView {
    fn from(entry: &LogEntry) -> Self {
        Self {
            id: entry.id.to_string(),
            operator_id: entry.operation.operator.map(|id| id.to_string()),
            action: entry.action.as_str(),
            target: entry.target.to_string(),
            request_id: entry.operation.request_id.clone(),
            created_at: entry.created_at.to_string(),
        }
    }
}
