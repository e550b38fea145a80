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
use crate::texts;
use crate::visit::Visit;

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
    html! {
        table.stacked {
            thead {
                tr {
                    th scope="col" { (texts::WEBHOOK) }
                    th scope="col" { (texts::STATUS) }
                    th scope="col" { (texts::EVENTS) }
                    th scope="col" { (texts::DESCRIPTION) }
                    th scope="col" { (texts::FAILING_SINCE) }
                }
            }
            tbody {
                @for endpoint in endpoints {
                    tr {
                        th scope="row" {
                            a data-row href=(visit.path(&format!("/developers/webhooks/{}", text(endpoint, "id")))) {
                                (text(endpoint, "url"))
                            }
                        }
                        td data-label=(texts::STATUS) { (status(endpoint)) }
                        td data-label=(texts::EVENTS) { (joined(&endpoint["events"])) }
                        td data-label=(texts::DESCRIPTION) { (or_none(text(endpoint, "description"))) }
                        td data-label=(texts::FAILING_SINCE) { (time(endpoint, "failing_since")) }
                    }
                }
            }
        }
    }
}

/// Whether an endpoint is sent events.
pub(super) fn status(endpoint: &Value) -> Markup {
    let status = text(endpoint, "status");
    html! { span.badge.quiet[status != "active"] { (texts::status(status)) } }
}
