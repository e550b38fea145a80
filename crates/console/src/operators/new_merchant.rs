//! A new merchant.

use std::rc::Rc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use serde_json::json;

use super::NameForm;
use crate::api::{Problem, text};
use crate::refusal::Refusal;
use crate::respond;
use crate::texts::operators as texts;
use crate::visit::Visit;

/// `GET /console/operators/merchants/new`
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    Ok(form(&visit, None))
}

/// `POST /console/operators/merchants/new`
pub(crate) async fn submit(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let body = json!({ "name": visit.form.get("name") }).to_string();
    let request = visit.request(Method::POST, "/admin/v1/merchants".to_owned()).with_json(body);
    match visit.send(request).await?.of_form()? {
        Err(problem) => Ok(form(&visit, Some(&problem))),
        Ok(made) => Ok(respond::see_other(&visit.path(&format!("/merchants/{}?notice=created", text(&made, "id"))))),
    }
}

fn form(visit: &Visit, problem: Option<&Problem>) -> HttpResponse {
    let form = NameForm { title: texts::NEW_MERCHANT, submit: texts::CREATE_MERCHANT, back: "/merchants" };
    form.page(visit, visit.form.get("name"), problem)
}
