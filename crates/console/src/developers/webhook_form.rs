//! A new webhook endpoint, and changing one.

use std::rc::Rc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use maud::html;
use serde_json::{Value, json};

use super::page;
use crate::api::{Problem, text};
use crate::form::Form;
use crate::input::{Line, ONCE, checks, choice, line, once, summary};
use crate::refusal::Refusal;
use crate::visit::Visit;
use crate::{layout, respond, texts};

/// What a form has of an endpoint.
struct Draft<'a> {
    url: &'a str,
    description: &'a str,
    events: Vec<&'a str>,
    payload: &'a str,
    /// Empty for a new endpoint.
    status: &'a str,
}

impl<'a> Draft<'a> {
    fn of_form(form: &'a Form) -> Self {
        Self {
            url: form.get("url").trim(),
            description: form.get("description"),
            events: form.all("events"),
            payload: form.get("payload"),
            status: form.get("status"),
        }
    }

    fn of_endpoint(endpoint: &'a Value) -> Self {
        Self {
            url: text(endpoint, "url"),
            description: text(endpoint, "description"),
            events: endpoint["events"].as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
            payload: text(endpoint, "payload"),
            status: text(endpoint, "status"),
        }
    }

    fn body(&self) -> Value {
        let mut body = json!({
            "url": self.url,
            "events": self.events,
            "description": Some(self.description).filter(|text| !text.is_empty()),
            "payload": self.payload,
        });
        if !self.status.is_empty() {
            body["status"] = self.status.into();
        }
        body
    }
}

/// `GET /console/{environment}/developers/webhooks/new`
pub(crate) async fn show_new(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let draft = Draft { events: vec!["*"], payload: "thin", ..Draft::of_form(&visit.form) };
    form(&visit, "new", &draft, None)
}

/// `POST /console/{environment}/developers/webhooks/new`
pub(crate) async fn create(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let draft = Draft { status: "", ..Draft::of_form(&visit.form) };
    let request = visit.request(Method::POST, "/v1/webhooks".to_owned()).with_json(draft.body().to_string());
    match visit.send(request.once(visit.form.get(ONCE))).await?.of_form()? {
        Err(problem) => form(&visit, "new", &draft, Some(&problem)),
        Ok(made) => {
            let path = format!("/developers/webhooks/{}", text(&made, "id"));
            let back = (path.as_str(), texts::SHOW_WEBHOOK);
            let body = layout::secret(&visit, texts::WEBHOOK_CREATED, texts::SECRET, text(&made, "secret"), back);
            Ok(page(&visit, 201, texts::WEBHOOK_CREATED, &body))
        }
    }
}

/// `GET /console/{environment}/developers/webhooks/{id}/edit`
pub(crate) async fn show_edit(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let id = visit.id()?;
    let endpoint = visit.get(format!("/v1/webhooks/{id}")).await?.ok()?.body;
    form(&visit, &format!("{id}/edit"), &Draft::of_endpoint(&endpoint), None)
}

/// `POST /console/{environment}/developers/webhooks/{id}/edit`
pub(crate) async fn change(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let id = visit.id()?;
    let draft = Draft::of_form(&visit.form);
    let request = visit.request(Method::PATCH, format!("/v1/webhooks/{id}")).with_json(draft.body().to_string());
    match visit.send(request).await?.of_form()? {
        Err(problem) => form(&visit, &format!("{id}/edit"), &draft, Some(&problem)),
        Ok(_) => Ok(respond::see_other(&visit.path(&format!("/developers/webhooks/{id}?notice=saved")))),
    }
}

fn form(visit: &Visit, path: &str, draft: &Draft<'_>, problem: Option<&Problem>) -> Result<HttpResponse, Refusal> {
    let is_new = path == "new";
    let (title, submit) =
        if is_new { (texts::NEW_WEBHOOK, texts::CREATE_WEBHOOK) } else { (texts::EDIT_WEBHOOK, texts::SAVE) };
    let here = format!("/developers/webhooks/{path}");
    let (back, _) = here.rsplit_once('/').unwrap_or_default();
    let url = Line {
        name: "url",
        label: texts::URL,
        kind: "url",
        hint: texts::URL_HINT,
        value: draft.url,
        is_required: true,
    };
    let description = Line {
        name: "description",
        label: texts::DESCRIPTION,
        kind: "text",
        value: draft.description,
        ..Line::default()
    };
    let body = html! {
        h1 { (title) }
        form.sheet method="post" action=(visit.path(&here)) novalidate {
            (layout::token(&visit.place))
            (once()?)
            (summary(problem))
            div.fields {
                (line(&url, problem))
                (line(&description, problem))
                (choice("payload", texts::PAYLOAD, draft.payload, &texts::PAYLOADS))
                @if !is_new {
                    (choice("status", texts::STATUS, draft.status, &[
                        ("active", texts::status("active")), ("disabled", texts::status("disabled")),
                    ]))
                }
            }
            (checks("events", texts::EVENTS, &draft.events, &texts::EVENT_TYPES, problem))
            (layout::actions(visit, submit, back))
        }
    };
    Ok(page(visit, Problem::status_of(problem), title, &body))
}
