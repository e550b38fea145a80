//! Sockets, connections and TLS.

pub(crate) mod connection;
pub(crate) mod listener;
pub(crate) mod tls;
