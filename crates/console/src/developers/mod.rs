//! Pages for developers: API keys, webhook endpoints, events, files of customers, and where the API is described.

pub(crate) mod events;
pub(crate) mod exports;
pub(crate) mod imports;
mod input;
pub(crate) mod key;
pub(crate) mod keys;
pub(crate) mod new_key;
pub(crate) mod start;
pub(crate) mod webhook;
pub(crate) mod webhook_actions;
pub(crate) mod webhook_form;
pub(crate) mod webhooks;

use actix_web::HttpResponse;
use maud::{Markup, html};
use serde_json::Value;

use crate::visit::Visit;
use crate::{form, layout, respond, texts};

/// The parts of this section: the path below the environment, the name.
const PARTS: [(&str, &str); 5] = [
    (START, texts::API),
    ("/developers/keys", texts::API_KEYS),
    ("/developers/webhooks", texts::WEBHOOKS),
    ("/developers/events", texts::EVENTS),
    ("/developers/imports", texts::IMPORTS),
];

/// The first page of this section.
const START: &str = "/developers";

/// A page of this section, with links to its parts.
fn page(visit: &Visit, status: u16, title: &str, body: &Markup) -> HttpResponse {
    let here = visit.place.request.path();
    let is_current = |part: &str, path: &str| if part == START { here == path } else { here.starts_with(path) };
    let body = html! {
        nav.parts aria-label=(texts::DEVELOPERS) {
            @for (part, name) in PARTS {
                @let path = visit.path(part);
                a href=(path) aria-current=[is_current(part, &path).then_some("page")] { (name) }
            }
        }
        (body)
    };
    respond::page(status, layout::page(&visit.place, title, &body))
}

/// A page with a secret that is shown once: it is in the answer to the form that made it, and in no URL.
fn secret(visit: &Visit, title: &str, label: &str, secret: &str, back: (&str, &str)) -> HttpResponse {
    let (path, name) = back;
    let body = html! {
        div.narrow {
            h1 { (title) }
            p.note role="status" { (texts::SHOWN_ONCE) }
            (layout::code(label, secret))
            p { a.button href=(visit.path(path)) { (name) } }
        }
    };
    page(visit, 201, title, &body)
}

/// The items of a page of a list.
fn items(page: &Value) -> &[Value] {
    page["data"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The links to the first and the next page of a list. `parameter` is the one of this page that has the cursor.
fn pages(visit: &Visit, path: &str, parameter: &str, page: &Value) -> Markup {
    let query = visit.query.clone().with("notice", "");
    let link = |cursor: &str| visit.path(&format!("{path}{}", query.clone().with(parameter, cursor).query()));
    let next = page["next_cursor"].as_str();
    html! {
        @if next.is_some() || query.has(parameter) {
            nav.pages aria-label=(texts::PAGES) {
                @if query.has(parameter) { a.button href=(link("")) { (texts::FIRST_PAGE) } }
                @if let Some(next) = next { a.button href=(link(next)) rel="next" { (texts::NEXT_PAGE) } }
            }
        }
    }
}

/// The query of the API for the page of a list with this cursor.
fn cursor(cursor: &str) -> String {
    form::query([("cursor", cursor)])
}

/// A time of a value; a dash if there is none.
fn time(value: &Value, name: &str) -> Markup {
    value[name].as_str().map_or_else(|| html! { (texts::NONE) }, layout::time)
}

/// Texts in one line.
fn joined(list: &Value) -> String {
    let texts: Vec<_> = list.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    texts.join(", ")
}
