//! Ctrl-C stops the benchmark between two measurements, so that its processes and files are removed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, bail};
use signal_hook::consts::{SIGINT, SIGTERM};

/// Whether SIGINT or SIGTERM has arrived.
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Catches both signals from now on.
    pub fn catch() -> anyhow::Result<Self> {
        let caught = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&caught)).context("signals cannot be caught")?;
        }
        Ok(Self(caught))
    }

    /// Returns an error after a signal has arrived.
    pub fn check(&self) -> anyhow::Result<()> {
        if self.0.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        Ok(())
    }
}
