//! The native surface, `/v1`: a strict superset of billing.io's customer API.

mod dto;
mod error;
mod routes;

pub(crate) use error::{Error, answer};
pub(crate) use routes::{BASE, surface};
