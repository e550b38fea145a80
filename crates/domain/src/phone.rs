//! Telephone numbers.

use crate::Rule;

/// A telephone number in E.164 form: `+`, a digit other than 0, and 1 to 14 more digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Phone(String);

/// Not a telephone number in E.164 form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a phone number in E.164 form: + and 2 to 15 digits, the first not 0, such as +14155552671")]
pub struct PhoneError;

impl Rule for PhoneError {
    fn code(&self) -> &'static str {
        "invalid_phone"
    }
}

impl Phone {
    /// Accepts a number only in E.164 form; other forms are not converted.
    ///
    /// # Errors
    /// [`PhoneError`] for any other form.
    pub fn parse(number: impl Into<String>) -> Result<Self, PhoneError> {
        let number = number.into();
        let digits = number.strip_prefix('+').ok_or(PhoneError)?;
        let well_formed =
            (2..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        if well_formed { Ok(Self(number)) } else { Err(PhoneError) }
    }

    /// Restores the text of a row that this service wrote, without checking it again.
    #[must_use]
    pub fn restore(text: String) -> Self {
        Self(text)
    }

    /// The number, with its `+`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_2_to_15_digits() {
        for number in ["+12", "+14155552671", "+123456789012345"] {
            assert!(Phone::parse(number).is_ok(), "{number}");
        }
        for number in ["", "+", "+1", "14155552671", "+0123", "+1234567890123456", "+1 415", "+1415555267a", "+٣٣٣"]
        {
            assert_eq!(Phone::parse(number), Err(PhoneError), "{number}");
        }
    }
}
