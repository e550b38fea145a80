//! The operator log.

use std::rc::Rc;

use actix_web::HttpResponse;
use maud::{Markup, html};
use serde_json::Value;

use crate::api::{items, text};
use crate::form::query;
use crate::layout::{self, pages, time};
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
    let columns = [texts::ACTION, texts::TARGET, texts::OPERATOR, TIME, texts::REQUEST];
    layout::table(
        &columns,
        entries.iter().map(|entry| {
            let id = |name: &str, other: &str| {
                html! { @if let Some(id) = entry[name].as_str() { code { (id) } } @else { (other) } }
            };
            vec![
                html! { (texts::action(text(entry, "action"))) },
                target(visit, text(entry, "target")),
                id("operator_id", texts::COMMAND_LINE),
                time(entry, "created_at"),
                id("request_id", NONE),
            ]
        }),
    )
}

/// What was done to something: a merchant has a page.
fn target(visit: &Visit, id: &str) -> Markup {
    html! {
        @if id.starts_with("org_") {
            a data-row href=(visit.path(&format!("/merchants/{id}"))) { code { (id) } }
        } @else { code { (id) } }
    }
}
