//! What a billing engine told of customers' subscriptions.

use roster_application::ports::{StoreError, SubscriptionCursor, SubscriptionRepository};
use roster_domain::{CustomerId, Subscription, SubscriptionId, SubscriptionStatus, Tenant, Timestamp};

use crate::store::Rows;
use crate::unit_of_work::MemoryUnitOfWork;

impl SubscriptionRepository for MemoryUnitOfWork<'_> {
    fn find(
        &mut self,
        tenant: Tenant,
        customer: CustomerId,
        id: &SubscriptionId,
    ) -> Result<Option<Subscription>, StoreError> {
        self.call(|rows| Ok(rows.subscriptions.get(&(tenant, customer)).and_then(|all| all.get(id)).cloned()))
    }

    fn put(&mut self, tenant: Tenant, customer: CustomerId, subscription: &Subscription) -> Result<(), StoreError> {
        self.call(|rows| {
            if !rows.customers.contains_key(&(tenant, customer)) {
                return Err(StoreError::internal("a subscription of no customer"));
            }
            let all = rows.subscriptions.entry((tenant, customer)).or_default();
            all.insert(subscription.id.clone(), subscription.clone());
            Ok(())
        })
    }

    fn list(
        &mut self,
        tenant: Tenant,
        customer: CustomerId,
        after: Option<&SubscriptionCursor>,
        limit: usize,
    ) -> Result<Vec<Subscription>, StoreError> {
        self.call(|rows| {
            let mut rest: Vec<&Subscription> = rows.subscriptions_of(tenant, customer).collect();
            rest.retain(|one| after.is_none_or(|after| place(one) < (after.started_at, &after.id)));
            rest.sort_by(|a, b| place(b).cmp(&place(a)));
            Ok(rest.into_iter().take(limit).cloned().collect())
        })
    }

    fn current(&mut self, customers: &[(Tenant, CustomerId)]) -> Result<Vec<Option<Subscription>>, StoreError> {
        self.call(|rows| {
            Ok(customers.iter().map(|&(tenant, customer)| rows.current_subscription(tenant, customer)).collect())
        })
    }
}

/// Where a subscription stands in a list, counted from its end.
fn place(subscription: &Subscription) -> (Timestamp, &SubscriptionId) {
    (subscription.started_at, &subscription.id)
}

impl Rows {
    fn subscriptions_of(&self, tenant: Tenant, customer: CustomerId) -> impl Iterator<Item = &Subscription> {
        self.subscriptions.get(&(tenant, customer)).into_iter().flat_map(|all| all.values())
    }

    fn current_subscription(&self, tenant: Tenant, customer: CustomerId) -> Option<Subscription> {
        let active = self.subscriptions_of(tenant, customer).filter(|one| one.status == SubscriptionStatus::Active);
        active.max_by(|a, b| place(a).cmp(&place(b))).cloned()
    }
}
