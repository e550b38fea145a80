//! Stop signals: the first SIGTERM or SIGINT stops the service gracefully, the second ends the process.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, iterator};
use tokio::sync::oneshot;

const STOPPING: [i32; 2] = [SIGTERM, SIGINT];

/// The process's signal handlers.
///
/// The second signal ends the process in the signal handler itself, so that a busy or stuck thread cannot delay it.
pub struct Signals {
    /// Whether the next signal ends the process.
    next_one_ends: Arc<AtomicBool>,
}

impl Signals {
    /// From now on a signal ends the process with the exit code 128 plus its number.
    ///
    /// A handler is needed even for that: the kernel ignores these signals for process 1 of a container otherwise.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn catch() -> io::Result<Self> {
        let next_one_ends = Arc::new(AtomicBool::new(true));
        for signal in STOPPING {
            // Handlers run in this order: the first must read the flag before the second sets it.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&next_one_ends))?;
            flag::register(signal, Arc::clone(&next_one_ends))?;
        }
        Ok(Self { next_one_ends })
    }

    /// From now on the first signal makes the future ready, and the second ends the process.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn stop(&self) -> io::Result<impl Future<Output = ()> + 'static> {
        let mut signals = iterator::Signals::new(STOPPING)?;
        let (sender, receiver) = oneshot::channel();
        self.next_one_ends.store(false, Ordering::SeqCst);
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            if let Some(signal) = signals.forever().next() {
                tracing::info!(
                    signal,
                    "stopping once the requests in flight are answered; another signal ends at once"
                );
                // An error means that the service is already stopping and the receiver is dropped.
                let _ = sender.send(());
            }
        })?;
        Ok(async move {
            // The sender is dropped only with the thread, which ends only with a signal.
            let _ = receiver.await;
        })
    }
}

/// A flag that the first SIGTERM or SIGINT from now on sets. The second ends the process at once.
///
/// # Errors
/// If the system refuses.
pub fn request() -> io::Result<Arc<AtomicBool>> {
    let is_requested = Arc::new(AtomicBool::new(false));
    for signal in STOPPING {
        // Handlers run in this order: the first must read the flag before the second sets it.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&is_requested))?;
        flag::register(signal, Arc::clone(&is_requested))?;
    }
    Ok(is_requested)
}
