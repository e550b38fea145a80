//! Deleting a customer, with a page that asks first.

use std::rc::Rc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::http::header;
use maud::html;

use super::{edit, title};
use crate::api::text;
use crate::layout::Question;
use crate::refusal::Refusal;
use crate::visit::Visit;
use crate::{respond, texts};

/// `GET /console/{environment}/customers/{id}/delete`
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    page(&visit, 200, None).await
}

/// `POST /console/{environment}/customers/{id}/delete`
pub(crate) async fn submit(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let request = visit.request(Method::DELETE, format!("/v1/customers/{}", visit.id()?));
    let answer = visit.send(request.with(header::IF_MATCH, visit.form.get("etag"))).await?;
    if answer.status == 412 {
        return page(&visit, 409, Some(texts::DELETE_CHANGED)).await;
    }
    answer.ok()?;
    Ok(respond::see_other(&visit.path("/customers?notice=deleted")))
}

async fn page(visit: &Visit, status: u16, fault: Option<&str>) -> Result<HttpResponse, Refusal> {
    let stored = edit::stored(visit).await?;
    let customer = &stored.body;
    let question = Question {
        title: texts::DELETE_TITLE,
        subject: html! { strong { (title(customer)) } " " (text(customer, "email")) },
        warning: texts::DELETE_WARNING,
        fields: html! {
            input type="hidden" name="etag" value=(stored.etag.as_deref().unwrap_or_default());
            @if let Some(fault) = fault { p.fault role="alert" { (fault) } }
        },
        confirm: texts::DELETE_CONFIRM,
        is_dangerous: true,
        back: &format!("/customers/{}", text(customer, "id")),
    };
    Ok(visit.page(status, texts::DELETE_TITLE, &question.ask(visit)))
}
