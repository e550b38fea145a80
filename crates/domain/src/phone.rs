//! Telephone numbers.

use crate::Rule;

/// A telephone number in E.164 form: `+`, a digit other than 0, and 1 to 14 digits more.
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
    /// Takes a number that is in E.164 form already.
    ///
    /// # Errors
    /// [`PhoneError`] if it is not.
    pub fn parse(number: impl Into<String>) -> Result<Self, PhoneError> {
        let number = number.into();
        let digits = number.strip_prefix('+').ok_or(PhoneError)?;
        let well_formed =
            (2..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        if well_formed { Ok(Self(number)) } else { Err(PhoneError) }
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
    fn two_to_fifteen_digits_are_a_number() {
        for number in ["+12", "+14155552671", "+123456789012345"] {
            assert!(Phone::parse(number).is_ok(), "{number}");
        }
        for number in ["", "+", "+1", "14155552671", "+0123", "+1234567890123456", "+1 415", "+1415555267a", "+٣٣٣"]
        {
            assert_eq!(Phone::parse(number), Err(PhoneError), "{number}");
        }
    }
}
