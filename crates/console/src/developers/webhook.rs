//! One webhook endpoint: what it is, what is not delivered to it, and the attempts to deliver.

use std::rc::Rc;

use actix_web::HttpResponse;
use futures_util::future;
use maud::{Markup, html};
use serde_json::Value;

use super::page;
use super::webhooks::status;
use crate::api::{Problem, items, joined, text};
use crate::form::query;
use crate::input::{Line, line, overlap};
use crate::layout::{notice, or_none, pages, time};
use crate::refusal::Refusal;
use crate::visit::Visit;
use crate::{layout, texts};

/// `GET /console/{environment}/developers/webhooks/{id}`
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    with_problem(&visit, None).await
}

/// The page, with what is wrong with a form of it that was sent.
pub(super) async fn with_problem(visit: &Visit, problem: Option<&Problem>) -> Result<HttpResponse, Refusal> {
    let id = visit.id()?;
    let of_page = query([("cursor", visit.query.get("attempts"))]);
    // At the same time: each waits for the database.
    let (endpoint, attempts) = future::join(
        visit.get(format!("/v1/webhooks/{id}")),
        visit.get(format!("/v1/webhooks/{id}/attempts{of_page}")),
    )
    .await;
    let (endpoint, attempts) = (endpoint?.ok()?.body, attempts?.ok()?.body);
    let url = text(&endpoint, "url");
    let body = html! {
        div.title {
            h1 { (url) " " (status(&endpoint)) }
            (actions(visit, id))
        }
        (notice(visit))
        (facts(&endpoint))
        (replay(visit, id, problem))
        (rotation(visit, id))
        section #attempts aria-labelledby="attempts-title" {
            h2 #attempts-title { (texts::ATTEMPTS) }
            @if items(&attempts).is_empty() { p.hint { (texts::NO_ATTEMPTS) } } @else { (table(items(&attempts))) }
            (pages(visit, &format!("/developers/webhooks/{id}"), "attempts", &attempts))
        }
    };
    Ok(page(visit, Problem::status_of(problem), url, &body))
}

fn actions(visit: &Visit, id: &str) -> Markup {
    let here = |action: &str| visit.path(&format!("/developers/webhooks/{id}/{action}"));
    html! {
        div.actions role="group" aria-label=(texts::ACTIONS) {
            a.button.primary href=(here("edit")) { (texts::EDIT) }
            form method="post" action=(here("test")) {
                (layout::token(&visit.place))
                button type="submit" { (texts::SEND_TEST) }
            }
            a.button href=(here("delete")) { (texts::DELETE) }
        }
    }
}

fn facts(endpoint: &Value) -> Markup {
    let backlog = &endpoint["backlog"];
    html! {
        dl.facts {
            div { dt { (texts::IDENTIFIER) } dd { code { (text(endpoint, "id")) } } }
            div { dt { (texts::DESCRIPTION) } dd { (or_none(text(endpoint, "description"))) } }
            div { dt { (texts::EVENTS) } dd { (joined(&endpoint["events"])) } }
            div { dt { (texts::PAYLOAD) } dd { (texts::payload(text(endpoint, "payload"))) } }
            div { dt { (texts::CREATED) } dd { (time(endpoint, "created_at")) } }
            div { dt { (texts::CHANGED) } dd { (time(endpoint, "updated_at")) } }
            @if endpoint["disabled_at"].is_string() {
                div {
                    dt { (texts::DISABLED) }
                    dd { (time(endpoint, "disabled_at")) " " (texts::disabled(text(endpoint, "disabled_reason"))) }
                }
            }
            div { dt { (texts::FAILING_SINCE) } dd { (time(endpoint, "failing_since")) } }
            div { dt { (texts::FORMER_SECRET) } dd { (time(endpoint, "former_secret_until")) } }
            div {
                dt { (texts::BACKLOG) }
                dd {
                    (texts::backlog(backlog["events"].as_i64().unwrap_or(0), backlog["oldest_seconds"].as_u64().unwrap_or(0)))
                }
            }
        }
    }
}

fn replay(visit: &Visit, id: &str, problem: Option<&Problem>) -> Markup {
    let field = |name, label, kind| {
        line(&Line { name, label, kind, hint: "", value: visit.form.get(name), is_required: false }, problem)
    };
    let action = visit.path(&format!("/developers/webhooks/{id}/replay"));
    html! {
        section {
            h2 { (texts::REPLAY_TITLE) }
            p { (texts::REPLAY_HINT) }
            @if let Some(problem) = problem.filter(|problem| problem.faults.is_empty()) {
                p.fault role="alert" { (problem.detail) }
            }
            div.fields {
                form.inline method="post" action=(action) novalidate {
                    (layout::token(&visit.place))
                    (field("from_seq", texts::FROM_SEQ, "number"))
                    button type="submit" { (texts::REPLAY_FROM) }
                }
                form.inline method="post" action=(action) novalidate {
                    (layout::token(&visit.place))
                    (field("event_id", texts::EVENT_ID, "text"))
                    button type="submit" { (texts::REPLAY_ONE) }
                }
            }
        }
    }
}

fn rotation(visit: &Visit, id: &str) -> Markup {
    html! {
        section {
            h2 { (texts::NEW_SECRET) }
            p { (texts::NEW_SECRET_HINT) }
            form.inline method="post" action=(visit.path(&format!("/developers/webhooks/{id}/rotate"))) {
                (layout::token(&visit.place))
                (overlap())
                button type="submit" { (texts::MAKE_SECRET) }
            }
        }
    }
}

fn table(attempts: &[Value]) -> Markup {
    let columns = [texts::TIME, texts::OUTCOME, texts::EVENT, texts::ATTEMPT, texts::DURATION, texts::ANSWER];
    layout::table(
        &columns,
        attempts.iter().map(|attempt| {
            let outcome = text(attempt, "outcome");
            vec![
                time(attempt, "created_at"),
                html! { span.badge.quiet[outcome != "delivered"] { (texts::outcome(outcome)) } },
                html! { code { (text(attempt, "event_id")) } },
                html! { (attempt["number"].to_string()) },
                html! { (attempt["duration_ms"].to_string()) " ms" },
                html! {
                    @if let Some(status) = attempt["status"].as_u64() { (status) " " }
                    (text(attempt, "error")) " " (text(attempt, "answer"))
                },
            ]
        }),
    )
}
