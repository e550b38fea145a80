//! The Lumen surface, `/api`, exactly as that vendor's page defines it.

mod dto;
mod error;
mod routes;

#[cfg(test)]
pub(crate) use error::answer;
pub(crate) use routes::surface;

/// The contract of this surface, as an OpenAPI 3.1 document.
pub(crate) const OPENAPI: &str = include_str!("openapi.json");
