//! Revoking an API key, with a page that asks first.

use std::rc::Rc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use maud::html;

use super::{api_path, merchant_of, of_merchant};
use crate::api::text;
use crate::layout::Question;
use crate::refusal::Refusal;
use crate::visit::Visit;
use crate::{respond, texts};

/// `GET /console/operators/merchants/{id}/keys/{key}/revoke`
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let merchant = merchant_of(&visit).await?;
    let question = Question {
        title: texts::REVOKE_TITLE,
        subject: html! { code { (visit.id_of("key")?) } " · " (text(&merchant, "name")) },
        warning: texts::REVOKE_WARNING,
        fields: html! {},
        confirm: texts::REVOKE,
        is_dangerous: true,
        back: &of_merchant(&visit, "")?,
    };
    Ok(visit.page(200, texts::REVOKE_TITLE, &question.ask(&visit)))
}

/// `POST /console/operators/merchants/{id}/keys/{key}/revoke`
pub(crate) async fn submit(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let uri = api_path(&visit, &format!("/api_keys/{}", visit.id_of("key")?))?;
    visit.send(visit.request(Method::DELETE, uri)).await?.ok()?;
    Ok(respond::see_other(&visit.path(&of_merchant(&visit, "?notice=revoked")?)))
}
