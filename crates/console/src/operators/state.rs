//! Disabling a merchant and enabling it again, each with a page that asks first.

use std::rc::Rc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use maud::html;

use super::{api_path, merchant_of, of_merchant};
use crate::api::text;
use crate::layout::Question;
use crate::refusal::Refusal;
use crate::respond;
use crate::texts::operators as texts;
use crate::visit::Visit;

/// `GET /console/operators/merchants/{id}/disable`
pub(crate) async fn show_disable(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let (warning, confirm) = (texts::DISABLE_WARNING, texts::DISABLE_CONFIRM);
    ask(&visit, texts::DISABLE_TITLE, warning, confirm, true).await
}

/// `POST /console/operators/merchants/{id}/disable`
pub(crate) async fn disable(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    change(&visit, "/disable", "?notice=disabled").await
}

/// `GET /console/operators/merchants/{id}/enable`
pub(crate) async fn show_enable(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let (warning, confirm) = (texts::ENABLE_WARNING, texts::ENABLE_CONFIRM);
    ask(&visit, texts::ENABLE_TITLE, warning, confirm, false).await
}

/// `POST /console/operators/merchants/{id}/enable`
pub(crate) async fn enable(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    change(&visit, "/enable", "?notice=enabled").await
}

async fn ask(
    visit: &Visit,
    title: &str,
    warning: &str,
    confirm: &str,
    is_dangerous: bool,
) -> Result<HttpResponse, Refusal> {
    let merchant = merchant_of(visit).await?;
    let subject = html! { strong { (text(&merchant, "name")) } " " code { (text(&merchant, "id")) } };
    let back = &of_merchant(visit, "")?;
    let question = Question { title, subject, warning, fields: html! {}, confirm, is_dangerous, back };
    Ok(visit.page(200, title, &question.ask(visit)))
}

async fn change(visit: &Visit, below: &str, notice: &str) -> Result<HttpResponse, Refusal> {
    visit.send(visit.request(Method::POST, api_path(visit, below)?)).await?.ok()?;
    Ok(respond::see_other(&visit.path(&of_merchant(visit, notice)?)))
}
