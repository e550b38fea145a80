//! What is done with a webhook endpoint: another secret, a test event, events again, and deleting it.

use std::rc::Rc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use maud::html;
use serde_json::json;

use super::{page, secret, webhook};
use crate::customers::text;
use crate::refusal::Refusal;
use crate::visit::Visit;
use crate::{layout, respond, texts};

/// `POST /console/{environment}/developers/webhooks/{id}/rotate`
pub(crate) async fn rotate(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let id = visit.id()?;
    let overlap: Option<u64> = visit.form.get("overlap_seconds").parse().ok();
    let body = json!({ "overlap_seconds": overlap }).to_string();
    let request = visit.request(Method::POST, format!("/v1/webhooks/{id}/rotate_secret")).with_json(body);
    let rotated = visit.send(request).await?.ok()?.body;
    let path = format!("/developers/webhooks/{id}");
    let back = (path.as_str(), texts::SHOW_WEBHOOK);
    Ok(secret(&visit, texts::SECRET_ROTATED, texts::SECRET, text(&rotated, "secret"), back))
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
    let answer = visit.send(request).await?;
    match answer.status {
        400 | 409 | 422 => webhook::with_problem(&visit, answer.status, Some(&answer.problem())).await,
        _ => {
            answer.ok()?;
            Ok(respond::see_other(&visit.path(&format!("/developers/webhooks/{id}?notice=replay"))))
        }
    }
}

/// `GET /console/{environment}/developers/webhooks/{id}/delete`
pub(crate) async fn show_delete(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let id = visit.id()?;
    let endpoint = visit.get(format!("/v1/webhooks/{id}")).await?.ok()?.body;
    let body = html! {
        div.narrow {
            h1 { (texts::DELETE_WEBHOOK_TITLE) }
            p { strong { (text(&endpoint, "url")) } " " (text(&endpoint, "description")) }
            p { (texts::DELETE_WEBHOOK_WARNING) }
            form.actions method="post" action=(visit.path(&format!("/developers/webhooks/{id}/delete"))) {
                (layout::token(&visit.place))
                button.danger type="submit" { (texts::DELETE_WEBHOOK) }
                a.button href=(visit.path(&format!("/developers/webhooks/{id}"))) { (texts::CANCEL) }
            }
        }
    };
    Ok(page(&visit, 200, texts::DELETE_WEBHOOK_TITLE, &body))
}

/// `POST /console/{environment}/developers/webhooks/{id}/delete`
pub(crate) async fn delete(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    visit.send(visit.request(Method::DELETE, format!("/v1/webhooks/{}", visit.id()?))).await?.ok()?;
    Ok(respond::see_other(&visit.path("/developers/webhooks?notice=webhook_deleted")))
}
