//! Whether the process lives, and whether it can do its work.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use roster_application::Roster;
use serde::Serialize;

use crate::auth;
use crate::failure::Failure;
use crate::native;
use crate::respond::json;

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// `GET /livez`: 200 while the process answers at all; it asks nobody.
pub(crate) async fn live(_: HttpRequest) -> HttpResponse {
    json(StatusCode::OK, &Health { status: "ok" })
}

/// `GET /readyz`: 200 if the database answers within the deadline, 503 otherwise.
pub(crate) async fn ready(request: HttpRequest) -> Result<HttpResponse, native::Error> {
    auth::core(&request)?.read(Roster::check_store).await.map_err(Failure::from)?.map_err(Failure::from)?;
    Ok(json(StatusCode::OK, &Health { status: "ok" }))
}
