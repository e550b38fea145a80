//! The operator log.

use std::rc::Rc;

use actix_web::HttpResponse;
use maud::{Markup, html};
use serde_json::Value;

use crate::api::{items, text};
use crate::form::query;
use crate::layout::{pages, time};
use crate::refusal::Refusal;
use crate::texts::operators as texts;
use crate::texts::{NONE, TIME};
use crate::visit::Visit;

/// `GET /console/operators/log`
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let of_page = query([("cursor", visit.query.get("cursor"))]);
    let list = visit.get(format!("/admin/v1/log{of_page}")).await?.ok()?.body;
    let body = html! {
        h1 { (texts::LOG) }
        @if items(&list).is_empty() { p.hint { (texts::NO_ENTRIES) } } @else { (table(&visit, items(&list))) }
        (pages(&visit, "/log", "cursor", &list))
    };
    Ok(visit.page(200, texts::LOG, &body))
}

fn table(visit: &Visit, entries: &[Value]) -> Markup {
    html! {
        table.stacked {
            thead {
                tr {
                    th scope="col" { (texts::ACTION) }
                    th scope="col" { (texts::TARGET) }
                    th scope="col" { (texts::OPERATOR) }
                    th scope="col" { (TIME) }
                    th scope="col" { (texts::REQUEST) }
                }
            }
            tbody {
                @for entry in entries {
                    tr {
                        th scope="row" { (texts::action(text(entry, "action"))) }
                        td data-label=(texts::TARGET) { (target(visit, text(entry, "target"))) }
                        td data-label=(texts::OPERATOR) {
                            @match entry["operator_id"].as_str() {
                                Some(id) => code { (id) },
                                None => (texts::COMMAND_LINE),
                            }
                        }
                        td data-label=(TIME) { (time(entry, "created_at")) }
                        td data-label=(texts::REQUEST) {
                            @match entry["request_id"].as_str() {
                                Some(id) => code { (id) },
                                None => (NONE),
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What was done to something: a merchant has a page.
fn target(visit: &Visit, id: &str) -> Markup {
    html! {
        @if id.starts_with("org_") {
            a data-row href=(visit.path(&format!("/merchants/{id}"))) { code { (id) } }
        } @else { code { (id) } }
    }
}
