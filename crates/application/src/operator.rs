//! Operators of the service, who manage merchants and read no customer data, and the log of what they did.

use std::fmt;

use roster_domain::{ApiKeyId, LogEntryId, MerchantId, Name, OperatorId, Timestamp};

use crate::Digest;

/// An operator as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// Identifies the operator; it is not secret.
    pub id: OperatorId,
    /// The name that it was given.
    pub name: Name,
    /// What it may do.
    pub role: Role,
    /// The digest that its key is looked up by.
    pub digest: Digest,
    /// When it was created.
    pub created_at: Timestamp,
    /// From this time on its key is refused.
    pub expires_at: Option<Timestamp>,
    /// When its key was last used, accurate to about [`USE_INTERVAL`](crate::ports::USE_INTERVAL).
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl Operator {
    /// Whether its key is accepted at `now`: neither revoked nor expired.
    #[must_use]
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// An authenticated operator.
///
/// Only [`Roster::recognise_operator`](crate::Roster::recognise_operator) and
/// [`Roster::authenticate_operator`](crate::Roster::authenticate_operator) make one, from a credential. It has no tenant: an
/// operator reads no customer data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorPrincipal {
    /// Who it is.
    pub id: OperatorId,
    /// The name that it was given.
    pub name: Name,
    /// What it may do.
    pub role: Role,
    /// From this time on its key is refused; `None`: never.
    pub expires_at: Option<Timestamp>,
}

/// What an operator may do. A later one may do all that an earlier one may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look at merchants, keys and the operator log.
    Read,
    /// Change them, too.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 2] = [Self::Read, Self::Admin];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }

    /// The role called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

impl AsRef<str> for Role {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who does something to merchants, keys or operators, and in which request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The operator; `None` on the command line, whose users have access to the database.
    pub operator: Option<OperatorId>,
    /// The identifier of the request, by which it is found in the log of requests.
    pub request_id: Option<String>,
}

impl Operation {
    /// By the command line.
    pub const COMMAND_LINE: Self = Self { operator: None, request_id: None };
}

/// An entry of the operator log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Identifies the entry.
    pub id: LogEntryId,
    /// Who did it, and in which request.
    pub operation: Operation,
    /// What was done.
    pub action: Action,
    /// What it was done to.
    pub target: Target,
    /// When.
    pub created_at: Timestamp,
}

/// What an operator did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Action {
    MerchantCreated,
    MerchantRenamed,
    MerchantDisabled,
    MerchantEnabled,
    ApiKeyCreated,
    ApiKeyRotated,
    ApiKeyRevoked,
    OperatorCreated,
    OperatorRevoked,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 9] = [
        Self::MerchantCreated,
        Self::MerchantRenamed,
        Self::MerchantDisabled,
        Self::MerchantEnabled,
        Self::ApiKeyCreated,
        Self::ApiKeyRotated,
        Self::ApiKeyRevoked,
        Self::OperatorCreated,
        Self::OperatorRevoked,
    ];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MerchantCreated => "merchant.created",
            Self::MerchantRenamed => "merchant.renamed",
            Self::MerchantDisabled => "merchant.disabled",
            Self::MerchantEnabled => "merchant.enabled",
            Self::ApiKeyCreated => "api_key.created",
            Self::ApiKeyRotated => "api_key.rotated",
            Self::ApiKeyRevoked => "api_key.revoked",
            Self::OperatorCreated => "operator.created",
            Self::OperatorRevoked => "operator.revoked",
        }
    }

    /// The action called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == name)
    }
}

impl AsRef<str> for Action {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// What an operator did something to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A merchant.
    Merchant(MerchantId),
    /// An API key: the new one, if one was created or has come into the place of another.
    ApiKey(ApiKeyId),
    /// An operator.
    Operator(OperatorId),
}

impl Target {
    /// Parses what [`Display`](fmt::Display) writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let merchant = MerchantId::parse(text).map(Self::Merchant);
        merchant
            .or_else(|_| ApiKeyId::parse(text).map(Self::ApiKey))
            .or_else(|_| OperatorId::parse(text).map(Self::Operator))
            .ok()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Merchant(id) => write!(f, "{id}"),
            Self::ApiKey(id) => write!(f, "{id}"),
            Self::Operator(id) => write!(f, "{id}"),
        }
    }
}
