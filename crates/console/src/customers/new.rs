//! A new customer.

use std::rc::Rc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use maud::html;

use super::fields::{Values, inputs};
use crate::api::{Problem, text};
use crate::form::Form;
use crate::input::{ONCE, once};
use crate::refusal::Refusal;
use crate::visit::Visit;
use crate::{layout, respond, texts};

/// `GET /console/{environment}/customers/new`
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    form(&visit, &Values::of_form(&visit.query), None)
}

/// `POST /console/{environment}/customers/new`
pub(crate) async fn submit(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let values = Values::of_form(&visit.form);
    let shares_email = visit.form.has("allow_duplicate_email");
    let more = [("allow_duplicate_email", true)];
    let body = values.body(&Values::of_form(&Form::default()), if shares_email { &more } else { &[] });
    let body = match body {
        Ok(body) => body.unwrap_or_else(|| "{}".to_owned()),
        Err(problem) => return form(&visit, &values, Some(&problem)),
    };
    let request = visit.request(Method::POST, "/v1/customers".to_owned()).with_json(body);
    match visit.send(request.once(visit.form.get(ONCE))).await?.of_form()? {
        Err(problem) => form(&visit, &values, Some(&problem)),
        Ok(made) => Ok(respond::see_other(&visit.path(&format!("/customers/{}?notice=created", text(&made, "id"))))),
    }
}

fn form(visit: &Visit, values: &Values, problem: Option<&Problem>) -> Result<HttpResponse, Refusal> {
    let body = html! {
        h1 { (texts::NEW_CUSTOMER) }
        form.sheet method="post" action=(visit.path("/customers/new")) novalidate {
            (layout::token(&visit.place))
            (once()?)
            (inputs(values, problem, true))
            (super::edit::sharing(visit, problem))
            (layout::actions(visit, texts::CREATE, "/customers"))
        }
    };
    Ok(visit.page(Problem::status_of(problem), texts::NEW_CUSTOMER, &body))
}
