//! API keys, as merchants and operators see and create them.

use maud::{Markup, html};
use serde_json::{Value, json};

use crate::api::{Problem, has_passed};
use crate::form::Form;
use crate::input::{Line, checks, line, summary};
use crate::visit::Visit;
use crate::{layout, texts};

/// The form of a new key.
pub(crate) struct NewKey<'a> {
    /// The path of the page below the area. The form is sent there.
    pub(crate) path: &'a str,
    /// The page that the visitor goes back to.
    pub(crate) back: &'a str,
    /// Fields in front of those that all forms have.
    pub(crate) fields: Markup,
    /// The scopes that are chosen until the form is sent.
    pub(crate) scopes: &'a [&'a str],
}

impl NewKey<'_> {
    /// The form, with what was sent and what is wrong with it.
    pub(crate) fn form(&self, visit: &Visit, problem: Option<&Problem>) -> Markup {
        let sent = visit.form.all("scopes");
        let scopes = if problem.is_some() { sent.as_slice() } else { self.scopes };
        let field = |name, label, kind, hint| {
            line(&Line { name, label, kind, hint, value: visit.form.get(name), is_required: false }, problem)
        };
        html! {
            form.sheet method="post" action=(visit.path(self.path)) novalidate {
                (layout::token(&visit.place))
                (summary(problem))
                div.fields {
                    (self.fields)
                    (field("name", texts::NAME, "text", texts::KEY_NAME_HINT))
                    (field("expires_at", texts::EXPIRES, "date", texts::EXPIRES_HINT))
                }
                (checks("scopes", texts::SCOPES_LABEL, scopes, &texts::SCOPES, problem))
                (layout::actions(visit, texts::CREATE_KEY, self.back))
            }
        }
    }
}

/// The body of a request that creates the key of a form.
pub(crate) fn body(form: &Form) -> Value {
    let (name, day) = (form.get("name").trim(), form.get("expires_at"));
    // A whole time is left as it is.
    let end = if day.len() > 10 { day.to_owned() } else { format!("{day}T00:00:00Z") };
    json!({
        "name": (!name.is_empty()).then_some(name),
        "scopes": form.all("scopes"),
        "expires_at": (!day.is_empty()).then_some(end),
    })
}

/// Whether a key is accepted.
pub(crate) fn status(visit: &Visit, key: &Value) -> Markup {
    let name = match (key["revoked_at"].as_str(), key["expires_at"].as_str()) {
        (Some(_), _) => texts::REVOKED,
        (None, Some(end)) if has_passed(end, visit.place.now()) => texts::EXPIRED,
        _ => texts::VALID,
    };
    html! { span.badge.quiet[name != texts::VALID] { (name) } }
}
