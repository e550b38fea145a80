//! Customer identifiers from the merchant's own system.

use crate::{Rule, TextError, text};

/// The identifier that a customer has in the merchant's own system, 1 to 256 characters.
///
/// Unique among the customers of a tenant that are not deleted. It may hold `/`, `:`, `%` and any script, but must not
/// start with `con_`: Lava accepts either this or its own customer id in one place (the vendor's API page).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExternalId(String);

/// Not usable as an external identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExternalIdError {
    /// It breaks a rule that all texts share.
    #[error(transparent)]
    Text(#[from] TextError),
    /// It starts with the prefix of Lava's customer ids.
    #[error("must not start with con_, which is reserved")]
    ReservedPrefix,
}

impl Rule for ExternalIdError {
    fn code(&self) -> &'static str {
        match self {
            Self::Text(error) => error.code(),
            Self::ReservedPrefix => "reserved_prefix",
        }
    }
}

impl ExternalId {
    /// The fewest characters it may have.
    pub const MIN: usize = 1;
    /// The most characters it may have.
    pub const MAX: usize = 256;
    /// The prefix of Lava's customer ids, which it must not have.
    pub const RESERVED_PREFIX: &str = "con_";

    /// Accepts `text` unchanged if it follows the rules.
    ///
    /// # Errors
    /// [`ExternalIdError`] names the broken rule.
    pub fn parse(text: impl Into<String>) -> Result<Self, ExternalIdError> {
        let text = text.into();
        if text.is_empty() {
            return Err(TextError::Empty.into());
        }
        if text.starts_with(Self::RESERVED_PREFIX) {
            return Err(ExternalIdError::ReservedPrefix);
        }
        text::check(&text, Self::MAX)?;
        Ok(Self(text))
    }

    /// Restores the text of a row that this service wrote, without checking it again.
    #[must_use]
    pub fn restore(text: String) -> Self {
        Self(text)
    }

    /// The identifier as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_may_hold_anything_but_the_reserved_prefix() {
        for id in ["1", "gid://app/Customer/1234", "100%", "кириллица", "Con_1", "xcon_"] {
            assert!(ExternalId::parse(id).is_ok(), "{id}");
        }
        assert_eq!(ExternalId::parse("con_"), Err(ExternalIdError::ReservedPrefix));
        assert_eq!(ExternalId::parse(""), Err(ExternalIdError::Text(TextError::Empty)));
    }
}
