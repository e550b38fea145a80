//! What all the errors of this crate have in common.

use std::error::Error;

/// A rule that a value broke.
///
/// `Display` says the rule in one sentence without the value, so that it may be shown and logged; [`Rule::code`] names
/// it for programs.
pub trait Rule: Error {
    /// The rule's stable name in `snake_case`, such as `too_long`.
    fn code(&self) -> &'static str;
}
