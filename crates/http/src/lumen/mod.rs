//! The Lumen surface, `/api`, to the letter of that vendor's page.

mod dto;
mod error;
mod routes;

pub(crate) use routes::surface;
