//! What happened to customers: the kinds of events, and the reason that a caller gives for a change.

use crate::{Rule, text::text};

text!(
    /// Why a caller made a change, in its own words, 1 to 256 characters.
    ChangeReason, 1..=256
);

/// What happened to a customer or to one of its subscriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// A customer was registered.
    CustomerCreated,
    /// Data of a customer changed, or it is active again.
    CustomerUpdated,
    /// A customer was archived; other data may have changed with it.
    CustomerArchived,
    /// A customer was deleted.
    CustomerDeleted,
    /// A deleted customer is live again.
    CustomerRestored,
    /// A subscription was reported for the first time.
    SubscriptionCreated,
    /// A report changed a subscription.
    SubscriptionUpdated,
}

/// Not a type of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be {}", EventType::ALL.map(EventType::as_str).join(", "))]
pub struct EventTypeError;

impl Rule for EventTypeError {
    fn code(&self) -> &'static str {
        "invalid_event_type"
    }
}

impl EventType {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::CustomerCreated,
        Self::CustomerUpdated,
        Self::CustomerArchived,
        Self::CustomerDeleted,
        Self::CustomerRestored,
        Self::SubscriptionCreated,
        Self::SubscriptionUpdated,
    ];

    /// Its name, such as `customer.created`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CustomerCreated => "customer.created",
            Self::CustomerUpdated => "customer.updated",
            Self::CustomerArchived => "customer.archived",
            Self::CustomerDeleted => "customer.deleted",
            Self::CustomerRestored => "customer.restored",
            Self::SubscriptionCreated => "subscription.created",
            Self::SubscriptionUpdated => "subscription.updated",
        }
    }

    /// Parses the text that [`EventType::as_str`] returns.
    ///
    /// # Errors
    /// [`EventTypeError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, EventTypeError> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(EventTypeError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_parsed_from_its_name_and_nothing_else() {
        for kind in EventType::ALL {
            assert_eq!(EventType::parse(kind.as_str()), Ok(kind));
        }
        assert_eq!(EventType::parse("customer.erased "), Err(EventTypeError));
    }
}
