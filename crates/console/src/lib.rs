//! The console: pages for people, in the browser.
//!
//! It is a client of the native API and of that of operators, in the same process ([`api`]): a page reads and writes with the key
//! that its visitor signed in with, so permissions, validation, rate limits, error texts and the access log are those of the API. Nothing of a visitor is
//! kept on the server: [`session`] seals the key in a cookie. Start with [`routes`], which has all paths, and with [`visit`],
//! which is what a page gets. All texts are in [`texts`], all styles and scripts in `assets`. `docs/adr/0017-console.md` says why.
//!
//! This crate depends on actix-web. It must not know a store, a use case, or another crate of the service.

mod api;
mod api_keys;
mod assets;
mod cookies;
mod customers;
mod developers;
mod forgery;
mod form;
mod home;
mod input;
mod layout;
mod links;
mod operators;
mod overview;
mod refusal;
mod respond;
mod routes;
mod session;
mod sign_in;
mod texts;
mod updates;
mod upload;
mod visit;

use std::fmt;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::ServiceConfig;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::FutureExt as _;

pub use api::Request;
pub use routes::takes_file;
pub use session::LONGEST_SESSION;

use assets::Assets;
use links::Links;
use session::Sessions;
use sign_in::Attempts;

/// The path at or below which all pages are.
pub const BASE: &str = "/console";

/// The settings of the console.
pub struct Settings {
    /// The secret that all instances of the service share. Sessions and forms are sealed with keys made from it.
    pub secret: [u8; 32],
    /// How long a session lasts, in whole seconds, at most [`LONGEST_SESSION`].
    pub lifetime: Duration,
    /// Whether browsers send the cookie over HTTPS only.
    pub secure: bool,
    /// Whether the service has the page `/docs` about its APIs.
    pub api_page: bool,
    /// The time now, in Unix seconds.
    pub now: Box<dyn Fn() -> i64 + Send + Sync>,
    /// The requests of this instance in the last hour, in 360 steps of ten seconds, the oldest first.
    pub requests: Box<dyn Fn() -> Vec<RequestStep> + Send + Sync>,
}

/// The requests of ten seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestStep {
    /// How many were answered.
    pub requests: u64,
    /// The time within which 99 of 100 were answered, in microseconds; 0 without requests.
    pub p99_micros: u64,
}

/// The console of a process. Cloning it is cheap.
#[derive(Clone)]
pub struct Console(Arc<Shared>);

/// What the threads that answer requests share.
struct Shared {
    sessions: Sessions,
    links: Links,
    attempts: Attempts,
    assets: Assets,
    secure: bool,
    api_page: bool,
    now: Box<dyn Fn() -> i64 + Send + Sync>,
    requests: Box<dyn Fn() -> Vec<RequestStep> + Send + Sync>,
}

impl Console {
    /// A console without sessions: those of earlier processes are in cookies.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let Settings { secret, lifetime, secure, api_page, now, requests } = settings;
        Self(Arc::new(Shared {
            sessions: Sessions::new(&secret, lifetime),
            links: Links::default(),
            attempts: Attempts::default(),
            assets: Assets::new(),
            secure,
            api_page,
            now,
            requests,
        }))
    }

    /// A path that signs in once, within ten minutes, with this API key. It is kept in the memory of the process.
    #[must_use]
    pub fn link(&self, key: &str) -> String {
        let token = self.0.links.add(key, (self.0.now)());
        format!("{BASE}/sign-in?link={token}")
    }

    /// Registers all pages in the app of a thread. `api` is the HTTP API in the same thread: it answers a request on behalf of the
    /// visitor who sent the other one. Pages whose API it does not serve lead to the sign-in page.
    pub fn register<A>(&self, app: &mut ServiceConfig, api: impl Fn(HttpRequest, Request) -> A + 'static)
    where
        A: Future<Output = HttpResponse> + 'static,
    {
        routes::register(app, self.clone(), Rc::new(move |page, request| api(page, request).boxed_local()));
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").finish_non_exhaustive()
    }
}
