//! What is done with a webhook endpoint: another secret, a test event, events again, and deleting it.

use std::rc::Rc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use maud::html;
use serde_json::json;

use super::{page, webhook};
use crate::api::text;
use crate::input::overlap_body;
use crate::layout::{Question, secret};
use crate::refusal::Refusal;
use crate::visit::Visit;
use crate::{respond, texts};

/// `POST /console/{environment}/developers/webhooks/{id}/rotate`
pub(crate) async fn rotate(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let id = visit.id()?;
    let request = visit.request(Method::POST, format!("/v1/webhooks/{id}/rotate_secret"));
    let rotated = visit.send(request.with_json(overlap_body(&visit.form))).await?.ok()?.body;
    let path = format!("/developers/webhooks/{id}");
    let back = (path.as_str(), texts::SHOW_WEBHOOK);
    let body = secret(&visit, texts::SECRET_ROTATED, texts::SECRET, text(&rotated, "secret"), back);
    Ok(page(&visit, 201, texts::SECRET_ROTATED, &body))
}

/// `POST /console/{environment}/developers/webhooks/{id}/test`
pub(crate) async fn test(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let id = visit.id()?;
    let request = visit.request(Method::POST, format!("/v1/webhooks/{id}/test")).with_json("{}".to_owned());
    let attempt = visit.send(request).await?.ok()?.body;
    let notice = if text(&attempt, "outcome") == "delivered" { "test_delivered" } else { "test_failed" };
    Ok(respond::see_other(&visit.path(&format!("/developers/webhooks/{id}?notice={notice}"))))
}

/// `POST /console/{environment}/developers/webhooks/{id}/replay`
pub(crate) async fn replay(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let id = visit.id()?;
    let (from, event) = (visit.form.get("from_seq").trim(), visit.form.get("event_id").trim());
    // A text that is no number is left to the API, which says what is wrong with it.
    let from = from.parse::<i64>().map_or_else(|_| json!(from), |from| json!(from));
    let body = if event.is_empty() { json!({ "from_seq": from }) } else { json!({ "event_id": event }) };
    let request = visit.request(Method::POST, format!("/v1/webhooks/{id}/replay")).with_json(body.to_string());
    match visit.send(request).await?.of_form()? {
        Err(problem) => webhook::with_problem(&visit, Some(&problem)).await,
        Ok(_) => Ok(respond::see_other(&visit.path(&format!("/developers/webhooks/{id}?notice=replay")))),
    }
}

/// `GET /console/{environment}/developers/webhooks/{id}/delete`
pub(crate) async fn show_delete(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let id = visit.id()?;
    let endpoint = visit.get(format!("/v1/webhooks/{id}")).await?.ok()?.body;
    let question = Question {
        title: texts::DELETE_WEBHOOK_TITLE,
        subject: html! { strong { (text(&endpoint, "url")) } " " (text(&endpoint, "description")) },
        warning: texts::DELETE_WEBHOOK_WARNING,
        fields: html! {},
        confirm: texts::DELETE_WEBHOOK,
        is_dangerous: true,
        back: &format!("/developers/webhooks/{id}"),
    };
    Ok(page(&visit, 200, texts::DELETE_WEBHOOK_TITLE, &question.ask(&visit)))
}

/// `POST /console/{environment}/developers/webhooks/{id}/delete`
pub(crate) async fn delete(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    visit.send(visit.request(Method::DELETE, format!("/v1/webhooks/{}", visit.id()?))).await?.ok()?;
    Ok(respond::see_other(&visit.path("/developers/webhooks?notice=webhook_deleted")))
}
