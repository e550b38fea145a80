//! Reads segments of a path.

use std::borrow::Cow;

use actix_web::HttpRequest;
use percent_encoding::percent_decode_str;

use crate::routing;

/// The path segment that the route's pattern calls `{name}`, percent-decoded once. `None` if it is not UTF-8.
pub(crate) fn segment<'a>(request: &'a HttpRequest, name: &str) -> Option<Cow<'a, str>> {
    let pattern = routing::pattern(request)?;
    let place =
        pattern.split('/').position(|part| part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) == Some(name))?;
    let raw = request.uri().path().split('/').nth(place)?;
    percent_decode_str(raw).decode_utf8().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::{TestRequest, call_service, init_service, read_body};
    use actix_web::{App, HttpResponse, rt};

    use crate::routing::{Surface, get};

    async fn echo(request: HttpRequest) -> HttpResponse {
        HttpResponse::Ok().body(segment(&request, "name").map_or("not UTF-8".to_owned(), Cow::into_owned))
    }

    fn seen(path: &str) -> String {
        rt::System::new().block_on(async {
            let surface =
                Surface::new("/a", |_| HttpResponse::NotFound().finish()).resource("/b/{name}/c", vec![get(echo)]);
            let app = init_service(App::new().configure(|app| routing::serve(vec![surface], app))).await;
            let response = call_service(&app, TestRequest::with_uri(path).to_request()).await;
            String::from_utf8(read_body(response).await.to_vec()).expect("UTF-8")
        })
    }

    #[test]
    fn a_segment_is_decoded_once() {
        for (path, name) in [
            ("/a/b/plain/c", "plain"),
            ("/a/b/gid:%2F%2Fapp%2F1/c", "gid://app/1"),
            ("/a/b/100%25/c", "100%"),
            ("/a/b/%252F/c", "%2F"),
            ("/a/b/a+b%20c/c", "a+b c"),
            ("/a/b/%D0%BA/c", "к"),
            ("/a/b/%00/c", "\0"),
            ("/a/b/%ff/c", "not UTF-8"),
            ("/a/b/%zz/c", "%zz"),
        ] {
            assert_eq!(seen(path), name, "{path}");
        }
    }
}
