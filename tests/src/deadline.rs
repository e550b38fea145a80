//! Waiting, never without an end.

use std::time::{Duration, Instant};

/// How long anything may take that takes milliseconds on a quiet machine.
pub const GENEROUS: Duration = Duration::from_secs(20);

/// Asks `probe` until it has an answer.
///
/// # Panics
/// If it has none within `deadline`, saying `what` was waited for.
pub fn until<T>(what: &str, deadline: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(start.elapsed() < deadline, "waited {deadline:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
