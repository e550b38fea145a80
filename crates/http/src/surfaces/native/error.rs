//! Error responses of the native surface: problem details.

use crate::failure;
pub(crate) use crate::problems::answer::answer;

failure::error!(
    /// A [`Failure`](crate::failure::Failure) as an error of the native surface.
    Error,
    answer
);
