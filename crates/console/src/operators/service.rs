//! The service: its version, its database, since when it runs, and its settings.

use std::rc::Rc;

use actix_web::HttpResponse;
use maud::{Markup, html};
use serde_json::Value;

use crate::api::text;
use crate::layout::time;
use crate::refusal::Refusal;
use crate::texts::operators as texts;
use crate::texts::{STARTED, VERSION};
use crate::visit::Visit;

/// `GET /console/operators/service`
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let service = visit.get("/admin/v1/service".to_owned()).await?.ok()?.body;
    let uptime = texts::uptime(service["uptime_seconds"].as_u64().unwrap_or_default());
    let body = html! {
        h1 { (texts::SERVICE) }
        p.hint { (texts::SERVICE_NOTE) }
        dl.facts {
            div { dt { (VERSION) } dd { (text(&service, "version")) } }
            div { dt { (texts::DATABASE) } dd { (text(&service, "database")) } }
            div { dt { (STARTED) } dd { (time(&service, "started_at")) } }
            div { dt { (texts::UPTIME) } dd { (uptime) } }
        }
        (settings(&service["settings"]))
    };
    Ok(visit.page(200, texts::SERVICE, &body))
}

fn settings(settings: &Value) -> Markup {
    html! {
        section {
            h2 { (texts::SETTINGS) }
            p.hint { (texts::SETTINGS_NOTE) }
            dl.facts {
                @for (key, value) in settings.as_object().into_iter().flatten() {
                    div {
                        dt { (key) }
                        // Texts without quotation marks, all else as JSON.
                        dd { code { (value.as_str().map_or_else(|| value.to_string(), str::to_owned)) } }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_uptime_has_its_two_largest_units() {
        for (seconds, shown) in [(59, "59 s"), (3599, "59 min"), (3600, "1 h 0 min"), (90_061, "1 d 1 h")] {
            assert_eq!(texts::uptime(seconds), shown);
        }
    }
}
