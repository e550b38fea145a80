//! The requests of the last hour in this process, in steps of ten seconds, for a chart.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a step is, in seconds.
const STEP_SECONDS: u64 = 10;

/// How many steps are kept: an hour, and the one that goes on.
const STEPS: usize = 361;

/// Four for each power of two microseconds, up to 2 minutes: a duration is known to a quarter.
const BUCKETS: usize = 4 * 27;

/// The requests of ten seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecentStep {
    /// How many were answered.
    pub requests: u64,
    /// The time within which 99 of 100 were answered, rounded up by at most a quarter; zero without requests.
    pub p99: Duration,
}

/// Counts requests. It takes 160 KiB.
pub struct Recent {
    began: Instant,
    slots: Mutex<Vec<Slot>>,
}

#[derive(Clone)]
struct Slot {
    /// The step that it counts, from 0 at the start; `None`: none yet.
    step: Option<u64>,
    counts: [u32; BUCKETS],
}

impl Slot {
    const EMPTY: Self = Self { step: None, counts: [0; BUCKETS] };
}

impl Recent {
    pub fn new() -> Self {
        Self { began: Instant::now(), slots: Mutex::new(vec![Slot::EMPTY; STEPS]) }
    }

    /// Counts a request that was answered now.
    pub fn record(&self, duration: Duration) {
        self.record_in(self.step(), duration);
    }

    /// The steps of the last hour that are over, the oldest first.
    pub fn steps(&self) -> Vec<RecentStep> {
        self.steps_before(self.step())
    }

    fn step(&self) -> u64 {
        self.began.elapsed().as_secs() / STEP_SECONDS
    }

    fn record_in(&self, step: u64, duration: Duration) {
        // Ignores lock poisoning: the slots are whole after each of its lines.
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = &mut slots[place(step)];
        if slot.step != Some(step) {
            *slot = Slot { step: Some(step), ..Slot::EMPTY };
        }
        let count = &mut slot.counts[bucket(duration)];
        *count = count.saturating_add(1);
    }

    fn steps_before(&self, now: u64) -> Vec<RecentStep> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = STEPS as u64 - 1;
        let of = |back: u64| {
            let step = now.checked_sub(back)?;
            Some(&slots[place(step)]).filter(|slot| slot.step == Some(step)).map(Slot::summary)
        };
        (1..=kept).rev().map(|back| of(back).unwrap_or_default()).collect()
    }
}

impl Slot {
    fn summary(&self) -> RecentStep {
        let requests: u64 = self.counts.iter().copied().map(u64::from).sum();
        let slow = requests / 100;
        let mut left = requests - slow;
        let last = self.counts.iter().position(|count| {
            left = left.saturating_sub(u64::from(*count));
            left == 0
        });
        let p99 = if requests == 0 { Duration::ZERO } else { last.map(end_of).unwrap_or_default() };
        RecentStep { requests, p99 }
    }
}

fn place(step: u64) -> usize {
    usize::try_from(step % STEPS as u64).unwrap_or(0)
}

/// The bucket of a duration.
fn bucket(duration: Duration) -> usize {
    let micros = u32::try_from(duration.as_micros()).unwrap_or(u32::MAX).clamp(4, (1 << 27) - 1);
    let power = micros.ilog2();
    let quarter = (micros >> (power - 2)) & 3;
    (power * 4 + quarter) as usize
}

/// The end of a bucket.
fn end_of(bucket: usize) -> Duration {
    let (power, quarter) = (bucket / 4, bucket as u64 % 4);
    Duration::from_micros(((5 + quarter) << power) >> 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_the_number_of_their_requests_and_the_time_of_99_of_100() {
        let recent = Recent::new();
        for _ in 0..99 {
            recent.record_in(7, Duration::from_micros(900));
        }
        recent.record_in(7, Duration::from_secs(1));
        recent.record_in(8, Duration::from_millis(40));
        let steps = recent.steps_before(9);
        assert_eq!(steps.len(), 360);
        let [seventh, eighth] = [steps[358], steps[359]];
        assert_eq!((seventh.requests, eighth.requests), (100, 1));
        assert!((900..=1125).contains(&seventh.p99.as_micros()), "{seventh:?}");
        assert!((40..=50).contains(&eighth.p99.as_millis()), "{eighth:?}");
        assert_eq!(steps[357], RecentStep::default());
    }

    #[test]
    fn a_step_is_forgotten_after_an_hour() {
        let recent = Recent::new();
        recent.record_in(0, Duration::from_millis(1));
        assert_eq!(recent.steps_before(360)[0].requests, 1);
        assert_eq!(recent.steps_before(361)[0].requests, 0);
        recent.record_in(361, Duration::from_millis(1));
        assert_eq!(recent.steps_before(362)[359].requests, 1);
        assert_eq!(recent.steps_before(0), vec![RecentStep::default(); 360]);
    }

    #[test]
    fn the_end_of_a_bucket_is_above_its_durations_by_at_most_a_quarter() {
        for micros in (4..100_000).step_by(7).chain([1 << 26, (1 << 27) - 1]) {
            let end = end_of(bucket(Duration::from_micros(micros))).as_micros();
            let micros = u128::from(micros);
            assert!(end > micros && end * 4 <= micros * 5 + 4, "{micros} {end}");
        }
        assert!(bucket(Duration::from_secs(10_000)) < BUCKETS && bucket(Duration::ZERO) < BUCKETS);
    }
}
