//! The list of customers.

use std::rc::Rc;

use actix_web::HttpResponse;
use maud::{Markup, html};
use serde_json::Value;

use super::{badge, title};
use crate::api::{Problem, items, text};
use crate::form::Form;
use crate::input;
use crate::layout::{notice, or_none, pages, time};
use crate::refusal::Refusal;
use crate::visit::Visit;
use crate::{layout, texts, updates};

/// The parameters of the page besides `cursor` and `search`, in the order of the form.
const FILTERS: [&str; 6] = ["status", "order", "created_from", "created_to", "metadata_key", "metadata_value"];

/// `GET /console/{environment}/customers`
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let updates = updates::address(&visit).await?;
    let answer = visit.get(format!("/v1/customers{}", api_query(&visit.query))).await?;
    let (status, problem, page) = answer.of_list()?;
    let body = html! {
        div.title {
            h1 { (texts::CUSTOMERS) }
            a.button.primary href=(visit.path("/customers/new")) data-key="n" { (texts::NEW_CUSTOMER) }
        }
        (notice(&visit))
        (filters(&visit, problem.as_ref()))
        (results(&visit, updates.as_deref(), problem.as_ref(), &page))
    };
    Ok(visit.page(status, texts::CUSTOMERS, &body))
}

/// The query of the API for that of the page.
fn api_query(query: &Form) -> String {
    let day = |name: &str, time: &str| match query.get(name) {
        "" => String::new(),
        // A whole time is left as it is.
        day if day.len() > 10 => day.to_owned(),
        day => format!("{day}T{time}Z"),
    };
    let key = query.get("metadata_key");
    let metadata = if key.is_empty() { String::new() } else { format!("metadata[{key}]") };
    Form::default()
        .with("search", query.get("search").trim())
        .with("status", query.get("status"))
        .with("order", query.get("order"))
        .with("created_after", &day("created_from", "00:00:00"))
        .with("created_before", &day("created_to", "23:59:59.999"))
        .with(&metadata, query.get("metadata_value"))
        .with("cursor", query.get("cursor"))
        .query()
}

fn filters(visit: &Visit, problem: Option<&Problem>) -> Markup {
    let query = &visit.query;
    let is_open = FILTERS.into_iter().any(|name| query.has(name));
    let choice =
        |name: &str, label: &str, choices: &[(&str, &str)]| input::choice(name, label, query.get(name), choices);
    let line = |name: &str, label: &str, kind: &str, parameter: &str| {
        let fault = problem.and_then(|problem| problem.faults.iter().find(|fault| fault.place.starts_with(parameter)));
        let fault_id = format!("{name}-fault");
        html! {
            div.field {
                label for=(name) { (label) }
                input id=(name) type=(kind) name=(name) value=(query.get(name)) autocomplete="off"
                    aria-invalid=[fault.map(|_| "true")] aria-describedby=[fault.map(|_| fault_id.as_str())];
                @if let Some(fault) = fault { p.fault id=(fault_id) { (fault.detail) } }
            }
        }
    };
    html! {
        form #filters method="get" role="search" aria-label=(texts::CUSTOMERS) {
            div.search {
                label.visually-hidden for="search" { (texts::SEARCH) }
                input #search type="search" name="search" value=(query.get("search")) placeholder=(texts::SEARCH_HINT)
                    autocomplete="off" spellcheck="false" data-key="/";
                button type="submit" { (texts::SEARCH) }
            }
            details open[is_open] {
                summary { (texts::FILTERS) }
                div.fields {
                    (choice("status", texts::STATUS, &[
                        ("", texts::ANY), ("active", texts::status("active")), ("archived", texts::status("archived")),
                    ]))
                    (choice("order", texts::ORDER, &[("", texts::NEWEST_FIRST), ("asc", texts::OLDEST_FIRST)]))
                    (line("created_from", texts::CREATED_FROM, "date", "created_after"))
                    (line("created_to", texts::CREATED_TO, "date", "created_before"))
                    (line("metadata_key", texts::METADATA_KEY, "text", "metadata"))
                    (line("metadata_value", texts::METADATA_VALUE, "text", "metadata_value"))
                    div.field.end {
                        button type="submit" { (texts::APPLY) }
                        " " a href=(visit.path("/customers")) { (texts::CLEAR_FILTERS) }
                    }
                }
            }
        }
    }
}

/// What the script replaces as the visitor types, and when a customer has changed.
fn results(visit: &Visit, updates: Option<&str>, problem: Option<&Problem>, page: &Value) -> Markup {
    let customers = items(page);
    html! {
        section #results aria-label=(texts::CUSTOMERS) data-summary=(texts::shown(customers.len()))
            data-updates=[updates] {
            @match problem {
                Some(problem) => div.empty {
                    h2 { (texts::LIST_REFUSED_TITLE) }
                    p role="alert" {
                        @for fault in &problem.faults { (fault.detail) " " }
                        @if problem.faults.is_empty() { (problem.detail) }
                    }
                    p { a href=(visit.path("/customers")) { (texts::CLEAR_FILTERS) } }
                },
                None if customers.is_empty() => (empty(visit, page)),
                None => (table(visit, customers)),
            }
            (pages(visit, "/customers", "cursor", page))
        }
    }
}

fn table(visit: &Visit, customers: &[Value]) -> Markup {
    let columns = [texts::CUSTOMER, texts::EMAIL, texts::EXTERNAL_ID, texts::STATUS, texts::CREATED];
    layout::table(
        &columns,
        customers.iter().map(|customer| {
            let path = visit.path(&format!("/customers/{}", text(customer, "id")));
            vec![
                html! { a data-row href=(path) { (title(customer)) } },
                html! { (or_none(text(customer, "email"))) },
                html! { (or_none(text(customer, "external_id"))) },
                badge(customer),
                time(customer, "created_at"),
            ]
        }),
    )
}

fn empty(visit: &Visit, page: &Value) -> Markup {
    let is_filtered = visit.query.has("search") || FILTERS.into_iter().any(|name| visit.query.has(name));
    let (title, text) = match page["has_more"].as_bool() {
        Some(true) => (texts::NO_MATCH_TITLE, texts::NO_MORE_HERE),
        _ if is_filtered || visit.query.has("cursor") => (texts::NO_MATCH_TITLE, texts::NO_MATCH),
        _ => (texts::NO_CUSTOMERS_TITLE, texts::NO_CUSTOMERS),
    };
    html! {
        div.empty {
            h2 { (title) }
            p { (text) }
            @if is_filtered { p { a href=(visit.path("/customers")) { (texts::CLEAR_FILTERS) } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_asks_the_api_for_what_its_form_says() {
        let page = "search=+ada+&status=active&order=asc&created_from=2026-11-01&created_to=2026-11-30\
                    &metadata_key=plan&metadata_value=pro&cursor=c&notice=saved&other=x";
        assert_eq!(
            api_query(&Form::parse(page.as_bytes())),
            "?search=ada&status=active&order=asc&created_after=2026-11-01T00%3A00%3A00Z\
             &created_before=2026-11-30T23%3A59%3A59.999Z&metadata%5Bplan%5D=pro&cursor=c"
        );
        assert_eq!(api_query(&Form::default()), "");
    }
}
