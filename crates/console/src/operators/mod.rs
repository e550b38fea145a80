//! Pages for operators: merchants, their API keys, the operator log and the service. They call the API of operators, `/admin/v1`,
//! with the key of an operator, and see nothing of customers. A visitor whose role is `read` sees the same pages; the API refuses the
//! forms, and the page says so.

mod input;
pub(crate) mod log;
pub(crate) mod merchant;
pub(crate) mod merchants;
pub(crate) mod new_key;
pub(crate) mod new_merchant;
pub(crate) mod rename;
pub(crate) mod revoke_key;
pub(crate) mod rotate_key;
pub(crate) mod service;
pub(crate) mod state;

use actix_web::HttpResponse;
use maud::{Markup, html};
use serde_json::Value;

use crate::refusal::Refusal;
use crate::texts::operators as texts;
use crate::visit::Visit;
use crate::{layout, respond};

/// Answers with a page.
fn page(visit: &Visit, status: u16, title: &str, body: &Markup) -> HttpResponse {
    respond::page(status, layout::page(&visit.place, title, body))
}

/// The merchant whose identifier is `id` in the path.
async fn merchant_of(visit: &Visit) -> Result<Value, Refusal> {
    Ok(visit.get(api_path(visit, "")?).await?.ok()?.body)
}

/// A path of the API below the merchant of the path.
fn api_path(visit: &Visit, below: &str) -> Result<String, Refusal> {
    Ok(format!("/admin/v1/merchants/{}{below}", visit.id()?))
}

/// A path of the console below the merchant of the path.
fn path(visit: &Visit, below: &str) -> Result<String, Refusal> {
    Ok(visit.path(&format!("/merchants/{}{below}", visit.id()?)))
}

/// A text of a value; empty if it has none.
fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// A time of a value; a dash if it has none.
fn time(value: &Value, name: &str) -> Markup {
    value[name].as_str().map_or_else(|| html! { (crate::texts::NONE) }, layout::time)
}

/// The items of a page of a list.
fn items(page: &Value) -> &[Value] {
    page["data"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The links to the first and the next page of the list at `path`.
fn pages(visit: &Visit, path: &str, page: &Value) -> Markup {
    let query = visit.query.clone().with("notice", "");
    let link = |cursor: &str| format!("{path}{}", query.clone().with("cursor", cursor).query());
    let next = page["next_cursor"].as_str();
    html! {
        @if next.is_some() || query.has("cursor") {
            nav.pages aria-label=(crate::texts::PAGES) {
                @if query.has("cursor") { a.button href=(link("")) { (crate::texts::FIRST_PAGE) } }
                @if let Some(next) = next { a.button href=(link(next)) rel="next" { (crate::texts::NEXT_PAGE) } }
            }
        }
    }
}

/// The note that a form which was done leads to.
fn notice(visit: &Visit) -> Markup {
    html! {
        @if let Some(text) = texts::notice(visit.query.get("notice")) { p.note role="status" { (text) } }
    }
}

/// A page with the secret of a new key. It is in the answer to the form that made it, and in no address.
fn secret(visit: &Visit, made: &Value) -> Result<HttpResponse, Refusal> {
    let body = html! {
        div.narrow {
            h1 { (texts::KEY_CREATED) }
            p.note role="status" { (texts::SHOWN_ONCE) }
            (layout::code(crate::texts::API_KEY, text(made, "key")))
            p { a.button href=(path(visit, "")?) { (texts::BACK_TO_MERCHANT) } }
        }
    };
    Ok(page(visit, 201, texts::KEY_CREATED, &body))
}

/// A page that asks before it does something, and a form that does it. `more` is a part of the form.
struct Question<'a> {
    title: &'a str,
    /// What it is done to.
    subject: Markup,
    warning: &'a str,
    more: Markup,
    confirm: &'a str,
    is_dangerous: bool,
}

impl Question<'_> {
    fn page(&self, visit: &Visit) -> Result<HttpResponse, Refusal> {
        let class = if self.is_dangerous { "danger" } else { "primary" };
        let body = html! {
            div.narrow {
                h1 { (self.title) }
                p { (self.subject) }
                p { (self.warning) }
                form.sheet method="post" action=(visit.place.request.path()) {
                    (layout::token(&visit.place))
                    (self.more)
                    div.actions {
                        button class=(class) type="submit" { (self.confirm) }
                        a.button href=(path(visit, "")?) { (crate::texts::CANCEL) }
                    }
                }
            }
        };
        Ok(page(visit, 200, self.title, &body))
    }
}
