//! What happened to a customer, the newest first.

use maud::{Markup, html};
use serde_json::{Map, Value};

use super::fields;
use crate::api::{Problem, items, text};
use crate::layout::time;
use crate::visit::Visit;
use crate::{form, texts};

/// How many events a page has.
const EVENTS: &str = "20";

/// The most fields that are shown of an event, and the most characters of a value: a page must not grow with what customers have.
const MAX_DIFFERENCES: usize = 40;
const MAX_VALUE: usize = 300;

/// The path of the API for a page of the events of a customer.
pub(super) fn uri(id: &str, cursor: &str) -> String {
    format!("/v1/customers/{id}/events{}", form::query([("limit", EVENTS), ("cursor", cursor)]))
}

/// The events, or why they are not shown.
pub(super) fn section(visit: &Visit, id: &str, events: Result<&Value, &Problem>) -> Markup {
    let here = |cursor: &str| {
        let query = form::query([("timeline", cursor)]);
        format!("{}{query}#timeline", visit.path(&format!("/customers/{id}")))
    };
    html! {
        section #timeline aria-labelledby="timeline-title" {
            h2 #timeline-title { (texts::TIMELINE) }
            @match events {
                Err(problem) => p.hint { (problem.detail) },
                Ok(page) => {
                    @let events = items(page);
                    @if events.is_empty() { p.hint { (texts::NO_EVENTS) } }
                    ol.timeline { @for one in events { (event(one)) } }
                    @let next = page["next_cursor"].as_str();
                    @if next.is_some() || visit.query.has("timeline") {
                        nav.pages aria-label=(texts::TIMELINE) {
                            @if visit.query.has("timeline") { a.button href=(here("")) { (texts::NEWEST_EVENTS) } }
                            @if let Some(next) = next { a.button href=(here(next)) { (texts::OLDER_EVENTS) } }
                        }
                    }
                },
            }
        }
    }
}

fn event(event: &Value) -> Markup {
    let actor = &event["actor"];
    let changes = event["changes"].as_object();
    html! {
        li {
            p {
                strong { (texts::event(text(event, "type"))) }
                @if let Some(id) = event["subscription_id"].as_str() { " " code { (id) } }
                " " (time(event, "created_at"))
                " " span.hint { (texts::actor(text(actor, "type"), text(actor, "id"))) }
            }
            @if let Some(reason) = event["reason"].as_str() { p.hint { (reason) } }
            @if let Some(changes) = changes.filter(|changes| !changes.is_empty()) {
                table.stacked.changes {
                    thead {
                        tr {
                            th scope="col" { (texts::FIELD) }
                            th scope="col" { (texts::BEFORE) }
                            th scope="col" { (texts::AFTER) }
                        }
                    }
                    tbody {
                        @let differences = differences(changes);
                        @for (field, from, to) in differences.iter().take(MAX_DIFFERENCES) {
                            tr {
                                th scope="row" { (label(field)) }
                                td data-label=(texts::BEFORE) { (value(from)) }
                                td data-label=(texts::AFTER) { (value(to)) }
                            }
                        }
                        @if let Some(more) = differences.len().checked_sub(MAX_DIFFERENCES).filter(|more| *more > 0) {
                            tr { td.hint colspan="3" { (texts::more_differences(more)) } }
                        }
                    }
                }
            }
        }
    }
}

/// Each field that changed, with its values before and after; of objects, the parts that changed.
fn differences(changes: &Map<String, Value>) -> Vec<(String, &Value, &Value)> {
    let mut found = Vec::new();
    for (field, change) in changes {
        add_differences(&mut found, field.clone(), &change["from"], &change["to"], DEPTH);
    }
    found
}

/// How deep the parts of objects are compared one by one.
const DEPTH: u32 = 3;

fn add_differences<'a>(
    found: &mut Vec<(String, &'a Value, &'a Value)>,
    field: String,
    from: &'a Value,
    to: &'a Value,
    depth: u32,
) {
    let parts = |value: &'a Value| value.as_object().into_iter().flatten().map(|(part, _)| part.as_str());
    let is_object = |value: &Value| value.is_object() || value.is_null();
    if from == to {
        return;
    }
    if depth == 0 || !is_object(from) || !is_object(to) {
        found.push((field, from, to));
        return;
    }
    let before: Vec<_> = parts(from).collect();
    let added = parts(to).filter(|part| !before.contains(part));
    for part in before.iter().copied().chain(added) {
        add_differences(found, format!("{field}/{part}"), &from[part], &to[part], depth - 1);
    }
}

/// What a field is called.
fn label(name: &str) -> &str {
    fields::all().find(|field| field.name == name).map_or(name, |field| field.label)
}

fn value(value: &Value) -> Markup {
    html! {
        @match value {
            Value::Null => span.hint { (texts::NONE) },
            Value::String(text) => (start(text)),
            other => code { (start(&other.to_string())) },
        }
    }
}

/// The start of a text that is long.
fn start(text: &str) -> String {
    match text.char_indices().nth(MAX_VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_deleted_customer_that_is_live_again_was_restored() {
        let restored = json!({ "type": "customer.restored", "created_at": "2026-11-28T12:00:00Z" });
        assert!(event(&restored).into_string().contains("<strong>Restored</strong>"));
    }

    #[test]
    fn the_parts_of_an_object_that_changed_are_shown_one_by_one() {
        let changes = json!({
            "name": { "from": "Ada", "to": "Ada Lovelace" },
            "billing_address": { "to": { "line1": "1 Road", "line2": null } },
            "metadata": { "from": { "a": 1, "b": { "c": [1] } }, "to": { "a": 1, "b": { "c": [2] }, "d": true } },
        });
        let found = differences(changes.as_object().expect("an object"));
        let found: Vec<_> = found.iter().map(|(field, from, to)| format!("{field}: {from} {to}")).collect();
        assert_eq!(
            found,
            [
                "name: \"Ada\" \"Ada Lovelace\"",
                "billing_address/line1: null \"1 Road\"",
                "metadata/b/c: [1] [2]",
                "metadata/d: null true",
            ]
        );
        assert_eq!(start(&"é".repeat(300)), "é".repeat(300));
        assert_eq!(start(&"é".repeat(301)), format!("{}…", "é".repeat(300)));
        assert_eq!((label("billing_address/line1"), label("metadata/d")), ("Line 1", "metadata/d"));
    }
}
