//! Serving the OpenAPI document of a surface.

use actix_web::HttpResponse;
use actix_web::http::header;

use crate::routing::{Endpoint, get};

/// Answers with a document, without a credential: it is public.
pub(crate) fn show(document: &'static str) -> Endpoint {
    get(
        move |_| async move { HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "application/json")).body(document) },
    )
}
