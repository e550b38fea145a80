//! Middleware: what happens around every request, on every surface.

pub(crate) mod access_log;
pub(crate) mod browsers;
pub(crate) mod exchange;
pub(crate) mod limits;
