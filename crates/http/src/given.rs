//! What a request gave where it broke a rule.

use std::fmt;

use roster_domain::Json;

/// The most bytes of a text that a message repeats.
const MAX_BYTES: usize = 64;

/// A value of a request, shortened, to be repeated in the message about it and nowhere else: never in a log.
///
/// It holds a copy, because what parses a text takes it. The copy is on the stack, because most texts follow their rules.
#[derive(Clone, Copy)]
pub(crate) struct Given {
    start: [u8; MAX_BYTES],
    shown: usize,
    bytes: usize,
}

impl Given {
    /// The start of `text`, in whole characters.
    pub(crate) fn of(text: &str) -> Self {
        let shown = text.floor_char_boundary(MAX_BYTES);
        let mut start = [0; MAX_BYTES];
        start[..shown].copy_from_slice(&text.as_bytes()[..shown]);
        Self { start, shown, bytes: text.len() }
    }
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Escaped: a message has no control characters.
        write!(f, "{:?}", std::str::from_utf8(&self.start[..self.shown]).unwrap_or_default())?;
        if self.shown < self.bytes { write!(f, "… ({} bytes)", self.bytes) } else { Ok(()) }
    }
}

/// What kind of value it is, for a message about one of a wrong type.
pub(crate) fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(true) => "true",
        Json::Bool(false) => "false",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_text_is_repeated_whole_and_escaped() {
        for (text, shown) in [("", r#""""#), ("+49 30", r#""+49 30""#), ("a\0\"b\n", r#""a\0\"b\n""#)] {
            assert_eq!(Given::of(text).to_string(), shown);
        }
        let longest = "x".repeat(MAX_BYTES);
        assert_eq!(Given::of(&longest).to_string(), format!("{longest:?}"));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(Given::of(&"€".repeat(100)).to_string(), format!("\"{}\"… (300 bytes)", "€".repeat(21)));
    }
}
