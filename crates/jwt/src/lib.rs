//! JSON Web Tokens (RFC 7519) that configured issuers have signed: the adapter of the port
//! [`TokenVerifier`](roster_application::ports::TokenVerifier).
//!
//! [`issuer`] says who may issue tokens and with which keys, [`token`] reads one and judges its claims, [`key`] checks
//! signatures, each key with its own algorithms only, and [`published_keys`] fetches the keys that issuers publish.
//! [`Tokens`] brings them together. Nothing that a token says chooses anything but one of the configured issuers and one
//! of that issuer's keys.
//!
//! This crate knows the application and the domain, and neither how a token came nor who keeps merchants. Of the library
//! it uses the signatures; claims are judged here, by the time that the caller gives.

pub mod issuer;
mod key;
mod key_set;
mod published_keys;
mod token;
mod tokens;

pub use issuer::{Fault, Issuer, Settings};
pub use tokens::{StartError, Tokens};
