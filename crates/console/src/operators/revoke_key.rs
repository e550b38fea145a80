//! Revoking an API key, with a page that asks first.

use std::rc::Rc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use maud::html;

use super::{Question, api_path, merchant_of, path, text};
use crate::refusal::Refusal;
use crate::respond;
use crate::texts::operators as texts;
use crate::visit::Visit;

/// `GET /console/operators/merchants/{id}/keys/{key}/revoke`
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let merchant = merchant_of(&visit).await?;
    let question = Question {
        title: texts::REVOKE_TITLE,
        subject: html! { code { (visit.id_of("key")?) } " · " (text(&merchant, "name")) },
        warning: texts::REVOKE_WARNING,
        more: html! {},
        confirm: texts::REVOKE_CONFIRM,
        is_dangerous: true,
    };
    question.page(&visit)
}

/// `POST /console/operators/merchants/{id}/keys/{key}/revoke`
pub(crate) async fn submit(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let uri = api_path(&visit, &format!("/api_keys/{}", visit.id_of("key")?))?;
    visit.send(visit.request(Method::DELETE, uri)).await?.ok()?;
    Ok(respond::see_other(&path(&visit, "?notice=revoked")?))
}
