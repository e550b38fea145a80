//! Changing a customer. A change is made on condition that the customer is as it was when the form was opened.

use std::rc::Rc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::http::header;
use maud::{Markup, html};

use super::fields::{Field, Kind, Values, inputs};
use super::title;
use crate::api::{Answer, Problem};
use crate::refusal::Refusal;
use crate::visit::Visit;
use crate::{layout, respond, texts};

/// `GET /console/{environment}/customers/{id}/edit`
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let customer = stored(&visit).await?;
    let values = Values::of_customer(&customer.body);
    let etag = customer.etag.unwrap_or_default();
    Ok(form(&visit, title(&customer.body), &Draft { values: &values, before: &values, etag: &etag }, None))
}

/// `POST /console/{environment}/customers/{id}/edit`
pub(crate) async fn submit(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let (values, before) = (Values::of_form(&visit.form), Values::of_text(visit.form.get("before")));
    let etag = visit.form.get("etag");
    let heading = visit.form.get("title");
    let draft = Draft { values: &values, before: &before, etag };
    let more = [("allow_duplicate_email", true)];
    let shares_email = visit.form.has("allow_duplicate_email");
    let body = match values.body(&before, if shares_email { &more } else { &[] }) {
        Ok(Some(body)) => body,
        Ok(None) => {
            return Ok(respond::see_other(&visit.path(&format!("/customers/{}?notice=unchanged", visit.id()?))));
        }
        Err(problem) => return Ok(form(&visit, heading, &draft, Some(&problem))),
    };
    let request = visit.request(Method::PATCH, format!("/v1/customers/{}", visit.id()?)).with_json(body);
    let answer = visit.send(request.with(header::IF_MATCH, etag)).await?;
    if answer.status == 412 {
        return Ok(conflict(&visit, &draft, &stored(&visit).await?));
    }
    match answer.of_form()? {
        Err(problem) => Ok(form(&visit, heading, &draft, Some(&problem))),
        Ok(_) => Ok(respond::see_other(&visit.path(&format!("/customers/{}?notice=saved", visit.id()?)))),
    }
}

/// What a visitor has written, and what they began with.
struct Draft<'a> {
    values: &'a Values,
    before: &'a Values,
    /// The tag of what they began with.
    etag: &'a str,
}

/// The customer as it is stored now.
pub(super) async fn stored(visit: &Visit) -> Result<Answer, Refusal> {
    visit.get(format!("/v1/customers/{}", visit.id()?)).await?.ok()
}

fn form(visit: &Visit, heading: &str, draft: &Draft, problem: Option<&Problem>) -> HttpResponse {
    let id = visit.id().unwrap_or_default();
    let body = html! {
        h1 { (texts::EDIT_CUSTOMER) }
        p { a href=(visit.path(&format!("/customers/{id}"))) { (heading) } }
        form.sheet method="post" action=(visit.path(&format!("/customers/{id}/edit"))) novalidate {
            (carried(visit, heading, draft.before, draft.etag))
            (inputs(draft.values, problem, false))
            (sharing(visit, problem))
            (layout::actions(visit, texts::SAVE, &format!("/customers/{id}")))
        }
    };
    visit.page(Problem::status_of(problem), texts::EDIT_CUSTOMER, &body)
}

/// What a form carries of what it began with.
fn carried(visit: &Visit, heading: &str, before: &Values, etag: &str) -> Markup {
    html! {
        (layout::token(&visit.place))
        input type="hidden" name="etag" value=(etag);
        input type="hidden" name="title" value=(heading);
        input type="hidden" name="before" value=(before.to_text());
    }
}

/// The choice to share an address, once the API has refused one that another customer has.
pub(super) fn sharing(visit: &Visit, problem: Option<&Problem>) -> Markup {
    let Some(problem) = problem.filter(|problem| problem.status == 409) else { return html! {} };
    html! {
        div.choice {
            @if problem.code == "email_taken" {
                label { input type="checkbox" name="allow_duplicate_email" value="yes"; " " (texts::SHARE_EMAIL) }
            }
            @if let Some(other) = &problem.customer_id {
                p { a href=(visit.path(&format!("/customers/{other}"))) { (texts::SHOW_OTHER) } }
            }
        }
    }
}

/// The three versions of each field in which they differ, with a choice between the visitor's and the stored one. It is the same
/// form again, over what is stored now.
fn conflict(visit: &Visit, draft: &Draft, stored: &Answer) -> HttpResponse {
    let id = visit.id().unwrap_or_default();
    let now = Values::of_customer(&stored.body);
    let rows: Vec<_> = draft
        .values
        .iter()
        .map(|(field, yours)| Versions {
            field,
            opened: draft.before.get(field.name),
            yours,
            stored: now.get(field.name),
        })
        .collect();
    let body = html! {
        h1 { (texts::CONFLICT_TITLE) }
        p role="alert" { (texts::CONFLICT) }
        form.sheet method="post" action=(visit.path(&format!("/customers/{id}/edit"))) {
            (carried(visit, title(&stored.body), &now, stored.etag.as_deref().unwrap_or_default()))
            @for row in rows.iter().filter(|row| !row.has_choice()) {
                input type="hidden" name=(row.field.name) value=(row.stored);
            }
            table.stacked.versions {
                thead {
                    tr {
                        th scope="col" { (texts::FIELD) }
                        th scope="col" { (texts::WHEN_OPENED) }
                        th scope="col" { (texts::YOURS) }
                        th scope="col" { (texts::STORED_NOW) }
                    }
                }
                tbody { @for row in rows.iter().filter(|row| row.differs()) { (row.markup()) } }
            }
            (layout::actions(visit, texts::SAVE_CHOICE, &format!("/customers/{id}")))
        }
    };
    visit.page(409, texts::CONFLICT_TITLE, &body)
}

/// The versions of one field.
struct Versions<'a> {
    field: &'static Field,
    opened: &'a str,
    yours: &'a str,
    stored: &'a str,
}

impl Versions<'_> {
    fn differs(&self) -> bool {
        self.opened != self.yours || self.opened != self.stored
    }

    fn has_choice(&self) -> bool {
        self.yours != self.stored
    }

    /// Whether a choice is made for the visitor: only one of the two has changed. If both have, the visitor must choose.
    fn is_chosen(&self, version: &str) -> bool {
        version != self.opened && (self.yours == self.opened || self.stored == self.opened)
    }

    fn markup(&self) -> Markup {
        let cell = |label: &str, version: &str| {
            html! {
                td data-label=(label) {
                    @if self.has_choice() {
                        label.version {
                            input type="radio" name=(self.field.name) value=(version) required checked[self.is_chosen(version)]
                                aria-label={ (self.field.label) ": " (label) };
                            (self.version(version))
                        }
                    } @else { (self.version(version)) }
                }
            }
        };
        html! {
            tr {
                th scope="row" { (self.field.label) }
                td data-label=(texts::WHEN_OPENED) { (self.version(self.opened)) }
                (cell(texts::YOURS, self.yours))
                (cell(texts::STORED_NOW, self.stored))
            }
        }
    }

    fn version(&self, version: &str) -> Markup {
        html! {
            @if version.is_empty() { span.hint { (texts::EMPTY) } }
            @else if self.field.kind == Kind::Json { pre.inline { (version) } }
            @else { (self.field.shown(version)) }
        }
    }
}
