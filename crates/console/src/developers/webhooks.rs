//! The webhook endpoints of the merchant in the environment.

use std::rc::Rc;

use actix_web::HttpResponse;
use maud::{Markup, html};
use serde_json::Value;

use super::keys::or_none;
use super::{cursor, items, joined, page, pages, time};
use crate::customers::text;
use crate::refusal::Refusal;
use crate::visit::Visit;
use crate::{layout, texts};

/// `GET /console/{environment}/developers/webhooks`
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let list = visit.get(format!("/v1/webhooks{}", cursor(visit.query.get("cursor")))).await?.ok()?.body;
    let endpoints = items(&list);
    let body = html! {
        div.title {
            h1 { (texts::WEBHOOKS) }
            a.button.primary href=(visit.path("/developers/webhooks/new")) data-key="n" { (texts::NEW_WEBHOOK) }
        }
        (layout::notice(visit.query.get("notice")))
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
