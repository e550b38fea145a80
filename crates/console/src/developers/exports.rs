//! All customers as a file.

use std::rc::Rc;

use actix_web::HttpResponse;
use actix_web::http::Method;

use crate::api::Answer;
use crate::form::query;
use crate::refusal::Refusal;
use crate::respond;
use crate::visit::Visit;

/// The forms of the file.
pub(super) const FORMATS: [&str; 2] = ["csv", "ndjson"];

/// `GET /console/{environment}/developers/exports/{id}`, with the form of the file in the place of an identifier
///
/// It is passed on while the API makes it, so it takes no memory for all of it.
pub(crate) async fn download(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let format = visit.id()?;
    let format = FORMATS.into_iter().find(|known| *known == format).ok_or(Refusal::NotFound)?;
    let uri = format!("/v1/customers/export{}", query([("format", format)]));
    let answer = visit.open(visit.request(Method::GET, uri)).await;
    if answer.status().is_success() {
        return Ok(respond::download(answer));
    }
    Answer::read(answer).await?.ok()?;
    Err(Refusal::Broken)
}
