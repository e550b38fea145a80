//! Writing answers.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use roster_application::Scope;
use roster_domain::{Json, Object};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// More than most answers need: it saves making room again and again while one is written.
const USUAL_BYTES: usize = 1024;

/// An answer with `body` as compact JSON, its fields in the order they are declared.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> HttpResponse {
    json_as("application/json", status, body)
}

/// An answer with `body` as compact JSON under another name of its kind.
pub(crate) fn json_as(content_type: &'static str, status: StatusCode, body: &impl Serialize) -> HttpResponse {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    match serde_json::to_writer(&mut bytes, body) {
        Ok(()) => HttpResponse::build(status).insert_header((header::CONTENT_TYPE, content_type)).body(bytes),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            HttpResponse::InternalServerError().finish()
        }
    }
}

/// Writes an object of ours into a larger answer.
pub(crate) fn object<S: Serializer>(object: &Object, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(object.iter().map(|(key, value)| (key, Value(value))))
}

/// A JSON value of ours, as the library writes it.
struct Value<'a>(&'a Json);

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Json::Null => serializer.serialize_unit(),
            Json::Bool(value) => serializer.serialize_bool(*value),
            // No number of the library's keeps all digits; text that is known to be a number does.
            Json::Number(number) => serde_json::from_str::<&RawValue>(number.as_str())
                .map_err(serde::ser::Error::custom)?
                .serialize(serializer),
            Json::String(text) => serializer.serialize_str(text),
            Json::Array(items) => serializer.collect_seq(items.iter().map(Value)),
            Json::Object(pairs) => object(pairs, serializer),
        }
    }
}

/// Writes anything that has a text form as a JSON string.
pub(crate) fn text<T: std::fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Says that the request may be repeated in a second.
pub(crate) fn retry_after(response: &mut HttpResponse) {
    response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
}

/// Says which methods a path has.
pub(crate) fn allow(response: &mut HttpResponse, methods: &str) {
    if let Ok(methods) = header::HeaderValue::try_from(methods) {
        response.headers_mut().insert(header::ALLOW, methods);
    }
}

/// Says which kind of credential is wanted (RFC 9110 §11.6.1).
pub(crate) fn authenticate(response: &mut HttpResponse) {
    response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
}

/// Says which scope the credential lacks (RFC 6750 §3.1).
pub(crate) fn missing_scope(response: &mut HttpResponse, scope: Scope) {
    if let Ok(lacking) =
        header::HeaderValue::try_from(format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\""))
    {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, lacking);
    }
}
