//! Short texts with a maximum length and without control characters.

use crate::Rule;

/// The rule that a short text broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Shorter than its kind allows.
    #[error("must not be empty")]
    Empty,
    /// Longer than its kind allows, counted in Unicode characters.
    #[error("must be at most {max} characters long")]
    TooLong {
        /// The most characters allowed.
        max: usize,
    },
    /// A control character (Unicode category Cc, NUL among them).
    #[error("must not contain control characters")]
    ControlCharacter,
}

impl Rule for TextError {
    fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong { .. } => "too_long",
            Self::ControlCharacter => "control_character",
        }
    }
}

/// Checks that `text` has at most `max` characters and no control character.
///
/// # Errors
/// [`TextError::TooLong`] or [`TextError::ControlCharacter`].
pub fn check(text: &str, max: usize) -> Result<(), TextError> {
    // A text never has more characters than bytes, so for most texts the first comparison is enough.
    if text.len() > max && text.chars().count() > max {
        return Err(TextError::TooLong { max });
    }
    if text.chars().any(char::is_control) {
        return Err(TextError::ControlCharacter);
    }
    Ok(())
}

/// Defines one kind of short text: a newtype that parses, with its bounds in characters.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $min:literal..=$max:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The fewest characters it may have.
            pub const MIN: usize = $min;
            /// The most characters it may have.
            pub const MAX: usize = $max;

            /// Checks `text` and takes it unchanged.
            ///
            /// # Errors
            /// [`TextError`](crate::TextError), the rule that it breaks.
            pub fn parse(text: impl Into<String>) -> Result<Self, $crate::TextError> {
                let text = text.into();
                if Self::MIN > 0 && text.is_empty() {
                    return Err($crate::TextError::Empty);
                }
                $crate::text::check(&text, Self::MAX)?;
                Ok(Self(text))
            }

            /// Takes the text of a row that this service wrote, without checking it again: a rule made stricter later
            /// must not make a stored row unreadable.
            #[must_use]
            pub fn restore(text: String) -> Self {
                Self(text)
            }

            /// The text as it was given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}
pub(crate) use text;

/// Every value that is written as a text implements `AsRef<str>`, so that code which writes values need not name each.
macro_rules! as_ref {
    ($($name:ident),+ $(,)?) => {$(
        impl AsRef<str> for crate::$name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }
    )+};
}

as_ref!(
    AddressPart,
    BusinessName,
    ChangeReason,
    Country,
    Currency,
    CustomerStatus,
    Email,
    EndpointDescription,
    EndpointUrl,
    Environment,
    EventType,
    Excerpt,
    ExternalId,
    Locale,
    MerchantName,
    Name,
    Phone,
    PlanId,
    PostalCode,
    SubscriptionId,
    SubscriptionStatus,
    TaxExemption,
    TaxId,
    TimeZone,
);

text!(
    /// A customer's display name, at most 256 characters.
    Name, 0..=256
);
text!(
    /// A tax identification number, kept as typed, at most 64 characters.
    TaxId, 0..=64
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_counted_in_characters() {
        assert!(Name::parse("é".repeat(256)).is_ok());
        assert_eq!(Name::parse("é".repeat(257)), Err(TextError::TooLong { max: 256 }));
    }

    #[test]
    fn control_characters_are_refused() {
        for text in ["\0", "a\nb", "\u{7f}", "\u{85}"] {
            assert_eq!(Name::parse(text), Err(TextError::ControlCharacter), "{text:?}");
        }
    }
}
