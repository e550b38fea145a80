//! The Lumen surface, `/api` and `/api/v1`: that vendor's page to the letter, and what its clients need besides.

mod describe;
mod dto;
mod error;
mod routes;

#[cfg(test)]
pub(crate) use error::answer;
pub(crate) use routes::surface;

/// The contract of this surface, as an OpenAPI 3.1 document. [`openapi`] writes it.
pub(crate) const OPENAPI: &str = include_str!("openapi.json");

/// The document, as the code describes the surface.
pub(crate) fn openapi() -> String {
    crate::openapi::document(&routes::surface(), describe::contract())
}
