//! One customer.

use std::rc::Rc;

use actix_web::HttpResponse;
use futures_util::future;
use maud::{Markup, html};
use serde_json::Value;

use super::fields::{Field, GROUPS, Kind};
use super::{badge, edit, examples, timeline, title};
use crate::api::{Answer, Problem, items, text};
use crate::layout::time;
use crate::refusal::Refusal;
use crate::visit::Visit;
use crate::{layout, texts, updates};

/// `GET /console/{environment}/customers/{id}`
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let id = visit.id()?;
    let updates = updates::address(&visit).await?;
    // At the same time: each waits for the database.
    let (stored, subscriptions, events) = future::join3(
        edit::stored(&visit),
        visit.get(format!("/v1/customers/{id}/subscriptions?limit=100")),
        visit.get(timeline::uri(id, visit.query.get("timeline"))),
    )
    .await;
    let stored = stored?;
    let (subscriptions, events) = (subscriptions?.part()?, events?.part()?);
    let customer = &stored.body;
    let body = html! {
        article #customer data-updates=[updates] data-customer=(id) data-summary=(title(customer)) {
            div.title {
                h1 { (title(customer)) " " (badge(customer)) }
                (actions(&visit, &stored))
            }
            (layout::notice(&visit))
            div.columns {
                div {
                    @for (title, fields) in &GROUPS { (facts(title, fields, customer)) }
                    (record(customer))
                }
                div {
                    (subscriptions_of(subscriptions.as_ref()))
                    (timeline::section(&visit, id, events.as_ref()))
                }
            }
            (for_developers(&visit, id, customer))
        }
    };
    Ok(visit.page(200, title(customer), &body))
}

fn actions(visit: &Visit, stored: &Answer) -> Markup {
    let here = format!("/customers/{}", text(&stored.body, "id"));
    let (status, label) = match text(&stored.body, "status") {
        "archived" => ("active", texts::ACTIVATE),
        _ => ("archived", texts::ARCHIVE),
    };
    html! {
        div.actions role="group" aria-label=(texts::ACTIONS) {
            a.button.primary href=(visit.path(&format!("{here}/edit"))) { (texts::EDIT) }
            form method="post" action=(visit.path(&format!("{here}/status"))) {
                (layout::token(&visit.place))
                input type="hidden" name="etag" value=(stored.etag.as_deref().unwrap_or_default());
                button type="submit" name="status" value=(status) { (label) }
            }
            a.button href=(visit.path(&format!("{here}/delete"))) { (texts::DELETE) }
        }
    }
}

fn facts(title: &str, fields: &[Field], customer: &Value) -> Markup {
    html! {
        section {
            h2 { (title) }
            @if let [field @ Field { kind: Kind::Json, .. }] = fields {
                @let value = field.of(customer);
                @if value.is_empty() { p.hint { (texts::NO_METADATA) } } @else { (layout::code(title, &value)) }
            } @else {
                dl.facts {
                    @for field in fields {
                        @let value = field.of(customer);
                        div {
                            dt { (field.label) }
                            dd { @if value.is_empty() { span.hint { (texts::NONE) } } @else { (field.shown(&value)) } }
                        }
                    }
                }
            }
        }
    }
}

fn record(customer: &Value) -> Markup {
    html! {
        section {
            h2 { (texts::RECORD) }
            dl.facts {
                div { dt { (texts::IDENTIFIER) } dd { code { (text(customer, "id")) } } }
                div { dt { (texts::VERSION) } dd { (customer["version"].to_string()) } }
                div { dt { (texts::CREATED) } dd { (time(customer, "created_at")) } }
                div { dt { (texts::CHANGED) } dd { (time(customer, "updated_at")) } }
            }
        }
    }
}

fn subscriptions_of(page: Result<&Value, &Problem>) -> Markup {
    html! {
        section {
            h2 { (texts::SUBSCRIPTIONS) }
            @match page {
                Err(problem) => p.hint { (problem.detail) },
                Ok(page) => {
                    @let subscriptions = items(page);
                    @if subscriptions.is_empty() { p.hint { (texts::NO_SUBSCRIPTIONS) } } @else { (table(subscriptions)) }
                    @if page["has_more"] == true { p.hint { (texts::MORE_SUBSCRIPTIONS) } }
                },
            }
        }
    }
}

fn table(subscriptions: &[Value]) -> Markup {
    let columns = [texts::SUBSCRIPTION, texts::PLAN, texts::STATUS, texts::STARTED, texts::CANCELLED];
    layout::table(
        &columns,
        subscriptions.iter().map(|one| {
            vec![
                html! { (one["name"].as_str().unwrap_or(text(one, "id"))) },
                html! { (one["plan_id"].as_str().unwrap_or(texts::NONE)) },
                html! { (texts::status(text(one, "status"))) },
                time(one, "started_at"),
                time(one, "cancelled_at"),
            ]
        }),
    )
}

fn for_developers(visit: &Visit, id: &str, customer: &Value) -> Markup {
    let json = serde_json::to_string_pretty(customer).unwrap_or_default();
    html! {
        section {
            h2 { (texts::FOR_DEVELOPERS) }
            details {
                summary { (texts::SAME_REQUEST) }
                @for (name, command) in examples::commands(&visit.place, id) {
                    h3 { (name) }
                    (layout::code(name, &command))
                }
            }
            details {
                summary { (texts::RAW_JSON) }
                (layout::code(texts::RAW_JSON, &json))
            }
        }
    }
}
