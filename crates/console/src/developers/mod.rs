//! Pages for developers: API keys, webhook endpoints, events, files of customers, and where the API is described.

pub(crate) mod events;
pub(crate) mod exports;
pub(crate) mod imports;
pub(crate) mod key;
pub(crate) mod keys;
pub(crate) mod new_import;
pub(crate) mod new_key;
pub(crate) mod start;
pub(crate) mod webhook;
pub(crate) mod webhook_actions;
pub(crate) mod webhook_form;
pub(crate) mod webhooks;

use actix_web::HttpResponse;
use maud::{Markup, html};

use crate::texts;
use crate::visit::Visit;

/// The parts of this section: the path below the environment, the name.
const PARTS: [(&str, &str); 5] = [
    (START, texts::API),
    ("/developers/keys", texts::API_KEYS),
    ("/developers/webhooks", texts::WEBHOOKS),
    ("/developers/events", texts::EVENTS),
    ("/developers/imports", texts::IMPORTS),
];

/// The first page of this section.
const START: &str = "/developers";

/// A page of this section, with links to its parts.
fn page(visit: &Visit, status: u16, title: &str, body: &Markup) -> HttpResponse {
    let here = visit.place.request.path();
    let is_current = |part: &str, path: &str| if part == START { here == path } else { here.starts_with(path) };
    let body = html! {
        nav.parts aria-label=(texts::DEVELOPERS) {
            @for (part, name) in PARTS {
                @let path = visit.path(part);
                a href=(path) aria-current=[is_current(part, &path).then_some("page")] { (name) }
            }
        }
        (body)
    };
    visit.page(status, title, &body)
}
