//! One merchant, with its API keys.

use std::rc::Rc;

use actix_web::HttpResponse;
use futures_util::future;
use maud::{Markup, html};
use serde_json::Value;

use super::merchants::state;
use super::{api_path, merchant_of, of_merchant};
use crate::api::{items, joined, text};
use crate::api_keys::status;
use crate::form::query;
use crate::layout::{self, notice, or_none, pages, time};
use crate::refusal::Refusal;
use crate::texts::operators as texts;
use crate::texts::{
    ACTIONS, API_KEY, API_KEYS, CREATED, ENVIRONMENT, IDENTIFIER, LAST_USED, NEW_KEY, NONE, ROTATE, SCOPES_LABEL,
    STATUS,
};
use crate::visit::Visit;

/// `GET /console/operators/merchants/{id}`
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let of_keys = query([("cursor", visit.query.get("cursor"))]);
    // At the same time: each waits for the database.
    let keys = visit.get(api_path(&visit, &format!("/api_keys{of_keys}"))?);
    let (merchant, keys) = future::join(merchant_of(&visit), keys).await;
    let (merchant, keys) = (merchant?, keys?.ok()?.body);
    let name = text(&merchant, "name");
    let body = html! {
        div.title {
            h1 { (name) " " (state(&merchant)) }
            @if visit.place.is_admin() { (actions(&visit, &merchant)?) }
        }
        (notice(&visit))
        (facts(&merchant))
        section aria-labelledby="keys" {
            div.title {
                h2 #keys { (API_KEYS) }
                @if visit.place.is_admin() {
                    a.button.primary href=(visit.path(&of_merchant(&visit, "/keys/new")?)) data-key="n" { (NEW_KEY) }
                }
            }
            @if items(&keys).is_empty() { p.hint { (texts::NO_KEYS) } } @else { (table(&visit, items(&keys))?) }
            (pages(&visit, &of_merchant(&visit, "")?, "cursor", &keys))
        }
    };
    Ok(visit.page(200, name, &body))
}

fn actions(visit: &Visit, merchant: &Value) -> Result<Markup, Refusal> {
    let is_disabled = merchant["disabled_at"].is_string();
    let (other, label) = if is_disabled { ("/enable", texts::ENABLE) } else { ("/disable", texts::DISABLE) };
    let here = |below: &str| of_merchant(visit, below).map(|path| visit.path(&path));
    Ok(html! {
        div.actions role="group" aria-label=(ACTIONS) {
            a.button href=(here("/rename")?) { (texts::RENAME) }
            a.button href=(here(other)?) { (label) }
        }
    })
}

fn facts(merchant: &Value) -> Markup {
    html! {
        dl.facts {
            div { dt { (IDENTIFIER) } dd { code { (text(merchant, "id")) } } }
            div { dt { (CREATED) } dd { (time(merchant, "created_at")) } }
            @if merchant["disabled_at"].is_string() {
                div { dt { (texts::DISABLED_SINCE) } dd { (time(merchant, "disabled_at")) } }
            }
        }
    }
}

fn table(visit: &Visit, keys: &[Value]) -> Result<Markup, Refusal> {
    let mut columns = vec![API_KEY, ENVIRONMENT, STATUS, SCOPES_LABEL, CREATED, LAST_USED, texts::ENDS];
    if visit.place.is_admin() {
        columns.push(ACTIONS);
    }
    let rows = keys.iter().map(|key| row(visit, key)).collect::<Result<Vec<_>, _>>()?;
    Ok(layout::table(&columns, rows))
}

/// The cells of a key. The last one, with what is done to it, is for the role `admin`.
fn row(visit: &Visit, key: &Value) -> Result<Vec<Markup>, Refusal> {
    let id = text(key, "id");
    let is_revoked = key["revoked_at"].is_string();
    let action = |below: &str| of_merchant(visit, &format!("/keys/{id}/{below}")).map(|path| visit.path(&path));
    let (rotate, revoke) = (action("rotate")?, action("revoke")?);
    let name = html! {
        @if let Some(name) = key["name"].as_str() { (name) " " }
        code { (id) }
    };
    let actions = html! {
        @if is_revoked { (NONE) } @else {
            div.actions {
                a.button data-row href=(rotate) aria-label={ (ROTATE) " " (id) } { (ROTATE) }
                a.button href=(revoke) aria-label={ (texts::REVOKE) " " (id) } { (texts::REVOKE) }
            }
        }
    };
    Ok(vec![
        name,
        html! { (texts::environment(text(key, "environment"))) },
        status(visit, key),
        html! { (or_none(&joined(&key["scopes"]))) },
        time(key, "created_at"),
        time(key, "last_used_at"),
        time(key, if is_revoked { "revoked_at" } else { "expires_at" }),
        actions,
    ])
}
