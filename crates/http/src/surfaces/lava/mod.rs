//! The Lava surface, `/lava/v1`, exactly as that vendor's page and client library define it.

mod dto;
mod error;
mod routes;

#[cfg(test)]
pub(crate) use dto::MAX_CHARACTERS;
#[cfg(test)]
pub(crate) use error::answer;
pub(crate) use routes::surface;

/// The contract of this surface, as an OpenAPI 3.1 document.
pub(crate) const OPENAPI: &str = include_str!("openapi.json");
