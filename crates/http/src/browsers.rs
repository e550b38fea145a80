//! What browsers are told: that answers are data and nothing else, and whose pages may read them.

use actix_web::http::header;
use actix_web::middleware::DefaultHeaders;

/// What every answer says to whatever would take it for a page (the OWASP cheat sheet on REST security).
const ALWAYS: [(header::HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Customers' data stays out of every cache on the way.
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// Adds the security headers to every answer.
pub(crate) fn headers() -> DefaultHeaders {
    ALWAYS.into_iter().fold(DefaultHeaders::new(), DefaultHeaders::add)
}
