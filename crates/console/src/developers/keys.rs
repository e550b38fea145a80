//! The API keys of the merchant in the environment.

use std::rc::Rc;

use actix_web::HttpResponse;
use maud::{Markup, html};
use serde_json::Value;

use super::page;
use crate::api::{items, joined, text};
use crate::api_keys::status;
use crate::form::query;
use crate::layout::{notice, or_none, pages, time};
use crate::refusal::Refusal;
use crate::visit::Visit;
use crate::{layout, texts};

/// `GET /console/{environment}/developers/keys`
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let list = of_page(&visit).await?;
    let body = html! {
        div.title {
            h1 { (texts::API_KEYS) }
            a.button.primary href=(visit.path("/developers/keys/new")) data-key="n" { (texts::NEW_KEY) }
        }
        (notice(&visit))
        (table(&visit, items(&list)))
        (pages(&visit, "/developers/keys", "cursor", &list))
    };
    Ok(page(&visit, 200, texts::API_KEYS, &body))
}

/// The page of the list that the query names.
pub(super) async fn of_page(visit: &Visit) -> Result<Value, Refusal> {
    let of_page = query([("cursor", visit.query.get("cursor"))]);
    Ok(visit.get(format!("/v1/api_keys{of_page}")).await?.ok()?.body)
}

fn table(visit: &Visit, keys: &[Value]) -> Markup {
    let columns = [texts::API_KEY, texts::STATUS, texts::SCOPES_LABEL, texts::CREATED, texts::LAST_USED];
    layout::table(
        &columns,
        keys.iter().map(|key| {
            let name = html! {
                a data-row href=(link(visit, key)) { (title(key)) }
                @if key["is_current"] == true { " " span.badge { (texts::THIS_SESSION) } }
            };
            let scopes = html! { (or_none(&joined(&key["scopes"]))) };
            vec![name, status(visit, key), scopes, time(key, "created_at"), time(key, "last_used_at")]
        }),
    )
}

/// The API shows keys in lists only, so the page of a key is found on the page of the list that leads to it.
fn link(visit: &Visit, key: &Value) -> String {
    let of_page = query([("cursor", visit.query.get("cursor"))]);
    visit.path(&format!("/developers/keys/{}{of_page}", text(key, "id")))
}

/// What a key is called: its name, otherwise its identifier.
pub(super) fn title(key: &Value) -> &str {
    key["name"].as_str().unwrap_or_else(|| text(key, "id"))
}
