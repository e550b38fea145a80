//! Another name for a merchant.

use std::rc::Rc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use maud::html;
use serde_json::json;

use super::input::{Line, line, summary};
use super::{api_path, merchant_of, page, path, text};
use crate::api::Problem;
use crate::refusal::Refusal;
use crate::texts::operators as texts;
use crate::visit::Visit;
use crate::{layout, respond};

/// `GET /console/operators/merchants/{id}/rename`
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let merchant = merchant_of(&visit).await?;
    form(&visit, 200, text(&merchant, "name"), None)
}

/// `POST /console/operators/merchants/{id}/rename`
pub(crate) async fn submit(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let name = visit.form.get("name");
    let request = visit.request(Method::PATCH, api_path(&visit, "")?);
    let answer = visit.send(request.with_json(json!({ "name": name }).to_string())).await?;
    match answer.status {
        400 | 422 => form(&visit, 422, name, Some(&answer.problem())),
        _ => {
            answer.ok()?;
            Ok(respond::see_other(&path(&visit, "?notice=renamed")?))
        }
    }
}

fn form(visit: &Visit, status: u16, value: &str, problem: Option<&Problem>) -> Result<HttpResponse, Refusal> {
    let name = Line { name: "name", label: texts::NAME, kind: "text", hint: "", value, is_required: true };
    let body = html! {
        div.narrow {
            h1 { (texts::RENAME_TITLE) }
            form.sheet method="post" action=(path(visit, "/rename")?) novalidate {
                (layout::token(&visit.place))
                (summary(problem))
                (line(&name, problem))
                div.actions {
                    button.primary type="submit" { (texts::RENAME) }
                    a.button href=(path(visit, "")?) { (crate::texts::CANCEL) }
                }
            }
        }
    };
    Ok(page(visit, status, texts::RENAME_TITLE, &body))
}
