use roster_domain::{Customer, CustomerId, Subscription, SubscriptionId, Tenant, Timestamp};

use super::{CustomerKey, StoreError};

/// Where the next page of subscriptions begins: after the one with this start and id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionCursor {
    /// When the last subscription of the page before started.
    pub started_at: Timestamp,
    /// Its id.
    pub id: SubscriptionId,
}

/// Identifies one subscription.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SubscriptionKey {
    /// The customer it belongs to.
    pub customer: CustomerKey,
    /// The billing engine's name for it.
    pub id: SubscriptionId,
}

/// A live customer, and one of its subscriptions if it has it.
pub type CustomerSubscription = (Customer, Option<Subscription>);

/// The subscriptions that the billing engine reported. They are written with their customer:
/// [`CustomerRepository::write`](super::CustomerRepository::write).
pub trait SubscriptionRepository {
    /// Finds live customers, each with one of its subscriptions if it has it; the results are in the order of the keys.
    ///
    /// # Errors
    /// [`StoreError`] if the whole batch failed.
    fn find(&mut self, keys: &[SubscriptionKey]) -> Result<Vec<Option<CustomerSubscription>>, StoreError>;

    /// At most `limit` subscriptions of one customer after `after`, the last started first; of those that started
    /// together, the greatest id first, byte by byte.
    ///
    /// # Errors
    /// [`StoreError`]
    fn list(
        &mut self,
        tenant: Tenant,
        customer: CustomerId,
        after: Option<&SubscriptionCursor>,
        limit: usize,
    ) -> Result<Vec<Subscription>, StoreError>;

    /// The subscription [in use](roster_domain::SubscriptionStatus::IN_USE) of each customer that started last, or, of
    /// several that started together, the one with the greatest id; the results are in the order of the customers.
    ///
    /// # Errors
    /// [`StoreError`]
    fn current(&mut self, customers: &[(Tenant, CustomerId)]) -> Result<Vec<Option<Subscription>>, StoreError>;
}
