//! Waiting, always with a timeout.

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
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
        thread::sleep(Duration::from_millis(2));
    }
}

/// A stopwatch for a promise about time. It runs more slowly while the machine is busy, so that the promise is not broken
/// by the machine.
///
/// Its unit is the turn of a thread that sleeps for [`TURN`] and then starts another thread and waits for its end. Where
/// threads wait for a processor, or the whole machine stands still, a turn takes longer and counts the same.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    start: u32,
}

/// The length of a turn on a quiet machine.
const TURN: Duration = Duration::from_millis(10);

impl Stopwatch {
    /// Starts at zero.
    #[must_use]
    pub fn start() -> Self {
        Self { start: turns() }
    }

    /// The time since the start: at most the real time, and a turn more.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        turns().wrapping_sub(self.start) * TURN
    }

    /// Waits until this much time has passed since the start.
    pub fn wait_for(self, time: Duration) {
        while self.elapsed() < time {
            thread::sleep(TURN);
        }
    }
}

/// The turns so far of the thread that takes them. The first call starts it.
fn turns() -> u32 {
    static STARTED: Once = Once::new();
    static TURNS: AtomicU32 = AtomicU32::new(0);
    STARTED.call_once(|| {
        thread::spawn(|| {
            loop {
                thread::sleep(TURN);
                thread::spawn(|| ()).join().expect("a thread that does nothing");
                TURNS.fetch_add(1, Ordering::Relaxed);
            }
        });
    });
    TURNS.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopwatch_runs_and_is_never_ahead_of_the_clock() {
        let (clock, watch) = (Instant::now(), Stopwatch::start());
        for turns in 1..=20 {
            watch.wait_for(turns * TURN);
            let elapsed = watch.elapsed();
            assert!(elapsed <= clock.elapsed() + TURN, "{elapsed:?} after {:?}", clock.elapsed());
        }
    }
}
