//! What a billing engine has told about a customer's subscriptions. They are shown, not owned.

use crate::{Name, Rule, Timestamp, text::text};

text!(
    /// The billing engine's name for a subscription, 1 to 256 characters.
    SubscriptionId, 1..=256
);
text!(
    /// The billing engine's name for a plan, 1 to 256 characters.
    PlanId, 1..=256
);

/// Whether a subscription still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionStatus {
    /// It runs.
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

    /// Reads what [`SubscriptionStatus::as_str`] writes.
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

/// One subscription of one customer, as the billing engine described it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The billing engine's name for it, unique for its customer.
    pub id: SubscriptionId,
    /// The plan it is for.
    pub plan_id: Option<PlanId>,
    /// What to call it.
    pub name: Option<Name>,
    /// Whether it still runs.
    pub status: SubscriptionStatus,
    /// When it started.
    pub started_at: Timestamp,
    /// When it was cancelled.
    pub cancelled_at: Option<Timestamp>,
    /// When it was first told of.
    pub created_at: Timestamp,
    /// When it was last told of.
    pub updated_at: Timestamp,
}
