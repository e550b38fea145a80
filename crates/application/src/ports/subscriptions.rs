use roster_domain::{CustomerId, Name, PlanId, Subscription, SubscriptionId, SubscriptionStatus, Tenant, Timestamp};
use uuid::Uuid;

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

    /// The active subscription of each customer that started last, or, of several that started together, the one with
    /// the greatest id; the results stand in the order of the customers.
    ///
    /// # Errors
    /// [`StoreError`]
    fn current(&mut self, customers: &[(Tenant, CustomerId)]) -> Result<Vec<Option<Subscription>>, StoreError>;
}

/// What is read of a subscription's row, in types that every database has.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "they are the columns, named as what they hold")]
pub struct SubscriptionRecord {
    pub customer_id: Uuid,
    pub id: String,
    pub plan_id: Option<String>,
    pub name: Option<String>,
    pub status: String,
    /// Milliseconds since 1970.
    pub started_at: i64,
    /// Milliseconds since 1970.
    pub cancelled_at: Option<i64>,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Milliseconds since 1970.
    pub updated_at: i64,
}

impl TryFrom<SubscriptionRecord> for Subscription {
    type Error = StoreError;

    /// # Errors
    /// [`StoreError::Corrupt`], naming the column, if the row was not written by this service.
    fn try_from(record: SubscriptionRecord) -> Result<Self, StoreError> {
        // A subscription's own identifier is text, so the error names the customer.
        let corrupt = |column| StoreError::Corrupt { table: "subscriptions", column, id: record.customer_id };
        let time = |millis, column| Timestamp::from_millis(millis).map_err(|_| corrupt(column));
        Ok(Self {
            id: SubscriptionId::parse(record.id).map_err(|_| corrupt("id"))?,
            plan_id: record.plan_id.map(PlanId::parse).transpose().map_err(|_| corrupt("plan_id"))?,
            name: record.name.map(Name::parse).transpose().map_err(|_| corrupt("name"))?,
            status: SubscriptionStatus::parse(&record.status).map_err(|_| corrupt("status"))?,
            started_at: time(record.started_at, "started_at")?,
            cancelled_at: record.cancelled_at.map(|millis| time(millis, "cancelled_at")).transpose()?,
            created_at: time(record.created_at, "created_at")?,
            updated_at: time(record.updated_at, "updated_at")?,
        })
    }
}
