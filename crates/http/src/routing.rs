//! All paths and methods there are, in one table per surface, and the way from a request to what answers it.

use std::future::Future;
use std::rc::Rc;

use actix_web::dev::{ServiceRequest, ServiceResponse, fn_service};
use actix_web::http::Method;
use actix_web::web::ServiceConfig;
use actix_web::{Error, HttpMessage as _, HttpRequest, HttpResponse, Responder};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use crate::failure::Failure;
use crate::{health, lava, lumen, native};

/// One path and method that the service answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path's pattern, such as `/v1/customers/{id}`.
    pub pattern: String,
}

/// Every path and method that the service answers.
#[must_use]
pub fn routes() -> Vec<Route> {
    surfaces().iter().flat_map(Surface::routes).collect()
}

/// Puts every surface into an app.
pub(crate) fn configure(app: &mut ServiceConfig) {
    serve(surfaces(), app);
}

/// Puts these surfaces into an app, one whose base begins with another's before that.
///
/// They are one service of it: resources of actix-web's own would be tried one after the other, by regular expressions.
pub(crate) fn serve(surfaces: Vec<Surface>, app: &mut ServiceConfig) {
    let table = Rc::new(Table::new(surfaces));
    app.default_service(fn_service(move |request: ServiceRequest| {
        let table = Rc::clone(&table);
        async move { Ok::<_, Error>(table.answer(request).await) }
    }));
}

/// The pattern of the path of a request that was found in the table.
pub(crate) fn pattern(request: &HttpRequest) -> Option<Rc<str>> {
    request.extensions().get().map(|Pattern(pattern)| Rc::clone(pattern))
}

struct Pattern(Rc<str>);

fn surfaces() -> Vec<Surface> {
    let operations = Surface::new("", native::answer)
        .resource("/livez", vec![get(health::live)])
        .resource("/readyz", vec![get(health::ready)]);
    vec![native::surface(), lumen::surface(), lava::surface(), operations]
}

/// How a surface answers a failure.
type Answer = fn(&Failure) -> HttpResponse;

/// One contract: its paths, and how it answers what no path answers.
pub(crate) struct Surface {
    base: &'static str,
    answer: Answer,
    /// By the whole pattern, base included.
    resources: Vec<(String, Vec<Endpoint>)>,
}

/// A method of a path, and what answers it.
pub(crate) struct Endpoint {
    method: Method,
    handler: Handler,
}

type Handler = Box<dyn Fn(HttpRequest) -> LocalBoxFuture<'static, HttpResponse>>;

impl Surface {
    /// A surface under `base` (empty: under the root) that writes failures with `answer`.
    pub(crate) fn new(base: &'static str, answer: Answer) -> Self {
        Self { base, answer, resources: Vec::new() }
    }

    /// Adds a path below the base. `{name}` stands for any segment. Where two patterns match one path, the one that has
    /// the segment's own text is taken.
    pub(crate) fn resource(mut self, path: &str, endpoints: Vec<Endpoint>) -> Self {
        self.resources.push((format!("{}{path}", self.base), endpoints));
        self
    }

    fn routes(&self) -> Vec<Route> {
        let routes = |(pattern, endpoints): &(String, Vec<Endpoint>)| {
            let route = |endpoint: &Endpoint| Route { method: endpoint.method.clone(), pattern: pattern.clone() };
            endpoints.iter().map(route).collect::<Vec<_>>()
        };
        self.resources.iter().flat_map(routes).collect()
    }
}

/// All surfaces, by path.
struct Table {
    resources: matchit::Router<Rc<Resource>>,
    /// How each base answers what no path answers.
    answers: Vec<(&'static str, Answer)>,
}

struct Resource {
    pattern: Rc<str>,
    answer: Answer,
    endpoints: Vec<Endpoint>,
}

impl Table {
    fn new(surfaces: Vec<Surface>) -> Self {
        let mut table = Self { resources: matchit::Router::new(), answers: Vec::new() };
        for Surface { base, answer, resources } in surfaces {
            table.answers.push((base, answer));
            for (pattern, endpoints) in resources {
                let resource = Resource { pattern: pattern.as_str().into(), answer, endpoints };
                table.resources.insert(pattern, Rc::new(resource)).expect("the table has every pattern once");
            }
        }
        table
    }

    /// A path is looked for as it was sent: what a segment stands for is decoded by whoever reads it.
    async fn answer(&self, request: ServiceRequest) -> ServiceResponse {
        let (request, _) = request.into_parts();
        let response = match self.resources.at(request.path()).map(|found| Rc::clone(found.value)) {
            Ok(resource) => resource.answer(&request).await,
            Err(_) => self.unknown_path(request.path()),
        };
        ServiceResponse::new(request, response)
    }

    fn unknown_path(&self, path: &str) -> HttpResponse {
        let is_below = |base| path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let answer = self.answers.iter().find(|(base, _)| is_below(*base)).map(|(_, answer)| *answer);
        answer.unwrap_or(native::answer)(&Failure::UnknownPath)
    }
}

impl Resource {
    async fn answer(&self, request: &HttpRequest) -> HttpResponse {
        request.extensions_mut().insert(Pattern(Rc::clone(&self.pattern)));
        match self.endpoints.iter().find(|endpoint| endpoint.method == *request.method()) {
            Some(endpoint) => (endpoint.handler)(request.clone()).await,
            None => (self.answer)(&Failure::MethodNotAllowed(self.methods())),
        }
    }

    fn methods(&self) -> String {
        let methods: Vec<_> = self.endpoints.iter().map(|endpoint| endpoint.method.as_str()).collect();
        methods.join(", ")
    }
}

impl Endpoint {
    fn new<H, F>(method: Method, handler: H) -> Self
    where
        H: Fn(HttpRequest) -> F + 'static,
        F: Future<Output: Responder> + 'static,
    {
        let handler = move |request: HttpRequest| {
            // An async block would have room for the handler's future twice: as given, and as awaited.
            let answer = handler(request.clone());
            answer.map(move |answer| answer.respond_to(&request).map_into_boxed_body()).boxed_local()
        };
        Self { method, handler: Box::new(handler) }
    }
}

macro_rules! method {
    ($name:ident, $method:ident) => {
        #[doc = concat!("What answers `", stringify!($method), "`.")]
        pub(crate) fn $name<H, F>(handler: H) -> Endpoint
        where
            H: Fn(HttpRequest) -> F + 'static,
            F: Future<Output: Responder> + 'static,
        {
            Endpoint::new(Method::$method, handler)
        }
    };
}

method!(get, GET);
method!(post, POST);
method!(put, PUT);
method!(patch, PATCH);
method!(delete, DELETE);

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::{StatusCode, header};
    use actix_web::test::{TestRequest, call_service, init_service, read_body};
    use actix_web::{App, rt};

    /// The status, the content type, `Allow`, and the body that `method` of `path` is answered with.
    fn call(method: Method, path: &str) -> (StatusCode, String, Option<String>, String) {
        rt::System::new().block_on(async {
            let app = init_service(App::new().configure(configure)).await;
            let response = call_service(&app, TestRequest::with_uri(path).method(method).to_request()).await;
            let header = |name| {
                let value = response.headers().get(name)?;
                Some(value.to_str().expect("ASCII").to_owned())
            };
            let (status, kind, allow) = (response.status(), header(header::CONTENT_TYPE), header(header::ALLOW));
            let body = String::from_utf8(read_body(response).await.to_vec()).expect("UTF-8");
            (status, kind.unwrap_or_default(), allow, body)
        })
    }

    #[test]
    fn each_surface_refuses_an_unknown_path_in_its_own_words() {
        for (path, kind, word) in [
            ("/", "application/problem+json", "unknown_path"),
            ("/v1", "application/problem+json", "unknown_path"),
            ("/v1/customers/", "application/problem+json", "unknown_path"),
            ("/v1x/customers", "application/problem+json", "unknown_path"),
            ("/v1/%63ustomers", "application/problem+json", "unknown_path"),
            ("/v1/customers//subscriptions", "application/problem+json", "unknown_path"),
            ("/api/nothing", "application/json", r#"{"error":"Not found"}"#),
            ("/lava/v1/nothing", "application/json", r#"{"error":"Not found"}"#),
        ] {
            let (status, content_type, _, body) = call(Method::GET, path);
            assert_eq!((status, content_type.as_str()), (StatusCode::NOT_FOUND, kind), "{path}");
            assert!(body.contains(word), "{path}: {body}");
        }
    }

    #[test]
    fn a_known_path_names_its_methods_to_whoever_uses_another() {
        for (path, methods) in [
            ("/v1/customers", "GET, POST"),
            ("/v1/customers/external/a%2Fb", "GET"),
            ("/v1/customers/x", "GET, PATCH, DELETE"),
            ("/api/customers/x", "GET, POST, DELETE"),
            ("/lava/v1/customers/x", "GET, PATCH, DELETE"),
            ("/livez", "GET"),
        ] {
            let (status, _, allow, _) = call(Method::TRACE, path);
            assert_eq!((status, allow.as_deref()), (StatusCode::METHOD_NOT_ALLOWED, Some(methods)), "{path}");
        }
    }

    #[test]
    fn the_table_has_every_route_once() {
        let routes: Vec<_> = routes().iter().map(|route| format!("{} {}", route.method, route.pattern)).collect();
        let mut unique = routes.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), routes.len());
        assert!(routes.contains(&"PUT /v1/customers/{id}/subscriptions/{subscription_id}".to_owned()));
    }
}
