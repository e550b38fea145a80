//! JSON Web Tokens (RFC 7519) that configured issuers have signed: the adapter of the port
//! [`TokenVerifier`](roster_application::ports::TokenVerifier).
//!
//! [`issuer`] configures the issuers and their keys, [`token`] parses a token and checks its claims, [`key`] checks
//! signatures (each key with its own algorithms only), and [`published_keys`] fetches and caches the keys that issuers
//! publish. [`Tokens`] combines them: start reading there.
//!
//! A token selects one configured issuer, one key of that issuer and one of its allowed algorithms. A key, certificate
//! or URL inside a token is never used.
//!
//! This crate depends on the application and the domain. It must not know how a token arrived or where merchants are
//! stored. From `jsonwebtoken` it uses the signature checks only: it checks claims itself, against the time that the
//! caller passes.

pub mod issuer;
mod key;
mod key_set;
mod published_keys;
mod token;
mod tokens;

pub use issuer::{Fault, Issuer, Settings};
pub use tokens::{StartError, Tokens};
