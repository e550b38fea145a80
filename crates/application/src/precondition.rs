//! What a writer expects of the state that it changes.

use roster_domain::{Customer, CustomerId, Subscription};

use crate::WriteError;

/// One state of a customer, or of a subscription of that customer: every change makes the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision {
    /// The customer. One external identifier may name different customers one after the other, each from version 1.
    pub customer: CustomerId,
    /// Counts the changes of the customer, or of the subscription, from 1.
    pub version: i64,
}

impl Revision {
    /// The state of `subscription`, which is one of `customer`'s.
    #[must_use]
    pub fn of_subscription(customer: CustomerId, subscription: &Subscription) -> Self {
        Self { customer, version: subscription.version }
    }
}

impl From<&Customer> for Revision {
    fn from(customer: &Customer) -> Self {
        Self { customer: customer.id(), version: customer.version() }
    }
}

/// Some revisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revisions {
    /// Any that exists.
    Any,
    /// One of these.
    OneOf(Vec<Revision>),
}

impl Revisions {
    fn include(&self, current: Option<Revision>) -> bool {
        match (self, current) {
            (_, None) => false,
            (Self::Any, Some(_)) => true,
            (Self::OneOf(revisions), Some(current)) => revisions.contains(&current),
        }
    }
}

/// A condition on what is stored, of which a write and its check are one step. The default is always met.
///
/// Its two parts are those of `If-Match` and `If-None-Match` (RFC 9110 §13.1.1 and §13.1.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Precondition {
    /// What is stored must be one of these.
    pub expected: Option<Revisions>,
    /// What is stored must be none of these.
    pub excluded: Option<Revisions>,
}

impl Precondition {
    /// Whether what is stored is expected.
    #[must_use]
    pub fn expects(&self, current: Option<Revision>) -> bool {
        self.expected.as_ref().is_none_or(|expected| expected.include(current))
    }

    /// Whether what is stored is excluded.
    #[must_use]
    pub fn excludes(&self, current: Option<Revision>) -> bool {
        self.excluded.as_ref().is_some_and(|excluded| excluded.include(current))
    }

    /// Checks what is stored, `None` if nothing is.
    ///
    /// # Errors
    /// [`WriteError::PreconditionFailed`]
    pub(crate) fn check(&self, current: Option<Revision>) -> Result<(), WriteError> {
        if self.expects(current) && !self.excludes(current) {
            Ok(())
        } else {
            Err(WriteError::PreconditionFailed(current))
        }
    }
}
