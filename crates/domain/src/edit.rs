//! What a change does to one optional value.

/// Keep a value, clear it, or set it: what a key left out, a `null` and a value mean in a partial update (RFC 7396).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Edit<T> {
    /// Leave the value as it is.
    #[default]
    Keep,
    /// Make the value absent.
    Clear,
    /// Replace the value.
    Set(T),
}

impl<T> Edit<T> {
    /// Does to `value` what this edit says.
    pub fn apply(self, value: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *value = None,
            Self::Set(new) => *value = Some(new),
        }
    }

    /// The value that a fresh record gets: nothing, unless one is set.
    #[must_use]
    pub fn into_option(self) -> Option<T> {
        match self {
            Self::Keep | Self::Clear => None,
            Self::Set(new) => Some(new),
        }
    }
}
