use std::sync::atomic::{AtomicU64, Ordering};

use roster_application::ports::Ids;
use roster_domain::Timestamp;
use uuid::{Builder, Uuid};

/// Makes version 7 UUIDs whose random part counts up: 1, 2, 3, …
#[derive(Debug, Default)]
pub struct CountingIds(AtomicU64);

impl Ids for CountingIds {
    fn next(&self, now: Timestamp) -> Uuid {
        let number = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        let mut random = [0; 10];
        random[2..].copy_from_slice(&number.to_be_bytes());
        Builder::from_unix_timestamp_millis(now.as_millis().unsigned_abs(), &random).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).expect("a time")
    }

    #[test]
    fn ids_are_version_7_and_sort_by_time_then_by_creation() {
        let ids = CountingIds::default();
        let made = [ids.next(at(1000)), ids.next(at(1000)), ids.next(at(1001))];
        assert!(made.is_sorted());
        for id in made {
            assert_eq!(id.get_version_num(), 7);
        }
        assert_eq!(made[0].to_string(), "00000000-03e8-7000-8000-000000000001");
    }
}
