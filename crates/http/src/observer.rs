//! What is told of each answered request, for figures about all of them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;

/// A request that was answered. None of its values grows with customers or merchants.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// The surface of its path: `native`, `lumen`, `lava`, `admin` or `console`, or `none`.
    pub surface: &'static str,
    /// The pattern of its route, such as `/v1/customers/{id}`; `unmatched` if there is none.
    pub route: &'a str,
    /// Its method; `other` if the service has no route with that.
    pub method: &'static str,
    /// The status of the answer.
    pub status: u16,
    /// How long it took until the head of the answer was there.
    pub duration: Duration,
}

/// Counts requests. It is called for each, by the thread that answers it, so it must not wait.
pub trait ObserveRequests: Send + Sync {
    /// A request was answered.
    fn answered(&self, request: &Answered<'_>);
}

/// Who counts requests, if anyone does.
#[derive(Clone, Default)]
pub struct Observer(Option<Arc<dyn ObserveRequests>>);

impl Observer {
    /// Has requests counted by `observer`.
    #[must_use]
    pub fn new(observer: Arc<dyn ObserveRequests>) -> Self {
        Self(Some(observer))
    }

    pub(crate) fn answered(&self, path: &str, route: &str, method: &Method, status: u16, duration: Duration) {
        if let Some(observer) = &self.0 {
            let (surface, method) = (surface_of(path), name_of(method));
            observer.answered(&Answered { surface, route, method, status, duration });
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Observer({})", self.0.is_some())
    }
}

fn surface_of(path: &str) -> &'static str {
    match path.split('/').nth(1) {
        Some("v1") => "native",
        Some("api") => "lumen",
        Some("lava") => "lava",
        Some("admin") => "admin",
        Some("console") => "console",
        _ => "none",
    }
}

/// A client may send any method, so not every name may become a label.
fn name_of(method: &Method) -> &'static str {
    const NAMES: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"];
    NAMES.into_iter().find(|name| *name == method.as_str()).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_path_and_any_method_have_one_of_a_few_names() {
        let surfaces =
            ["/v1/customers/x", "/api", "/lava/v1/customers", "/admin/v1/log", "/console/live", "/livez", "", "/v1x/y"]
                .map(surface_of);
        assert_eq!(surfaces, ["native", "lumen", "lava", "admin", "console", "none", "none", "none"]);
        let other = Method::from_bytes(b"BREW").expect("a method");
        assert_eq!([&Method::GET, &Method::TRACE, &other].map(name_of), ["GET", "other", "other"]);
    }
}
