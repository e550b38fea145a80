use std::fmt;

/// The start of an answer, or of the description of an error, as text of at most 1,024 bytes. `Debug` hides it: an answer may
/// repeat what was sent.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Excerpt(String);

impl Excerpt {
    /// The most bytes of an answer that are kept: 1,024.
    pub const MAX: usize = 1024;

    /// The start of `bytes`. What is no UTF-8, and every NUL, which databases do not store, becomes U+FFFD.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let start = &bytes[..bytes.len().min(Self::MAX)];
        let mut text = String::from_utf8_lossy(start).replace('\0', "\u{fffd}");
        // The replacement is longer than what it replaces.
        text.truncate(text.floor_char_boundary(Self::MAX));
        Self(text)
    }

    /// Takes the text of a row that this service wrote.
    #[must_use]
    pub fn restore(text: String) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Excerpt({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_text_of_at_most_its_length() {
        assert_eq!(Excerpt::of(b"no\0pe \xff").as_str(), "no\u{fffd}pe \u{fffd}");
        let long = Excerpt::of("é".repeat(2000).as_bytes());
        assert_eq!(long.as_str().len(), Excerpt::MAX);
        assert!(Excerpt::of(&[0; 5000]).as_str().len() <= Excerpt::MAX);
    }
}
