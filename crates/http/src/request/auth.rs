//! Authenticating a request.

use actix_web::http::header;
use actix_web::{HttpRequest, web};
use roster_application::{AuthenticateError, Principal, Recognition};
use roster_executor::Handle;

use crate::failure::Failure;

/// Authenticates a request by its `Authorization: Bearer` header: an API key or a token.
pub(crate) async fn authenticate(request: &HttpRequest) -> Result<Principal, Failure> {
    let handle = handle(request)?;
    let credential = bearer(request).ok_or(Failure::Unauthorized)?;
    let mut recognition = handle.recognise(credential);
    if matches!(recognition, Recognition::FetchKeys(_)) {
        handle.fetch_token_keys(credential).await?;
        recognition = handle.recognise(credential);
    }
    let found = match recognition {
        Recognition::Principal(principal) => return Ok(principal),
        Recognition::LookUp(presented) => handle.authenticate(presented).await?,
        // The issuer was asked a moment ago and does not publish the key.
        Recognition::FetchKeys(refusal) => Err(AuthenticateError::Refused(Some(refusal))),
        Recognition::Refused(refusal) => Err(AuthenticateError::Refused(refusal)),
    };
    found.inspect_err(log_refusal).map_err(Failure::from)
}

/// Logs why a token is refused, for its issuer's operator: the caller does not learn it. The line has nothing of the token,
/// which may be good elsewhere.
fn log_refusal(error: &AuthenticateError) {
    if let AuthenticateError::Refused(Some(refusal)) = error {
        tracing::info!(reason = refusal.reason.as_str(), issuer = refusal.issuer.as_deref(), "a token was refused");
    }
}

/// The handle of the worker thread, for requests without a caller.
pub(crate) fn handle(request: &HttpRequest) -> Result<&Handle, Failure> {
    let handle = request.app_data::<web::Data<Handle>>().ok_or(Failure::Internal)?;
    Ok(handle.get_ref())
}

/// The credential of RFC 6750 §2.1. The scheme is read in any case (RFC 9110 §11.1).
///
/// Two headers are refused: a proxy might have checked the other one.
pub(crate) fn bearer(request: &HttpRequest) -> Option<&str> {
    let mut values = request.headers().get_all(header::AUTHORIZATION);
    let value = values.next().filter(|_| values.next().is_none())?.to_str().ok()?;
    let (scheme, credential) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| credential.trim())
}
