//! A new API key.

use std::rc::Rc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use maud::html;

use super::page;
use crate::api::{Problem, text};
use crate::api_keys::{NewKey, body};
use crate::input::{ONCE, once};
use crate::layout::secret;
use crate::refusal::Refusal;
use crate::texts;
use crate::visit::Visit;

/// `GET /console/{environment}/developers/keys/new`
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    form(&visit, None)
}

/// `POST /console/{environment}/developers/keys/new`
pub(crate) async fn submit(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let request = visit.request(Method::POST, "/v1/api_keys".to_owned()).with_json(body(&visit.form).to_string());
    match visit.send(request.once(visit.form.get(ONCE))).await?.of_form()? {
        Err(problem) => form(&visit, Some(&problem)),
        Ok(made) => {
            let back = ("/developers/keys", texts::API_KEYS);
            let body = secret(&visit, texts::KEY_CREATED, texts::API_KEY, text(&made, "key"), back);
            Ok(page(&visit, 201, texts::KEY_CREATED, &body))
        }
    }
}

fn form(visit: &Visit, problem: Option<&Problem>) -> Result<HttpResponse, Refusal> {
    let form = NewKey { path: "/developers/keys/new", back: "/developers/keys", fields: once()?, scopes: &[] };
    let body = html! {
        h1 { (texts::NEW_KEY) }
        (form.form(visit, problem))
    };
    Ok(page(visit, Problem::status_of(problem), texts::NEW_KEY, &body))
}
