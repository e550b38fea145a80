//! Finding out who calls.

use actix_web::http::header;
use actix_web::{HttpRequest, web};
use roster_application::{Principal, Recognition};

use crate::core::Handle;
use crate::failure::Failure;

/// Authenticates a request by its `Authorization: Bearer` header: an API key or a token.
pub(crate) async fn authenticate(request: &HttpRequest) -> Result<Principal, Failure> {
    let core = core(request)?;
    let credential = bearer(request).ok_or(Failure::Unauthorized)?;
    let mut recognition = core.recognise(credential);
    if recognition == Recognition::FetchKeys {
        core.fetch_token_keys(credential).await?;
        recognition = core.recognise(credential);
    }
    match recognition {
        Recognition::Principal(principal) => Ok(principal),
        Recognition::LookUp(presented) => Ok(core.authenticate(presented).await??),
        // Asked for a moment ago, the key is not there.
        Recognition::FetchKeys | Recognition::Refused => Err(Failure::Unauthorized),
    }
}

/// The way to the use cases, for what needs no caller.
pub(crate) fn core(request: &HttpRequest) -> Result<&Handle, Failure> {
    let core = request.app_data::<web::Data<Handle>>().ok_or(Failure::Internal)?;
    Ok(core.get_ref())
}

/// The credential of RFC 6750 §2.1. The scheme is read in any case (RFC 9110 §11.1).
fn bearer(request: &HttpRequest) -> Option<&str> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credential) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| credential.trim())
}
