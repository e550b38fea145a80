use std::sync::atomic::{AtomicI64, Ordering};

use roster_application::ports::Clock;
use roster_domain::Timestamp;

/// A clock whose time changes only when a test sets or advances it.
#[derive(Debug)]
pub struct FixedClock(AtomicI64);

impl FixedClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.as_millis()))
    }

    /// Sets it to `now`, forwards or backwards.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_millis(), Ordering::SeqCst);
    }

    /// Advances it by `millis` milliseconds, or sets it back if that is negative.
    pub fn advance(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Default for FixedClock {
    /// A clock that shows 2025-01-15T12:00:00Z.
    fn default() -> Self {
        Self(AtomicI64::new(1_736_942_400_000))
    }
}

impl Clock for FixedClock {
    /// # Panics
    /// If it was advanced beyond the years that a [`Timestamp`] allows.
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst)).expect("a year between 0000 and 9999")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_changes_only_when_it_is_set_or_advanced() {
        let clock = FixedClock::default();
        assert_eq!(clock.now().to_string(), "2025-01-15T12:00:00.000Z");
        assert_eq!(clock.now(), clock.now());
        clock.advance(1500);
        assert_eq!(clock.now().to_string(), "2025-01-15T12:00:01.500Z");
        let before = Timestamp::parse("1999-12-31T23:59:59Z").expect("a time");
        clock.set(before);
        assert_eq!(clock.now(), before);
    }
}
