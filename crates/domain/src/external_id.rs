//! The merchant's own name for a customer.

use crate::{Rule, TextError, text};

/// The identifier a customer has in the merchant's own system, 1 to 256 characters.
///
/// Unique among the live customers of a tenant. It may hold `/`, `:`, `%` and any script, but may not start with
/// `con_`, so that it can stand wherever a Lava customer id can (the vendor's API page).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExternalId(String);

/// Not usable as an external identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExternalIdError {
    /// It breaks a rule of all texts.
    #[error(transparent)]
    Text(#[from] TextError),
    /// It starts with the prefix of customer ids.
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
    /// The most characters it may have.
    pub const MAX: usize = 256;
    /// What it may not start with.
    pub const RESERVED_PREFIX: &str = "con_";

    /// Takes `text` as it is, once it keeps the rules.
    ///
    /// # Errors
    /// [`ExternalIdError`], saying the rule.
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
    fn anything_but_the_reserved_prefix_may_stand_in_it() {
        for id in ["1", "gid://app/Customer/1234", "100%", "кириллица", "Con_1", "xcon_"] {
            assert!(ExternalId::parse(id).is_ok(), "{id}");
        }
        assert_eq!(ExternalId::parse("con_"), Err(ExternalIdError::ReservedPrefix));
        assert_eq!(ExternalId::parse(""), Err(ExternalIdError::Text(TextError::Empty)));
    }
}
