//! Why a page is not shown.

use actix_web::HttpResponse;
use maud::html;

use crate::api::Problem;
use crate::sign_in::{self, Why};
use crate::visit::Place;
use crate::{layout, respond, texts};

/// Why a page is not shown.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The visitor has not signed in.
    SignIn,
    /// The session has lasted as long as it may.
    Expired,
    /// The key of the session is not accepted any more.
    Ended,
    /// The form was not sent by a page of this session.
    Forged,
    /// The API that the page belongs to is not served at this address.
    Elsewhere,
    /// There is no such page.
    NotFound,
    /// The API has refused what the page asked for.
    Problem(Box<Problem>),
    /// The API has not answered as it should.
    Broken,
}

impl Refusal {
    /// The answer to a visitor of `place`.
    pub(crate) fn answer(&self, place: &Place) -> HttpResponse {
        match self {
            Self::SignIn => sign_in::redirect(place, None),
            Self::Expired => sign_in::redirect(place, Some(Why::Expired)),
            Self::Ended => sign_in::redirect(place, Some(Why::Ended)),
            Self::Elsewhere => sign_in::redirect(place, Some(Why::Elsewhere)),
            Self::Forged => message(place, 403, texts::FORGED_TITLE, texts::FORGED),
            Self::NotFound => message(place, 404, texts::NOT_FOUND_TITLE, texts::NOT_FOUND),
            Self::Broken => message(place, 502, texts::BROKEN_TITLE, texts::BROKEN),
            Self::Problem(problem) => {
                message(place, problem.status, texts::refused_title(problem.status), &problem.detail)
            }
        }
    }
}

fn message(place: &Place, status: u16, title: &str, text: &str) -> HttpResponse {
    let (first, name) = layout::first(place.area);
    let body = html! {
        h1 { (title) }
        p role="alert" { (text) }
        p { a href=(place.path(first)) { (name) } }
    };
    respond::page(place, status, title, &body)
}
