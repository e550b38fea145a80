//! Responses of pages.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use maud::Markup;

use crate::layout;
use crate::visit::Place;

/// What a page may load, call and be shown in: only this service. No script and no style is in a page itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A page. The other headers for browsers are those of every response of the service: no cache stores it.
pub(crate) fn page(place: &Place, status: u16, title: &str, body: &Markup) -> HttpResponse {
    let page = layout::page(place, title, body);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status)
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")))
        .insert_header((header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)))
        .body(page.into_string())
}

/// An image in SVG, which has its styles in itself and loads nothing.
pub(crate) fn image(markup: Markup) -> HttpResponse {
    let policy =
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("image/svg+xml")))
        .insert_header((header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)))
        .body(markup.into_string())
}

/// A file that the API has answered with. It is passed on as it is made.
pub(crate) fn download(answer: HttpResponse) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)));
    for name in [header::CONTENT_TYPE, header::CONTENT_DISPOSITION] {
        if let Some(value) = answer.headers().get(&name) {
            response.insert_header((name, value.clone()));
        }
    }
    response.body(answer.into_body())
}

/// Sends the browser to a path of the console. A form that was sent is not sent again.
pub(crate) fn see_other(path: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, path))
        .insert_header((header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)))
        .finish()
}
