//! A new API key of a merchant.

use std::rc::Rc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use maud::html;

use super::{api_path, merchant_of, of_merchant};
use crate::api::{Problem, text};
use crate::api_keys::{self, NewKey};
use crate::input::choice;
use crate::layout::secret;
use crate::refusal::Refusal;
use crate::session::Environment;
use crate::texts;
use crate::visit::Visit;

/// `GET /console/operators/merchants/{id}/keys/new`
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    form(&visit, None).await
}

/// `POST /console/operators/merchants/{id}/keys/new`
pub(crate) async fn submit(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let mut body = api_keys::body(&visit.form);
    body["environment"] = visit.form.get("environment").into();
    let request = visit.request(Method::POST, api_path(&visit, "/api_keys")?).with_json(body.to_string());
    match visit.send(request).await?.of_form()? {
        Err(problem) => form(&visit, Some(&problem)).await,
        Ok(made) => {
            let back = (&*of_merchant(&visit, "")?, texts::operators::BACK_TO_MERCHANT);
            let body = secret(&visit, texts::KEY_CREATED, texts::API_KEY, text(&made, "key"), back);
            Ok(visit.page(201, texts::KEY_CREATED, &body))
        }
    }
}

async fn form(visit: &Visit, problem: Option<&Problem>) -> Result<HttpResponse, Refusal> {
    let merchant = merchant_of(visit).await?;
    let chosen = Environment::named(visit.form.get("environment")).unwrap_or(Environment::Sandbox);
    let environments = [Environment::Sandbox, Environment::Live].map(|one| (one.as_str(), texts::environment(one)));
    // What a key has whose scopes are left out.
    let scopes: Vec<_> =
        texts::SCOPES.iter().map(|(scope, _)| *scope).filter(|scope| *scope != "keys:manage").collect();
    let back = of_merchant(visit, "")?;
    let form = NewKey {
        path: &of_merchant(visit, "/keys/new")?,
        back: &back,
        fields: choice("environment", texts::ENVIRONMENT, chosen.as_str(), &environments),
        scopes: &scopes,
    };
    let body = html! {
        h1 { (texts::NEW_KEY) }
        p { a href=(visit.path(&back)) { (text(&merchant, "name")) } }
        (form.form(visit, problem))
    };
    Ok(visit.page(Problem::status_of(problem), texts::NEW_KEY, &body))
}
