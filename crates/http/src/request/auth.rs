//! Authenticating a request.

use actix_web::http::header;
use actix_web::{HttpRequest, web};
use roster_application::{Principal, Recognition};
use roster_executor::Handle;

use crate::failure::Failure;

/// Authenticates a request by its `Authorization: Bearer` header: an API key or a token.
pub(crate) async fn authenticate(request: &HttpRequest) -> Result<Principal, Failure> {
    let handle = handle(request)?;
    let credential = bearer(request).ok_or(Failure::Unauthorized)?;
    let mut recognition = handle.recognise(credential);
    if recognition == Recognition::FetchKeys {
        handle.fetch_token_keys(credential).await?;
        recognition = handle.recognise(credential);
    }
    match recognition {
        Recognition::Principal(principal) => Ok(principal),
        Recognition::LookUp(presented) => Ok(handle.authenticate(presented).await??),
        // The issuer was asked a moment ago and does not publish the key.
        Recognition::FetchKeys | Recognition::Refused => Err(Failure::Unauthorized),
    }
}

/// The handle of the worker thread, for requests without a caller.
pub(crate) fn handle(request: &HttpRequest) -> Result<&Handle, Failure> {
    let handle = request.app_data::<web::Data<Handle>>().ok_or(Failure::Internal)?;
    Ok(handle.get_ref())
}

/// The credential of RFC 6750 §2.1. The scheme is read in any case (RFC 9110 §11.1).
fn bearer(request: &HttpRequest) -> Option<&str> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credential) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| credential.trim())
}
