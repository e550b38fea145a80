//! Another name for a merchant.

use std::rc::Rc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use serde_json::json;

use super::{NameForm, api_path, merchant_of, of_merchant};
use crate::api::{Problem, text};
use crate::refusal::Refusal;
use crate::respond;
use crate::texts::operators as texts;
use crate::visit::Visit;

/// `GET /console/operators/merchants/{id}/rename`
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let merchant = merchant_of(&visit).await?;
    form(&visit, text(&merchant, "name"), None)
}

/// `POST /console/operators/merchants/{id}/rename`
pub(crate) async fn submit(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let name = visit.form.get("name");
    let request = visit.request(Method::PATCH, api_path(&visit, "")?);
    match visit.send(request.with_json(json!({ "name": name }).to_string())).await?.of_form()? {
        Err(problem) => form(&visit, name, Some(&problem)),
        Ok(_) => Ok(respond::see_other(&visit.path(&of_merchant(&visit, "?notice=renamed")?))),
    }
}

fn form(visit: &Visit, name: &str, problem: Option<&Problem>) -> Result<HttpResponse, Refusal> {
    let back = of_merchant(visit, "")?;
    Ok(NameForm { title: texts::RENAME_TITLE, submit: texts::RENAME, back: &back }.page(visit, name, problem))
}
