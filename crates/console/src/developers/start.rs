//! The first page for developers: where the API is described, and all customers as a file.

use std::rc::Rc;

use actix_web::HttpResponse;
use maud::html;

use super::{exports, page};
use crate::refusal::Refusal;
use crate::texts;
use crate::visit::Visit;

/// The OpenAPI documents, each with the name of its API.
const DOCUMENTS: [(&str, &str); 3] =
    [("Native", "/v1/openapi.json"), ("Lumen", "/api/openapi.json"), ("Lava", "/lava/v1/openapi.json")];

/// `GET /console/{environment}/developers`
pub(crate) async fn show(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let body = html! {
        h1 { (texts::API) }
        section {
            h2 { (texts::DOCUMENTATION) }
            @if visit.place.worker.console.0.api_page { p { a href="/docs" { (texts::READ_AND_TRY) } } }
            p { (texts::OPENAPI) }
            div.actions { @for (name, path) in DOCUMENTS { a.button href=(path) { (name) } } }
        }
        section {
            h2 { (texts::EXPORT_TITLE) }
            p { (texts::EXPORT_HINT) }
            div.actions {
                @for format in exports::FORMATS {
                    a.button href=(visit.path(&format!("/developers/exports/{format}"))) { (texts::export(format)) }
                }
            }
        }
    };
    Ok(page(&visit, 200, texts::API, &body))
}
