//! Well-formed HTTP, with every status an answer and none an error.

use std::fmt;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use ureq::http;

/// One of the three contracts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// Ours, under `/v1`.
    Native,
    /// Lumen's, under `/api`.
    Lumen,
    /// Lava's, under `/lava/v1`.
    Lava,
}

impl Surface {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Native, Self::Lumen, Self::Lava];

    /// What every path of it starts with.
    #[must_use]
    pub fn base(self) -> &'static str {
        match self {
            Self::Native => "/v1",
            Self::Lumen => "/api",
            Self::Lava => "/lava/v1",
        }
    }

    /// What its errors are.
    #[must_use]
    pub fn error_type(self) -> &'static str {
        match self {
            Self::Native => "application/problem+json",
            Self::Lumen | Self::Lava => "application/json",
        }
    }
}

/// Somebody who calls one surface, or the paths that belong to none.
#[derive(Debug, Clone)]
pub struct Caller {
    agent: ureq::Agent,
    origin: String,
    base: &'static str,
    key: Option<String>,
}

/// Connections are shared by all callers of one agent.
#[must_use]
pub fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .allow_non_standard_methods(true)
        .timeout_global(Some(Duration::from_secs(30)))
        // The service ends a connection that has rested for 5 s: one that is used again just then would be lost.
        .max_idle_age(Duration::from_secs(1))
        .build()
        .into()
}

impl Caller {
    /// A caller of paths below `base` with no credential.
    #[must_use]
    pub fn new(agent: ureq::Agent, address: SocketAddr, base: &'static str) -> Self {
        Self { agent, origin: format!("http://{address}"), base, key: None }
    }

    /// The same caller with another key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self.clone() }
    }

    /// The same caller with no credential.
    #[must_use]
    pub fn without_key(&self) -> Self {
        Self { key: None, ..self.clone() }
    }

    /// A request for a path below the surface's own.
    #[must_use]
    pub fn request(&self, method: &str, path: &str) -> Request<'_> {
        Request { caller: self, method: method.to_owned(), path: path.to_owned(), headers: Vec::new(), body: None }
    }

    /// Gets `path`.
    #[must_use]
    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path).send()
    }

    /// Posts JSON to `path`.
    #[must_use]
    pub fn post(&self, path: &str, body: impl Json) -> Answer {
        self.request("POST", path).json(body).send()
    }

    /// Patches `path` with JSON.
    #[must_use]
    pub fn patch(&self, path: &str, body: impl Json) -> Answer {
        self.request("PATCH", path).json(body).send()
    }

    /// Puts JSON at `path`.
    #[must_use]
    pub fn put(&self, path: &str, body: impl Json) -> Answer {
        self.request("PUT", path).json(body).send()
    }

    /// Deletes `path`.
    #[must_use]
    pub fn delete(&self, path: &str) -> Answer {
        self.request("DELETE", path).send()
    }
}

/// What can be sent as JSON: a value, or text taken as it stands.
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

/// A request in the making.
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

    /// Gives it a body, of type `application/json` unless a header says otherwise.
    #[must_use]
    pub fn json(self, body: impl Json) -> Self {
        self.bytes(body.into_bytes())
    }

    /// Gives it a body of any bytes, of type `application/json` unless a header says otherwise.
    #[must_use]
    pub fn bytes(mut self, body: Vec<u8>) -> Self {
        self.body = Some(body);
        self
    }

    /// Sends it and reads the whole answer.
    ///
    /// # Panics
    /// If there is no answer.
    #[must_use]
    pub fn send(self) -> Answer {
        let what = format!("{} {}{}", self.method, self.caller.base, self.path);
        self.try_send().unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// Sends it and reads the whole answer, if there is one.
    ///
    /// # Errors
    /// What happened to the connection.
    pub fn try_send(self) -> Result<Answer, ureq::Error> {
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
        Ok(Answer { status: head.status.as_u16(), headers, body })
    }
}

/// A whole answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers in their order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
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
    /// If it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The text at a place in the JSON body (RFC 6901).
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn text_at(&self, pointer: &str) -> String {
        match self.json().pointer(pointer) {
            Some(Value::String(text)) => text.clone(),
            other => panic!("no text at {pointer} but {other:?}: {self:?}"),
        }
    }

    /// The same answer, if it has this status.
    ///
    /// # Panics
    /// If it has another.
    #[must_use = "`is` judges the status and returns nothing"]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// Checks that the answer has this status.
    ///
    /// # Panics
    /// If it has another.
    pub fn is(&self, status: u16) {
        assert_eq!(self.status, status, "{self:?}");
    }
}

impl fmt::Debug for Answer {
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

/// One segment of a path or one value of a query, percent-encoded.
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
