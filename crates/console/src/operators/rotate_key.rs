//! Another API key in the place of one.

use std::rc::Rc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use maud::html;
use serde_json::json;

use super::{Question, api_path, merchant_of, secret, text};
use crate::refusal::Refusal;
use crate::texts::operators as texts;
use crate::visit::Visit;

/// `GET /console/operators/merchants/{id}/keys/{key}/rotate`
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let merchant = merchant_of(&visit).await?;
    let question = Question {
        title: texts::ROTATE_TITLE,
        subject: html! { code { (visit.id_of("key")?) } " · " (text(&merchant, "name")) },
        warning: texts::ROTATE_WARNING,
        more: html! {
            div.field {
                label for="overlap" { (texts::OVERLAP) }
                select #overlap name="overlap" {
                    @for (seconds, name) in texts::OVERLAPS { option value=(seconds) { (name) } }
                }
            }
        },
        confirm: texts::ROTATE_CONFIRM,
        is_dangerous: false,
    };
    question.page(&visit)
}

/// `POST /console/operators/merchants/{id}/keys/{key}/rotate`
pub(crate) async fn submit(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let uri = api_path(&visit, &format!("/api_keys/{}/rotate", visit.id_of("key")?))?;
    let request = visit.request(Method::POST, uri);
    // A form whose overlap is no number gets the default of the API.
    let overlap = visit.form.get("overlap").parse::<u64>().ok();
    let body = json!({ "overlap_seconds": overlap }).to_string();
    secret(&visit, &visit.send(request.with_json(body)).await?.ok()?.body)
}
