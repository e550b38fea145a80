//! The Lava surface, `/lava/v1`, to the letter of that vendor's page and its client library.

mod dto;
mod error;
mod routes;

#[cfg(test)]
pub(crate) use dto::MAX_CHARACTERS;
pub(crate) use routes::surface;
