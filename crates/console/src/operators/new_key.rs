//! A new API key of a merchant.

use std::rc::Rc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use maud::{Markup, html};
use serde_json::json;

use super::input::{Line, line, summary};
use super::{api_path, merchant_of, page, path, secret, text};
use crate::api::Problem;
use crate::layout;
use crate::refusal::Refusal;
use crate::session::Environment;
use crate::texts::operators as texts;
use crate::visit::Visit;

/// `GET /console/operators/merchants/{id}/keys/new`
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    form(&visit, 200, None).await
}

/// `POST /console/operators/merchants/{id}/keys/new`
pub(crate) async fn submit(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let (name, day) = (visit.form.get("name").trim(), visit.form.get("expires_at"));
    // A whole time is left as it is.
    let end = if day.len() > 10 { day.to_owned() } else { format!("{day}T00:00:00Z") };
    let body = json!({
        "environment": visit.form.get("environment"),
        "name": (!name.is_empty()).then_some(name),
        "scopes": visit.form.all("scopes"),
        "expires_at": (!day.is_empty()).then_some(end),
    });
    let request = visit.request(Method::POST, api_path(&visit, "/api_keys")?).with_json(body.to_string());
    let answer = visit.send(request).await?;
    match answer.status {
        400 | 422 => form(&visit, 422, Some(&answer.problem())).await,
        _ => secret(&visit, &answer.ok()?.body),
    }
}

async fn form(visit: &Visit, status: u16, problem: Option<&Problem>) -> Result<HttpResponse, Refusal> {
    let merchant = merchant_of(visit).await?;
    let field = |name, label, kind, hint| {
        line(&Line { name, label, kind, hint, value: visit.form.get(name), is_required: false }, problem)
    };
    let body = html! {
        h1 { (texts::NEW_KEY) }
        p { a href=(path(visit, "")?) { (text(&merchant, "name")) } }
        form.sheet method="post" action=(path(visit, "/keys/new")?) novalidate {
            (layout::token(&visit.place))
            (summary(problem))
            div.fields {
                (environments(visit))
                (field("name", texts::NAME, "text", texts::NAME_HINT))
                (field("expires_at", texts::EXPIRES, "date", texts::EXPIRES_HINT))
            }
            (scopes(visit))
            div.actions {
                button.primary type="submit" { (texts::CREATE_KEY) }
                a.button href=(path(visit, "")?) { (crate::texts::CANCEL) }
            }
        }
    };
    Ok(page(visit, status, texts::NEW_KEY, &body))
}

fn environments(visit: &Visit) -> Markup {
    let chosen = Environment::named(visit.form.get("environment")).unwrap_or(Environment::Sandbox);
    html! {
        div.field {
            label for="field-environment" { (crate::texts::ENVIRONMENT) }
            select #field-environment name="environment" {
                @for environment in [Environment::Sandbox, Environment::Live] {
                    option value=(environment.as_str()) selected[environment == chosen] {
                        (crate::texts::environment(environment))
                    }
                }
            }
        }
    }
}

fn scopes(visit: &Visit) -> Markup {
    let sent = visit.form.all("scopes");
    // A form that was sent is shown again as it was; a new one begins with what a key has whose scopes are left out.
    let is_chosen = |scope: &str| match *visit.place.request.method() {
        Method::POST => sent.contains(&scope),
        _ => scope != "keys:manage",
    };
    html! {
        fieldset.choice {
            legend { (texts::SCOPES) }
            div.fields {
                @for scope in texts::SCOPE_LIST {
                    label {
                        input type="checkbox" name="scopes" value=(scope) checked[is_chosen(scope)];
                        " " code { (scope) }
                    }
                }
            }
        }
    }
}
