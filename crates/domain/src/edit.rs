//! Edits: what an update does to one optional value.

/// Keeps, clears or sets a value: the meaning of a missing key, a `null` and a value in a partial update (RFC 7396).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Edit<T> {
    /// Leave the value as it is.
    #[default]
    Keep,
    /// Remove the value.
    Clear,
    /// Replace the value.
    Set(T),
}

impl<T> Edit<T> {
    /// Applies this edit to `value`.
    pub fn apply(self, value: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *value = None,
            Self::Set(new) => *value = Some(new),
        }
    }

    /// The value in a new record: `None`, unless this edit sets one.
    #[must_use]
    pub fn into_option(self) -> Option<T> {
        match self {
            Self::Keep | Self::Clear => None,
            Self::Set(new) => Some(new),
        }
    }
}
