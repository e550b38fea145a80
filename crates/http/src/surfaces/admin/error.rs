//! Error responses of the surface of operators: problem details, with other words where those for callers of merchants do not fit.

use actix_web::HttpResponse;

use crate::failure::{self, Failure};
use crate::problems::{self, answer::problem};
use crate::respond;

failure::error!(
    /// A [`Failure`] as an error of the surface of operators.
    Error,
    answer
);

/// The response to each failure.
pub(crate) fn answer(failure: &Failure) -> HttpResponse {
    let mut response = match failure {
        Failure::Unauthorized => {
            problem(&problems::UNAUTHORIZED, "A valid key of an operator is needed: Authorization: Bearer sk_admin_…")
        }
        Failure::UnknownPath => problem(&problems::UNKNOWN_PATH, "There is nothing at this path."),
        Failure::KeyNotFound => problem(&problems::KEY_NOT_FOUND, "The merchant has no such API key."),
        others => return problems::answer::answer(others),
    };
    respond::add_headers(failure, &mut response);
    response
}
