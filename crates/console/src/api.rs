//! The API as pages call it: the port, and what comes of a call.

use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, body};
use futures_util::future::LocalBoxFuture;
use serde_json::{Map, Value};

use crate::refusal::Refusal;

/// The most bytes of an answer that a page reads: a page of the API's lists has at most 100 customers of some 20 KiB.
const MAX_ANSWER: usize = 4 << 20;

/// The code of an answer where a whole API is not served.
const UNKNOWN_PATH: &str = "unknown_path";
static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The HTTP API in the same process: sends it a request on behalf of the visitor who sent another one.
pub(crate) type Api = dyn Fn(HttpRequest, Request) -> LocalBoxFuture<'static, HttpResponse>;

/// A request to the API.
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path and the query, percent-encoded.
    pub uri: String,
    /// The headers, the credential among them.
    pub headers: HeaderMap,
    /// The body.
    pub body: Payload,
}

impl Request {
    /// A request with this key, without a body.
    pub(crate) fn new(method: Method, uri: String, key: &str) -> Self {
        let mut headers = HeaderMap::new();
        if let Ok(credential) = HeaderValue::try_from(format!("Bearer {key}")) {
            headers.insert(header::AUTHORIZATION, credential);
        }
        Self { method, uri, headers, body: Payload::None }
    }

    /// The same request with a header more. One whose value cannot be sent is left out.
    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// The same request, which the API does once however often it is sent with this key. An empty key is none.
    pub(crate) fn once(self, key: &str) -> Self {
        if key.is_empty() { self } else { self.with(IDEMPOTENCY_KEY.clone(), key) }
    }

    /// The same request with a body in JSON.
    pub(crate) fn with_json(mut self, body: String) -> Self {
        self.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.body = Payload::from(body.into_bytes());
        self
    }

    /// The same request with a file, which is passed on as it comes.
    pub(crate) fn with_file(mut self, file: Payload) -> Self {
        self.body = file;
        self
    }
}

/// What a request came to.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// The header `ETag`.
    pub(crate) etag: Option<String>,
    /// The body; `null` if there is none.
    pub(crate) body: Value,
}

impl Answer {
    /// Reads the whole answer.
    pub(crate) async fn read(response: HttpResponse) -> Result<Self, Refusal> {
        let status = response.status().as_u16();
        let etag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        let bytes = body::to_bytes_limited(response.into_body(), MAX_ANSWER).await;
        let bytes = bytes.ok().and_then(Result::ok).ok_or(Refusal::Broken)?;
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap_or_default() };
        Ok(Self { status, etag, body })
    }

    /// The answer if it is a success.
    ///
    /// # Errors
    /// [`Refusal::Ended`] if the key is not accepted any more, [`Refusal::Elsewhere`] if the API is not served at this address,
    /// otherwise the problem.
    pub(crate) fn ok(self) -> Result<Self, Refusal> {
        match self.status {
            200..=299 => Ok(self),
            401 => Err(Refusal::Ended),
            // Pages know no other paths than those that there are.
            404 if self.body["code"] == UNKNOWN_PATH => Err(Refusal::Elsewhere),
            _ => Err(Refusal::Problem(Box::new(self.problem()))),
        }
    }

    /// The body of a success: a part of a page, which the page may be without; or why it is not shown.
    ///
    /// # Errors
    /// What ends the session, or the page.
    pub(crate) fn part(self) -> Result<Result<Value, Problem>, Refusal> {
        match self.ok() {
            Ok(answer) => Ok(Ok(answer.body)),
            Err(Refusal::Problem(problem)) => Ok(Err(*problem)),
            Err(refusal) => Err(refusal),
        }
    }

    /// What came of a form that was sent: the body of a success; or what is wrong with the form, which is then shown again.
    ///
    /// # Errors
    /// As [`Answer::ok`], for what is not wrong with the form.
    pub(crate) fn of_form(self) -> Result<Result<Value, Problem>, Refusal> {
        match self.status {
            400 | 409 | 422 => Ok(Err(self.problem())),
            _ => Ok(Ok(self.ok()?.body)),
        }
    }

    /// A page of a list, with the status of the page that shows it; an empty one if what the visitor has asked for is wrong: the
    /// form with the filters then shows where.
    ///
    /// # Errors
    /// As [`Answer::ok`], for what is not wrong with the filters.
    pub(crate) fn of_list(self) -> Result<(u16, Option<Problem>, Value), Refusal> {
        match self.status {
            400 | 422 => Ok((422, Some(self.problem()), Value::Null)),
            _ => Ok((200, None, self.ok()?.body)),
        }
    }

    /// The problem that it tells (RFC 9457).
    pub(crate) fn problem(&self) -> Problem {
        let text = |name: &str| text(&self.body, name).to_owned();
        let faults = self.body["errors"].as_array().into_iter().flatten().filter_map(Value::as_object);
        Problem {
            status: self.status,
            code: text("code"),
            detail: text("detail"),
            customer_id: self.body["customer_id"].as_str().map(str::to_owned),
            faults: faults.map(Fault::read).collect(),
        }
    }
}

/// A text of a value; empty if it has none.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// The items of a page of a list.
pub(crate) fn items(page: &Value) -> &[Value] {
    page["data"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The texts of a list, in one line.
pub(crate) fn joined(list: &Value) -> String {
    let texts: Vec<_> = list.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    texts.join(", ")
}

/// Whether a time of the API is over at `now`, in Unix seconds.
pub(crate) fn has_passed(time: &str, now: i64) -> bool {
    chrono::DateTime::parse_from_rfc3339(time).is_ok_and(|time| time.timestamp() <= now)
}

/// Why the API refused a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Problem {
    /// The status.
    pub(crate) status: u16,
    /// The reason, for programs.
    pub(crate) code: String,
    /// The reason, for people.
    pub(crate) detail: String,
    /// The customer that has what the request claims.
    pub(crate) customer_id: Option<String>,
    /// The rules that the request breaks.
    pub(crate) faults: Vec<Fault>,
}

/// A rule that a request breaks.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// The field of the body, as `billing_address/country`, or the parameter.
    pub(crate) place: String,
    /// The rule, for people.
    pub(crate) detail: String,
}

impl Problem {
    /// The status of a page that shows a form, with what is wrong with it.
    pub(crate) fn status_of(problem: Option<&Self>) -> u16 {
        problem.map_or(200, |problem| problem.status)
    }
}

impl Fault {
    /// Whether it is about a field, or a part of what is in it.
    pub(crate) fn is_of(&self, field: &str) -> bool {
        self.place.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn read(fault: &Map<String, Value>) -> Self {
        let text = |name: &str| fault.get(name).and_then(Value::as_str);
        let place = text("pointer").map(|pointer| pointer.trim_start_matches('/')).or(text("parameter"));
        Self { place: place.unwrap_or_default().to_owned(), detail: text("detail").unwrap_or_default().to_owned() }
    }
}
