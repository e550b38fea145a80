//! One API key: making another in its place, and revoking it.

use std::rc::Rc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use maud::{Markup, html};
use serde_json::Value;

use super::keys::{of_page, title};
use super::page;
use crate::api::{items, joined, text};
use crate::api_keys::status;
use crate::input::{ONCE, once, overlap, overlap_body};
use crate::layout::{or_none, secret, time};
use crate::refusal::Refusal;
use crate::visit::Visit;
use crate::{layout, respond, texts};

/// `GET /console/{environment}/developers/keys/{id}`
///
/// The query has the cursor of the page of the list that the key is on.
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let id = visit.id()?;
    let list = of_page(&visit).await?;
    let key = items(&list).iter().find(|key| text(key, "id") == id).ok_or(Refusal::NotFound)?;
    let once = once()?;
    let is_current = key["is_current"] == true;
    let body = html! {
        h1 {
            (title(key)) " " (status(&visit, key))
            @if is_current { " " span.badge { (texts::THIS_SESSION) } }
        }
        (facts(key))
        @if key["revoked_at"].is_null() {
            section {
                h2 { (texts::ROTATE_KEY) }
                p { (texts::ROTATE_KEY_HINT) }
                form.inline method="post" action=(visit.path(&format!("/developers/keys/{id}/rotate"))) {
                    (layout::token(&visit.place))
                    (once)
                    (overlap())
                    button type="submit" { (texts::ROTATE) }
                }
            }
            section {
                h2 { (texts::REVOKE_TITLE) }
                p { (texts::REVOKE_WARNING) @if is_current { " " strong { (texts::REVOKE_SIGNS_OUT) } } }
                form.actions method="post" action=(visit.path(&format!("/developers/keys/{id}/revoke"))) {
                    (layout::token(&visit.place))
                    button.danger type="submit" { (texts::REVOKE) }
                    a.button href=(visit.path("/developers/keys")) { (texts::CANCEL) }
                }
            }
        }
    };
    Ok(page(&visit, 200, title(key), &body))
}

fn facts(key: &Value) -> Markup {
    html! {
        dl.facts {
            div { dt { (texts::IDENTIFIER) } dd { code { (text(key, "id")) } } }
            div { dt { (texts::SCOPES_LABEL) } dd { (or_none(&joined(&key["scopes"]))) } }
            div { dt { (texts::CREATED) } dd { (time(key, "created_at")) } }
            div { dt { (texts::LAST_USED) } dd { (time(key, "last_used_at")) } }
            div { dt { (texts::EXPIRES) } dd { (time(key, "expires_at")) } }
            div { dt { (texts::REVOKED) } dd { (time(key, "revoked_at")) } }
        }
    }
}

/// `POST /console/{environment}/developers/keys/{id}/rotate`
pub(crate) async fn rotate(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let request = visit.request(Method::POST, format!("/v1/api_keys/{}/rotate", visit.id()?));
    let request = request.with_json(overlap_body(&visit.form)).once(visit.form.get(ONCE));
    let made = visit.send(request).await?.ok()?.body;
    let back = ("/developers/keys", texts::API_KEYS);
    let body = secret(&visit, texts::KEY_ROTATED, texts::API_KEY, text(&made, "key"), back);
    Ok(page(&visit, 201, texts::KEY_ROTATED, &body))
}

/// `POST /console/{environment}/developers/keys/{id}/revoke`
///
/// If it is the key of the session, the list that follows says that the session has ended.
pub(crate) async fn revoke(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    visit.send(visit.request(Method::DELETE, format!("/v1/api_keys/{}", visit.id()?))).await?.ok()?;
    Ok(respond::see_other(&visit.path("/developers/keys?notice=revoked")))
}
