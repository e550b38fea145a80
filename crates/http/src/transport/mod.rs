//! Sockets, connections and TLS.

pub(crate) mod connection;
pub(crate) mod exchange;
pub(crate) mod listener;
pub(crate) mod refusals;
pub(crate) mod stop;
pub(crate) mod tls;
