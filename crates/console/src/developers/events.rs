//! The newest events of the merchant in the environment. While the first page is open, new ones appear by themselves.

use std::rc::Rc;

use actix_web::HttpResponse;
use maud::{Markup, html};
use serde_json::Value;

use super::page;
use crate::api::{Problem, items, text};
use crate::form::query;
use crate::input::{Line, line};
use crate::layout::{pages, time};
use crate::refusal::Refusal;
use crate::visit::Visit;
use crate::{layout, texts, updates};

/// `GET /console/{environment}/developers/events`
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let updates = if visit.query.has("cursor") { None } else { updates::address(&visit).await? };
    let parameters = ["type", "customer_id", "cursor"].map(|name| (name, visit.query.get(name)));
    let (status, problem, list) = visit.get(format!("/v1/events{}", query(parameters))).await?.of_list()?;
    let customer = Some(visit.query.get("customer_id")).filter(|id| !id.is_empty());
    let body = html! {
        h1 { (texts::EVENTS) }
        (filters(&visit, problem.as_ref()))
        section #results aria-label=(texts::EVENTS) data-summary=(texts::shown_events(items(&list).len()))
            data-updates=[updates.filter(|_| problem.is_none())] data-customer=[customer] {
            @if let Some(problem) = &problem {
                p.fault role="alert" { (problem.detail) }
            } @else if items(&list).is_empty() {
                div.empty { p { (texts::NO_EVENTS_HERE) } }
            } @else { (table(&visit, items(&list))) }
            (pages(&visit, "/developers/events", "cursor", &list))
        }
        noscript {
            p { a href=(visit.place.request.uri().to_string()) { (texts::RELOAD) } }
        }
    };
    Ok(page(&visit, status, texts::EVENTS, &body))
}

fn filters(visit: &Visit, problem: Option<&Problem>) -> Markup {
    let kind = visit.query.get("type");
    // `*` is a choice of webhooks only: here it is no filter.
    let kinds = texts::EVENT_TYPES.iter().filter(|(name, _)| *name != "*");
    let customer = Line {
        name: "customer_id",
        label: texts::CUSTOMER_ID,
        kind: "text",
        value: visit.query.get("customer_id"),
        ..Line::default()
    };
    html! {
        form #filters method="get" role="search" aria-label=(texts::EVENTS) {
            div.fields {
                div.field {
                    label for="type" { (texts::EVENT_TYPE) }
                    select id="type" name="type" {
                        option value="" selected[kind.is_empty()] { (texts::ANY) }
                        @for (name, _) in kinds { option value=(name) selected[*name == kind] { (name) } }
                    }
                }
                (line(&customer, problem))
                div.field.end { button type="submit" { (texts::APPLY) } }
            }
        }
    }
}

fn table(visit: &Visit, events: &[Value]) -> Markup {
    let columns = [texts::EVENT, texts::TIME, texts::CUSTOMER, texts::FIELDS, texts::ACTOR, texts::SEQ];
    layout::table(
        &columns,
        events.iter().map(|event| {
            let (customer, actor) = (text(event, "customer_id"), &event["actor"]);
            let fields: Vec<_> =
                event["changes"].as_object().into_iter().flatten().map(|(field, _)| field.as_str()).collect();
            vec![
                html! { span.whole title=(text(event, "id")) { (text(event, "type")) } },
                time(event, "created_at"),
                html! { a data-row href=(visit.path(&format!("/customers/{customer}"))) { (customer) } },
                html! { (fields.join(", ")) },
                html! { (texts::actor(text(actor, "type"), text(actor, "id"))) },
                html! { (event["seq"].to_string()) },
            ]
        }),
    )
}
