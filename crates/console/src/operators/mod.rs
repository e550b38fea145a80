//! Pages for operators: merchants, their API keys, the operator log and the service. They call the API of operators, `/admin/v1`,
//! with the key of an operator, and see nothing of customers. A visitor whose role is `read` sees the lists without their forms and
//! buttons; what a form changes is protected by the API.

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
use maud::html;
use serde_json::Value;

use crate::api::Problem;
use crate::input::{Line, line, summary};
use crate::refusal::Refusal;
use crate::visit::Visit;
use crate::{layout, texts};

/// The merchant whose identifier is `id` in the path.
async fn merchant_of(visit: &Visit) -> Result<Value, Refusal> {
    Ok(visit.get(api_path(visit, "")?).await?.ok()?.body)
}

/// A path of the API below the merchant of the path.
fn api_path(visit: &Visit, below: &str) -> Result<String, Refusal> {
    Ok(format!("/admin/v1/merchants/{}{below}", visit.id()?))
}

/// A path of the area below the merchant of the path.
fn of_merchant(visit: &Visit, below: &str) -> Result<String, Refusal> {
    Ok(format!("/merchants/{}{below}", visit.id()?))
}

/// The form with the name of a merchant. It is sent to the path of the page.
struct NameForm<'a> {
    title: &'a str,
    submit: &'a str,
    /// The page that the visitor goes back to.
    back: &'a str,
}

impl NameForm<'_> {
    fn page(&self, visit: &Visit, value: &str, problem: Option<&Problem>) -> HttpResponse {
        let name = Line { name: "name", label: texts::NAME, kind: "text", hint: "", value, is_required: true };
        let body = html! {
            div.narrow {
                h1 { (self.title) }
                form.sheet method="post" action=(visit.place.request.path()) novalidate {
                    (layout::token(&visit.place))
                    (summary(problem))
                    (line(&name, problem))
                    (layout::actions(visit, self.submit, self.back))
                }
            }
        };
        visit.page(Problem::status_of(problem), self.title, &body)
    }
}
