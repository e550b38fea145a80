//! Scopes: what a credential allows its holder to do.

use std::fmt;

use roster_domain::Rule;

/// One thing that a credential may allow its holder to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// `customers:read`: see customers and their subscriptions.
    ReadCustomers,
    /// `customers:write`: register, change and delete customers, and see the customers in the responses.
    WriteCustomers,
    /// `customers:allow_duplicate_email`: give a customer an e-mail address that another customer has.
    AllowDuplicateEmail,
    /// `subscriptions:write`: report customers' subscriptions.
    WriteSubscriptions,
    /// `keys:manage`: create, list, rotate and revoke API keys.
    ManageKeys,
    /// `events:read`: see what happened to customers and their subscriptions, and who did it.
    ReadEvents,
    /// `webhooks:manage`: create, list, change, try and delete webhook endpoints.
    ManageWebhooks,
    /// `imports:write`: send files of customers to be imported, see what became of them, and end them.
    WriteImports,
}

impl Scope {
    /// Every scope, in the order in which lists of scopes are written.
    pub const ALL: [Self; 8] = [
        Self::ReadCustomers,
        Self::WriteCustomers,
        Self::AllowDuplicateEmail,
        Self::WriteSubscriptions,
        Self::ManageKeys,
        Self::ReadEvents,
        Self::ManageWebhooks,
        Self::WriteImports,
    ];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadCustomers => "customers:read",
            Self::WriteCustomers => "customers:write",
            Self::AllowDuplicateEmail => "customers:allow_duplicate_email",
            Self::WriteSubscriptions => "subscriptions:write",
            Self::ManageKeys => "keys:manage",
            Self::ReadEvents => "events:read",
            Self::ManageWebhooks => "webhooks:manage",
            Self::WriteImports => "imports:write",
        }
    }

    /// Parses the text that [`Scope::as_str`] returns.
    ///
    /// # Errors
    /// [`ScopeError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or(ScopeError)
    }

    const fn bit(self) -> u16 {
        1 << self as u8
    }
}

impl AsRef<str> for Scope {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// Not a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be {}", Scope::ALL.map(Scope::as_str).join(", "))]
pub struct ScopeError;

impl Rule for ScopeError {
    fn code(&self) -> &'static str {
        "unknown_scope"
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of scopes.
///
/// Its text form is that of OAuth 2.0 (RFC 6749 §3.3): the names, separated by spaces.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scopes(u16);

impl Scopes {
    /// No scope.
    pub const NONE: Self = Self(0);

    /// Every scope: what the operator of the service may grant.
    pub const ALL: Self = Self(Self::DEFAULT.0 | Scope::ManageKeys.bit());

    /// The scopes of a key that is created without a list of scopes: all but [`Scope::ManageKeys`].
    pub const DEFAULT: Self = Self(
        Scope::ReadCustomers.bit()
            | Scope::WriteCustomers.bit()
            | Scope::AllowDuplicateEmail.bit()
            | Scope::WriteSubscriptions.bit()
            | Scope::ReadEvents.bit()
            | Scope::ManageWebhooks.bit()
            | Scope::WriteImports.bit(),
    );

    /// Whether `scope` is in the set.
    #[must_use]
    pub const fn contain(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// The scopes in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contain(*scope))
    }

    /// The first scope of this set that is not in `others`.
    #[must_use]
    pub fn first_beyond(self, others: Self) -> Option<Scope> {
        self.iter().find(|scope| !others.contain(*scope))
    }

    /// Parses the text form. `None` if it has an unknown name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.split_ascii_whitespace().map(Scope::parse).collect::<Result<_, _>>().ok()
    }

    /// Parses the text form and ignores unknown names: a token may also name scopes of other services.
    #[must_use]
    pub fn parse_known(text: &str) -> Self {
        text.split_ascii_whitespace().filter_map(|name| Scope::parse(name).ok()).collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, scope) in self.iter().enumerate() {
            if place > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_round_trip_through_their_text() {
        for bits in 0..=Scopes::ALL.0 {
            let scopes = Scopes(bits);
            assert_eq!(Scopes::parse(&scopes.to_string()), Some(scopes));
            assert_eq!(scopes.iter().collect::<Scopes>(), scopes);
        }
    }

    #[test]
    fn an_unknown_scope_is_refused_or_ignored() {
        for text in ["customers", "customers:read,customers:write", "Customers:read", "customers:read admin"] {
            assert_eq!(Scopes::parse(text), None, "{text}");
        }
        assert_eq!(Scopes::parse_known("openid customers:read").to_string(), "customers:read");
        assert_eq!(Scopes::parse("  keys:manage \n customers:read "), Some(Scopes(0b1_0001)));
    }

    #[test]
    fn by_default_a_key_may_do_everything_but_manage_keys() {
        let others = Scope::ALL.into_iter().filter(|scope| *scope != Scope::ManageKeys);
        assert_eq!(Scopes::DEFAULT, others.collect());
        assert_eq!(Scopes::ALL, Scope::ALL.into_iter().collect());
    }

    #[test]
    fn the_first_scope_that_another_set_lacks_is_returned() {
        let two: Scopes = [Scope::ReadCustomers, Scope::ManageKeys].into_iter().collect();
        assert_eq!(two.first_beyond(Scopes::DEFAULT), Some(Scope::ManageKeys));
        assert_eq!(two.first_beyond(two), None);
        assert_eq!(Scopes::NONE.first_beyond(Scopes::NONE), None);
    }
}
