//! The path without a page of its own.

use std::rc::Rc;

use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};

use crate::session::Environment;
use crate::visit::Worker;
use crate::{BASE, cookies, respond};

/// `/console`: an environment with a session, or the sign-in page.
pub(crate) async fn home(_: Rc<Worker>, request: HttpRequest, _: Bytes) -> HttpResponse {
    let has_session = |environment: &Environment| cookies::read(&request, environment.cookie()).is_some();
    match Environment::ALL.into_iter().find(has_session) {
        Some(environment) => respond::see_other(&format!("{BASE}/{}/customers", environment.as_str())),
        None => respond::see_other(&format!("{BASE}/sign-in")),
    }
}
