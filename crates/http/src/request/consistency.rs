//! How current the reads of a request must be, and the position that its answer shows.
//!
//! The headers mean the same on every surface. A position is sealed as cursors are: for one tenant, and by this service only.

use std::rc::Rc;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use roster_application::ports::Position;
use roster_application::{Consistency, CursorKey, CursorScope, Principal};
use roster_domain::Tenant;
use roster_executor::{Handle, RequestReads};

use crate::failure::Failure;
use crate::request::auth;

/// The header with a position: of what its caller has seen in a request, and of what it shows in an answer.
pub(crate) const POSITION: &str = "Roster-Position";

/// The header that says how current a read must be.
pub(crate) const CONSISTENCY: &str = "Roster-Consistency";

/// The values of [`CONSISTENCY`].
pub(crate) const VALUES: [&str; 2] = ["latest", "eventual"];

/// The reads of a request, which its answer must show the position of.
struct Shown(Rc<RequestReads>);

/// The reads of a request for customers.
///
/// # Errors
/// [`Failure::InvalidHeader`] if a header breaks its rule.
pub(crate) fn reads(request: &HttpRequest, handle: &Handle, tenant: Tenant) -> Result<Rc<RequestReads>, Failure> {
    let (position, consistency) = (one(request, POSITION)?, one(request, CONSISTENCY)?);
    if position.is_none() && consistency.is_none() {
        return Ok(Rc::default());
    }
    let consistency = consistency.map(parse).transpose()?;
    let position = match position {
        Some(text) => Some(open(&handle.cursor_key()?, tenant, text)?),
        None => None,
    };
    let consistency = match (consistency, position) {
        (Some(Consistency::Latest), _) | (None, None) | (_, Some(None)) => Consistency::Latest,
        // What the caller has seen is a bound of any state, too.
        (_, Some(Some(position))) => Consistency::AtLeast(position),
        (Some(other), None) => other,
    };
    if consistency == Consistency::Latest {
        return Ok(Rc::default());
    }
    let reads = Rc::new(RequestReads::new(consistency));
    request.extensions_mut().insert(Shown(Rc::clone(&reads)));
    Ok(reads)
}

/// The value of a header that may be sent once.
fn one<'a>(request: &'a HttpRequest, name: &'static str) -> Result<Option<&'a HeaderValue>, Failure> {
    let mut values = request.headers().get_all(name);
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(Failure::InvalidHeader(name, "must be sent once")),
    }
}

fn parse(value: &HeaderValue) -> Result<Consistency, Failure> {
    let [latest, eventual] = VALUES;
    match value.to_str() {
        Ok(text) if text == latest => Ok(Consistency::Latest),
        Ok(text) if text == eventual => Ok(Consistency::Eventual),
        _ => Err(unknown_value()),
    }
}

/// The refusal of any other value of [`CONSISTENCY`].
pub(crate) fn unknown_value() -> Failure {
    Failure::InvalidHeader(CONSISTENCY, "must be latest or eventual")
}

/// The position in a header; `None` if it is one that no replica includes.
fn open(key: &CursorKey, tenant: Tenant, value: &HeaderValue) -> Result<Option<Position>, Failure> {
    let refused = Failure::InvalidHeader(POSITION, "must be as an answer to the same merchant and environment has it");
    let bytes = value.to_str().ok().and_then(|text| key.open(&scope(tenant), text));
    match bytes {
        Some(bytes) if bytes.is_empty() => Ok(None),
        Some(bytes) => Position::from_bytes(&bytes).map(Some).ok_or(refused),
        None => Err(refused),
    }
}

fn seal(key: &CursorKey, tenant: Tenant, position: Option<Position>) -> String {
    key.seal(&scope(tenant), &position.map(Position::to_bytes).unwrap_or_default())
}

fn scope(tenant: Tenant) -> CursorScope {
    CursorScope::new("position", tenant)
}

/// Says in an answer which position includes what it shows, if there is a replica: in each answer to a request that changes
/// something, also if it has changed nothing, and in those to reads that a replica may serve.
pub(crate) async fn add_header(request: &HttpRequest, response: &mut HttpResponse) {
    let tenant = request.extensions().get::<Principal>().map(|principal| principal.tenant);
    let (Some(tenant), Ok(handle)) = (tenant, auth::handle(request)) else { return };
    let says_nothing = response.status().is_server_error() || response.status() == StatusCode::TOO_MANY_REQUESTS;
    if says_nothing || handle.uses_replica().is_none() {
        return;
    }
    let reads = request.extensions().get::<Shown>().map(|Shown(reads)| Rc::clone(reads));
    let position = match reads {
        Some(reads) => handle.position_of(&reads).await,
        None if request.method().is_safe() => return,
        None => handle.position().await,
    };
    let Ok(key) = handle.cursor_key() else { return };
    if let Ok(value) = HeaderValue::try_from(seal(&key, tenant, position)) {
        response.headers_mut().insert(HeaderName::from_static("roster-position"), value);
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use roster_domain::{Environment, MerchantId};
    use uuid::Uuid;

    use super::*;

    const POSITIONS: [Option<Position>; 2] =
        [Some(Position { database: 7_713_012_687_395_020_299, timeline: 2, place: 0x0300_0AF8 }), None];

    fn tenant(number: u128, environment: Environment) -> Tenant {
        Tenant { merchant: MerchantId::new(Uuid::from_u128(number)), environment }
    }

    fn opened(key: &CursorKey, tenant: Tenant, text: &str) -> Result<Option<Position>, &'static str> {
        let value = HeaderValue::from_str(text).expect("a header");
        open(key, tenant, &value).map_err(|failure| match failure {
            Failure::InvalidHeader(POSITION, rule) => rule,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn a_position_opens_for_its_own_tenant_only() {
        let key = CursorKey::new(&[7; 32]);
        let tenants = [tenant(1, Environment::Live), tenant(1, Environment::Sandbox), tenant(2, Environment::Live)];
        for position in POSITIONS {
            for (place, sealed_for) in tenants.iter().enumerate() {
                let text = seal(&key, *sealed_for, position);
                for (other, opened_for) in tenants.iter().enumerate() {
                    let found = opened(&key, *opened_for, &text);
                    assert_eq!(found.ok(), (place == other).then_some(position), "{place} for {other}");
                }
            }
        }
    }

    #[test]
    fn a_position_that_was_changed_or_is_a_cursor_does_not_open() {
        let (key, tenant) = (CursorKey::new(&[7; 32]), tenant(1, Environment::Live));
        let text = seal(&key, tenant, POSITIONS[0]);
        let cursor = key.seal(&CursorScope::new("events", tenant), &POSITIONS[0].expect("a position").to_bytes());
        let too_short = key.seal(&scope(tenant), b"123");
        let of_other_service = seal(&CursorKey::new(&[8; 32]), tenant, POSITIONS[0]);
        let changed = text.chars().rev().collect::<String>();
        for wrong in ["", "x", "0/3000AF8", &text[1..], &cursor, &too_short, &of_other_service, &changed] {
            assert!(opened(&key, tenant, wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_header_has_one_of_its_values_and_is_sent_once() {
        let value = |text| HeaderValue::from_static(text);
        assert_eq!(parse(&value("latest")).ok(), Some(Consistency::Latest));
        assert_eq!(parse(&value("eventual")).ok(), Some(Consistency::Eventual));
        for wrong in ["", "Eventual", "strong", "latest, eventual"] {
            let failure = parse(&value(wrong)).expect_err(wrong);
            let Failure::InvalidHeader(CONSISTENCY, rule) = failure else { panic!("{wrong}: {failure:?}") };
            assert!(VALUES.iter().all(|value| rule.contains(value)), "{rule}");
        }
        let twice = TestRequest::get().append_header((CONSISTENCY, "latest")).append_header((CONSISTENCY, "latest"));
        assert!(matches!(one(&twice.to_http_request(), CONSISTENCY), Err(Failure::InvalidHeader(CONSISTENCY, _))));
    }
}
