//! Response headers for browsers: responses are data, not pages, and only pages of some origins may read them.

use std::fmt;

use actix_cors::Cors;
use actix_web::http::{Method, Uri, header};
use actix_web::middleware::{Condition, DefaultHeaders};

use crate::request::{consistency, idempotency};

/// The security headers of every response (the OWASP cheat sheet on REST security).
const SECURITY_HEADERS: [(header::HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // No cache between the service and the client may store customers' data.
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// The response headers that a page may read, besides those that every page may read.
const EXPOSED: [&str; 13] = [
    "X-Request-Id",
    "ETag",
    "Location",
    "Link",
    "Retry-After",
    "RateLimit",
    "RateLimit-Policy",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "WWW-Authenticate",
    idempotency::REPLAYED,
    consistency::POSITION,
];

/// How long a browser may cache the response to a preflight request, in seconds.
const MAX_AGE: usize = 3600;

/// The origin of a web page, in the one form that browsers write (RFC 6454 §6.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

/// The text is not an [`Origin`] whose pages may read responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an origin as browsers write it: https://app.example, https://app.example:8443 or http://localhost:3000")]
pub struct OriginError;

impl Origin {
    /// Accepts `https` with a host and an optional port, and `http` only with a name of this machine.
    ///
    /// Browsers write hosts in lower case and omit the scheme's default port; any other form would never match.
    ///
    /// # Errors
    /// [`OriginError`] for anything else, `*` and paths included.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let uri: Uri = text.parse().map_err(|_| OriginError)?;
        let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else { return Err(OriginError) };
        let default_port = match (scheme, host) {
            ("https", _) => 443,
            ("http", "localhost" | "127.0.0.1" | "[::1]") => 80,
            _ => return Err(OriginError),
        };
        let written = match uri.port_u16() {
            Some(port) if port == 0 || port == default_port => return Err(OriginError),
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        };
        let is_host = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'[' | b']' | b':');
        if written == text && host.bytes().all(is_host) { Ok(Self(written)) } else { Err(OriginError) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Adds the security headers to every response; `is_secure` says whether this service itself speaks TLS.
pub(crate) fn headers(is_secure: bool) -> DefaultHeaders {
    let strict = is_secure.then_some((header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"));
    SECURITY_HEADERS.into_iter().chain(strict).fold(DefaultHeaders::new(), DefaultHeaders::add)
}

/// Allows pages of these origins, and no others, to read responses; without origins, no response has CORS headers.
///
/// A page sends its credential itself, so browsers are not allowed to add one.
pub(crate) fn cors(origins: &[Origin]) -> Condition<Cors> {
    let cors = Cors::default()
        .allowed_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_any_header()
        .expose_headers(EXPOSED)
        .max_age(MAX_AGE)
        // Requests of other origins are served as well: the browser keeps the response from the page.
        .block_on_origin_mismatch(false);
    let cors = origins.iter().fold(cors, |cors, Origin(origin)| cors.allowed_origin(origin));
    Condition::new(!origins.is_empty(), cors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_as_a_browser_writes_it_is_accepted() {
        for origin in [
            "https://app.example",
            "https://app.example:8443",
            "https://xn--bcher-kva.example",
            "https://192.0.2.1",
            "https://[2001:db8::1]:8443",
            "http://localhost",
            "http://localhost:3000",
            "http://127.0.0.1:3000",
            "http://[::1]:3000",
        ] {
            assert_eq!(Origin::parse(origin).map(|origin| origin.to_string()).as_deref(), Ok(origin));
        }
    }

    #[test]
    fn a_malformed_or_untrusted_origin_is_refused() {
        for text in [
            "",
            "*",
            "null",
            "app.example",
            "//app.example",
            "https://",
            "https://*",
            "https://*.app.example",
            "https://app.example/",
            "https://app.example/path",
            "https://app.example?query",
            "https://app.example#fragment",
            "https://App.example",
            "HTTPS://app.example",
            "https://bücher.example",
            "https://user@app.example",
            "https://app.example:",
            "https://app.example:0",
            "https://app.example:443",
            "https://app.example:08443",
            "https://app.example:65536",
            "http://localhost:80",
            "http://app.example",
            "http://localhost.app.example",
            "https://app.example, https://b.example",
            " https://app.example",
            "chrome-extension://abcdef",
        ] {
            assert_eq!(Origin::parse(text), Err(OriginError), "{text}");
        }
    }
}
