//! The trait that all errors of this crate implement.

use std::error::Error;

/// A rule that a value broke.
///
/// `Display` states the rule in one sentence without the value, so the text is safe to show and to log; [`Rule::code`]
/// names the rule for programs.
pub trait Rule: Error {
    /// The rule's stable name in `snake_case`, such as `too_long`.
    fn code(&self) -> &'static str;
}
