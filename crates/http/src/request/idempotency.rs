//! The header `Idempotency-Key`: a request that has it is done once, and its repeats are answered as it was.
//!
//! The key is that of draft-ietf-httpapi-idempotency-key-header: a string of RFC 9651 §3.3.3, in quotes. Most clients leave
//! the quotes out, so a bare key is accepted as well, and is the same key.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use roster_application::{Digest, Idempotency, Seed, View};
use roster_domain::{Json, Object};

use crate::failure::Failure;
use crate::request::body;

/// The header of a request.
pub(crate) const HEADER: &str = "Idempotency-Key";

/// The header of an answer that was saved for an earlier request.
pub(crate) const REPLAYED: &str = "Idempotent-Replayed";

/// The most characters of a key.
pub(crate) const MAX_LENGTH: usize = 255;

/// A key that a caller sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdempotencyKey(String);

/// Marks a request whose answer was saved for an earlier one.
struct Replayed;

impl IdempotencyKey {
    /// The key of a request; `None` if it has none, or if it changes nothing by its method.
    ///
    /// Two headers are refused: which of them counts is unclear, as for a credential.
    pub(crate) fn of(request: &HttpRequest) -> Result<Option<Self>, Failure> {
        if request.method().is_safe() {
            return Ok(None);
        }
        let mut values = request.headers().get_all(HEADER);
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => Self::parse(value).map(Some).map_err(Failure::IdempotencyKey),
            (Some(_), Some(_)) => Err(Failure::IdempotencyKey("must be sent once")),
        }
    }

    /// The key in a header, with or without quotes; otherwise the rule that it breaks.
    fn parse(value: &HeaderValue) -> Result<Self, &'static str> {
        const PRINTABLE: &str = "must have printable ASCII characters only";
        let text = value.to_str().map_err(|_| PRINTABLE)?.trim_matches([' ', '\t']);
        let key = match text.strip_prefix('"') {
            Some(quoted) => {
                unquoted(quoted).ok_or("must end with the quote that it begins with, and with nothing behind it")?
            }
            None => text.to_owned(),
        };
        if key.bytes().any(|byte| !matches!(byte, b' '..=b'~')) {
            return Err(PRINTABLE);
        }
        if (1..=MAX_LENGTH).contains(&key.len()) { Ok(Self(key)) } else { Err("must have 1 to 255 characters") }
    }

    /// How repeats of `request`, whose body was read, are recognised.
    pub(crate) fn idempotency(&self, request: &HttpRequest, view: View) -> Idempotency {
        Idempotency { key: Digest::of(self.0.as_bytes()), fingerprint: fingerprint(request), view }
    }

    /// How repeats of the item at `place` of a batch are recognised: by the key of the batch and its place. No other key has
    /// a character that is not printable.
    pub(crate) fn of_item(&self, request: &HttpRequest, place: usize) -> Idempotency {
        let key = format!("{}\0{place}", self.0);
        Idempotency { key: Digest::of(key.as_bytes()), ..self.idempotency(request, View::default()) }
    }

    /// What only a caller with this credential and key has.
    pub(crate) fn seed(&self, credential: &str) -> Seed {
        Seed::new(credential, &self.0)
    }
}

/// What is before the closing quote, with its escapes undone (RFC 9651 §4.2.5). `None` if that is not the end.
fn unquoted(text: &str) -> Option<String> {
    let mut key = String::with_capacity(text.len());
    let mut characters = text.chars();
    loop {
        match characters.next()? {
            '"' => return characters.next().is_none().then_some(key),
            '\\' => key.push(characters.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            character => key.push(character),
        }
    }
}

/// The digest of what a repeat must have in common with the first request: the method, the path as it was sent, whether the
/// body is a merge patch, and the body as JSON. A query counts nothing, as no request that writes has one.
fn fingerprint(request: &HttpRequest) -> Digest {
    let mut text = Vec::new();
    let kind = if body::is_merge_patch(request) { "merge" } else { "" };
    for part in [request.method().as_str(), request.uri().path(), kind] {
        push_text(part, &mut text);
    }
    if let Some(ReadBody(digest)) = request.extensions().get() {
        text.extend_from_slice(&digest.0);
    }
    Digest::of(&text)
}

/// The digest of the body of a request, as JSON.
struct ReadBody(Digest);

/// Keeps the digest of a body that was read, if the request has a key.
pub(crate) fn note_body(request: &HttpRequest, body: &Json) {
    if request.headers().contains_key(HEADER) {
        let mut text = Vec::new();
        push_json(body, &mut text);
        request.extensions_mut().insert(ReadBody(Digest::of(&text)));
    }
}

/// Writes a text so that no other text begins with it.
fn push_text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&text.len().to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Writes a value so that two are written the same if they are equal as JSON: the order of the members of an object makes no
/// difference, nor do escapes and white space. Numbers are compared as they are written, as they are kept so.
fn push_json(value: &Json, out: &mut Vec<u8>) {
    match value {
        Json::Null => out.push(b'n'),
        Json::Bool(value) => out.push(if *value { b't' } else { b'f' }),
        Json::Number(number) => {
            out.push(b'd');
            push_text(number.as_str(), out);
        }
        Json::String(text) => {
            out.push(b's');
            push_text(text, out);
        }
        Json::Array(items) => {
            out.push(b'[');
            for item in items {
                push_json(item, out);
            }
            out.push(b']');
        }
        Json::Object(object) => push_object(object, out),
    }
}

fn push_object(object: &Object, out: &mut Vec<u8>) {
    let mut members: Vec<(&str, &Json)> = object.iter().collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    out.push(b'{');
    for (name, value) in members {
        push_text(name, out);
        push_json(value, out);
    }
    out.push(b'}');
}

/// Marks the request as one whose answer was saved for an earlier one.
pub(crate) fn mark_replayed(request: &HttpRequest) {
    request.extensions_mut().insert(Replayed);
}

/// Says in the answer to a request that it was saved for an earlier one, if it was.
pub(crate) fn add_header(request: &HttpRequest, response: &mut HttpResponse) {
    if request.extensions().contains::<Replayed>() {
        let headers: &mut HeaderMap = response.headers_mut();
        headers.insert(HeaderName::from_static("idempotent-replayed"), HeaderValue::from_static("true"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;
    use roster_application::json;

    fn parsed(value: &[u8]) -> Result<String, &'static str> {
        let value = HeaderValue::from_bytes(value).expect("a header");
        IdempotencyKey::parse(&value).map(|IdempotencyKey(key)| key)
    }

    #[test]
    fn a_key_is_read_with_and_without_quotes() {
        let long = "k".repeat(255);
        let quoted_long = format!("\"{long}\"");
        for (value, key) in [
            ("k", "k"),
            ("\"k\"", "k"),
            (" \t8e03978e-40d5-43e8-bc93-6894a57f9324 ", "8e03978e-40d5-43e8-bc93-6894a57f9324"),
            ("two words", "two words"),
            ("\" padded \"", " padded "),
            (r#""a \"quoted\" \\ key""#, r#"a "quoted" \ key"#),
            (r#"a"b\c,d"#, r#"a"b\c,d"#),
            (&long, &long),
            (&quoted_long, &long),
        ] {
            assert_eq!(parsed(value.as_bytes()).as_deref(), Ok(key), "{value}");
        }
    }

    #[test]
    fn a_key_that_breaks_a_rule_is_refused() {
        let long = "k".repeat(256);
        let quoted_long = format!("\"{long}\"");
        for (value, rule) in [
            ("", "1 to 255"),
            ("   ", "1 to 255"),
            ("\"\"", "1 to 255"),
            (&long, "1 to 255"),
            (&quoted_long, "1 to 255"),
            ("\"k", "quote"),
            ("\"", "quote"),
            ("\"k\"x", "quote"),
            ("\"k\";p=1", "quote"),
            (r#""k\""#, "quote"),
            (r#""\k""#, "quote"),
            ("ключ", "printable"),
            ("a\tb", "printable"),
        ] {
            let fault = parsed(value.as_bytes()).expect_err(value);
            assert!(fault.contains(rule), "{value}: {fault}");
        }
    }

    /// The fingerprint of a request that would be refused if it had a query.
    fn of(method: &str, path: &str, content_type: &str, body: &str) -> Digest {
        let request = TestRequest::with_uri(path)
            .method(method.parse().expect("a method"))
            .insert_header((HEADER, "k"))
            .insert_header(("Content-Type", content_type))
            .to_http_request();
        note_body(&request, &json::read(body.as_bytes()).expect("JSON"));
        fingerprint(&request)
    }

    #[test]
    fn equal_bodies_have_one_fingerprint() {
        let first = of("POST", "/v1/a", "application/json", r#"{"a":1,"b":{"c":"é","d":[1,2]}}"#);
        for (path, content_type, body) in [
            ("/v1/a", "application/json", r#" { "b": {"d": [1, 2], "c": "é"}, "a": 1 } "#),
            ("/v1/a?x=1", "application/json; charset=utf-8", r#"{"a":1,"b":{"c":"é","d":[1,2]}}"#),
        ] {
            assert!(of("POST", path, content_type, body) == first, "{path} {content_type} {body}");
        }
    }

    #[test]
    fn requests_that_differ_have_different_fingerprints() {
        let (json, merge) = ("application/json", "application/merge-patch+json");
        let requests = [
            ("POST", "/v1/a", json, "{}"),
            ("PATCH", "/v1/a", json, "{}"),
            ("PATCH", "/v1/a", merge, "{}"),
            ("POST", "/v1/b", json, "{}"),
            ("POST", "/v1/a", json, "[]"),
            ("POST", "/v1/a", json, r#"{"a":null}"#),
            ("POST", "/v1/a", json, r#"{"a":1}"#),
            ("POST", "/v1/a", json, r#"{"a":1.0}"#),
            ("POST", "/v1/a", json, r#"{"a":"1"}"#),
            ("POST", "/v1/a", json, r#"{"a":[1]}"#),
            ("POST", "/v1/a", json, r#"{"a":[[],[]]}"#),
            ("POST", "/v1/a", json, r#"{"a":[[[]]]}"#),
            ("POST", "/v1/a", json, r#"{"a":true}"#),
            ("POST", "/v1/a", json, r#"{"a":false}"#),
            ("POST", "/v1/a", json, r#"{"a":{},"b":{}}"#),
            ("POST", "/v1/a", json, r#"{"a":{"b":{}}}"#),
        ];
        let all: std::collections::BTreeSet<_> =
            requests.iter().map(|(method, path, content_type, body)| of(method, path, content_type, body)).collect();
        assert_eq!(all.len(), requests.len());
    }
}
