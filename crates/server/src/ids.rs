//! Identifiers: UUIDs of version 7, in ascending order.

use std::sync::Mutex;

use roster_application::ports::Ids;
use roster_domain::Timestamp;
use uuid::{ContextV7, Uuid};

/// Makes UUIDs of version 7 (RFC 9562) that also ascend within a millisecond.
///
/// After the time come a counter of 42 bits, which starts at a random value in its lower half, and 32 random bits.
/// If the clock goes back, the latest time is kept and only the counter grows, so that the order holds.
#[derive(Default)]
pub struct UuidV7(Mutex<ContextV7>);

impl Ids for UuidV7 {
    fn next(&self, now: Timestamp) -> Uuid {
        // A time before 1970 becomes 0: the counter alone keeps the order then.
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        let nanos = u32::try_from(millis % 1000).unwrap_or(0) * 1_000_000;
        Uuid::new_v7(uuid::Timestamp::from_unix(&self.0, millis / 1000, nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::thread;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).expect("a time")
    }

    #[test]
    fn identifiers_of_one_millisecond_ascend_and_contain_it() {
        let ids = UuidV7::default();
        let made: Vec<Uuid> = (0..10_000).map(|_| ids.next(at(1_763_856_000_123))).collect();
        assert!(made.is_sorted_by(|a, b| a < b));
        for id in made {
            assert_eq!((id.get_version_num(), id.as_u128() >> 80), (7, 1_763_856_000_123));
        }
    }

    #[test]
    fn identifiers_ascend_even_when_the_clock_goes_back() {
        let ids = UuidV7::default();
        let made: Vec<Uuid> = [5, 6, 1000, 999, 0, 1001, -1].into_iter().map(|millis| ids.next(at(millis))).collect();
        assert!(made.is_sorted_by(|a, b| a < b), "{made:?}");
    }

    #[test]
    fn no_two_threads_get_the_same_identifier() {
        let ids = UuidV7::default();
        let made: BTreeSet<Uuid> = thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..1000).map(|_| ids.next(at(1))).collect::<Vec<_>>())).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
        });
        assert_eq!(made.len(), 4000);
    }
}
