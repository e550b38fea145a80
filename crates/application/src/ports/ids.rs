use roster_domain::Timestamp;
use uuid::Uuid;

/// Makes identifiers.
pub trait Ids: Send + Sync {
    /// A new version 7 UUID for something made at `now`, never given out before, and greater than those given out for
    /// the same or an earlier millisecond by the same process.
    fn next(&self, now: Timestamp) -> Uuid;
}
