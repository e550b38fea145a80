//! Requests that another site has a visitor's browser send (CSRF).
//!
//! Three things keep them out, each by itself: the cookie is `SameSite=Strict`; browsers say where a request comes from; and each
//! form has a token, which no other site knows.

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderName};

/// Whether what the browser says of a request's origin is that it comes from a page of this service.
///
/// Browsers that say nothing are answered by the token alone. Over plain HTTP they leave `Sec-Fetch-Site` out, except on this machine.
pub(crate) fn is_from_here(request: &HttpRequest) -> bool {
    let value = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = value(HeaderName::from_static("sec-fetch-site")) {
        return site == "same-origin";
    }
    match (value(header::ORIGIN), value(header::HOST)) {
        (None, _) => true,
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, of)| of.eq_ignore_ascii_case(host)),
        (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_request_that_another_site_has_sent_is_known() {
        for (headers, expected) in [
            (vec![("host", "a.example:80"), ("sec-fetch-site", "same-origin")], true),
            (vec![("host", "a.example:80"), ("sec-fetch-site", "same-site")], false),
            (vec![("host", "a.example:80"), ("sec-fetch-site", "cross-site")], false),
            (vec![("host", "a.example:80"), ("sec-fetch-site", "none")], false),
            (vec![("host", "a.example:80"), ("origin", "http://a.example:80")], true),
            (vec![("host", "a.example"), ("origin", "https://b.example")], false),
            (vec![("host", "a.example"), ("origin", "null")], false),
            (vec![("host", "a.example"), ("origin", "http://a.example.evil.example")], false),
            (vec![("host", "a.example")], true),
            (vec![("origin", "http://a.example")], false),
        ] {
            let request = headers.iter().fold(TestRequest::post(), |request, header| request.insert_header(*header));
            assert_eq!(is_from_here(&request.to_http_request()), expected, "{headers:?}");
        }
    }
}
