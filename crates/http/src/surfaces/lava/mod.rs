//! The Lava surface, `/lava/v1`, exactly as that vendor's page and client library define it.

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
