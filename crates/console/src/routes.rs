//! All paths of the console.

use std::future::Future;
use std::rc::Rc;

use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::web::{self, Bytes, PayloadConfig, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Route};

use crate::api::Api;
use crate::refusal::Refusal;
use crate::session::Area;
use crate::visit::{self, Visit, Worker};
use crate::{BASE, Console, assets, customers, developers, home, operators, overview, sign_in, updates, upload};

/// The page whose form has a file, below the environment.
const NEW_IMPORT: &str = "/developers/imports/new";

/// Whether a form that is sent to a path has a file. It is not read before the page runs.
#[must_use]
pub fn takes_file(path: &str) -> bool {
    path.ends_with(NEW_IMPORT)
}

/// Registers all pages.
pub(crate) fn register(app: &mut ServiceConfig, console: Console, api: Rc<Api>) {
    let worker = Rc::new(Worker { console, api });
    let (get, post) = (Pages { worker: &worker, method: Method::GET }, Pages { worker: &worker, method: Method::POST });
    let page = |path: &str| web::resource(format!("/{{environment}}{path}"));
    let scope = web::scope(BASE)
        // The HTTP server has read the form within its limits: one that is larger comes as an empty one, and is refused with a page.
        .app_data(PayloadConfig::new(usize::MAX))
        .service(web::resource("").route(get.open(home::home)))
        .service(web::resource("/sign-in").route(get.open(sign_in::show)).route(post.open(sign_in::submit)))
        .service(web::resource("/assets/{version}/{file}").route(get.open(assets::show)))
        // Before the pages of merchants: their paths begin with any name.
        .configure(|app| register_operators(app, &get, &post))
        .service(page("").route(get.of(overview::show)))
        .service(page("/sign-out").route(post.of(sign_in::sign_out)))
        .service(page("/updates").route(get.of(updates::stream)))
        .service(page("/charts/{id}.svg").route(get.of(overview::chart::image)))
        .service(page("/charts/{id}").route(get.of(overview::chart::table)))
        .service(page("/customers").route(get.of(customers::list::show)))
        .service(page("/customers/new").route(get.of(customers::new::show)).route(post.of(customers::new::submit)))
        .service(page("/customers/{id}").route(get.of(customers::one::show)))
        .service(
            page("/customers/{id}/edit").route(get.of(customers::edit::show)).route(post.of(customers::edit::submit)),
        )
        .service(page("/customers/{id}/status").route(post.of(customers::status::submit)))
        .service(
            page("/customers/{id}/delete")
                .route(get.of(customers::delete::show))
                .route(post.of(customers::delete::submit)),
        )
        .service(page("/developers").route(get.of(developers::start::show)))
        .service(page("/developers/events").route(get.of(developers::events::show)))
        .service(page("/developers/exports/{id}").route(get.of(developers::exports::download)))
        .service(page("/developers/imports").route(get.of(developers::imports::show)))
        .service(
            page(NEW_IMPORT)
                .route(get.of(developers::new_import::show))
                .route(post.of_upload(developers::new_import::submit)),
        )
        .service(page("/developers/imports/{id}").route(get.of(developers::imports::one)))
        .service(page("/developers/imports/{id}/cancel").route(post.of(developers::imports::cancel)))
        .service(page("/developers/imports/{id}/errors").route(get.of(developers::imports::list_errors)))
        .service(page("/developers/keys").route(get.of(developers::keys::show)))
        .service(
            page("/developers/keys/new")
                .route(get.of(developers::new_key::show))
                .route(post.of(developers::new_key::submit)),
        )
        .service(page("/developers/keys/{id}").route(get.of(developers::key::show)))
        .service(page("/developers/keys/{id}/revoke").route(post.of(developers::key::revoke)))
        .service(page("/developers/keys/{id}/rotate").route(post.of(developers::key::rotate)))
        .service(page("/developers/webhooks").route(get.of(developers::webhooks::show)))
        .service(
            page("/developers/webhooks/new")
                .route(get.of(developers::webhook_form::show_new))
                .route(post.of(developers::webhook_form::create)),
        )
        .service(page("/developers/webhooks/{id}").route(get.of(developers::webhook::show)))
        .service(
            page("/developers/webhooks/{id}/delete")
                .route(get.of(developers::webhook_actions::show_delete))
                .route(post.of(developers::webhook_actions::delete)),
        )
        .service(
            page("/developers/webhooks/{id}/edit")
                .route(get.of(developers::webhook_form::show_edit))
                .route(post.of(developers::webhook_form::change)),
        )
        .service(page("/developers/webhooks/{id}/replay").route(post.of(developers::webhook_actions::replay)))
        .service(page("/developers/webhooks/{id}/rotate").route(post.of(developers::webhook_actions::rotate)))
        .service(page("/developers/webhooks/{id}/test").route(post.of(developers::webhook_actions::test)))
        .default_service(Pages { worker: &worker, method: Method::GET }.any(not_found));
    app.service(scope);
}

/// Registers the pages of operators.
fn register_operators(app: &mut ServiceConfig, get: &Pages<'_>, post: &Pages<'_>) {
    let page = |path: &str| web::resource(format!("/{}{path}", Area::Operators.as_str()));
    app.service(page("").route(get.of_operators(home::of_operators)))
        .service(page("/sign-out").route(post.of_area(Area::Operators, sign_in::sign_out)))
        .service(page("/merchants").route(get.of_operators(operators::merchants::show)))
        .service(
            page("/merchants/new")
                .route(get.of_admins(operators::new_merchant::show))
                .route(post.of_operators(operators::new_merchant::submit)),
        )
        .service(page("/merchants/{id}").route(get.of_operators(operators::merchant::show)))
        .service(
            page("/merchants/{id}/rename")
                .route(get.of_admins(operators::rename::show))
                .route(post.of_operators(operators::rename::submit)),
        )
        .service(
            page("/merchants/{id}/disable")
                .route(get.of_admins(operators::state::show_disable))
                .route(post.of_operators(operators::state::disable)),
        )
        .service(
            page("/merchants/{id}/enable")
                .route(get.of_admins(operators::state::show_enable))
                .route(post.of_operators(operators::state::enable)),
        )
        .service(
            page("/merchants/{id}/keys/new")
                .route(get.of_admins(operators::new_key::show))
                .route(post.of_operators(operators::new_key::submit)),
        )
        .service(
            page("/merchants/{id}/keys/{key}/rotate")
                .route(get.of_admins(operators::rotate_key::show))
                .route(post.of_operators(operators::rotate_key::submit)),
        )
        .service(
            page("/merchants/{id}/keys/{key}/revoke")
                .route(get.of_admins(operators::revoke_key::show))
                .route(post.of_operators(operators::revoke_key::submit)),
        )
        .service(page("/log").route(get.of_operators(operators::log::show)))
        .service(page("/service").route(get.of_operators(operators::service::show)));
}

async fn not_found(worker: Rc<Worker>, request: HttpRequest, _: Bytes) -> HttpResponse {
    visit::not_found(worker, request)
}

/// Makes routes of functions.
struct Pages<'a> {
    worker: &'a Rc<Worker>,
    method: Method,
}

impl Pages<'_> {
    /// The route of a page for visitors with a session of a merchant.
    fn of<F, A>(&self, page: F) -> Route
    where
        F: Fn(Rc<Visit>) -> A + Copy + 'static,
        A: Future<Output = Result<HttpResponse, Refusal>> + 'static,
    {
        self.open(move |worker, request, body| visit::answer(worker, request, body, page))
    }

    /// The route of a page for visitors with a session of a merchant, who send a form with a file.
    fn of_upload<F, A>(&self, page: F) -> Route
    where
        F: Fn(Rc<Visit>, Payload) -> A + Copy + 'static,
        A: Future<Output = Result<HttpResponse, Refusal>> + 'static,
    {
        let worker = Rc::clone(self.worker);
        let answer = move |request: HttpRequest, body: web::Payload| {
            upload::answer(Rc::clone(&worker), request, body.into_inner(), page)
        };
        web::route().to(answer).method(self.method.clone())
    }

    /// The route of a page for visitors with a session of an area.
    fn of_area<F, A>(&self, area: Area, page: F) -> Route
    where
        F: Fn(Rc<Visit>) -> A + Copy + 'static,
        A: Future<Output = Result<HttpResponse, Refusal>> + 'static,
    {
        self.open(move |worker, request, body| visit::answer_in(area, worker, request, body, page))
    }

    /// The route of a page for visitors with a session of an operator.
    fn of_operators<F, A>(&self, page: F) -> Route
    where
        F: Fn(Rc<Visit>) -> A + Copy + 'static,
        A: Future<Output = Result<HttpResponse, Refusal>> + 'static,
    {
        self.open(move |worker, request, body| visit::answer_operator(worker, request, body, page))
    }

    /// The same for a form that only the role `admin` may send.
    fn of_admins<F, A>(&self, page: F) -> Route
    where
        F: Fn(Rc<Visit>) -> A + Copy + 'static,
        A: Future<Output = Result<HttpResponse, Refusal>> + 'static,
    {
        self.open(move |worker, request, body| visit::answer_admin(worker, request, body, page))
    }

    /// The route of a page for everyone.
    fn open<F, A>(&self, page: F) -> Route
    where
        F: Fn(Rc<Worker>, HttpRequest, Bytes) -> A + Copy + 'static,
        A: Future<Output = HttpResponse> + 'static,
    {
        self.any(page).method(self.method.clone())
    }

    fn any<F, A>(&self, page: F) -> Route
    where
        F: Fn(Rc<Worker>, HttpRequest, Bytes) -> A + Copy + 'static,
        A: Future<Output = HttpResponse> + 'static,
    {
        let worker = Rc::clone(self.worker);
        web::route().to(move |request: HttpRequest, body: Bytes| page(Rc::clone(&worker), request, body))
    }
}
