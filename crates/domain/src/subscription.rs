//! Subscriptions of customers, as a billing engine reported them. This service shows them but does not own them.

use crate::{Name, Rule, Timestamp, text::text};

text!(
    /// The billing engine's identifier of a subscription, 1 to 256 characters.
    SubscriptionId, 1..=256
);
text!(
    /// The billing engine's identifier of a plan, 1 to 256 characters.
    PlanId, 1..=256
);

/// Whether a subscription is still active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionStatus {
    /// It is active.
    Active,
    /// It has ended, or will not be renewed.
    Cancelled,
}

/// Not a status of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be active or cancelled")]
pub struct SubscriptionStatusError;

impl Rule for SubscriptionStatusError {
    fn code(&self) -> &'static str {
        "invalid_status"
    }
}

impl SubscriptionStatus {
    /// `active` or `cancelled`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Cancelled => "cancelled",
        }
    }

    /// Parses the text that [`SubscriptionStatus::as_str`] returns.
    ///
    /// # Errors
    /// [`SubscriptionStatusError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, SubscriptionStatusError> {
        [Self::Active, Self::Cancelled]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or(SubscriptionStatusError)
    }
}

/// One subscription of one customer, as the billing engine last reported it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The billing engine's identifier of it, unique for its customer.
    pub id: SubscriptionId,
    /// Its plan.
    pub plan_id: Option<PlanId>,
    /// Its display name.
    pub name: Option<Name>,
    /// Whether it is still active.
    pub status: SubscriptionStatus,
    /// When it started.
    pub started_at: Timestamp,
    /// When it was cancelled.
    pub cancelled_at: Option<Timestamp>,
    /// Counts the reports that changed it, from 1.
    pub version: i64,
    /// When it was first reported.
    pub created_at: Timestamp,
    /// When it was last reported.
    pub updated_at: Timestamp,
}
