//! The table of all paths and methods, and the dispatch of requests to their handlers.

use std::future::Future;
use std::rc::Rc;

use actix_web::dev::{ServiceRequest, ServiceResponse, fn_service};
use actix_web::http::Method;
use actix_web::web::ServiceConfig;
use actix_web::{Error, HttpMessage as _, HttpRequest, HttpResponse, Responder};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use crate::failure::{Answer, Failure};
use crate::openapi::operation::Operation;
use crate::request::{body, consistency, idempotency};
use crate::transport::refusals::Refusals;

/// One path and method that the service serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path's pattern, such as `/v1/customers/{id}`.
    pub pattern: String,
}

/// Registers the surfaces in an app. A surface whose base starts with another surface's base must come before it.
///
/// Together they are one actix-web service: resources of actix-web would be tried one by one, with regular expressions.
pub(crate) fn serve(surfaces: Vec<Surface>, app: &mut ServiceConfig) {
    let table = Rc::new(Table::new(surfaces));
    app.default_service(fn_service(move |request: ServiceRequest| {
        let table = Rc::clone(&table);
        async move { Ok::<_, Error>(table.answer(request).await) }
    }));
}

/// How surfaces answer heads that are not read to their end.
pub(crate) fn refusals(surfaces: &[Surface]) -> Refusals {
    let answers = |surface: &Surface| surface.bases.clone().into_iter().zip(std::iter::repeat(surface.answer));
    Refusals::new(surfaces.iter().flat_map(answers))
}

/// The pattern of the route that a request matched; `None` if it matched none.
pub(crate) fn pattern(request: &HttpRequest) -> Option<Rc<str>> {
    request.extensions().get::<Rc<Resource>>().map(|resource| Rc::clone(&resource.pattern))
}

/// Whether the response to a request has the rate limit headers.
pub(crate) fn shows_limits(request: &HttpRequest) -> bool {
    request.extensions().get::<Rc<Resource>>().is_some_and(|resource| resource.shows_limits)
}

/// One HTTP contract: its paths, and how it writes failures.
pub(crate) struct Surface {
    /// The same paths are served below each of these.
    bases: Vec<&'static str>,
    answer: Answer,
    shows_limits: bool,
    gate: Option<Gate>,
    batches: Vec<&'static str>,
    files: Vec<&'static str>,
    /// The endpoints of each pattern, without a base.
    resources: Vec<(&'static str, Rc<[Endpoint]>)>,
}

/// A method of a path, and its handler.
pub(crate) struct Endpoint {
    method: Method,
    handler: Handler,
    /// What its surface's document says of it.
    describe: Option<fn() -> Operation>,
}

/// Fails for requests that the surface does not answer, whatever their method.
type Gate = fn(HttpRequest) -> LocalBoxFuture<'static, Result<(), Failure>>;

type Handler = Box<dyn Fn(HttpRequest) -> LocalBoxFuture<'static, HttpResponse>>;

impl Surface {
    /// A surface under `base` (empty: under the root) that writes failures with `answer`.
    pub(crate) fn new(base: &'static str, answer: Answer) -> Self {
        Self {
            bases: vec![base],
            answer,
            shows_limits: false,
            gate: None,
            batches: Vec::new(),
            files: Vec::new(),
            resources: Vec::new(),
        }
    }

    /// The same surface under another base, too. A base that starts with another one is named before it.
    pub(crate) fn also_under(mut self, base: &'static str) -> Self {
        self.bases.push(base);
        self
    }

    /// The same surface with rate limit headers on every response to an authenticated caller.
    pub(crate) fn showing_limits(self) -> Self {
        Self { shows_limits: true, ..self }
    }

    /// The same surface, which answers only requests that pass `gate`.
    pub(crate) fn behind(self, gate: Gate) -> Self {
        Self { gate: Some(gate), ..self }
    }

    /// Adds a path below the base. `{name}` matches any segment; a pattern with the literal text of the segment wins.
    pub(crate) fn resource(mut self, path: &'static str, endpoints: Vec<Endpoint>) -> Self {
        self.resources.push((path, endpoints.into()));
        self
    }

    /// Adds a path without parameters, below the base, whose bodies may be as large as those of batches.
    pub(crate) fn batch_resource(mut self, path: &'static str, endpoints: Vec<Endpoint>) -> Self {
        self.batches.push(path);
        self.resource(path, endpoints)
    }

    /// Adds a path without parameters, below the base, to which files are sent, whose handler reads them.
    pub(crate) fn file_resource(mut self, path: &'static str, endpoints: Vec<Endpoint>) -> Self {
        self.files.push(path);
        self.resource(path, endpoints)
    }

    /// The whole paths to which files are sent.
    pub(crate) fn file_paths(&self) -> Vec<String> {
        let below = |base: &'static str| self.files.iter().map(move |path| format!("{base}{path}"));
        self.bases.iter().copied().flat_map(below).collect()
    }

    /// The whole paths that take batches.
    pub(crate) fn batch_paths(&self) -> Vec<String> {
        let below = |base: &'static str| self.batches.iter().map(move |path| format!("{base}{path}"));
        self.bases.iter().copied().flat_map(below).collect()
    }

    /// Every path and method of this surface.
    pub(crate) fn routes(&self) -> Vec<Route> {
        let routes = |(pattern, endpoints): (String, Rc<[Endpoint]>)| {
            let route = |endpoint: &Endpoint| Route { method: endpoint.method.clone(), pattern: pattern.clone() };
            endpoints.iter().map(route).collect::<Vec<_>>()
        };
        self.mounted().flat_map(routes).collect()
    }

    /// Every path below the base, with the methods that are described.
    pub(crate) fn described(&self) -> impl Iterator<Item = (&'static str, Vec<(&Method, Operation)>)> + '_ {
        self.resources.iter().map(|(path, endpoints)| {
            let described = endpoints.iter().map(|endpoint| {
                let describe =
                    endpoint.describe.unwrap_or_else(|| panic!("{} {path} is not described", endpoint.method));
                (&endpoint.method, describe())
            });
            (*path, described.collect())
        })
    }

    /// The endpoints of each whole pattern: each path below each base.
    fn mounted(&self) -> impl Iterator<Item = (String, Rc<[Endpoint]>)> + '_ {
        let below = |base: &'static str| {
            let endpoints = move |(path, endpoints): &(_, _)| (format!("{base}{path}"), Rc::clone(endpoints));
            self.resources.iter().map(endpoints)
        };
        self.bases.iter().copied().flat_map(below)
    }
}

/// All surfaces, by path.
struct Table {
    resources: matchit::Router<Rc<Resource>>,
    /// For each base, how its surface writes the failure of an unknown path.
    answers: Vec<(&'static str, Answer)>,
}

struct Resource {
    pattern: Rc<str>,
    answer: Answer,
    shows_limits: bool,
    gate: Option<Gate>,
    endpoints: Rc<[Endpoint]>,
}

impl Table {
    fn new(surfaces: Vec<Surface>) -> Self {
        let mut table = Self { resources: matchit::Router::new(), answers: Vec::new() };
        for surface in surfaces {
            let Surface { answer, shows_limits, gate, .. } = surface;
            table.answers.extend(surface.bases.iter().map(|&base| (base, answer)));
            for (pattern, endpoints) in surface.mounted() {
                let resource = Resource { pattern: pattern.as_str().into(), answer, shows_limits, gate, endpoints };
                table.resources.insert(pattern, Rc::new(resource)).expect("the table has every pattern once");
            }
        }
        table
    }

    /// Matches the path as it was sent: decoded first, a `%2F` would split a segment. Handlers decode what they read.
    async fn answer(&self, request: ServiceRequest) -> ServiceResponse {
        let (request, _) = request.into_parts();
        if let Some(failure) = body::refusal(&request) {
            let response = self.answer_of(request.path())(&failure);
            return ServiceResponse::new(request, response);
        }
        let response = match self.resources.at(request.path()).map(|found| Rc::clone(found.value)) {
            Ok(resource) => {
                request.extensions_mut().insert(Rc::clone(&resource));
                resource.answer(&request).await
            }
            Err(_) => self.answer_of(request.path())(&Failure::UnknownPath),
        };
        ServiceResponse::new(request, response)
    }

    /// How the surface of a path writes failures.
    fn answer_of(&self, path: &str) -> Answer {
        let is_below = |base| path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let answer = self.answers.iter().find(|(base, _)| is_below(*base)).map(|(_, answer)| *answer);
        answer.unwrap_or(|_| HttpResponse::NotFound().finish())
    }
}

impl Resource {
    async fn answer(&self, request: &HttpRequest) -> HttpResponse {
        if let Some(gate) = self.gate
            && let Err(failure) = gate(request.clone()).await
        {
            return (self.answer)(&failure);
        }
        match self.endpoints.iter().find(|endpoint| endpoint.method == *request.method()) {
            Some(endpoint) => {
                let mut response = (endpoint.handler)(request.clone()).await;
                idempotency::add_header(request, &mut response);
                consistency::add_header(request, &mut response).await;
                response
            }
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
            // Not an async block, which would hold the handler's future twice: as it is captured and as it is awaited.
            let answer = handler(request.clone());
            answer.map(move |answer| answer.respond_to(&request).map_into_boxed_body()).boxed_local()
        };
        Self { method, handler: Box::new(handler), describe: None }
    }

    /// The same endpoint with its description in the surface's document. Every endpoint of a surface that has a document
    /// needs one.
    pub(crate) fn described(self, describe: fn() -> Operation) -> Self {
        Self { describe: Some(describe), ..self }
    }
}

macro_rules! method {
    ($name:ident, $method:ident) => {
        #[doc = concat!("An endpoint for `", stringify!($method), "`.")]
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
