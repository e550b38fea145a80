use roster_domain::{
    CustomerId, Metadata, Name, PlanId, Subscription, SubscriptionId, SubscriptionStatus, Tenant, Timestamp,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ports::StoreError;

/// The row of a subscription, in types that every database has.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(missing_docs, reason = "fields are the columns")]
pub struct SubscriptionRecord {
    pub merchant_id: Uuid,
    pub environment: String,
    pub customer_id: Uuid,
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub status: String,
    /// Milliseconds since 1970.
    pub started_at: i64,
    /// Milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelled_at: Option<i64>,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Milliseconds since 1970.
    pub updated_at: i64,
    pub version: i64,
    /// JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
}

impl SubscriptionRecord {
    /// The row of a subscription of `customer`.
    #[must_use]
    pub fn new(tenant: Tenant, customer: CustomerId, subscription: &Subscription) -> Self {
        Self {
            merchant_id: tenant.merchant.uuid(),
            environment: tenant.environment.as_str().to_owned(),
            customer_id: customer.uuid(),
            id: subscription.id.as_str().to_owned(),
            plan_id: subscription.plan_id.as_ref().map(|id| id.as_str().to_owned()),
            name: subscription.name.as_ref().map(|name| name.as_str().to_owned()),
            status: subscription.status.as_str().to_owned(),
            started_at: subscription.started_at.as_millis(),
            cancelled_at: subscription.cancelled_at.map(Timestamp::as_millis),
            created_at: subscription.created_at.as_millis(),
            updated_at: subscription.updated_at.as_millis(),
            version: subscription.version,
            details: subscription.details.as_ref().map(|details| details.as_str().to_owned()),
        }
    }
}

impl TryFrom<SubscriptionRecord> for Subscription {
    type Error = StoreError;

    /// # Errors
    /// [`StoreError::Corrupt`], naming the column, if a value does not decode.
    fn try_from(record: SubscriptionRecord) -> Result<Self, StoreError> {
        // A subscription's own identifier is text, so the error names the customer.
        let corrupt = |column| StoreError::Corrupt { table: "subscriptions", column, id: record.customer_id };
        let time = |millis, column| Timestamp::from_millis(millis).map_err(|_| corrupt(column));
        Ok(Self {
            id: SubscriptionId::restore(record.id),
            plan_id: record.plan_id.map(PlanId::restore),
            name: record.name.map(Name::restore),
            status: SubscriptionStatus::parse(&record.status).map_err(|_| corrupt("status"))?,
            started_at: time(record.started_at, "started_at")?,
            cancelled_at: record.cancelled_at.map(|millis| time(millis, "cancelled_at")).transpose()?,
            details: record.details.map(Metadata::restore),
            version: record.version,
            created_at: time(record.created_at, "created_at")?,
            updated_at: time(record.updated_at, "updated_at")?,
        })
    }
}
