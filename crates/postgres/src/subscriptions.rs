use chrono::{DateTime, Utc};
use diesel::dsl::auto_type;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{self, Array, BigInt};
use roster_application::ports::{StoreError, SubscriptionCursor, SubscriptionRecord, SubscriptionRepository};
use roster_domain::{CustomerId, Subscription, SubscriptionId, SubscriptionStatus, Tenant, Timestamp};
use uuid::Uuid;

use crate::error::Fault;
use crate::rows::{Places, in_order, limit};
use crate::schema::{insert_into_subscriptions, subscriptions, subscriptions_of};
use crate::unit_of_work::PostgresUnitOfWork;

impl SubscriptionRepository for PostgresUnitOfWork<'_> {
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
                    let started_at = started_at.to_utc();
                    let together = subscriptions::started_at.eq(started_at).and(subscriptions::id.lt(id.as_str()));
                    page.filter(subscriptions::started_at.lt(started_at).or(together)).load(connection)?
                }
                None => page.load(connection)?,
            };
            found.into_iter().map(|row| Subscription::try_from(row).map_err(Fault::Store)).collect()
        })
    }

    fn current(&mut self, customers: &[(Tenant, CustomerId)]) -> Result<Vec<Option<Subscription>>, StoreError> {
        self.run(|connection| match customers {
            [] => Ok(Vec::new()),
            [(tenant, customer)] => Ok(vec![find_current(connection, *tenant, *customer)?]),
            many => find_many_current(connection, many),
        })
    }
}

/// The subscriptions of one customer.
#[auto_type(no_type_alias)]
fn of(tenant: Tenant, customer: CustomerId) -> _ {
    let of_tenant: subscriptions_of = subscriptions_of(tenant);
    let customer: Uuid = customer.uuid();
    of_tenant.filter(subscriptions::customer_id.eq(customer))
}

fn find_current(
    connection: &mut PgConnection,
    tenant: Tenant,
    customer: CustomerId,
) -> Result<Option<Subscription>, Fault> {
    let active = of(tenant, customer).filter(subscriptions::status.eq(SubscriptionStatus::Active.as_str()));
    let last_first = active.order((subscriptions::started_at.desc(), subscriptions::id.desc()));
    let found: Option<SubscriptionRow> = last_first.first(connection).optional()?;
    Ok(found.map(Subscription::try_from).transpose()?)
}

fn find_many_current(
    connection: &mut PgConnection,
    customers: &[(Tenant, CustomerId)],
) -> Result<Vec<Option<Subscription>>, Fault> {
    let mut statement = FindCurrent::default();
    for (place, (tenant, customer)) in (1..).zip(customers) {
        statement.places.push(place, *tenant);
        statement.customers.push(customer.uuid());
    }
    let found: Vec<(i64, SubscriptionRow)> = statement.load(connection)?;
    Ok(in_order(customers.len(), found)?)
}

/// The active subscription that started last of each of some customers, with the place that stood beside the customer.
#[derive(Default)]
struct FindCurrent {
    places: Places,
    customers: Vec<Uuid>,
}

impl QueryFragment<Pg> for FindCurrent {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.places.push_select(&subscriptions::all_columns, &mut out)?;
        out.push_bind_param::<Array<sql_types::Uuid>, _>(&self.customers)?;
        Places::push_tenant("subscriptions", &mut out);
        out.push_sql(
            "customer_id = wanted.key AND status = 'active' \
             ORDER BY started_at DESC, id DESC LIMIT 1) AS subscriptions",
        );
        Ok(())
    }
}

impl QueryId for FindCurrent {
    type QueryId = Self;

    const HAS_STATIC_QUERY_ID: bool = true;
}

impl Query for FindCurrent {
    type SqlType = (BigInt, subscriptions::SqlType);
}

impl RunQueryDsl<PgConnection> for &FindCurrent {}

#[derive(Queryable, Insertable, AsChangeset)]
#[diesel(table_name = subscriptions, primary_key(merchant_id, environment, customer_id, id), treat_none_as_null = true)]
struct SubscriptionRow {
    merchant_id: Uuid,
    environment: String,
    customer_id: Uuid,
    id: String,
    plan_id: Option<String>,
    name: Option<String>,
    status: String,
    started_at: DateTime<Utc>,
    cancelled_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl SubscriptionRow {
    fn new(tenant: Tenant, customer: CustomerId, subscription: &Subscription) -> Self {
        Self {
            merchant_id: tenant.merchant.uuid(),
            environment: tenant.environment.as_str().to_owned(),
            customer_id: customer.uuid(),
            id: subscription.id.as_str().to_owned(),
            plan_id: subscription.plan_id.as_ref().map(|id| id.as_str().to_owned()),
            name: subscription.name.as_ref().map(|name| name.as_str().to_owned()),
            status: subscription.status.as_str().to_owned(),
            started_at: subscription.started_at.to_utc(),
            cancelled_at: subscription.cancelled_at.map(Timestamp::to_utc),
            created_at: subscription.created_at.to_utc(),
            updated_at: subscription.updated_at.to_utc(),
        }
    }
}

impl TryFrom<SubscriptionRow> for Subscription {
    type Error = StoreError;

    fn try_from(row: SubscriptionRow) -> Result<Self, StoreError> {
        Self::try_from(SubscriptionRecord {
            customer_id: row.customer_id,
            id: row.id,
            plan_id: row.plan_id,
            name: row.name,
            status: row.status,
            started_at: row.started_at.timestamp_millis(),
            cancelled_at: row.cancelled_at.map(|time| time.timestamp_millis()),
            created_at: row.created_at.timestamp_millis(),
            updated_at: row.updated_at.timestamp_millis(),
        })
    }
}
