//! Reading a request: its body, path and query, its caller, and what the caller may do.

pub(crate) mod attribution;
pub(crate) mod auth;
pub(crate) mod body;
pub(crate) mod caller;
pub(crate) mod conditions;
pub(crate) mod consistency;
pub(crate) mod fields;
pub(crate) mod idempotency;
pub(crate) mod operator_caller;
pub(crate) mod path;
pub(crate) mod query;
