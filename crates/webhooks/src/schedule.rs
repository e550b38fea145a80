//! How long to wait before each attempt to deliver an event.

use std::time::Duration;

/// The delays before the attempts to deliver one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule(Vec<Duration>);

/// The rule that a list of delays breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// No delay, or more than [`Schedule::MAX_ATTEMPTS`].
    #[error("must have 1 to 20 delays")]
    Length,
    /// A delay of more than [`Schedule::MAX_DELAY`].
    #[error("must not have a delay of more than 7 days (604800 seconds)")]
    Delay,
}

impl Default for Schedule {
    /// The schedule that Standard Webhooks recommends: 0 s, 5 s, 5 min, 30 min, and 2, 5, 10, 14, 20 and 24 h, which
    /// are more than three days in all.
    fn default() -> Self {
        let seconds = [0, 5, 5 * 60, 30 * 60];
        let hours = [2, 5, 10, 14, 20, 24];
        Self(seconds.map(Duration::from_secs).into_iter().chain(hours.map(Duration::from_hours)).collect())
    }
}

impl Schedule {
    /// The most attempts that an event may have.
    pub const MAX_ATTEMPTS: usize = 20;
    /// The longest delay.
    pub const MAX_DELAY: Duration = Duration::from_hours(7 * 24);
    /// The longest wait that an endpoint can ask for with `Retry-After`. It gets this one if it asks for more.
    pub const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);
    /// The largest part of a delay that is added to it or taken off by chance, so that events that failed together are
    /// not all tried again together.
    pub const JITTER: f64 = 0.2;

    /// A schedule of one attempt for each of `delays`. The first of them is the wait before the first attempt.
    ///
    /// # Errors
    /// [`ScheduleError`], the rule that `delays` breaks.
    pub fn new(delays: Vec<Duration>) -> Result<Self, ScheduleError> {
        if delays.is_empty() || delays.len() > Self::MAX_ATTEMPTS {
            return Err(ScheduleError::Length);
        }
        if delays.iter().any(|delay| *delay > Self::MAX_DELAY) {
            return Err(ScheduleError::Delay);
        }
        Ok(Self(delays))
    }

    /// The delays, as they were given.
    #[must_use]
    pub fn delays(&self) -> &[Duration] {
        &self.0
    }

    /// How long to wait before the next attempt for an event that had `attempts` of them, from the end of the last one
    /// (or from the event, if it had none). `None`: the event has used up its attempts.
    ///
    /// The delay of the schedule varies by 20 % (`JITTER`), chosen by `random`, a number from 0 to 1. `retry_after` is
    /// what the endpoint asked for at the last attempt: the wait is not shorter, but an endpoint cannot ask for more
    /// than 24 h.
    #[must_use]
    pub fn next(&self, attempts: u32, retry_after: Option<Duration>, random: f64) -> Option<Duration> {
        let delay = self.0.get(usize::try_from(attempts).ok()?)?;
        // A NaN would stay one, and the multiplication would panic.
        let random = if random.is_nan() { 0.5 } else { random.clamp(0.0, 1.0) };
        let varied = delay.mul_f64(1.0 + Self::JITTER * (2.0 * random - 1.0));
        Some(varied.max(retry_after.unwrap_or_default().min(Self::MAX_RETRY_AFTER)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of these random numbers, the delay is exactly that of the schedule.
    const EXACTLY: f64 = 0.5;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_usual_schedule_has_ten_attempts() {
        let schedule = Schedule::default();
        let delays: Vec<_> =
            (0..10).map(|attempts| schedule.next(attempts, None, EXACTLY).map(|d| d.as_secs())).collect();
        let expected = [0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];
        assert_eq!(delays, expected.map(Some));
        assert_eq!(Schedule::new(expected.map(seconds).to_vec()), Ok(schedule));
    }

    #[test]
    fn an_event_that_used_up_its_attempts_has_no_next_one() {
        let schedule = Schedule::default();
        for attempts in [10, 11, u32::MAX] {
            assert_eq!(schedule.next(attempts, None, EXACTLY), None, "{attempts}");
            assert_eq!(schedule.next(attempts, Some(seconds(60)), EXACTLY), None, "{attempts}");
        }
    }

    #[test]
    fn delays_vary_by_20_percent() {
        let schedule = Schedule::new(vec![seconds(0), seconds(1000)]).expect("a schedule");
        for (random, expected) in [(0.0, 800), (0.25, 900), (0.5, 1000), (0.75, 1100), (1.0, 1200)] {
            assert_eq!(schedule.next(1, None, random), Some(seconds(expected)), "{random}");
            assert_eq!(schedule.next(0, None, random), Some(Duration::ZERO));
        }
    }

    #[test]
    fn numbers_that_are_not_from_0_to_1_are_bounded() {
        let schedule = Schedule::new(vec![Schedule::MAX_DELAY]).expect("a schedule");
        let at = |random| schedule.next(0, None, random).expect("an attempt");
        for (odd, bounded) in
            [(-1.0, 0.0), (f64::NEG_INFINITY, 0.0), (1.5, 1.0), (f64::INFINITY, 1.0), (f64::NAN, EXACTLY)]
        {
            assert_eq!(at(odd), at(bounded), "{odd}");
        }
    }

    #[test]
    fn an_endpoint_can_ask_for_a_longer_wait_of_at_most_24_hours() {
        let schedule = Schedule::new(vec![seconds(0), seconds(300)]).expect("a schedule");
        let day = seconds(24 * 3600);
        for (retry_after, expected) in
            [(0, 300), (299, 300), (301, 301), (86_399, 86_399), (86_400, 86_400), (86_401, 86_400), (u64::MAX, 86_400)]
        {
            assert_eq!(schedule.next(1, Some(seconds(retry_after)), EXACTLY), Some(seconds(expected)), "{retry_after}");
        }
        let longer = Schedule::new(vec![day * 2]).expect("a schedule");
        assert_eq!(longer.next(0, Some(seconds(u64::MAX)), EXACTLY), Some(day * 2));
    }

    #[test]
    fn a_schedule_has_1_to_20_delays_of_at_most_7_days() {
        let of = |count, delay| Schedule::new(vec![delay; count]);
        assert_eq!(of(0, seconds(1)), Err(ScheduleError::Length));
        assert!(of(1, Schedule::MAX_DELAY).is_ok() && of(20, seconds(0)).is_ok());
        assert_eq!(of(21, seconds(1)), Err(ScheduleError::Length));
        assert_eq!(of(2, Schedule::MAX_DELAY + Duration::from_nanos(1)), Err(ScheduleError::Delay));
    }
}
