//! Another API key in the place of one.

use std::rc::Rc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use maud::html;

use super::{api_path, merchant_of, of_merchant};
use crate::api::text;
use crate::input::{overlap, overlap_body};
use crate::layout::{Question, secret};
use crate::refusal::Refusal;
use crate::texts;
use crate::visit::Visit;

/// `GET /console/operators/merchants/{id}/keys/{key}/rotate`
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let merchant = merchant_of(&visit).await?;
    let question = Question {
        title: texts::ROTATE_KEY,
        subject: html! { code { (visit.id_of("key")?) } " · " (text(&merchant, "name")) },
        warning: texts::ROTATE_KEY_HINT,
        fields: overlap(),
        confirm: texts::operators::ROTATE_CONFIRM,
        is_dangerous: false,
        back: &of_merchant(&visit, "")?,
    };
    Ok(visit.page(200, texts::ROTATE_KEY, &question.ask(&visit)))
}

/// `POST /console/operators/merchants/{id}/keys/{key}/rotate`
pub(crate) async fn submit(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let uri = api_path(&visit, &format!("/api_keys/{}/rotate", visit.id_of("key")?))?;
    let request = visit.request(Method::POST, uri).with_json(overlap_body(&visit.form));
    let made = visit.send(request).await?.ok()?.body;
    let back = (&*of_merchant(&visit, "")?, texts::operators::BACK_TO_MERCHANT);
    let body = secret(&visit, texts::KEY_ROTATED, texts::API_KEY, text(&made, "key"), back);
    Ok(visit.page(201, texts::KEY_ROTATED, &body))
}
