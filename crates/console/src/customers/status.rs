//! Archiving a customer, and making it active again.

use std::rc::Rc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::http::header;
use serde_json::json;

use crate::refusal::Refusal;
use crate::respond;
use crate::visit::Visit;

/// `POST /console/{environment}/customers/{id}/status`
pub(crate) async fn submit(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let id = visit.id()?;
    let status = visit.form.get("status");
    let body = json!({ "status": status }).to_string();
    let request = visit.request(Method::PATCH, format!("/v1/customers/{id}")).with_json(body);
    let answer = visit.send(request.with(header::IF_MATCH, visit.form.get("etag"))).await?;
    let notice = if answer.status == 412 { "stale" } else { status };
    if answer.status != 412 {
        answer.ok()?;
    }
    Ok(respond::see_other(&visit.path(&format!("/customers/{id}?notice={notice}"))))
}
