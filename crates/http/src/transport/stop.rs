//! Stopping without losing a request.
//!
//! First the service says on `/readyz` that it is stopping, and goes on as before for `http.drain_ms`, until all load
//! balancers have noticed. Then it takes no new connection, each answer is the last on its connection, and what is idle is
//! closed. The connections that the system has accepted for it are served, too: closing the listening socket would reset
//! them.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::transport::listener;

/// How long a connection may be silent, once the service is stopping, before it is closed: a client that has just
/// connected, or has just read an answer, may be about to send a request.
pub(crate) const IDLE_GRACE: Duration = Duration::from_millis(500);

/// How long the queue of new connections must have been empty before the listening socket is closed: the last
/// connection that left it must have arrived at its worker.
const QUIET: Duration = Duration::from_millis(100);

/// The longest time to wait for that. Where all `http.max_connections` are in use, the queue may never be empty.
const MAX_QUEUE_WAIT: Duration = Duration::from_secs(2);

/// How often to look at the queue.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How far the service has come with stopping. All threads share it.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    is_draining: AtomicBool,
    is_closing: AtomicBool,
    closing: Notify,
}

impl Stop {
    /// Whether load balancers should send no more requests.
    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    /// Whether each answer is the last on its connection.
    pub(crate) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Relaxed)
    }

    /// Ready once [`Stop::is_closing`].
    pub(crate) async fn closing(self: Arc<Self>) {
        let notified = self.closing.notified();
        // A notification between the two lines is not missed: `notified` counts from its creation.
        if !self.is_closing() {
            notified.await;
        }
    }

    /// From now on each answer is the last on its connection, and idle connections end.
    pub(crate) fn close(&self) {
        self.is_closing.store(true, Ordering::SeqCst);
        self.closing.notify_waiters();
    }

    /// Stops taking connections. Returns when the listening sockets may be closed and no request will be lost by that.
    pub(crate) async fn drain(&self, listeners: Vec<TcpListener>, normal_service: Duration) {
        self.is_draining.store(true, Ordering::SeqCst);
        sleep(normal_service).await;
        self.close();
        for listener in &listeners {
            if let Err(error) = listener::refuse_connections(listener) {
                tracing::debug!(%error, "connections that arrive while the service stops cannot be kept away");
            }
        }
        until_quiet(&listeners).await;
    }
}

/// Waits until no connection has waited to be accepted for a while.
async fn until_quiet(listeners: &[TcpListener]) {
    let started = Instant::now();
    let mut last_seen = started;
    // A client whose handshake is half done connects within this time, if it does at all.
    while started.elapsed() < IDLE_GRACE || last_seen.elapsed() < QUIET {
        if listeners.iter().any(listener::has_waiting) {
            last_seen = Instant::now();
        }
        if started.elapsed() > MAX_QUEUE_WAIT {
            tracing::warn!("connections are left in the system's queue and will be reset");
            break;
        }
        sleep(LOOK_EVERY).await;
    }
}
