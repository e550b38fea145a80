//! Signing in and out.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::rc::Rc;

use actix_web::http::Method;
use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use governor::clock::DefaultClock;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use maud::{Markup, html};

use crate::api::{Answer, Request};
use crate::form::{Form, query};
use crate::refusal::Refusal;
use crate::session::{Area, Environment, random_text};
use crate::visit::{Place, TOKEN, Visit, Worker};
use crate::{BASE, cookies, forgery, layout, respond, texts};

/// How often one address may try to sign in, a minute.
const ATTEMPTS: NonZeroU32 = NonZeroU32::new(30).expect("not zero");

/// The most addresses whose attempts are counted at a time.
const MAX_ADDRESSES: usize = 10_000;

/// The most bytes of a key: an API key has 44, that of an operator 45.
const MAX_KEY: usize = 256;

/// The cookie that the token of a sign-in form goes with, for as long as a person may leave the form open, in seconds.
const FORM_COOKIE: &str = "roster_console_form";
const FORM_LIFETIME: i64 = 43_200;

/// How long a browser keeps the cookie of a session that has ended, in seconds: its next page can then say why there is
/// a sign-in. It opens nothing any more.
const KEPT_AFTER_END: i64 = 86_400;

/// Why a visitor has to sign in again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    Expired,
    Ended,
    SignedOut,
    Link,
    Elsewhere,
}

impl Why {
    const ALL: [Self; 5] = [Self::Expired, Self::Ended, Self::SignedOut, Self::Link, Self::Elsewhere];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Ended => "ended",
            Self::SignedOut => "signed_out",
            Self::Link => "link",
            Self::Elsewhere => "elsewhere",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Expired => texts::SESSION_EXPIRED,
            Self::Ended => texts::SESSION_ENDED,
            Self::SignedOut => texts::SIGNED_OUT,
            Self::Link => texts::LINK_USED,
            Self::Elsewhere => texts::ELSEWHERE,
        }
    }
}

/// Counts attempts to sign in. An attempt costs a look-up in the database.
pub(crate) struct Attempts(RateLimiter<IpAddr, HashMapStateStore<IpAddr>, DefaultClock>);

impl Default for Attempts {
    fn default() -> Self {
        let quota = Quota::per_minute(ATTEMPTS);
        Self(RateLimiter::new(quota, HashMapStateStore::default(), DefaultClock::default()))
    }
}

impl Attempts {
    /// Whether this address may try once more.
    fn allow(&self, address: IpAddr) -> bool {
        if self.0.len() >= MAX_ADDRESSES {
            self.0.retain_recent();
        }
        self.0.len() < MAX_ADDRESSES && self.0.check_key(&address).is_ok()
    }
}

/// The sign-in page, which leads back to where the visitor is. A session that has ended is forgotten.
pub(crate) fn redirect(place: &Place, why: Option<Why>) -> HttpResponse {
    // A stream of updates is no page. A browser that is told 204 does not ask again, and the next page says why.
    let accepted = place.request.headers().get(header::ACCEPT);
    if accepted.is_some_and(|accepted| accepted == "text/event-stream") {
        return HttpResponse::NoContent().finish();
    }
    let parameters = [
        ("environment", place.area.as_str()),
        ("why", why.map_or("", Why::as_str)),
        ("next", place.here().and_then(local).unwrap_or_default()),
    ];
    let mut response = respond::see_other(&format!("{BASE}/sign-in{}", query(parameters)));
    // A session that opens nothing here opens its pages at the other address of the service.
    if why.is_some_and(|why| why != Why::Elsewhere) {
        cookies::set(&mut response, place.area.cookie(), "", 0, place.worker.console.0.secure);
    }
    response
}

/// A path of a page of the console. Nothing else is a place to go to after the sign-in.
fn local(path: &str) -> Option<&str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-.?=&%+~".contains(&byte);
    let is_below = Area::ALL.iter().any(|area| {
        let rest = path.strip_prefix(BASE).and_then(|rest| rest.strip_prefix('/'));
        rest.and_then(|rest| rest.strip_prefix(area.as_str())).is_some_and(|rest| rest.starts_with('/'))
    });
    Some(path).filter(|path| is_below && path.len() <= 2048 && path.bytes().all(is_plain) && !path.contains("//"))
}

/// `GET /console/sign-in`: the form; or, with a link that signs in once, the first page.
pub(crate) async fn show(worker: Rc<Worker>, request: HttpRequest, _: Bytes) -> HttpResponse {
    let query = Form::parse(request.query_string().as_bytes());
    let place = Place::new(worker, request, area_of(&query));
    if query.has("link") {
        let key = place.worker.console.0.links.take(query.get("link"), place.now());
        let signed_in = key.as_deref().and_then(|key| Some((key, Area::of_key(key)?)));
        let signed_in = signed_in.and_then(|(key, area)| start(&place, area, key, ""));
        return signed_in.unwrap_or_else(|| redirect(&place, Some(Why::Link)));
    }
    let why = Why::ALL.into_iter().find(|why| why.as_str() == query.get("why"));
    form(&place, 200, query.get("next"), why.map(Why::text), None)
}

/// `POST /console/sign-in`
pub(crate) async fn submit(worker: Rc<Worker>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let sent = Form::parse(&body);
    let place = Place::new(worker, request, area_of(&sent));
    let shared = &place.worker.console.0;
    let browser = cookies::read(&place.request, FORM_COOKIE).unwrap_or_default();
    let is_ours = !browser.is_empty() && shared.sessions.accepts_sign_in(browser, sent.get(TOKEN));
    if !is_ours || !forgery::is_from_here(&place.request) {
        return form(&place, 403, sent.get("next"), None, Some(texts::FORGED));
    }
    let address = place.request.peer_addr().map_or(IpAddr::from([0; 4]), |peer| network(peer.ip()));
    let refuse = |status, fault| form(&place, status, sent.get("next"), None, Some(fault));
    if !shared.attempts.allow(address) {
        return refuse(429, texts::TOO_MANY_ATTEMPTS);
    }
    let key = sent.get("key").trim();
    let Some(of_key) = Area::of_key(key).filter(|_| key.len() <= MAX_KEY && key.is_ascii()) else {
        return refuse(422, texts::NO_KEY);
    };
    match check(&place, of_key, key).await {
        Ok(200..=299 | 403) => {
            let next = if of_key == place.area { sent.get("next") } else { "" };
            start(&place, of_key, key, next).unwrap_or_else(|| refuse(500, texts::BROKEN))
        }
        Ok(401) => refuse(401, texts::WRONG_KEY),
        Ok(404) => refuse(404, texts::not_served(of_key)),
        Ok(429) => refuse(429, texts::TOO_MANY_ATTEMPTS),
        Ok(_) | Err(_) => refuse(503, texts::NOT_CHECKED),
    }
}

/// The area that the form or its page is asked for.
fn area_of(form: &Form) -> Area {
    Area::named(form.get("environment")).unwrap_or(Area::Merchant(Environment::Live))
}

/// The status of a request with the key. One that may not read customers is a key all the same.
async fn check(place: &Place, area: Area, key: &str) -> Result<u16, Refusal> {
    let path = match area {
        Area::Merchant(_) => "/v1/customers?limit=1",
        Area::Operators => "/admin/v1/service",
    };
    let request = Request::new(Method::GET, path.to_owned(), key);
    let answer = (place.worker.api)(place.request.clone(), request).await;
    Answer::read(answer).await.map(|answer| answer.status)
}

/// Starts a session, and leads to a page of it. `None` if the system has no randomness.
fn start(place: &Place, area: Area, key: &str, next: &str) -> Option<HttpResponse> {
    let shared = &place.worker.console.0;
    let cookie = shared.sessions.start(area, key, place.now())?;
    let first = format!("{BASE}/{}{}", area.as_str(), layout::first(area).0);
    let mut response = respond::see_other(local(next).unwrap_or(&first));
    cookies::set(&mut response, area.cookie(), &cookie, shared.sessions.lifetime() + KEPT_AFTER_END, shared.secure);
    Some(response)
}

/// `POST /console/{environment}/sign-out`, and for operators `/console/operators/sign-out`: the browser forgets the session.
pub(crate) async fn sign_out(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    Ok(redirect(&visit.place, Some(Why::SignedOut)))
}

/// What counts as one address: of IPv6 the network that a provider gives one customer.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) if address.to_ipv4_mapped().is_none() => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        address => address.to_canonical(),
    }
}

fn form(place: &Place, status: u16, next: &str, note: Option<&str>, fault: Option<&str>) -> HttpResponse {
    let shared = &place.worker.console.0;
    let known = cookies::read(&place.request, FORM_COOKIE).filter(|browser| !browser.is_empty()).map(str::to_owned);
    let Some(browser) = known.or_else(random_text) else { return Refusal::Broken.answer(place) };
    let token = shared.sessions.sign_in_token(&browser);
    let body = fields(place, local(next).unwrap_or_default(), &token, note, fault);
    let mut response = respond::page(place, status, texts::SIGN_IN, &body);
    cookies::set(&mut response, FORM_COOKIE, &browser, FORM_LIFETIME, shared.secure);
    response
}

fn fields(place: &Place, next: &str, token: &str, note: Option<&str>, fault: Option<&str>) -> Markup {
    html! {
        div.narrow {
            h1 { (texts::SIGN_IN) }
            @if let Some(note) = note { p.note role="status" { (note) } }
            p { (texts::SIGN_IN_INTRODUCTION) }
            form.sheet method="post" action={ (BASE) "/sign-in" } {
                input type="hidden" name=(TOKEN) value=(token);
                input type="hidden" name="environment" value=(place.area.as_str());
                input type="hidden" name="next" value=(next);
                div.field {
                    label for="key" { (texts::KEY) }
                    input #key type="password" name="key" required autocomplete="off" spellcheck="false" autofocus
                        aria-invalid=[fault.map(|_| "true")]
                        aria-describedby=(if fault.is_some() { "key-fault key-hint" } else { "key-hint" });
                    @if let Some(fault) = fault { p #key-fault.fault role="alert" { (fault) } }
                    p #key-hint.hint { (texts::key_hint(place.area)) }
                }
                button.primary type="submit" { (texts::SIGN_IN) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_the_console_are_a_place_to_go_to() {
        for path in [
            "/console/live/customers",
            "/console/sandbox/customers?search=a%40b&status=active",
            "/console/operators/log",
        ] {
            assert_eq!(local(path), Some(path));
        }
        for path in [
            "",
            "/",
            "/console",
            "/console/live",
            "/console/lively/x",
            "/console/live//evil.example",
            "//evil.example/console/live/customers",
            "https://evil.example/console/live/customers",
            "/console/live/\\evil.example",
            "/console/live/\r\nset-cookie: a=b",
            "/v1/customers",
            "/console/sign-in?next=/console/live/",
        ] {
            assert_eq!(local(path), None, "{path}");
        }
    }

    #[test]
    fn an_address_has_so_many_attempts_and_others_are_not_affected() {
        let attempts = Attempts::default();
        let [one, other] = [IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2])];
        let allowed = (0..2 * ATTEMPTS.get()).filter(|_| attempts.allow(one)).count();
        assert!((30..60).contains(&allowed), "{allowed}");
        assert!(attempts.allow(other));
    }

    #[test]
    fn the_addresses_that_are_counted_are_bounded() {
        let attempts = Attempts::default();
        let addresses = (0..20_000_u32).map(|number| IpAddr::from(number.to_be_bytes()));
        let allowed = addresses.filter(|address| attempts.allow(*address)).count();
        assert!(attempts.0.len() <= MAX_ADDRESSES && allowed >= MAX_ADDRESSES, "{allowed}");
    }

    #[test]
    fn addresses_of_one_network_count_as_one() {
        let read = |text: &str| network(text.parse().expect("an address"));
        assert_eq!(read("2001:db8:1:2:3::4"), read("2001:db8:1:2:5::6"));
        assert_ne!(read("2001:db8:1:2::"), read("2001:db8:1:3::"));
        assert_eq!(read("::ffff:192.0.2.1"), read("192.0.2.1"));
    }
}
