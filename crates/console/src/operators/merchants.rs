//! The list of merchants.

use std::rc::Rc;

use actix_web::HttpResponse;
use maud::{Markup, html};
use serde_json::Value;

use crate::api::{Problem, items, text};
use crate::form::query;
use crate::layout::{self, notice, pages, time};
use crate::refusal::Refusal;
use crate::texts::operators as texts;
use crate::texts::{CREATED, DISABLED, IDENTIFIER, LIST_REFUSED_TITLE, SEARCH, STATUS};
use crate::visit::Visit;

/// `GET /console/operators/merchants`
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let search = visit.query.get("search").trim();
    let parameters = [("search", search), ("cursor", visit.query.get("cursor"))];
    let (status, problem, list) = visit.get(format!("/admin/v1/merchants{}", query(parameters))).await?.of_list()?;
    let body = html! {
        div.title {
            h1 { (texts::MERCHANTS) }
            @if visit.place.is_admin() {
                a.button.primary href=(visit.path("/merchants/new")) data-key="n" { (texts::NEW_MERCHANT) }
            }
        }
        (notice(&visit))
        (search_form(search))
        (results(&visit, problem.as_ref(), &list))
    };
    Ok(visit.page(status, texts::MERCHANTS, &body))
}

fn search_form(search: &str) -> Markup {
    html! {
        form #filters method="get" role="search" aria-label=(texts::MERCHANTS) {
            div.search {
                label.visually-hidden for="search" { (SEARCH) }
                input #search type="search" name="search" value=(search) placeholder=(texts::SEARCH_HINT) autocomplete="off"
                    spellcheck="false" data-key="/";
                button type="submit" { (SEARCH) }
            }
        }
    }
}

/// What the script replaces as the visitor types.
fn results(visit: &Visit, problem: Option<&Problem>, list: &Value) -> Markup {
    let merchants = items(list);
    html! {
        section #results aria-label=(texts::MERCHANTS) data-summary=(texts::shown(merchants.len())) {
            @match problem {
                Some(problem) => (refused(visit, problem)),
                None if merchants.is_empty() => (empty(visit)),
                None => (table(visit, merchants)),
            }
            (pages(visit, "/merchants", "cursor", list))
        }
    }
}

fn refused(visit: &Visit, problem: &Problem) -> Markup {
    html! {
        div.empty {
            h2 { (LIST_REFUSED_TITLE) }
            p role="alert" {
                @for fault in &problem.faults { (fault.detail) " " }
                @if problem.faults.is_empty() { (problem.detail) }
            }
            p { a href=(visit.path("/merchants")) { (texts::CLEAR_SEARCH) } }
        }
    }
}

fn empty(visit: &Visit) -> Markup {
    let is_narrowed = visit.query.has("search") || visit.query.has("cursor");
    let (title, text) = if is_narrowed {
        (texts::NO_MATCH_TITLE, texts::NO_MATCH)
    } else {
        (texts::NO_MERCHANTS_TITLE, texts::NO_MERCHANTS)
    };
    html! {
        div.empty {
            h2 { (title) }
            p { (text) }
            @if is_narrowed { p { a href=(visit.path("/merchants")) { (texts::CLEAR_SEARCH) } } }
        }
    }
}

fn table(visit: &Visit, merchants: &[Value]) -> Markup {
    layout::table(
        &[texts::MERCHANT, IDENTIFIER, STATUS, CREATED],
        merchants.iter().map(|merchant| {
            let id = text(merchant, "id");
            vec![
                html! { a data-row href=(visit.path(&format!("/merchants/{id}"))) { (text(merchant, "name")) } },
                html! { code { (id) } },
                state(merchant),
                time(merchant, "created_at"),
            ]
        }),
    )
}

/// Whether a merchant's credentials are accepted.
pub(super) fn state(merchant: &Value) -> Markup {
    let is_disabled = merchant["disabled_at"].is_string();
    let name = if is_disabled { DISABLED } else { texts::ENABLED };
    html! { span.badge.quiet[is_disabled] { (name) } }
}
