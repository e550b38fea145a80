//! The HTTP contracts, one folder each, with the same file names: `routes` (paths and handlers), `dto` (requests and
//! responses), `error` (one total `match` from [`Failure`](crate::failure::Failure) to responses;
//! `native` and `admin` share it), `describe` (what the
//! OpenAPI document says) and `openapi.json`, the document. The native surface has `batch` besides. No surface imports
//! another.

pub(crate) mod admin;
pub(crate) mod api_page;
pub(crate) mod lava;
pub(crate) mod lumen;
pub(crate) mod native;
#[cfg(test)]
mod openapi_tests;
mod operations;

use actix_web::web::ServiceConfig;

pub use admin::ServiceInformation;
pub use native::{ExportFormat, ExportWriter, subject_document};

use crate::routing::{self, Route, Surface};
use crate::transport::refusals::Refusals;

pub use native::{event_body, test_body};

/// An API of the service that has an OpenAPI document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// The native surface, under `/v1`.
    Native,
    /// The Lumen surface, under `/api`.
    Lumen,
    /// The Lava surface, under `/lava/v1`.
    Lava,
    /// The surface of operators, under `/admin/v1`.
    Admin,
}

impl Api {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Native, Self::Lumen, Self::Lava, Self::Admin];

    /// Its name, which is that of its folder.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Lumen => "lumen",
            Self::Lava => "lava",
            Self::Admin => "admin",
        }
    }

    /// Its document as the code describes it now. The service serves the one that was committed.
    #[must_use]
    pub fn document(self) -> String {
        match self {
            Self::Native => native::openapi(),
            Self::Lumen => lumen::openapi(),
            Self::Lava => lava::openapi(),
            Self::Admin => admin::openapi(),
        }
    }
}

/// What is served at one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    /// Every surface.
    All,
    /// Every surface but that of operators, which has an address of its own.
    WithoutAdmin,
    /// The surface of operators, `/livez` and `/readyz`.
    AdminAlone,
}

/// Every path and method that the service serves.
#[must_use]
pub fn routes() -> Vec<Route> {
    offered(Offer::All).iter().flat_map(Surface::routes).collect()
}

/// The paths whose bodies may be as large as those of batches.
pub(crate) fn batch_paths() -> Vec<String> {
    offered(Offer::All).iter().flat_map(Surface::batch_paths).collect()
}

/// The paths to which files are sent.
pub(crate) fn file_paths() -> Vec<String> {
    offered(Offer::All).iter().flat_map(Surface::file_paths).collect()
}

/// Registers the surfaces of an address in an app.
pub(crate) fn configure(offer: Offer, app: &mut ServiceConfig) {
    routing::serve(offered(offer), app);
}

/// How surfaces answer heads that are not read to their end.
pub(crate) fn refusals(offer: Offer) -> Refusals {
    routing::refusals(&offered(offer))
}

/// The surfaces of an address; one whose base starts with another surface's base comes before it.
fn offered(offer: Offer) -> Vec<Surface> {
    let of_merchants = || [native::surface(), lumen::surface(), lava::surface()].into_iter();
    match offer {
        Offer::All => of_merchants().chain([admin::surface(), api_page::below(operations::surface())]).collect(),
        Offer::WithoutAdmin => of_merchants().chain([api_page::below(operations::surface())]).collect(),
        Offer::AdminAlone => vec![admin::surface(), operations::surface()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::{Method, StatusCode, header};
    use actix_web::test::{TestRequest, call_service, init_service, read_body};
    use actix_web::{App, rt};

    /// The status, the content type, `Allow` and the body of the response to `method` on `path`.
    fn call(method: Method, path: &str) -> (StatusCode, String, Option<String>, String) {
        rt::System::new().block_on(async {
            let app = init_service(App::new().configure(|app| configure(Offer::All, app))).await;
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
    fn each_surface_refuses_an_unknown_path_in_its_own_format() {
        for (path, kind, word) in [
            ("/", "application/problem+json", "unknown_path"),
            ("/v1", "application/problem+json", "unknown_path"),
            ("/v1/customers/", "application/problem+json", "unknown_path"),
            ("/v1x/customers", "application/problem+json", "unknown_path"),
            ("/v1/%63ustomers", "application/problem+json", "unknown_path"),
            ("/v1/customers//subscriptions", "application/problem+json", "unknown_path"),
            ("/api/nothing", "application/json", r#"{"error":"Not found"}"#),
            ("/api/v1", "application/json", r#"{"error":"Not found"}"#),
            ("/api/v1/customers/portal/overview", "application/json", r#"{"error":"Not found"}"#),
            ("/lava/v1/nothing", "application/json", r#"{"error":"Not found"}"#),
        ] {
            let (status, content_type, _, body) = call(Method::GET, path);
            assert_eq!((status, content_type.as_str()), (StatusCode::NOT_FOUND, kind), "{path}");
            assert!(body.contains(word), "{path}: {body}");
        }
    }

    #[test]
    fn a_405_lists_the_methods_of_the_path() {
        for (path, methods) in [
            ("/v1/customers", "GET, POST"),
            ("/v1/customers/external/a%2Fb", "GET, PUT"),
            ("/v1/customers/x", "GET, PATCH, DELETE"),
            ("/api/customers/x", "GET, POST, DELETE"),
            ("/api/v1/customers/x", "GET, POST, DELETE"),
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
