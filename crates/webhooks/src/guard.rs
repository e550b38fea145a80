//! Looks host names up, and keeps requests off addresses that are not public.
//!
//! The HTTP client connects to no other address of a host name than those that [`Resolver`] has returned to it, so a
//! name that leads elsewhere at its next look-up (DNS rebinding) gains nothing. Addresses in a URL are not looked up:
//! [`EndpointUrl::check`](roster_domain::EndpointUrl::check) judges those.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use roster_domain::webhook::non_public_kind;
use tokio::sync::Semaphore;
use tokio::task;

/// The most look-ups that run at once. Each has a thread until the system answers, even after its request was given up.
const MAX_LOOKUPS: usize = 64;

/// Looks host names up as the system does, and drops the addresses that are not public.
pub(crate) struct Resolver {
    allow_private: bool,
    lookups: Arc<Semaphore>,
}

/// Why a host name has no address to connect to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    /// The look-up failed, or found no address.
    #[error("the host name cannot be looked up")]
    Unknown(#[source] io::Error),
    /// It has addresses, but not one that is public.
    #[error("the host name leads to no public address ({kind})")]
    NotPublic { kind: &'static str },
    /// The look-ups have ended, because the process ends.
    #[error("the look-up was broken off")]
    Ended,
}

impl Resolver {
    pub(crate) fn new(allow_private: bool) -> Self {
        Self { allow_private, lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)) }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (allow_private, lookups) = (self.allow_private, Arc::clone(&self.lookups));
        Box::pin(async move {
            let permit = lookups.acquire_owned().await.map_err(|_| ResolveError::Ended)?;
            let lookup = task::spawn_blocking(move || {
                // Held by the thread: a request that is given up must not make room while its look-up still runs.
                let _permit = permit;
                // The client sets the port.
                (name.as_str(), 0).to_socket_addrs()
            });
            let found = lookup.await.map_err(|_| ResolveError::Ended)?.map_err(ResolveError::Unknown)?;
            Ok(Box::new(judge(found, allow_private)?.into_iter()) as Addrs)
        })
    }
}

/// Those of `found` that may be connected to: at least one.
fn judge(found: impl Iterator<Item = SocketAddr>, allow_private: bool) -> Result<Vec<SocketAddr>, ResolveError> {
    let mut refused = None;
    let allowed: Vec<_> = found
        .filter(|address| {
            let kind = non_public_kind(address.ip()).filter(|_| !allow_private);
            refused = refused.or(kind);
            kind.is_none()
        })
        .collect();
    match (allowed.is_empty(), refused) {
        (false, _) => Ok(allowed),
        (true, Some(kind)) => Err(ResolveError::NotPublic { kind }),
        (true, None) => Err(ResolveError::Unknown(io::ErrorKind::NotFound.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::runtime;

    fn judged(addresses: &[&str], allow_private: bool) -> Result<Vec<String>, String> {
        let found = addresses.iter().map(|text| SocketAddr::new(text.parse().expect("an address"), 0));
        let judged = judge(found, allow_private).map_err(|error| error.to_string())?;
        Ok(judged.iter().map(|address| address.ip().to_string()).collect())
    }

    fn resolve(host: &str, allow_private: bool) -> Result<Vec<SocketAddr>, String> {
        let runtime = runtime::Builder::new_current_thread().build().expect("a runtime");
        let resolving = Resolver::new(allow_private).resolve(host.parse().expect("a name"));
        runtime.block_on(resolving).map(Iterator::collect).map_err(|error| error.to_string())
    }

    #[test]
    fn addresses_that_are_not_public_are_dropped() {
        let mixed = ["10.0.0.1", "93.184.216.34", "::1", "2606:4700:4700::1111", "::ffff:93.184.216.34"];
        assert_eq!(judged(&mixed, false), Ok(vec!["93.184.216.34".to_owned(), "2606:4700:4700::1111".to_owned()]));
        assert_eq!(judged(&mixed, true), Ok(mixed.map(str::to_owned).to_vec()));
    }

    #[test]
    fn a_host_name_without_a_public_address_is_refused() {
        let refused = judged(&["169.254.169.254", "10.0.0.1"], false);
        assert_eq!(refused, Err("the host name leads to no public address (link-local)".to_owned()));
        assert_eq!(judged(&[], false), Err("the host name cannot be looked up".to_owned()));
        assert_eq!(judged(&[], true), Err("the host name cannot be looked up".to_owned()));
    }

    #[test]
    fn the_system_is_asked() {
        let refused = resolve("localhost", false);
        assert_eq!(refused, Err("the host name leads to no public address (loopback)".to_owned()));
        let found = resolve("localhost", true).expect("an address");
        assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_loopback()), "{found:?}");
        // A label of a host name has at most 63 bytes, so the system refuses this one without asking a server.
        let unknown = resolve(&"a".repeat(64), true);
        assert_eq!(unknown, Err("the host name cannot be looked up".to_owned()));
    }
}
