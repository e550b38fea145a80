//! A client for well-formed HTTP. A response of any status is a response, not an error.

use std::fmt;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use ureq::http;

use crate::deadline::TIMEOUT;

/// One of the three HTTP contracts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// The service's own contract, under `/v1`.
    Native,
    /// Lumen's, under `/api` and `/api/v1`.
    Lumen,
    /// Lava's, under `/lava/v1`.
    Lava,
}

impl Surface {
    /// All surfaces.
    pub const ALL: [Self; 3] = [Self::Native, Self::Lumen, Self::Lava];

    /// The prefix of its paths.
    #[must_use]
    pub fn base(self) -> &'static str {
        self.bases()[0]
    }

    /// All prefixes of its paths.
    #[must_use]
    pub fn bases(self) -> &'static [&'static str] {
        match self {
            Self::Native => &["/v1"],
            Self::Lumen => &["/api", "/api/v1"],
            Self::Lava => &["/lava/v1"],
        }
    }

    /// The media type of its errors.
    #[must_use]
    pub fn error_type(self) -> &'static str {
        match self {
            Self::Native => "application/problem+json",
            Self::Lumen | Self::Lava => "application/json",
        }
    }
}

/// A client of one surface, or of the paths that belong to no surface.
#[derive(Debug, Clone)]
pub struct Caller {
    agent: ureq::Agent,
    origin: String,
    base: &'static str,
    key: Option<String>,
}

/// An HTTP client with a pool of connections, which all its callers share.
#[must_use]
pub fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .allow_non_standard_methods(true)
        .timeout_global(Some(TIMEOUT))
        // The service closes a connection that was idle for 5 s: a request that is sent at that moment would be lost.
        .max_idle_age(Duration::from_secs(1))
        .build()
        .into()
}

impl Caller {
    /// A caller of the paths under `base`, without a credential.
    #[must_use]
    pub fn new(agent: ureq::Agent, address: SocketAddr, base: &'static str) -> Self {
        Self { agent, origin: format!("http://{address}"), base, key: None }
    }

    /// The same caller with another key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self.clone() }
    }

    /// The same caller of the same paths under another prefix.
    #[must_use]
    pub fn under(&self, base: &'static str) -> Self {
        Self { base, ..self.clone() }
    }

    /// The same caller without a credential.
    #[must_use]
    pub fn without_key(&self) -> Self {
        Self { key: None, ..self.clone() }
    }

    /// A request for a path of the surface, given without its prefix.
    #[must_use]
    pub fn request(&self, method: &str, path: &str) -> Request<'_> {
        Request { caller: self, method: method.to_owned(), path: path.to_owned(), headers: Vec::new(), body: None }
    }

    /// Sends GET.
    #[must_use]
    pub fn get(&self, path: &str) -> Response {
        self.request("GET", path).send()
    }

    /// Sends POST with JSON.
    #[must_use]
    pub fn post(&self, path: &str, body: impl Json) -> Response {
        self.request("POST", path).json(body).send()
    }

    /// Sends PATCH with JSON.
    #[must_use]
    pub fn patch(&self, path: &str, body: impl Json) -> Response {
        self.request("PATCH", path).json(body).send()
    }

    /// Sends PATCH with a JSON merge patch.
    #[must_use]
    pub fn merge_patch(&self, path: &str, body: impl Json) -> Response {
        self.request("PATCH", path).json(body).header("content-type", "application/merge-patch+json").send()
    }

    /// Sends PUT with JSON.
    #[must_use]
    pub fn put(&self, path: &str, body: impl Json) -> Response {
        self.request("PUT", path).json(body).send()
    }

    /// Sends DELETE.
    #[must_use]
    pub fn delete(&self, path: &str) -> Response {
        self.request("DELETE", path).send()
    }
}

/// A body that can be sent as JSON: a value, or a text that is sent unchanged.
pub trait Json {
    /// The bytes to send.
    fn into_bytes(self) -> Vec<u8>;
}

impl Json for Value {
    fn into_bytes(self) -> Vec<u8> {
        self.to_string().into_bytes()
    }
}

impl Json for &str {
    fn into_bytes(self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
}

impl Json for String {
    fn into_bytes(self) -> Vec<u8> {
        Self::into_bytes(self)
    }
}

/// A request before it is sent.
#[derive(Debug)]
pub struct Request<'a> {
    caller: &'a Caller,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Request<'_> {
    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets a JSON body. Its type is `application/json` unless a header says otherwise.
    #[must_use]
    pub fn json(self, body: impl Json) -> Self {
        self.bytes(body.into_bytes())
    }

    /// Sets a body of any bytes. Its type is `application/json` unless a header says otherwise.
    #[must_use]
    pub fn bytes(mut self, body: Vec<u8>) -> Self {
        self.body = Some(body);
        self
    }

    /// Sends the request and reads the whole response.
    ///
    /// # Panics
    /// If there is no response.
    #[must_use]
    pub fn send(self) -> Response {
        let what = format!("{} {}{}", self.method, self.caller.base, self.path);
        self.try_send().unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// Sends the request and reads the whole response.
    ///
    /// # Errors
    /// If the connection fails.
    pub fn try_send(self) -> Result<Response, ureq::Error> {
        let Self { caller, method, path, headers, body } = self;
        let typed = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let mut request =
            http::Request::builder().method(method.as_str()).uri(format!("{}{}{path}", caller.origin, caller.base));
        if let Some(key) = &caller.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if body.is_some() && !typed {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = match body {
            None => caller.agent.run(request.body(())?)?,
            Some(body) => caller.agent.run(request.body(body)?)?,
        };
        let (head, mut body) = response.into_parts();
        let headers = head
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let body = body.with_config().limit(u64::MAX).read_to_vec()?;
        Ok(Response { status: head.status.as_u16(), headers, body })
    }
}

/// A response with its whole body.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers in the order of arrival, their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The text at a JSON pointer (RFC 6901) in the body.
    ///
    /// # Panics
    /// If there is no text.
    #[must_use]
    pub fn text_at(&self, pointer: &str) -> String {
        match self.json().pointer(pointer) {
            Some(Value::String(text)) => text.clone(),
            other => panic!("no text at {pointer} but {other:?}: {self:?}"),
        }
    }

    /// Returns the response if it has this status.
    ///
    /// # Panics
    /// If it has another status.
    #[must_use = "`is` asserts the status and returns nothing"]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// Asserts that the response has this status.
    ///
    /// # Panics
    /// If it has another status.
    pub fn is(&self, status: u16) {
        assert_eq!(self.status, status, "{self:?}");
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.status)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {value}")?;
        }
        let text = self.text();
        let shown: String = text.chars().take(2_000).collect();
        write!(f, "\n{shown}{}", if shown.len() < text.len() { "…" } else { "" })
    }
}

/// Percent-encodes one segment of a path or one value of a query.
#[must_use]
pub fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}
