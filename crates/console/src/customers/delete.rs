//! Deleting a customer, with a page that asks first.

use std::rc::Rc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::http::header;
use maud::html;

use super::{edit, text, title};
use crate::refusal::Refusal;
use crate::visit::Visit;
use crate::{layout, respond, texts};

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
    let here = format!("/customers/{}", text(customer, "id"));
    let body = html! {
        div.narrow {
            h1 { (texts::DELETE_TITLE) }
            @if let Some(fault) = fault { p.fault role="alert" { (fault) } }
            p { strong { (title(customer)) } " " (text(customer, "email")) }
            p { (texts::DELETE_WARNING) }
            form method="post" action=(visit.path(&format!("{here}/delete"))) {
                (layout::token(&visit.place))
                input type="hidden" name="etag" value=(stored.etag.as_deref().unwrap_or_default());
                div.actions {
                    button.danger type="submit" { (texts::DELETE_CONFIRM) }
                    a.button href=(visit.path(&here)) { (texts::CANCEL) }
                }
            }
        }
    };
    Ok(respond::page(status, layout::page(&visit.place, texts::DELETE_TITLE, &body)))
}
