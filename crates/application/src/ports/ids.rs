use roster_domain::Timestamp;
use uuid::Uuid;

/// Creates identifiers.
pub trait Ids: Send + Sync {
    /// A new, unique version 7 UUID for something created at `now`.
    ///
    /// It is greater than every one that the same process created for the same or an earlier millisecond.
    fn next(&self, now: Timestamp) -> Uuid;
}
