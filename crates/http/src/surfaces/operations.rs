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
    /// Whether the replica is read. Left out if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    replica: Option<&'static str>,
}

impl Health {
    fn of(status: &'static str) -> Self {
        Self { status, replica: None }
    }
}

/// `GET /livez`: 200 while the process answers at all.
async fn live(_: HttpRequest) -> HttpResponse {
    json(StatusCode::OK, &Health::of("ok"))
}

/// `GET /readyz`: 200 if the database answers within the deadline and takes writes, 503 otherwise, or if the service is
/// stopping. What the replica does makes no difference: the primary serves its reads.
async fn ready(request: HttpRequest) -> Result<HttpResponse, native::Error> {
    if request.app_data::<web::Data<Stop>>().is_some_and(|stop| stop.is_draining()) {
        return Ok(json(StatusCode::SERVICE_UNAVAILABLE, &Health::of("stopping")));
    }
    let handle = auth::handle(&request)?;
    handle.check_store().await.map_err(Failure::from)?.map_err(Failure::from)?;
    let replica = handle.uses_replica().map(|is_used| if is_used { "used" } else { "unused" });
    Ok(json(StatusCode::OK, &Health { status: "ok", replica }))
}
