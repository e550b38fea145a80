//! The native surface, `/v1`: a strict superset of billing.io's customer API.

pub(crate) mod batch;
mod describe;
mod describe_imports;
mod describe_webhooks;
mod dto;
mod error;
mod event_stream;
mod events;
mod export;
mod imports;
mod routes;
mod subject;
mod webhooks;

pub(crate) use error::{Error, answer};
pub use events::event_body;
pub use export::{ExportFormat, ExportWriter};
pub(crate) use routes::surface;
pub use subject::subject_document;
pub use webhooks::test_body;

/// The base path of this surface.
const BASE: &str = "/v1";

/// The contract of this surface, as an OpenAPI 3.1 document. [`openapi`] writes it.
pub(crate) const OPENAPI: &str = include_str!("openapi.json");

/// The document, as the code describes the surface.
pub(crate) fn openapi() -> String {
    crate::openapi::document(&routes::surface(), describe::contract())
}
