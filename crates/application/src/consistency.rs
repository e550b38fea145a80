//! How current a read must be.

use crate::ports::Position;

/// What a read must show. Without a replica, every read shows all that was committed before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Consistency {
    /// All that was committed before it.
    #[default]
    Latest,
    /// All up to this position, which its caller has seen.
    AtLeast(Position),
    /// Any state, however old.
    Eventual,
}
