//! A new merchant.

use std::rc::Rc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use maud::html;
use serde_json::json;

use super::input::{Line, line, summary};
use super::{page, text};
use crate::api::Problem;
use crate::refusal::Refusal;
use crate::texts::operators as texts;
use crate::visit::Visit;
use crate::{layout, respond};

/// `GET /console/operators/merchants/new`
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    Ok(form(&visit, 200, None))
}

/// `POST /console/operators/merchants/new`
pub(crate) async fn submit(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let body = json!({ "name": visit.form.get("name") }).to_string();
    let request = visit.request(Method::POST, "/admin/v1/merchants".to_owned()).with_json(body);
    let answer = visit.send(request).await?;
    match answer.status {
        400 | 422 => Ok(form(&visit, 422, Some(&answer.problem()))),
        _ => {
            let made = answer.ok()?.body;
            Ok(respond::see_other(&visit.path(&format!("/merchants/{}?notice=created", text(&made, "id")))))
        }
    }
}

fn form(visit: &Visit, status: u16, problem: Option<&Problem>) -> HttpResponse {
    let value = visit.form.get("name");
    let name = Line { name: "name", label: texts::NAME, kind: "text", hint: "", value, is_required: true };
    let body = html! {
        div.narrow {
            h1 { (texts::NEW_MERCHANT) }
            form.sheet method="post" action=(visit.path("/merchants/new")) novalidate {
                (layout::token(&visit.place))
                (summary(problem))
                (line(&name, problem))
                div.actions {
                    button.primary type="submit" { (texts::CREATE_MERCHANT) }
                    a.button href=(visit.path("/merchants")) { (crate::texts::CANCEL) }
                }
            }
        }
    };
    page(visit, status, texts::NEW_MERCHANT, &body)
}
