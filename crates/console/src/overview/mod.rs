//! The first page: how many customers there are, what is new, how busy the service is, and whether webhooks are delivered.

pub(crate) mod chart;
pub(crate) mod figures;

use std::rc::Rc;

use actix_web::HttpResponse;
use futures_util::future;
use maud::{Markup, html};
use serde_json::Value;

use self::figures::Chart;
use crate::api::{items, text};
use crate::refusal::Refusal;
use crate::texts;
use crate::visit::Visit;

/// The most webhooks whose backlog is shown.
const MAX_WEBHOOKS: usize = 10;

/// `GET /console/{environment}`
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    // At the same time: each waits for the database.
    let (customers, changes, webhooks) = future::join3(
        visit.get("/v1/customers?limit=1&include=total".to_owned()),
        // Whether the key may see the chart, which is loaded after the page.
        visit.get("/v1/events/days?days=1".to_owned()),
        visit.get("/v1/webhooks?limit=100".to_owned()),
    )
    .await;
    let (customers, changes, webhooks) = (customers?.part()?, changes?.part()?, webhooks?.part()?);
    let endpoints = webhooks.as_ref().map(items);
    let backlogs = backlogs(&visit, endpoints.unwrap_or_default()).await?;
    let body = html! {
        h1 { (texts::OVERVIEW) }
        section {
            h2 { (texts::CUSTOMERS) }
            @match &customers {
                Ok(page) => p { (texts::total_customers(page["total_count"].as_u64().unwrap_or(0), page["total_is_exact"] == true)) },
                Err(problem) => p.hint { (problem.detail) },
            }
            @if customers.is_ok() { (figure(&visit, Chart::Customers)) }
        }
        @if changes.is_ok() {
            section {
                h2 { (texts::CHANGES) }
                (figure(&visit, Chart::Changes))
            }
        }
        section {
            h2 { (texts::REQUESTS) }
            div.charts { (figure(&visit, Chart::Requests)) (figure(&visit, Chart::Durations)) }
        }
        section {
            h2 { (texts::WEBHOOKS) }
            @match endpoints {
                Err(problem) => p.hint { (problem.detail) },
                Ok([]) => p.hint { (texts::NO_WEBHOOKS_TITLE) },
                Ok(endpoints) => (health(&visit, endpoints, &backlogs)),
            }
        }
    };
    Ok(visit.page(200, texts::OVERVIEW, &body))
}

/// The first endpoints with what is not delivered to them. One that was deleted in the meantime is left out.
async fn backlogs(visit: &Visit, endpoints: &[Value]) -> Result<Vec<Value>, Refusal> {
    let read = |endpoint: &Value| visit.get(format!("/v1/webhooks/{}", text(endpoint, "id")));
    let answers = future::join_all(endpoints.iter().take(MAX_WEBHOOKS).map(read)).await;
    let answers = answers.into_iter().map(|answer| Ok(answer?.part()?.ok())).collect::<Result<Vec<_>, Refusal>>()?;
    Ok(answers.into_iter().flatten().collect())
}

/// A chart: the image is loaded after the page, and leads to its figures.
fn figure(visit: &Visit, chart: Chart) -> Markup {
    let path = visit.path(&format!("/charts/{}", chart.as_str()));
    html! {
        figure {
            figcaption { (chart.title()) }
            a href=(path) { img src={ (path) ".svg" } alt=(texts::figures_of(chart.title())) width="640" height="180"; }
        }
    }
}

fn health(visit: &Visit, endpoints: &[Value], backlogs: &[Value]) -> Markup {
    let count = |is_one: fn(&Value) -> bool| endpoints.iter().filter(|endpoint| is_one(endpoint)).count();
    let failing = count(|endpoint| endpoint["failing_since"].is_string());
    let disabled = count(|endpoint| endpoint["status"] == "disabled");
    html! {
        p { (texts::webhook_health(endpoints.len(), failing, disabled)) }
        table.stacked {
            thead {
                tr {
                    th scope="col" { (texts::WEBHOOK) }
                    th scope="col" { (texts::STATUS) }
                    th scope="col" { (texts::BACKLOG) }
                }
            }
            tbody {
                @for endpoint in backlogs {
                    @let (events, age) = (&endpoint["backlog"]["events"], &endpoint["backlog"]["oldest_seconds"]);
                    @let status = if endpoint["failing_since"].is_string() { "failing" } else { text(endpoint, "status") };
                    tr {
                        th scope="row" {
                            a data-row href=(visit.path(&format!("/developers/webhooks/{}", text(endpoint, "id")))) {
                                (text(endpoint, "url"))
                            }
                        }
                        td data-label=(texts::STATUS) { span.badge.quiet[status != "active"] { (texts::status(status)) } }
                        td data-label=(texts::BACKLOG) { (texts::backlog(events.as_i64().unwrap_or(0), age.as_u64().unwrap_or(0))) }
                    }
                }
            }
        }
        @if endpoints.len() > MAX_WEBHOOKS { p { a href=(visit.path("/developers/webhooks")) { (texts::ALL_WEBHOOKS) } } }
    }
}
