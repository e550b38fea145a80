//! A new customer.

use std::rc::Rc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::http::header::HeaderName;
use maud::html;

use super::fields::{Values, inputs};
use crate::api::Problem;
use crate::form::Form;
use crate::refusal::Refusal;
use crate::session::random_text;
use crate::visit::Visit;
use crate::{layout, respond, texts};

/// A form that is sent twice creates one customer.
static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// `GET /console/{environment}/customers/new`
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    form(&visit, 200, &Values::of_form(&visit.query), None)
}

/// `POST /console/{environment}/customers/new`
pub(crate) async fn submit(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let values = Values::of_form(&visit.form);
    let shares_email = visit.form.has("allow_duplicate_email");
    let more = [("allow_duplicate_email", true)];
    let body = values.body(&Values::of_form(&Form::default()), if shares_email { &more } else { &[] });
    let body = match body {
        Ok(body) => body.unwrap_or_else(|| "{}".to_owned()),
        Err(problem) => return form(&visit, 422, &values, Some(&problem)),
    };
    let request = visit.request(Method::POST, "/v1/customers".to_owned()).with_json(body);
    let answer = visit.send(request.with(IDEMPOTENCY_KEY.clone(), visit.form.get("request"))).await?;
    match answer.status {
        400 | 409 | 422 => form(&visit, answer.status, &values, Some(&answer.problem())),
        _ => {
            let customer = answer.ok()?.body;
            let id = customer["id"].as_str().unwrap_or_default();
            Ok(respond::see_other(&visit.path(&format!("/customers/{id}?notice=created"))))
        }
    }
}

fn form(visit: &Visit, status: u16, values: &Values, problem: Option<&Problem>) -> Result<HttpResponse, Refusal> {
    let request = random_text().ok_or(Refusal::Broken)?;
    let body = html! {
        h1 { (texts::NEW_CUSTOMER) }
        form.sheet method="post" action=(visit.path("/customers/new")) novalidate {
            (layout::token(&visit.place))
            input type="hidden" name="request" value=(request);
            (inputs(values, problem, true))
            (super::edit::sharing(visit, problem))
            div.actions {
                button.primary type="submit" { (texts::CREATE) }
                a.button href=(visit.path("/customers")) { (texts::CANCEL) }
            }
        }
    };
    Ok(respond::page(status, layout::page(&visit.place, texts::NEW_CUSTOMER, &body)))
}
