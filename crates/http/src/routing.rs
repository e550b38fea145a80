//! All paths and methods there are, in one table per surface.

use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, HttpResponse, Responder, ResponseError as _};

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
    for surface in surfaces() {
        surface.configure(app);
    }
    app.default_service(web::to(|| async { native::Error::from(Failure::UnknownPath).error_response() }));
}

fn surfaces() -> Vec<Surface> {
    let operations = Surface::new("", native::answer)
        .resource("/livez", vec![get(health::live)])
        .resource("/readyz", vec![get(health::ready)]);
    vec![native::surface(), lumen::surface(), lava::surface(), operations]
}

/// One contract: its paths, and how it answers what no path answers.
pub(crate) struct Surface {
    base: &'static str,
    answer: fn(&Failure) -> HttpResponse,
    resources: Vec<Resource>,
}

struct Resource {
    path: &'static str,
    endpoints: Vec<Endpoint>,
}

/// A method of a path, and what answers it.
pub(crate) struct Endpoint {
    method: Method,
    route: actix_web::Route,
}

impl Surface {
    /// A surface under `base` (empty: under the root) that writes failures with `answer`.
    pub(crate) fn new(base: &'static str, answer: fn(&Failure) -> HttpResponse) -> Self {
        Self { base, answer, resources: Vec::new() }
    }

    /// Adds a path below the base. Where two patterns match one path, the first added is taken.
    pub(crate) fn resource(mut self, path: &'static str, endpoints: Vec<Endpoint>) -> Self {
        self.resources.push(Resource { path, endpoints });
        self
    }

    fn routes(&self) -> Vec<Route> {
        let routes = |resource: &Resource| {
            let pattern = format!("{}{}", self.base, resource.path);
            let route = |endpoint: &Endpoint| Route { method: endpoint.method.clone(), pattern: pattern.clone() };
            resource.endpoints.iter().map(route).collect::<Vec<_>>()
        };
        self.resources.iter().flat_map(routes).collect()
    }

    fn configure(self, app: &mut ServiceConfig) {
        let answer = self.answer;
        let resources = self.resources.into_iter().map(|resource| resource.into_actix(answer));
        if self.base.is_empty() {
            for resource in resources {
                app.service(resource);
            }
            return;
        }
        let unknown = web::to(move || async move { answer(&Failure::UnknownPath) });
        let scope = web::scope(self.base).default_service(unknown);
        app.service(resources.fold(scope, actix_web::Scope::service));
    }
}

impl Resource {
    fn into_actix(self, answer: fn(&Failure) -> HttpResponse) -> actix_web::Resource {
        let methods: Vec<_> = self.endpoints.iter().map(|endpoint| endpoint.method.as_str()).collect();
        let allow = methods.join(", ");
        let refuse = move || {
            let failure = Failure::MethodNotAllowed(allow.clone());
            async move { answer(&failure) }
        };
        let resource = web::resource(self.path).default_service(web::to(refuse));
        self.endpoints.into_iter().fold(resource, |resource, endpoint| resource.route(endpoint.route))
    }
}

macro_rules! method {
    ($name:ident, $method:ident) => {
        #[doc = concat!("What answers `", stringify!($method), "`.")]
        pub(crate) fn $name<F, Args>(handler: F) -> Endpoint
        where
            F: Handler<Args>,
            Args: FromRequest + 'static,
            F::Output: Responder + 'static,
        {
            Endpoint { method: Method::$method, route: web::method(Method::$method).to(handler) }
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
