//! The system's clock.

use std::time::{SystemTime, UNIX_EPOCH};

use roster_application::ports::Clock;
use roster_domain::Timestamp;

/// Reads the system's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    /// # Panics
    /// If the system's clock is not between the years 1970 and 9999.
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the adapter behind the port")]
        let now = SystemTime::now();
        let elapsed = now.duration_since(UNIX_EPOCH).expect("the clock shows a time after 1970");
        let millis = i64::try_from(elapsed.as_millis()).expect("the clock shows a time before the year 9999");
        Timestamp::from_millis(millis).expect("the clock shows a time before the year 9999")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_shows_a_time_after_this_test_was_written() {
        assert!(SystemClock.now() > Timestamp::parse("2026-11-01T00:00:00Z").expect("a time"));
    }
}
