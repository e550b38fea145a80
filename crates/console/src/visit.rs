//! A visitor of a page: who it is, where, and the API with its key.

use std::cell::OnceCell;
use std::future::Future;
use std::rc::Rc;

use actix_web::http::Method;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use maud::Markup;

use crate::api::{Answer, Api, Problem, Request, text};
use crate::form::Form;
use crate::refusal::Refusal;
use crate::session::{Area, Environment, Session, SessionError};
use crate::{BASE, Console, cookies, forgery, respond, texts};

/// The name of a form's field with its token.
pub(crate) const TOKEN: &str = "form_token";

/// What a thread answers pages with.
pub(crate) struct Worker {
    pub(crate) console: Console,
    pub(crate) api: Rc<Api>,
}

/// Where a visitor is: what a page needs besides its content.
pub(crate) struct Place {
    pub(crate) worker: Rc<Worker>,
    pub(crate) request: HttpRequest,
    pub(crate) area: Area,
    /// The token of the forms on the page; `None` without a session.
    pub(crate) token: Option<String>,
    /// The operator who has signed in; empty until the API has said who it is.
    pub(crate) operator: OnceCell<Operator>,
}

/// An operator.
pub(crate) struct Operator {
    pub(crate) name: String,
    pub(crate) role: String,
}

impl Place {
    /// A place without a session.
    pub(crate) fn new(worker: Rc<Worker>, request: HttpRequest, area: Area) -> Self {
        Self { worker, request, area, token: None, operator: OnceCell::new() }
    }

    /// A path below that of the area, such as `/console/live/customers`.
    pub(crate) fn path(&self, below: &str) -> String {
        format!("{BASE}/{}{below}", self.area.as_str())
    }

    /// Whether the visitor is an operator whose role allows changes.
    pub(crate) fn is_admin(&self) -> bool {
        self.operator.get().is_some_and(|operator| operator.role == "admin")
    }

    /// The path and the query of the page, if it is one that a browser can open again.
    pub(crate) fn here(&self) -> Option<&str> {
        let here = self.request.uri().path_and_query()?.as_str();
        (*self.request.method() == Method::GET).then_some(here)
    }

    pub(crate) fn now(&self) -> i64 {
        (self.worker.console.0.now)()
    }
}

/// A visitor with a session.
pub(crate) struct Visit {
    pub(crate) place: Place,
    pub(crate) session: Session,
    /// What the page was asked for.
    pub(crate) query: Form,
    /// What the visitor sent; empty if nothing was.
    pub(crate) form: Form,
}

impl Visit {
    /// Opens the session of a request, and then reads and checks the form that was sent with it.
    async fn begin<T>(
        place: &mut Place,
        read: impl Future<Output = Result<(Form, T), Refusal>>,
    ) -> Result<(Session, Form, T), Refusal> {
        let cookie = cookies::read(&place.request, place.area.cookie()).ok_or(Refusal::SignIn)?;
        let opened = place.worker.console.0.sessions.open(place.area, cookie, place.now());
        let session = opened.map_err(|error| match error {
            SessionError::Unknown => Refusal::SignIn,
            SessionError::Expired => Refusal::Expired,
        })?;
        place.token = Some(place.worker.console.0.sessions.token(&session));
        let (form, more) = read.await?;
        let accepts = || place.worker.console.0.sessions.accepts(&session, form.get(TOKEN));
        let is_ours = || forgery::is_from_here(&place.request) && accepts();
        if place.request.method().is_safe() || is_ours() { Ok((session, form, more)) } else { Err(Refusal::Forged) }
    }

    /// A path below that of the area.
    pub(crate) fn path(&self, below: &str) -> String {
        self.place.path(below)
    }

    /// The parameter `id` of the path.
    pub(crate) fn id(&self) -> Result<&str, Refusal> {
        self.id_of("id")
    }

    /// A parameter of the path. Only what identifiers have: anything else names nothing.
    pub(crate) fn id_of(&self, parameter: &str) -> Result<&str, Refusal> {
        let id = self.place.request.match_info().get(parameter).unwrap_or_default();
        let is_one =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        Some(id).filter(|id| is_one(id)).ok_or(Refusal::NotFound)
    }

    /// A request to the API with the visitor's key.
    pub(crate) fn request(&self, method: Method, uri: String) -> Request {
        Request::new(method, uri, &self.session.key)
    }

    /// Sends a request to the API.
    pub(crate) async fn send(&self, request: Request) -> Result<Answer, Refusal> {
        Answer::read(self.open(request).await).await
    }

    /// Sends a request to the API, and does not read the answer.
    pub(crate) async fn open(&self, request: Request) -> HttpResponse {
        (self.place.worker.api)(self.place.request.clone(), request).await
    }

    /// Answers with a page.
    pub(crate) fn page(&self, status: u16, title: &str, body: &Markup) -> HttpResponse {
        respond::page(&self.place, status, title, body)
    }

    /// Reads what is at a path of the API.
    pub(crate) async fn get(&self, uri: String) -> Result<Answer, Refusal> {
        self.send(self.request(Method::GET, uri)).await
    }
}

/// Answers a request with a page of a merchant, if its environment, its session and its form allow.
pub(crate) async fn answer<F, A>(worker: Rc<Worker>, request: HttpRequest, body: Bytes, page: F) -> HttpResponse
where
    F: Fn(Rc<Visit>) -> A,
    A: Future<Output = Result<HttpResponse, Refusal>>,
{
    match environment_of(&request) {
        Some(environment) => answer_in(Area::Merchant(environment), worker, request, body, page).await,
        None => not_found(worker, request),
    }
}

/// The environment that a path names.
pub(crate) fn environment_of(request: &HttpRequest) -> Option<Environment> {
    Environment::named(request.match_info().get("environment").unwrap_or_default())
}

/// The answer where there is no page.
pub(crate) fn not_found(worker: Rc<Worker>, request: HttpRequest) -> HttpResponse {
    Refusal::NotFound.answer(&Place::new(worker, request, Area::Merchant(Environment::Live)))
}

/// Answers a request with a page of an area, if its session and its form allow.
pub(crate) async fn answer_in<F, A>(
    area: Area,
    worker: Rc<Worker>,
    request: HttpRequest,
    body: Bytes,
    page: F,
) -> HttpResponse
where
    F: Fn(Rc<Visit>) -> A,
    A: Future<Output = Result<HttpResponse, Refusal>>,
{
    let form = async { Ok((Form::parse(&body), ())) };
    answer_at(Place::new(worker, request, area), form, |visit, ()| page(visit)).await
}

/// Answers a request at a place with a page, if its session and its form allow. `read` reads the form once there is a session, and what
/// else the page gets.
pub(crate) async fn answer_at<T, A>(
    mut place: Place,
    read: impl Future<Output = Result<(Form, T), Refusal>>,
    page: impl FnOnce(Rc<Visit>, T) -> A,
) -> HttpResponse
where
    A: Future<Output = Result<HttpResponse, Refusal>>,
{
    match Visit::begin(&mut place, read).await {
        Ok((session, form, more)) => {
            let query = Form::parse(place.request.query_string().as_bytes());
            let visit = Rc::new(Visit { place, session, query, form });
            page(Rc::clone(&visit), more).await.unwrap_or_else(|refusal| refusal.answer(&visit.place))
        }
        Err(refusal) => refusal.answer(&place),
    }
}

/// Answers a request with a page of operators, if its session and its form allow.
pub(crate) async fn answer_operator<F, A>(
    worker: Rc<Worker>,
    request: HttpRequest,
    body: Bytes,
    page: F,
) -> HttpResponse
where
    F: Fn(Rc<Visit>) -> A,
    A: Future<Output = Result<HttpResponse, Refusal>>,
{
    let page = &page;
    let known = |visit: Rc<Visit>| async move {
        let service = visit.get("/admin/v1/service".to_owned()).await?.ok()?.body;
        let [name, role] = ["name", "role"].map(|field| text(&service["operator"], field).to_owned());
        visit.place.operator.get_or_init(|| Operator { name, role });
        page(visit).await
    };
    answer_in(Area::Operators, worker, request, body, known).await
}

/// Answers a request with a form of operators, if the visitor's role allows to send it. What it changes is protected by the API.
pub(crate) async fn answer_admin<F, A>(worker: Rc<Worker>, request: HttpRequest, body: Bytes, page: F) -> HttpResponse
where
    F: Fn(Rc<Visit>) -> A,
    A: Future<Output = Result<HttpResponse, Refusal>>,
{
    let page = &page;
    let allowed = |visit: Rc<Visit>| async move {
        if visit.place.is_admin() {
            return page(visit).await;
        }
        let detail = texts::operators::NEEDS_ADMIN.to_owned();
        Err(Refusal::Problem(Box::new(Problem { status: 403, detail, ..Problem::default() })))
    };
    answer_operator(worker, request, body, allowed).await
}
