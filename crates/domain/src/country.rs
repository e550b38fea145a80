//! Country codes.

use crate::Rule;

/// An assigned ISO 3166-1 alpha-2 country code, upper case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Country([u8; 2]);

/// Not a country code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an assigned ISO 3166-1 alpha-2 country code, such as US")]
pub struct CountryError;

impl Rule for CountryError {
    fn code(&self) -> &'static str {
        "invalid_country"
    }
}

impl Country {
    /// Parses a code in upper or lower case.
    ///
    /// # Errors
    /// [`CountryError`] if the code is not assigned.
    pub fn parse(code: &str) -> Result<Self, CountryError> {
        let [a, b] = code.as_bytes() else { return Err(CountryError) };
        let upper = [a.to_ascii_uppercase(), b.to_ascii_uppercase()];
        let country = Self(upper);
        rust_iso3166::from_alpha2(country.try_str().ok_or(CountryError)?).ok_or(CountryError)?;
        Ok(country)
    }

    /// Restores the code of a row that this service wrote, without looking it up again: a code that is withdrawn later
    /// must not make a stored row unreadable. `None` if it is not two upper-case letters.
    #[must_use]
    pub fn restore(code: &str) -> Option<Self> {
        let code: [u8; 2] = code.as_bytes().try_into().ok()?;
        code.iter().all(u8::is_ascii_uppercase).then_some(Self(code))
    }

    /// The code, upper case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.try_str().unwrap_or_default()
    }

    fn try_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_accepted_in_any_case_and_kept_in_upper_case() {
        assert_eq!(Country::parse("us").map(|c| c.as_str().to_owned()), Ok("US".to_owned()));
        assert_eq!(Country::parse("De").map(|c| c.as_str().to_owned()), Ok("DE".to_owned()));
    }

    #[test]
    fn an_unassigned_code_is_refused() {
        for code in ["", "U", "USA", "XX", "UK", "ZZ", "é", "u\0", "12"] {
            assert_eq!(Country::parse(code), Err(CountryError), "{code:?}");
        }
    }
}
