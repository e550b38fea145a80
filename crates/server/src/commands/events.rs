//! `roster events`

use std::io;
use std::thread;
use std::time::Duration;

use roster_application::ports::ListOrder;
use roster_application::{Event, EventList, Roster};
use roster_domain::{CustomerId, EventType, Tenant};
use serde_json::Value;

use crate::cli::Events;
use crate::compose::{self, Missing};
use crate::config::Config;
use crate::output;

/// How long it is until the log is looked at for new events.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// The most events that are read at once.
const PAGE: usize = 500;

/// Prints events.
pub fn run(command: &Events, config: &Config) -> anyhow::Result<()> {
    let roster = compose::open_up_to_date(config, 0, Missing::Refuse)?.roster();
    let &Events::Tail { of, last, kind, customer, once, json } = command;
    let write = if json { json_line } else { line_for(output::has_colours(&io::stdout())) };
    let log = Log { roster, tenant: of.into(), kind, customer };
    let (events, mut place) = log.last(usize::try_from(last)?)?;
    print(&events, write)?;
    if once {
        return Ok(());
    }
    loop {
        let page = log.roster.list_events(&log.list(ListOrder::Ascending, Some(place), PAGE))?;
        print(&page.events, write)?;
        place = page.next;
        if !page.has_more {
            thread::sleep(LOOK_INTERVAL);
        }
    }
}

/// The part of the log that is printed.
struct Log {
    roster: Roster,
    tenant: Tenant,
    kind: Option<EventType>,
    customer: Option<CustomerId>,
}

impl Log {
    fn list(&self, order: ListOrder, after: Option<i64>, limit: usize) -> EventList {
        EventList { tenant: self.tenant, customer: self.customer, kind: self.kind, order, after, limit }
    }

    /// The last `count` events, and the place behind which those follow that have not happened yet.
    fn last(&self, count: usize) -> anyhow::Result<(Vec<Event>, i64)> {
        let head = self.roster.feed_heads(&[self.tenant])?.first().copied().unwrap_or(0);
        let mut events: Vec<Event> = Vec::new();
        let mut after = Some(head + 1);
        while let Some(place) = after.filter(|_| events.len() < count) {
            let limit = (count - events.len()).min(PAGE);
            let page = self.roster.list_events(&self.list(ListOrder::Descending, Some(place), limit))?;
            events.extend(page.events);
            after = page.has_more.then_some(page.next);
        }
        events.reverse();
        Ok((events, head))
    }
}

fn print(events: &[Event], write: fn(&Event) -> String) -> anyhow::Result<()> {
    if events.is_empty() { Ok(()) } else { output::print(&events.iter().map(write).collect::<String>()) }
}

fn json_line(event: &Event) -> String {
    format!("{}\n", roster_http::event_body(event, false, None))
}

fn line_for(has_colours: bool) -> fn(&Event) -> String {
    if has_colours { |event| line(event, true) } else { |event| line(event, false) }
}

/// The event in a line, with the names of the fields that changed.
fn line(event: &Event, is_coloured: bool) -> String {
    let paint =
        |code: &str, text: &str| if is_coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() };
    let colour = match event.kind {
        EventType::CustomerCreated | EventType::SubscriptionCreated | EventType::CustomerRestored => "32",
        EventType::CustomerDeleted | EventType::CustomerArchived => "31",
        EventType::CustomerUpdated | EventType::SubscriptionUpdated => "33",
    };
    let actor = &event.attribution.actor;
    let by = actor.id().map_or_else(|| actor.kind().to_owned(), |id| format!("{} {}", actor.kind(), printable(&id)));
    let subject = match &event.subscription {
        Some(subscription) => format!("{} {}", event.customer, printable(subscription.as_str())),
        None => event.customer.to_string(),
    };
    let fields = fields_of(event).join(" ");
    let reason = event.attribution.reason.as_ref().map(|reason| format!("  ({})", printable(reason.as_ref())));
    format!(
        "{seq}  {at}  {kind}  {subject} v{version}  {fields}  {by}{reason}\n",
        seq = event.seq,
        at = paint("2", &event.created_at.to_string()),
        kind = paint(colour, event.kind.as_str()),
        version = event.version,
        by = paint("2", &by),
        reason = reason.unwrap_or_default(),
    )
}

/// The names of the fields that changed.
fn fields_of(event: &Event) -> Vec<String> {
    let changes: Value = serde_json::from_str(&event.changes).unwrap_or_default();
    changes.as_object().map(|object| object.keys().map(|key| printable(key)).collect()).unwrap_or_default()
}

/// The text without what would move the cursor of a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}
