//! Reading subscriptions; `writes.rs` writes them with their customers.

use diesel::dsl::auto_type;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{self, Array, BigInt, Nullable, Text};
use roster_application::ports::{
    CustomerRef, CustomerSubscription, StoreError, SubscriptionCursor, SubscriptionKey, SubscriptionRepository,
};
use roster_domain::{Customer, CustomerId, Subscription, SubscriptionStatus, Tenant};
use uuid::Uuid;

use crate::citus::{self, Layout};
use crate::customers::{CUSTOMER_BY_EXTERNAL_ID, CUSTOMER_BY_ID};
use crate::error::Fault;
use crate::rows::{Wanted, in_order, kept_prepared, limit};
use crate::schema::{CustomerRow, SubscriptionRow, customers, subscriptions, subscriptions_of};
use crate::unit_of_work::PostgresUnitOfWork;

impl SubscriptionRepository for PostgresUnitOfWork<'_> {
    fn find(&mut self, keys: &[SubscriptionKey]) -> Result<Vec<Option<CustomerSubscription>>, StoreError> {
        let layout = self.layout();
        let found = self.run(|connection| match layout {
            Layout::Plain => find(connection, keys),
            Layout::Citus => citus::reads::customers_with_subscriptions(connection, keys),
        })?;
        Ok(found.into_iter().map(|found| found.filter(|(customer, _)| customer.is_live())).collect())
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
        let layout = self.layout();
        self.run(|connection| match customers {
            [] => Ok(Vec::new()),
            [(tenant, customer)] => Ok(vec![find_current(connection, *tenant, *customer)?]),
            many if layout == Layout::Citus => citus::reads::current_subscriptions(connection, many),
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
    let [active, trialing] = SubscriptionStatus::IN_USE.map(SubscriptionStatus::as_str);
    let is_in_use = subscriptions::status.eq(active).or(subscriptions::status.eq(trialing));
    let last_first =
        of(tenant, customer).filter(is_in_use).order((subscriptions::started_at.desc(), subscriptions::id.desc()));
    let found: Option<SubscriptionRow> = last_first.first(connection).optional()?;
    Ok(found.map(Subscription::try_from).transpose()?)
}

fn find_many_current(
    connection: &mut PgConnection,
    customers: &[(Tenant, CustomerId)],
) -> Result<Vec<Option<Subscription>>, Fault> {
    let mut statement = FindCurrent::default();
    for (place, (tenant, customer)) in (1..).zip(customers) {
        statement.wanted.push(place, *tenant);
        statement.customers.push(customer.uuid());
    }
    let found: Vec<(i64, SubscriptionRow)> = statement.load(connection)?;
    Ok(in_order(customers.len(), found, Subscription::try_from)?)
}

fn find(connection: &mut PgConnection, keys: &[SubscriptionKey]) -> Result<Vec<Option<CustomerSubscription>>, Fault> {
    let mut by_id = FindByCustomerId::default();
    let mut by_external_id = FindByCustomerExternalId::default();
    for (place, key) in (1..).zip(keys) {
        let (tenant, id) = (key.customer.tenant, key.id.as_str().to_owned());
        match &key.customer.customer {
            CustomerRef::Id(customer) => {
                by_id.wanted.push(place, tenant);
                by_id.customers.push(customer.uuid());
                by_id.ids.push(id);
            }
            CustomerRef::ExternalId(customer) => {
                by_external_id.wanted.push(place, tenant);
                by_external_id.customers.push(customer.as_str().to_owned());
                by_external_id.ids.push(id);
            }
        }
    }
    let mut found: Vec<(i64, Found)> = Vec::new();
    if !by_id.wanted.is_empty() {
        found.extend(by_id.load::<(i64, Found)>(connection)?);
    }
    if !by_external_id.wanted.is_empty() {
        found.extend(by_external_id.load::<(i64, Found)>(connection)?);
    }
    let convert = |(customer, subscription): Found| {
        Ok((Customer::try_from(customer)?, subscription.map(Subscription::try_from).transpose()?))
    };
    Ok(in_order(keys.len(), found, convert)?)
}

type Found = (CustomerRow, Option<SubscriptionRow>);

/// Customers by our identifier, deleted or not, each with one of its subscriptions if it has it.
#[derive(Default)]
struct FindByCustomerId {
    wanted: Wanted,
    customers: Vec<Uuid>,
    ids: Vec<String>,
}

/// The same for live customers by external identifier.
#[derive(Default)]
struct FindByCustomerExternalId {
    wanted: Wanted,
    customers: Vec<String>,
    ids: Vec<String>,
}

const KEYS: &str = ") AS wanted (place, merchant_id, environment, key, subscription_id) ";

const SUBSCRIPTION: &str = " LEFT JOIN LATERAL (SELECT * FROM subscriptions \
    WHERE subscriptions.merchant_id = wanted.merchant_id AND subscriptions.environment = wanted.environment \
    AND subscriptions.customer_id = customers.id AND subscriptions.id = wanted.subscription_id OFFSET 0) \
    AS subscriptions ON true";

impl QueryFragment<Pg> for FindByCustomerId {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.wanted.push_select(&(customers::all_columns, subscriptions::all_columns), &mut out)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<sql_types::Uuid>, _>(&self.customers)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.ids)?;
        for part in [KEYS, CUSTOMER_BY_ID, SUBSCRIPTION] {
            out.push_sql(part);
        }
        Ok(())
    }
}

impl QueryFragment<Pg> for FindByCustomerExternalId {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.wanted.push_select(&(customers::all_columns, subscriptions::all_columns), &mut out)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.customers)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.ids)?;
        for part in [KEYS, CUSTOMER_BY_EXTERNAL_ID, SUBSCRIPTION] {
            out.push_sql(part);
        }
        Ok(())
    }
}

type FoundSql = (customers::SqlType, Nullable<subscriptions::SqlType>);

kept_prepared!(FindByCustomerId, (BigInt, FoundSql));
kept_prepared!(FindByCustomerExternalId, (BigInt, FoundSql));

/// The subscription in use that started last of each of some customers, with the place of its key.
#[derive(Default)]
struct FindCurrent {
    wanted: Wanted,
    customers: Vec<Uuid>,
}

impl QueryFragment<Pg> for FindCurrent {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.wanted.push_select(&subscriptions::all_columns, &mut out)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<sql_types::Uuid>, _>(&self.customers)?;
        out.push_sql(
            ") AS wanted (place, merchant_id, environment, key) CROSS JOIN LATERAL (SELECT * FROM subscriptions \
             WHERE subscriptions.merchant_id = wanted.merchant_id AND subscriptions.environment = wanted.environment \
             AND subscriptions.customer_id = wanted.key AND subscriptions.status IN ('active', 'trialing') \
             ORDER BY started_at DESC, id DESC LIMIT 1) AS subscriptions",
        );
        Ok(())
    }
}

kept_prepared!(FindCurrent, (BigInt, subscriptions::SqlType));
