//! `roster operators`

use anyhow::anyhow;
use roster_application::ports::Clock as _;
use roster_application::{CreatedOperator, LogEntry, Operation, Operator, OperatorOrder, PageSize, Roster};
use roster_domain::{OperatorId, Timestamp};
use serde::Serialize;

use super::end_of;
use crate::cli::{Form, Operators};
use crate::clock::SystemClock;
use crate::compose::{self, Missing};
use crate::config::Config;
use crate::output::{self, List};

/// Makes, lists or revokes operators, or prints the operator log.
pub fn run(command: Operators, config: &Config) -> anyhow::Result<()> {
    let roster = compose::open_up_to_date(config, 0, Missing::Refuse)?.roster();
    match command {
        Operators::Create { name, role, expires_in, form } => {
            let expires_at = expires_in.map(end_of).transpose()?;
            create(&roster, OperatorOrder { name, role, expires_at }, form)
        }
        Operators::List { form } => list(&roster, form),
        Operators::Revoke { id, form } => revoke(&roster, id, form),
        Operators::Log { last, form } => {
            let size = PageSize::new(last).unwrap_or(PageSize::DEFAULT);
            print_log(&roster.list_operator_log(None, size)?.items, form)
        }
    }
}

fn create(roster: &Roster, order: OperatorOrder, form: Form) -> anyhow::Result<()> {
    let CreatedOperator { operator, secret } = roster.create_operator(order, &Operation::COMMAND_LINE)?;
    let view = OperatorView::from(&operator);
    if form.json {
        return output::print_json(&CreatedView { key: secret.reveal(), stored: view });
    }
    let expiry = view.expires_at.as_deref().map_or(String::new(), |end| format!(", valid until {end}"));
    output::print(&format!(
        "{id}  key of {name} with the role {role}{expiry}\n\n  {secret}\n\n\
         Keep it now: it is shown only this once and stored nowhere.\n",
        id = view.id,
        name = view.name,
        role = view.role,
        secret = secret.reveal(),
    ))
}

fn list(roster: &Roster, form: Form) -> anyhow::Result<()> {
    let operators = all(roster)?;
    if form.json {
        return output::print_json(&List { data: operators.iter().map(OperatorView::from).collect() });
    }
    if operators.is_empty() {
        return output::print("There are no operators. Make one:\n\n  roster operators create NAME\n");
    }
    let now = SystemClock.now();
    let row = |operator: &Operator| {
        [
            operator.id.to_string(),
            operator.role.as_str().to_owned(),
            operator.created_at.to_string(),
            state(operator, now),
            operator.last_used_at.map_or("never".to_owned(), |time| time.to_string()),
            operator.name.as_str().to_owned(),
        ]
    };
    let headings = ["ID", "ROLE", "CREATED", "STATE", "LAST USED", "NAME"];
    output::print(&output::table(headings, &operators.iter().map(row).collect::<Vec<_>>()))
}

fn revoke(roster: &Roster, id: OperatorId, form: Form) -> anyhow::Result<()> {
    let revoked = roster.revoke_operator(id, &Operation::COMMAND_LINE)?;
    let operator = revoked.ok_or_else(|| anyhow!("there is no operator {id}"))?;
    if form.json {
        return output::print_json(&OperatorView::from(&operator));
    }
    let since = operator.revoked_at.map_or(String::new(), |time| format!(" since {time}"));
    output::print(&format!("{id} is revoked{since}.\n"))
}

fn all(roster: &Roster) -> anyhow::Result<Vec<Operator>> {
    let mut all: Vec<Operator> = Vec::new();
    loop {
        let page = roster.list_operators(all.last().map(|operator| operator.id), PageSize::BULK)?;
        all.extend(page.items);
        if !page.has_more {
            return Ok(all);
        }
    }
}

fn state(operator: &Operator, now: Timestamp) -> String {
    super::state(operator.revoked_at, operator.expires_at, now)
}

fn print_log(entries: &[LogEntry], form: Form) -> anyhow::Result<()> {
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

/// A new operator as JSON; the only view with its key.
#[derive(Serialize)]
struct CreatedView<'a> {
    key: &'a str,
    #[serde(flatten)]
    stored: OperatorView<'a>,
}

/// A stored operator as JSON.
#[derive(Serialize)]
struct OperatorView<'a> {
    id: String,
    name: &'a str,
    role: &'static str,
    created_at: String,
    expires_at: Option<String>,
    last_used_at: Option<String>,
    revoked_at: Option<String>,
}

impl<'a> From<&'a Operator> for OperatorView<'a> {
    fn from(operator: &'a Operator) -> Self {
        Self {
            id: operator.id.to_string(),
            name: operator.name.as_str(),
            role: operator.role.as_str(),
            created_at: operator.created_at.to_string(),
            expires_at: operator.expires_at.map(|time| time.to_string()),
            last_used_at: operator.last_used_at.map(|time| time.to_string()),
            revoked_at: operator.revoked_at.map(|time| time.to_string()),
        }
    }
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
