//! Imports of files, and what became of them.

use std::rc::Rc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use maud::{Markup, html};
use serde_json::Value;

use super::page;
use crate::api::{Answer, items, text};
use crate::form::query;
use crate::input::{Line, line};
use crate::layout::{pages, time};
use crate::refusal::Refusal;
use crate::visit::Visit;
use crate::{layout, respond, texts};

/// The counts of an import, each with its name.
const COUNTS: [(&str, &str); 7] = [
    ("bytes", texts::BYTES),
    ("rows", texts::ROWS),
    ("created", texts::ROWS_CREATED),
    ("updated", texts::ROWS_UPDATED),
    ("unchanged", texts::ROWS_UNCHANGED),
    ("skipped", texts::ROWS_SKIPPED),
    ("failed", texts::ROWS_FAILED),
];

/// Those that the list shows of each.
const LISTED: [(&str, &str); 4] = [
    ("rows", texts::ROWS),
    ("created", texts::ROWS_CREATED),
    ("updated", texts::ROWS_UPDATED),
    ("failed", texts::ROWS_FAILED),
];

/// `GET /console/{environment}/developers/imports`: the list; with `id`, that import
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let id = visit.query.get("id").trim();
    if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Ok(respond::see_other(&visit.path(&format!("/developers/imports/{id}"))));
    }
    let of_page = query([("cursor", visit.query.get("cursor"))]);
    let list = visit.get(format!("/v1/imports{of_page}")).await?.ok()?.body;
    let field =
        Line { name: "id", label: texts::IMPORT_ID, kind: "text", value: id, is_required: true, ..Line::default() };
    let body = html! {
        div.title {
            h1 { (texts::IMPORTS) }
            a.button.primary href=(visit.path("/developers/imports/new")) data-key="n" { (texts::SEND_FILE) }
        }
        (table(&visit, &list))
        section {
            h2 { (texts::FOLLOW_IMPORT) }
            form.inline method="get" action=(visit.path("/developers/imports")) {
                (line(&field, None))
                button type="submit" { (texts::SHOW) }
            }
        }
    };
    Ok(page(&visit, 200, texts::IMPORTS, &body))
}

/// The imports of a page, each with how far it has come. While one goes on, they are shown anew.
fn table(visit: &Visit, list: &Value) -> Markup {
    let imports = items(list);
    let counts = LISTED.map(|(_, label)| label);
    let columns = [&[texts::IMPORT, texts::STATUS][..], &counts, &[texts::CREATED, texts::ENDED]].concat();
    let goes_on = imports.iter().any(|import| is_going_on(text(import, "state")));
    html! {
        section #imports aria-label=(texts::IMPORTS) data-goes-on[goes_on] data-summary=(texts::shown_imports(imports.len())) {
            @if imports.is_empty() {
                div.empty { p { (texts::NO_IMPORTS) } }
            } @else {
                (layout::table(&columns, imports.iter().map(|import| row(visit, import))))
            }
            (pages(visit, "/developers/imports", "cursor", list))
        }
    }
}

fn row(visit: &Visit, import: &Value) -> Vec<Markup> {
    let (id, state) = (text(import, "id"), text(import, "state"));
    let path = visit.path(&format!("/developers/imports/{id}"));
    let mut cells = vec![html! { a data-row href=(path) { (id) } }, badge(state)];
    cells.extend(LISTED.map(|(name, _)| html! { (import[name].to_string()) }));
    cells.extend(["created_at", "ended_at"].map(|name| time(import, name)));
    cells
}

fn is_going_on(state: &str) -> bool {
    matches!(state, "receiving" | "running")
}

fn badge(state: &str) -> Markup {
    html! { span.badge.quiet[state != "finished"] { (texts::import_state(state)) } }
}

/// `GET /console/{environment}/developers/imports/{id}`
pub(crate) async fn one(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let id = visit.id()?;
    let import = visit.get(format!("/v1/imports/{id}")).await?.ok()?.body;
    let state = text(&import, "state");
    let is_going_on = is_going_on(state);
    let here = |action: &str| visit.path(&format!("/developers/imports/{id}{action}"));
    let body = html! {
        article #import data-goes-on[is_going_on] data-summary=(texts::import_state(state)) {
            h1 { (texts::IMPORT) " " (badge(state)) }
            (layout::notice(&visit))
            @if let Some(failure) = import["failure"].as_str() { p.fault role="alert" { (failure) } }
            (facts(&import))
            @if is_going_on {
                p { a href=(here("")) { (texts::RELOAD) } }
                form method="post" action=(here("/cancel")) {
                    (layout::token(&visit.place))
                    button.danger type="submit" { (texts::CANCEL_IMPORT) }
                }
            }
            (errors(&import["errors"], &here("/errors")))
        }
    };
    Ok(page(&visit, 200, texts::IMPORT, &body))
}

fn facts(import: &Value) -> Markup {
    html! {
        dl.facts {
            div { dt { (texts::IDENTIFIER) } dd { code { (text(import, "id")) } } }
            @for (name, label) in COUNTS { div { dt { (label) } dd { (import[name].to_string()) } } }
            div { dt { (texts::CREATED) } dd { (time(import, "created_at")) } }
            div { dt { (texts::ENDED) } dd { (time(import, "ended_at")) } }
        }
    }
}

fn errors(errors: &Value, all: &str) -> Markup {
    let errors = errors.as_array().map(Vec::as_slice).unwrap_or_default();
    html! {
        @if !errors.is_empty() {
            section {
                h2 { (texts::ROW_ERRORS) }
                table.stacked {
                    thead {
                        tr {
                            th scope="col" { (texts::ROW) }
                            th scope="col" { (texts::COLUMN) }
                            th scope="col" { (texts::RULE) }
                            th scope="col" { (texts::REMEDY) }
                        }
                    }
                    tbody {
                        @for error in errors {
                            tr {
                                th scope="row" { (error["row"].to_string()) }
                                td data-label=(texts::COLUMN) { (text(error, "column")) }
                                td data-label=(texts::RULE) { (text(error, "rule")) }
                                td data-label=(texts::REMEDY) { (text(error, "remedy")) }
                            }
                        }
                    }
                }
                p { a href=(all) { (texts::ALL_ERRORS) } }
            }
        }
    }
}

/// `GET /console/{environment}/developers/imports/{id}/errors`: all of them, a line of JSON each
pub(crate) async fn list_errors(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let uri = format!("/v1/imports/{}/errors", visit.id()?);
    let answer = visit.open(visit.request(Method::GET, uri)).await;
    if answer.status().is_success() {
        return Ok(respond::download(answer));
    }
    Answer::read(answer).await?.ok()?;
    Err(Refusal::Broken)
}

/// `POST /console/{environment}/developers/imports/{id}/cancel`
pub(crate) async fn cancel(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let id = visit.id()?;
    visit.send(visit.request(Method::DELETE, format!("/v1/imports/{id}"))).await?.ok()?;
    Ok(respond::see_other(&visit.path(&format!("/developers/imports/{id}?notice=cancelled"))))
}
