use diesel::dsl::auto_type;
use diesel::prelude::*;
use roster_application::ports::{StoreError, SubscriptionCursor, SubscriptionRecord, SubscriptionRepository};
use roster_domain::{CustomerId, Subscription, SubscriptionId, SubscriptionStatus, Tenant};

use crate::error::Fault;
use crate::rows::{Id, Time, limit};
use crate::schema::{insert_into_subscriptions, subscriptions, subscriptions_of};
use crate::unit_of_work::SqliteUnitOfWork;

impl SubscriptionRepository for SqliteUnitOfWork<'_> {
    fn find(
        &mut self,
        tenant: Tenant,
        customer: CustomerId,
        id: &SubscriptionId,
    ) -> Result<Option<Subscription>, StoreError> {
        self.run(|connection| {
            let by_id = of(tenant, customer).filter(subscriptions::id.eq(id.as_str()));
            let found: Option<SubscriptionRow> = by_id.get_result(connection).optional()?;
            Ok(found.map(Subscription::try_from).transpose()?)
        })
    }

    fn put(&mut self, tenant: Tenant, customer: CustomerId, subscription: &Subscription) -> Result<(), StoreError> {
        let row = SubscriptionRow::new(tenant, customer, subscription);
        self.run_write(|connection| {
            insert_into_subscriptions()
                .values(&row)
                .on_conflict((
                    subscriptions::merchant_id,
                    subscriptions::environment,
                    subscriptions::customer_id,
                    subscriptions::id,
                ))
                .do_update()
                .set(&row)
                .execute(connection)?;
            Ok(())
        })
    }

    fn list(
        &mut self,
        tenant: Tenant,
        customer: CustomerId,
        after: Option<&SubscriptionCursor>,
        size: usize,
    ) -> Result<Vec<Subscription>, StoreError> {
        self.run(|connection| {
            let order = (subscriptions::started_at.desc(), subscriptions::id.desc());
            let page = of(tenant, customer).order(order).limit(limit(size));
            let found: Vec<SubscriptionRow> = match after {
                Some(SubscriptionCursor { started_at, id }) => {
                    let started_at = Time::from(*started_at);
                    let together = subscriptions::started_at.eq(started_at).and(subscriptions::id.lt(id.as_str()));
                    page.filter(subscriptions::started_at.lt(started_at).or(together)).load(connection)?
                }
                None => page.load(connection)?,
            };
            found.into_iter().map(|row| Subscription::try_from(row).map_err(Fault::Store)).collect()
        })
    }

    fn current(&mut self, customers: &[(Tenant, CustomerId)]) -> Result<Vec<Option<Subscription>>, StoreError> {
        self.run_each(customers, |connection, &(tenant, customer)| {
            // The first row is taken and the others are not asked for, which says what a bound limit would.
            let active = of(tenant, customer)
                .filter(subscriptions::status.eq(SubscriptionStatus::Active.as_str()))
                .order((subscriptions::started_at.desc(), subscriptions::id.desc()));
            let found: Option<SubscriptionRow> = active.get_result(connection).optional()?;
            Ok(found.map(Subscription::try_from).transpose()?)
        })
    }
}

/// The subscriptions of one customer.
#[auto_type(no_type_alias)]
fn of(tenant: Tenant, customer: CustomerId) -> _ {
    let of_tenant: subscriptions_of = subscriptions_of(tenant);
    let customer: Id = Id(customer.uuid());
    of_tenant.filter(subscriptions::customer_id.eq(customer))
}

#[derive(Queryable, Insertable, AsChangeset)]
#[diesel(table_name = subscriptions, primary_key(merchant_id, environment, customer_id, id), treat_none_as_null = true)]
struct SubscriptionRow {
    merchant_id: Id,
    environment: String,
    customer_id: Id,
    id: String,
    plan_id: Option<String>,
    name: Option<String>,
    status: String,
    started_at: Time,
    cancelled_at: Option<Time>,
    created_at: Time,
    updated_at: Time,
}

impl SubscriptionRow {
    fn new(tenant: Tenant, customer: CustomerId, subscription: &Subscription) -> Self {
        Self {
            merchant_id: Id(tenant.merchant.uuid()),
            environment: tenant.environment.as_str().to_owned(),
            customer_id: Id(customer.uuid()),
            id: subscription.id.as_str().to_owned(),
            plan_id: subscription.plan_id.as_ref().map(|id| id.as_str().to_owned()),
            name: subscription.name.as_ref().map(|name| name.as_str().to_owned()),
            status: subscription.status.as_str().to_owned(),
            started_at: subscription.started_at.into(),
            cancelled_at: subscription.cancelled_at.map(Time::from),
            created_at: subscription.created_at.into(),
            updated_at: subscription.updated_at.into(),
        }
    }
}

impl TryFrom<SubscriptionRow> for Subscription {
    type Error = StoreError;

    fn try_from(row: SubscriptionRow) -> Result<Self, StoreError> {
        Self::try_from(SubscriptionRecord {
            customer_id: row.customer_id.0,
            id: row.id,
            plan_id: row.plan_id,
            name: row.name,
            status: row.status,
            started_at: row.started_at.as_millis(),
            cancelled_at: row.cancelled_at.map(Time::as_millis),
            created_at: row.created_at.as_millis(),
            updated_at: row.updated_at.as_millis(),
        })
    }
}
