//! The Lumen surface, `/api` and `/api/v1`: that vendor's page to the letter, and what its clients need besides.

mod dto;
mod error;
mod routes;

#[cfg(test)]
pub(crate) use error::answer;
pub(crate) use routes::surface;

/// The contract of this surface, as an OpenAPI 3.1 document.
pub(crate) const OPENAPI: &str = include_str!("openapi.json");
