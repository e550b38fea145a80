//! Subscriptions of customers, as a billing engine reported them. This service shows them but does not own them.

use crate::{Metadata, Name, Rule, Timestamp, text::text};

text!(
    /// The billing engine's identifier of a subscription, 1 to 256 characters.
    SubscriptionId, 1..=256
);
text!(
    /// The billing engine's identifier of a plan, 1 to 256 characters.
    PlanId, 1..=256
);

/// How a subscription stands with the billing engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionStatus {
    /// It is active.
    Active,
    /// It is free until its trial ends.
    Trialing,
    /// A payment is overdue.
    PastDue,
    /// It is stopped for a while.
    Paused,
    /// It has ended, or will not be renewed.
    Cancelled,
    /// Its term, or its trial, has ended.
    Expired,
}

/// Not a status of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be active, trialing, past_due, paused, cancelled or expired")]
pub struct SubscriptionStatusError;

impl Rule for SubscriptionStatusError {
    fn code(&self) -> &'static str {
        "invalid_status"
    }
}

impl SubscriptionStatus {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Active, Self::Trialing, Self::PastDue, Self::Paused, Self::Cancelled, Self::Expired];

    /// The two of a subscription that its customer has the use of, and that counts as active.
    pub const IN_USE: [Self; 2] = [Self::Active, Self::Trialing];

    /// Whether it is one of [`SubscriptionStatus::IN_USE`].
    #[must_use]
    pub fn is_in_use(self) -> bool {
        Self::IN_USE.contains(&self)
    }

    /// Its name, such as `past_due`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Trialing => "trialing",
            Self::PastDue => "past_due",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Parses the text that [`SubscriptionStatus::as_str`] returns.
    ///
    /// # Errors
    /// [`SubscriptionStatusError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, SubscriptionStatusError> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(SubscriptionStatusError)
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
    /// How it stands.
    pub status: SubscriptionStatus,
    /// When it started.
    pub started_at: Timestamp,
    /// When it was cancelled.
    pub cancelled_at: Option<Timestamp>,
    /// What else the billing engine reports of it, within the limits of metadata. This service shows it as it is.
    pub details: Option<Metadata>,
    /// Counts the reports that changed it, from 1.
    pub version: i64,
    /// When it was first reported.
    pub created_at: Timestamp,
    /// When it was last reported.
    pub updated_at: Timestamp,
}
