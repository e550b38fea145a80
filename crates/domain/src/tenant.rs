//! The scope of everything: a merchant in one environment.

use crate::{MerchantId, Rule};

/// Whether customers are real or for trying things out. The two never meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Environment {
    /// Real customers.
    Live,
    /// Customers for trying things out.
    Sandbox,
}

/// Not an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be live or sandbox")]
pub struct EnvironmentError;

impl Rule for EnvironmentError {
    fn code(&self) -> &'static str {
        "invalid_environment"
    }
}

impl Environment {
    /// Both environments.
    pub const ALL: [Self; 2] = [Self::Live, Self::Sandbox];

    /// `live` or `sandbox`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Sandbox => "sandbox",
        }
    }

    /// Reads what [`Environment::as_str`] writes.
    ///
    /// # Errors
    /// [`EnvironmentError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, EnvironmentError> {
        Self::ALL.into_iter().find(|environment| environment.as_str() == text).ok_or(EnvironmentError)
    }
}

/// A merchant in one environment: what every read and every write is scoped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant {
    /// The merchant.
    pub merchant: MerchantId,
    /// The environment.
    pub environment: Environment,
}
