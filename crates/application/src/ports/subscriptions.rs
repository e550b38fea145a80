use roster_domain::{CustomerId, Subscription, SubscriptionId, Tenant, Timestamp};

use super::StoreError;

/// Where a list of subscriptions goes on: behind the one that started then and has this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionCursor {
    /// When the last one of the page before started.
    pub started_at: Timestamp,
    /// Its name.
    pub id: SubscriptionId,
}

/// What the billing engine told of customers' subscriptions.
pub trait SubscriptionRepository {
    /// Finds one subscription of one customer.
    ///
    /// # Errors
    /// [`StoreError`]
    fn find(
        &mut self,
        tenant: Tenant,
        customer: CustomerId,
        id: &SubscriptionId,
    ) -> Result<Option<Subscription>, StoreError>;

    /// Writes a subscription in the place of the one with its id, or as a new one. The customer exists.
    ///
    /// # Errors
    /// [`StoreError`]
    fn put(&mut self, tenant: Tenant, customer: CustomerId, subscription: &Subscription) -> Result<(), StoreError>;

    /// At most `limit` subscriptions of one customer behind `after`, the last started first; of those that started
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

    /// The active subscription of each customer that started last; the results stand in the order of the customers.
    ///
    /// # Errors
    /// [`StoreError`]
    fn current(&mut self, tenant: Tenant, customers: &[CustomerId]) -> Result<Vec<Option<Subscription>>, StoreError>;
}
