//! Who asks for a change, in which request, and why: what its event says of its caller.

use actix_web::http::header::HeaderValue;
use actix_web::{HttpMessage as _, HttpRequest};
use roster_application::{Actor, Attribution, Principal};
use roster_domain::ChangeReason;

use crate::failure::Failure;

/// The header with the reason for a change: 1 to 256 printable characters in UTF-8.
pub(crate) const REASON: &str = "X-Change-Reason";

/// The identifier of a request, which its answer and the log have, too.
pub(crate) struct RequestId(pub(crate) HeaderValue);

/// Who asks for the change that a request makes. `None` if it changes nothing by its method.
///
/// # Errors
/// [`Failure::MalformedHeader`] if the reason breaks a rule, or is sent twice.
pub(crate) fn of(request: &HttpRequest, principal: &Principal) -> Result<Option<Attribution>, Failure> {
    if request.method().is_safe() {
        return Ok(None);
    }
    let actor = match (&principal.api_key, &principal.token) {
        (Some(id), _) => Actor::ApiKey(*id),
        (None, Some(holder)) => Actor::Token(holder.clone()),
        (None, None) => Actor::System,
    };
    Ok(Some(Attribution { actor, request_id: request_id(request), reason: reason(request)? }))
}

/// The identifier of a request.
pub(crate) fn request_id(request: &HttpRequest) -> Option<String> {
    request.extensions().get().and_then(|RequestId(id)| id.to_str().ok().map(str::to_owned))
}

fn reason(request: &HttpRequest) -> Result<Option<ChangeReason>, Failure> {
    let mut values = request.headers().get_all(REASON);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => parse(value).map(Some).ok_or(Failure::MalformedHeader(REASON)),
        (Some(_), Some(_)) => Err(Failure::MalformedHeader(REASON)),
    }
}

fn parse(value: &HeaderValue) -> Option<ChangeReason> {
    ChangeReason::parse(std::str::from_utf8(value.as_bytes()).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_reason_has_1_to_256_printable_characters_and_is_sent_once() {
        let read = |values: &[&[u8]]| {
            let mut request = TestRequest::post();
            for value in values {
                request = request.append_header((REASON, HeaderValue::from_bytes(value).expect("a header")));
            }
            reason(&request.to_http_request()).map(|reason| reason.map(|reason| reason.as_str().to_owned()))
        };
        assert_eq!(read(&[]).expect("none"), None);
        let long = "ж".repeat(256);
        for good in ["x", "moved to Paris", &long] {
            assert_eq!(read(&[good.as_bytes()]).expect("a reason").as_deref(), Some(good));
        }
        let too_long = "ж".repeat(257);
        let bad: [&[&[u8]]; 5] = [&[b""], &[too_long.as_bytes()], &[b"\xff"], &[b"a\tb"], &[b"a", b"a"]];
        for values in bad {
            assert!(matches!(read(values), Err(Failure::MalformedHeader(REASON))), "{values:?}");
        }
    }
}
