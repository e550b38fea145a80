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

impl From<&Subscription> for SubscriptionCursor {
    fn from(subscription: &Subscription) -> Self {
        Self { started_at: subscription.started_at, id: subscription.id.clone() }
    }
}

impl SubscriptionCursor {
    /// The place in the bytes of a cursor.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [self.started_at.as_millis().to_be_bytes().as_slice(), self.id.as_str().as_bytes()].concat()
    }

    /// The place that [`SubscriptionCursor::to_bytes`] has written.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (millis, id) = bytes.split_first_chunk()?;
        let started_at = Timestamp::from_millis(i64::from_be_bytes(*millis)).ok()?;
        Some(Self { started_at, id: SubscriptionId::parse(std::str::from_utf8(id).ok()?).ok()? })
    }
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
