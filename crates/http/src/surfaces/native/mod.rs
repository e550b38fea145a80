//! The native surface, `/v1`: a strict superset of billing.io's customer API.

mod dto;
mod error;
mod routes;

pub(crate) use error::{Error, answer};
pub(crate) use routes::surface;

/// The contract of this surface, as an OpenAPI 3.1 document.
pub(crate) const OPENAPI: &str = include_str!("openapi.json");
