//! Pages for people, which another crate adds to the service, and the surfaces as those pages call them: without a socket.
//!
//! A page does what it does by requests to the surfaces, with the credential of its visitor. So permissions, validation, limits
//! and the access log are those of the surfaces, and no rule is written twice.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use actix_http::{Payload, Request};
use actix_service::boxed::{self, BoxService, BoxServiceFactory};
use actix_service::{IntoServiceFactory as _, Service as _, ServiceFactory, ServiceFactoryExt as _};
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{AppConfig, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName};
use actix_web::http::{Method, Uri};
use actix_web::web::ServiceConfig;
use actix_web::{App, Error, HttpMessage as _, HttpRequest, HttpResponse};
use tokio::sync::OnceCell;

use crate::request::attribution::RequestId;

/// Pages for people.
#[derive(Clone)]
pub struct Pages {
    pub(crate) paths: PagePaths,
    pub(crate) register: Arc<Register>,
}

type Register = dyn Fn(&mut ServiceConfig, InProcess) + Send + Sync;

impl Pages {
    /// Pages at `paths`. `register` adds them to the app of a worker thread.
    pub fn new(paths: PagePaths, register: impl Fn(&mut ServiceConfig, InProcess) + Send + Sync + 'static) -> Self {
        Self { paths, register: Arc::new(register) }
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").field("paths", &self.paths).finish_non_exhaustive()
    }
}

/// Where pages for people are. They read bodies themselves: forms.
#[derive(Debug, Clone, Copy)]
pub struct PagePaths {
    /// The path at or below which all of them are.
    pub base: &'static str,
    /// Whether a form that is sent to a path has a file, which the page reads as it comes.
    pub takes_file: fn(&str) -> bool,
}

impl PagePaths {
    /// Whether a page is at this path.
    pub(crate) fn has(&self, path: &str) -> bool {
        path.strip_prefix(self.base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// All surfaces, for pages in the same thread. Cloning it is cheap.
#[derive(Clone)]
pub struct InProcess(Rc<Surfaces>);

struct Surfaces {
    app: BoxServiceFactory<AppConfig, Request, ServiceResponse<BoxBody>, Error, ()>,
    /// The app, once the first page has called it.
    service: OnceCell<BoxService<Request, ServiceResponse<BoxBody>, Error>>,
}

impl InProcess {
    /// The surfaces of an app without pages.
    pub(crate) fn new<T, B>(app: App<T>) -> Self
    where
        T: ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<B>, Error = Error, InitError = ()>,
        T: 'static,
        T::Future: 'static,
        B: MessageBody + 'static,
    {
        let app = boxed::factory(app.into_factory().map(ServiceResponse::map_into_boxed_body));
        Self(Rc::new(Surfaces { app, service: OnceCell::new() }))
    }

    /// Sends a request on behalf of the visitor who sent `page`: it has the same identifier in the log, and comes from the same
    /// address. `uri` is a path and a query; if it is malformed, the answer is 400.
    pub async fn call(
        &self,
        page: &HttpRequest,
        method: Method,
        uri: &str,
        mut headers: HeaderMap,
        body: Payload,
    ) -> HttpResponse {
        let Ok(uri) = uri.parse::<Uri>() else { return HttpResponse::BadRequest().finish() };
        if let Some(RequestId(id)) = page.extensions().get() {
            headers.insert(HeaderName::from_static("x-request-id"), id.clone());
        }
        let mut request = Request::with_payload(body);
        let head = request.head_mut();
        (head.method, head.uri, head.headers, head.peer_addr) = (method, uri, headers, page.peer_addr());
        let service = self.0.service.get_or_try_init(|| self.0.app.new_service(AppConfig::default())).await;
        let Ok(service) = service else { return HttpResponse::InternalServerError().finish() };
        match service.call(request).await {
            Ok(response) => response.into_parts().1,
            Err(error) => error.error_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
    use actix_web::middleware::from_fn;
    use actix_web::test::TestRequest;
    use actix_web::{body, rt};

    use super::*;
    use crate::middleware::access_log;
    use crate::surfaces;

    #[test]
    fn a_page_calls_the_surfaces_under_the_identifier_of_its_own_request() {
        rt::System::new().block_on(async {
            let app = App::new()
                .configure(|app| surfaces::configure(surfaces::Offer::All, app))
                .wrap(from_fn(access_log::record));
            let surfaces = InProcess::new(app);
            let page = TestRequest::get().to_http_request();
            page.extensions_mut().insert(RequestId(HeaderValue::from_static("of-the-page")));
            for (path, status, kind) in
                [("/v1/health", 200, "application/json"), ("/api/nothing?a=b", 404, "application/json")]
            {
                let answer = surfaces.call(&page, Method::GET, path, HeaderMap::new(), Payload::None).await;
                let header = |name| answer.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
                assert_eq!((answer.status().as_u16(), header("x-request-id")), (status, Some("of-the-page")), "{path}");
                assert_eq!(header(CONTENT_TYPE.as_str()), Some(kind));
                assert!(!body::to_bytes(answer.into_body()).await.expect("a body").is_empty());
            }
        });
    }
}
