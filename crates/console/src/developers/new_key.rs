//! A new API key.

use std::rc::Rc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use maud::html;
use serde_json::json;

use super::input::{Line, checks, line, summary};
use super::{page, secret};
use crate::api::Problem;
use crate::customers::text;
use crate::refusal::Refusal;
use crate::session::random_text;
use crate::visit::Visit;
use crate::{layout, texts};

/// `GET /console/{environment}/developers/keys/new`
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    form(&visit, 200, None)
}

/// `POST /console/{environment}/developers/keys/new`
pub(crate) async fn submit(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let (name, day) = (visit.form.get("name").trim(), visit.form.get("expires_at"));
    // A whole time is left as it is.
    let end = if day.len() > 10 { day.to_owned() } else { format!("{day}T00:00:00Z") };
    let body = json!({
        "name": (!name.is_empty()).then_some(name),
        "scopes": visit.form.all("scopes"),
        "expires_at": (!day.is_empty()).then_some(end),
    });
    let request = visit.request(Method::POST, "/v1/api_keys".to_owned()).with_json(body.to_string());
    let answer = visit.send(request.once(visit.form.get("request"))).await?;
    match answer.status {
        400 | 409 | 422 => form(&visit, answer.status, Some(&answer.problem())),
        _ => {
            let made = answer.ok()?.body;
            let back = ("/developers/keys", texts::API_KEYS);
            Ok(secret(&visit, texts::KEY_CREATED, texts::API_KEY, text(&made, "key"), back))
        }
    }
}

fn form(visit: &Visit, status: u16, problem: Option<&Problem>) -> Result<HttpResponse, Refusal> {
    let request = random_text().ok_or(Refusal::Broken)?;
    let scopes = visit.form.all("scopes");
    let field = |name, label, kind, hint| {
        line(&Line { name, label, kind, hint, value: visit.form.get(name), is_required: false }, problem)
    };
    let body = html! {
        h1 { (texts::NEW_KEY) }
        form.sheet method="post" action=(visit.path("/developers/keys/new")) novalidate {
            (layout::token(&visit.place))
            input type="hidden" name="request" value=(request);
            (summary(problem))
            div.fields {
                (field("name", texts::NAME, "text", texts::KEY_NAME_HINT))
                (field("expires_at", texts::EXPIRES, "date", texts::EXPIRES_HINT))
            }
            (checks("scopes", texts::SCOPES_LABEL, &scopes, &texts::SCOPES, problem))
            div.actions {
                button.primary type="submit" { (texts::CREATE_KEY) }
                a.button href=(visit.path("/developers/keys")) { (texts::CANCEL) }
            }
        }
    };
    Ok(page(visit, status, texts::NEW_KEY, &body))
}
