//! What belongs to no API: whether the process lives, and whether it can do its work.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use crate::failure::Failure;
use crate::request::auth;
use crate::respond::json;
use crate::routing::{Surface, get};
use crate::surfaces::native;
use crate::transport::stop::Stop;

/// `/livez` and `/readyz`. What no other surface answers is refused here, in the native surface's format.
pub(crate) fn surface() -> Surface {
    Surface::new("", native::answer).resource("/livez", vec![get(live)]).resource("/readyz", vec![get(ready)])
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// `GET /livez`: 200 while the process answers at all.
async fn live(_: HttpRequest) -> HttpResponse {
    json(StatusCode::OK, &Health { status: "ok" })
}

/// `GET /readyz`: 200 if the database answers within the deadline and takes writes, 503 otherwise, or if the service is
/// stopping.
async fn ready(request: HttpRequest) -> Result<HttpResponse, native::Error> {
    if request.app_data::<web::Data<Stop>>().is_some_and(|stop| stop.is_draining()) {
        return Ok(json(StatusCode::SERVICE_UNAVAILABLE, &Health { status: "stopping" }));
    }
    auth::handle(&request)?.check_store().await.map_err(Failure::from)?.map_err(Failure::from)?;
    Ok(json(StatusCode::OK, &Health { status: "ok" }))
}
