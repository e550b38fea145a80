//! What happened to a customer, the newest first.

use maud::{Markup, html};
use serde_json::Value;

use super::text;
use crate::api::Problem;
use crate::visit::Visit;
use crate::{form, layout, texts};

/// How many events a page has.
const EVENTS: &str = "20";

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
                    @let events = page["data"].as_array().map(Vec::as_slice).unwrap_or_default();
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
                " " (layout::time(text(event, "created_at")))
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
                        @for (field, change) in changes {
                            tr {
                                th scope="row" { (field) }
                                td data-label=(texts::BEFORE) { (value(&change["from"])) }
                                td data-label=(texts::AFTER) { (value(&change["to"])) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn value(value: &Value) -> Markup {
    html! {
        @match value {
            Value::Null => span.hint { (texts::NONE) },
            Value::String(text) => (text),
            other => code { (other.to_string()) },
        }
    }
}
