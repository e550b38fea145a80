//! Answers to heads that are not read to their end, for which there is no request yet.

use actix_web::HttpResponse;
use actix_web::body::MessageBody as _;
use actix_web::http::header;
use actix_web::web::Bytes;

use crate::failure::{Answer, Failure};

/// The answers of each surface, as bytes.
#[derive(Debug)]
pub(crate) struct Refusals(Vec<OfSurface>);

#[derive(Debug)]
struct OfSurface {
    base: &'static str,
    head_too_large: Bytes,
    no_memory: Bytes,
}

/// The first bytes of a head: the method, and the path as far as it names the surface.
#[derive(Debug, Default)]
pub(crate) struct HeadStart {
    bytes: [u8; 24],
    length: usize,
}

impl HeadStart {
    /// Takes `read`, the bytes of the head from `at` on.
    pub(crate) fn note(&mut self, at: usize, read: &[u8]) {
        if let Some(free) = self.bytes.get_mut(at..) {
            let length = free.len().min(read.len());
            free[..length].copy_from_slice(&read[..length]);
            self.length = at + length;
        }
    }

    /// Whether the path is below `base`, as far as it is known.
    fn is_below(&self, base: &str) -> bool {
        let start = &self.bytes[..self.length.min(self.bytes.len())];
        let path = start.iter().position(|byte| *byte == b' ').map_or(&[][..], |space| &start[space + 1..]);
        path.strip_prefix(base.as_bytes())
            .is_some_and(|rest| base.is_empty() || matches!(rest.first(), Some(b'/' | b'?' | b' ')))
    }
}

impl Refusals {
    /// The answers of surfaces with their bases, the last of which has no base.
    pub(crate) fn new(surfaces: impl Iterator<Item = (&'static str, Answer)>) -> Self {
        let of_surface = |(base, answer): (&'static str, Answer)| OfSurface {
            base,
            head_too_large: written(answer(&Failure::HeadTooLarge)),
            no_memory: written(answer(&Failure::NoMemory)),
        };
        Self(surfaces.map(of_surface).collect())
    }

    /// The answer to a head that exceeds its limit.
    pub(crate) fn head_too_large(&self, start: &HeadStart) -> Bytes {
        self.of(start).map(|surface| surface.head_too_large.clone()).unwrap_or_default()
    }

    /// The answer to a head for which there is no memory.
    pub(crate) fn no_memory(&self, start: &HeadStart) -> Bytes {
        self.of(start).map(|surface| surface.no_memory.clone()).unwrap_or_default()
    }

    fn of(&self, start: &HeadStart) -> Option<&OfSurface> {
        self.0.iter().find(|surface| start.is_below(surface.base))
    }
}

/// A response as bytes, after which the connection ends.
fn written(response: HttpResponse) -> Bytes {
    let (head, body) = response.into_parts();
    let body = body.try_into_bytes().unwrap_or_default();
    let mut bytes =
        format!("HTTP/1.1 {}\r\nconnection: close\r\ncontent-length: {}\r\n", head.status(), body.len()).into_bytes();
    for (name, value) in head.headers().iter().filter(|(name, _)| *name != header::CONTENT_LENGTH) {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&body);
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::StatusCode;

    fn first(_: &Failure) -> HttpResponse {
        HttpResponse::build(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
            .insert_header(("x-surface", "first"))
            .body("no")
    }

    fn other(_: &Failure) -> HttpResponse {
        HttpResponse::ServiceUnavailable().finish()
    }

    #[test]
    fn the_answer_is_that_of_the_surface_which_the_path_names() {
        let surfaces: [(&str, Answer); 2] = [("/first", first), ("", other)];
        let refusals = Refusals::new(surfaces.into_iter());
        for (head, is_first) in [
            ("GET /first/x HTTP/1.1", true),
            ("OPTIONS /first?x", true),
            ("GET /firstly HTTP/1.1", false),
            ("GET /first", false),
            ("GET / HTTP/1.1", false),
            ("", false),
        ] {
            let mut start = HeadStart::default();
            for (at, byte) in head.bytes().enumerate() {
                start.note(at, &[byte]);
            }
            let answer = refusals.head_too_large(&start);
            assert_eq!(answer.starts_with(b"HTTP/1.1 431 Request Header Fields Too Large\r\n"), is_first, "{head}");
            let mut at_once = HeadStart::default();
            at_once.note(0, head.as_bytes());
            assert_eq!(refusals.head_too_large(&at_once), answer, "{head}");
        }
    }

    #[test]
    fn a_response_is_written_with_its_headers_and_its_body() {
        let expected = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 2\r\n\
                        x-surface: first\r\n\r\nno";
        assert_eq!(written(first(&Failure::Internal)), expected);
    }
}
