//! The webhook endpoints of the merchant in the environment.

use std::rc::Rc;

use actix_web::HttpResponse;
use maud::{Markup, html};
use serde_json::Value;

use super::page;
use crate::api::{items, joined, text};
use crate::form::query;
use crate::layout::{notice, or_none, pages, time};
use crate::refusal::Refusal;
use crate::visit::Visit;
use crate::{layout, texts};

/// `GET /console/{environment}/developers/webhooks`
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let of_page = query([("cursor", visit.query.get("cursor"))]);
    let list = visit.get(format!("/v1/webhooks{of_page}")).await?.ok()?.body;
    let endpoints = items(&list);
    let body = html! {
        div.title {
            h1 { (texts::WEBHOOKS) }
            a.button.primary href=(visit.path("/developers/webhooks/new")) data-key="n" { (texts::NEW_WEBHOOK) }
        }
        (notice(&visit))
        @if endpoints.is_empty() {
            div.empty { h2 { (texts::NO_WEBHOOKS_TITLE) } p { (texts::NO_WEBHOOKS) } }
        } @else { (table(&visit, endpoints)) }
        (pages(&visit, "/developers/webhooks", "cursor", &list))
    };
    Ok(page(&visit, 200, texts::WEBHOOKS, &body))
}

fn table(visit: &Visit, endpoints: &[Value]) -> Markup {
    let columns = [texts::WEBHOOK, texts::STATUS, texts::EVENTS, texts::DESCRIPTION, texts::FAILING_SINCE];
    layout::table(
        &columns,
        endpoints.iter().map(|endpoint| {
            let path = visit.path(&format!("/developers/webhooks/{}", text(endpoint, "id")));
            vec![
                html! { a data-row href=(path) { (text(endpoint, "url")) } },
                status(endpoint),
                html! { (joined(&endpoint["events"])) },
                html! { (or_none(text(endpoint, "description"))) },
                time(endpoint, "failing_since"),
            ]
        }),
    )
}

/// Whether an endpoint is sent events.
pub(super) fn status(endpoint: &Value) -> Markup {
    let status = text(endpoint, "status");
    html! { span.badge.quiet[status != "active"] { (texts::status(status)) } }
}
