//! Tenants: the scope of every read and every write.

use crate::{MerchantId, Rule};

/// Whether customers are real or for tests. A request in one environment never sees customers of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Environment {
    /// Real customers.
    Live,
    /// Customers for tests.
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

    /// Parses the text that [`Environment::as_str`] returns.
    ///
    /// # Errors
    /// [`EnvironmentError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, EnvironmentError> {
        Self::ALL.into_iter().find(|environment| environment.as_str() == text).ok_or(EnvironmentError)
    }
}

/// A merchant in one environment: the scope of every read and every write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant {
    /// The merchant.
    pub merchant: MerchantId,
    /// The environment.
    pub environment: Environment,
}
