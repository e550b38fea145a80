//! Waiting, always with a timeout.

use std::time::{Duration, Instant};

/// How long a test waits for what takes milliseconds on a quiet machine.
pub const TIMEOUT: Duration = Duration::from_mins(1);

/// Calls `probe` again and again until it returns a value.
///
/// # Panics
/// If there is none within `timeout`. The message contains `what`, the event that the test waits for.
pub fn until<T>(what: &str, timeout: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(start.elapsed() < timeout, "waited {timeout:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
