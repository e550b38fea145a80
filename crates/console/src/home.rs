//! The path without a page of its own.

use std::rc::Rc;

use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};

use crate::refusal::Refusal;
use crate::session::Area;
use crate::visit::{Visit, Worker};
use crate::{BASE, cookies, layout, respond};

/// `/console`: an area with a session, or the sign-in page.
pub(crate) async fn home(_: Rc<Worker>, request: HttpRequest, _: Bytes) -> HttpResponse {
    let has_session = |area: &Area| cookies::read(&request, area.cookie()).is_some();
    match Area::ALL.into_iter().find(has_session) {
        Some(area) => respond::see_other(&format!("{BASE}/{}{}", area.as_str(), layout::first(area).0)),
        None => respond::see_other(&format!("{BASE}/sign-in")),
    }
}

/// `/console/operators`: its first page.
pub(crate) async fn of_operators(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    Ok(respond::see_other(&visit.path(layout::first(visit.place.area).0)))
}
