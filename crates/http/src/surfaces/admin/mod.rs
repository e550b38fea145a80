//! The surface of operators, `/admin/v1`: merchants, their API keys, and the operator log; no customers. It is written as the
//! native surface is, and answers only once an operator was created: `docs/adr/0016-operators.md`.

mod describe;
mod dto;
mod error;
mod routes;

pub use dto::ServiceInformation;
pub(crate) use routes::surface;

/// The base path of this surface.
const BASE: &str = "/admin/v1";

/// The contract of this surface, as an OpenAPI 3.1 document. [`openapi`] writes it.
pub(crate) const OPENAPI: &str = include_str!("openapi.json");

/// The document, as the code describes the surface.
pub(crate) fn openapi() -> String {
    crate::openapi::document(&routes::surface(), describe::contract())
}
