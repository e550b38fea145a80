//! Customers: the list, and one of them.

pub(crate) mod delete;
pub(crate) mod edit;
pub(crate) mod examples;
mod fields;
pub(crate) mod list;
pub(crate) mod new;
pub(crate) mod one;
pub(crate) mod status;
mod timeline;

use maud::{Markup, html};
use serde_json::Value;

use crate::api::text;
use crate::texts;

/// What a customer is called: its name, otherwise its address, otherwise its identifiers.
fn title(customer: &Value) -> &str {
    let mut names = ["name", "business_name", "email", "external_id", "id"].into_iter();
    names.find_map(|name| customer[name].as_str()).unwrap_or(texts::WITHOUT_NAME)
}

/// The status of a customer.
fn badge(customer: &Value) -> Markup {
    let status = text(customer, "status");
    html! { span.badge.quiet[status != "active"] { (texts::status(status)) } }
}
