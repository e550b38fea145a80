//! Reads for one tenant after the other.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use roster_application::ports::{
    AttemptKey, CustomerKey, CustomerRef, CustomerSubscription, Extent, ReplyKey, SavedReply, SubscriptionKey,
};
use roster_domain::{AttemptId, Customer, CustomerId, EndpointId, Subscription, SubscriptionStatus, Tenant, UploadId};
use uuid::Uuid;

use super::tenant_by_tenant;
use crate::error::Fault;
use crate::rows::limit;
use crate::schema::{
    CustomerRow, ReplyRow, SubscriptionRow, attempts_of, customers, customers_of, endpoints_of, events, events_of,
    feed_floor_of, feed_head_of, replies, replies_of, subscriptions, subscriptions_of, uploads, uploads_of,
    webhook_attempts, webhook_endpoints,
};
use crate::search_index::is_unindexed;

/// The customers with some keys, in their order: by our identifier in any state, by external identifier live ones.
///
/// # Errors
/// If they cannot be read.
pub fn customers(connection: &mut PgConnection, keys: &[CustomerKey]) -> Result<Vec<Option<Customer>>, Fault> {
    tenant_by_tenant(
        keys,
        |key| key.tenant,
        |tenant, keys| {
            let keys: Vec<&CustomerRef> = keys.iter().map(|key| &key.customer).collect();
            Ok(Found::of(connection, tenant, &keys)?.in_order_of(&keys))
        },
    )
}

/// Customers of one tenant, by both kinds of keys.
struct Found {
    by_id: HashMap<Uuid, Customer>,
    by_external_id: HashMap<String, Customer>,
}

impl Found {
    fn of(connection: &mut PgConnection, tenant: Tenant, keys: &[&CustomerRef]) -> Result<Self, Fault> {
        let (mut ids, mut external_ids) = (Vec::new(), Vec::new());
        for key in keys {
            match key {
                CustomerRef::Id(id) => ids.push(id.uuid()),
                CustomerRef::ExternalId(id) => external_ids.push(id.as_str()),
            }
        }
        let (mut by_id, mut by_external_id): (Vec<CustomerRow>, Vec<CustomerRow>) = (Vec::new(), Vec::new());
        if !ids.is_empty() {
            by_id = customers_of(tenant).filter(customers::id.eq_any(ids)).load(connection)?;
        }
        if !external_ids.is_empty() {
            let with_id = customers_of(tenant).filter(customers::external_id.eq_any(external_ids));
            by_external_id = with_id.filter(customers::deleted_at.is_null()).load(connection)?;
        }
        let by_id = by_id.into_iter().map(|row| Ok((row.id, Customer::try_from(row)?)));
        let by_external_id = by_external_id
            .into_iter()
            .map(|row| Ok((row.external_id.clone().unwrap_or_default(), Customer::try_from(row)?)));
        Ok(Self {
            by_id: by_id.collect::<Result<_, Fault>>()?,
            by_external_id: by_external_id.collect::<Result<_, Fault>>()?,
        })
    }

    fn in_order_of(&self, keys: &[&CustomerRef]) -> Vec<Option<Customer>> {
        let find = |key: &&CustomerRef| match key {
            CustomerRef::Id(id) => self.by_id.get(&id.uuid()),
            CustomerRef::ExternalId(id) => self.by_external_id.get(id.as_str()),
        };
        keys.iter().map(|key| find(key).cloned()).collect()
    }
}

/// The customers with some keys, each with one of its subscriptions if it has it. The customers are read first: a report of the
/// subscription that comes between the two is seen with the customer of before it, which the report does not change.
///
/// # Errors
/// If they cannot be read.
pub fn customers_with_subscriptions(
    connection: &mut PgConnection,
    keys: &[SubscriptionKey],
) -> Result<Vec<Option<CustomerSubscription>>, Fault> {
    tenant_by_tenant(
        keys,
        |key| key.customer.tenant,
        |tenant, keys| {
            let of_customers: Vec<&CustomerRef> = keys.iter().map(|key| &key.customer.customer).collect();
            let found = Found::of(connection, tenant, &of_customers)?.in_order_of(&of_customers);
            let customer_ids: Vec<Uuid> = found.iter().flatten().map(|customer| customer.id().uuid()).collect();
            let ids: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
            let rows: Vec<SubscriptionRow> = subscriptions_of(tenant)
                .filter(subscriptions::customer_id.eq_any(customer_ids))
                .filter(subscriptions::id.eq_any(ids))
                .load(connection)?;
            let mut stored: HashMap<(Uuid, String), Subscription> = HashMap::with_capacity(rows.len());
            for row in rows {
                stored.insert((row.customer_id, row.id.clone()), Subscription::try_from(row)?);
            }
            let of = |(customer, key): (Option<Customer>, &&SubscriptionKey)| {
                let customer = customer?;
                let subscription = stored.get(&(customer.id().uuid(), key.id.as_str().to_owned())).cloned();
                Some((customer, subscription))
            };
            Ok(found.into_iter().zip(keys).map(of).collect())
        },
    )
}

/// The subscription in use that started last of each of some customers.
///
/// # Errors
/// If they cannot be read.
pub fn current_subscriptions(
    connection: &mut PgConnection,
    of: &[(Tenant, CustomerId)],
) -> Result<Vec<Option<Subscription>>, Fault> {
    let [active, trialing] = SubscriptionStatus::IN_USE.map(SubscriptionStatus::as_str);
    tenant_by_tenant(
        of,
        |(tenant, _)| *tenant,
        |tenant, of| {
            let ids: Vec<Uuid> = of.iter().map(|(_, customer)| customer.uuid()).collect();
            let last_first = (subscriptions::customer_id, subscriptions::started_at.desc(), subscriptions::id.desc());
            let rows: Vec<SubscriptionRow> = subscriptions_of(tenant)
                .filter(subscriptions::customer_id.eq_any(ids))
                .filter(subscriptions::status.eq(active).or(subscriptions::status.eq(trialing)))
                .distinct_on(subscriptions::customer_id)
                .order(last_first)
                .load(connection)?;
            let mut found: HashMap<Uuid, Subscription> = HashMap::with_capacity(rows.len());
            for row in rows {
                found.insert(row.customer_id, Subscription::try_from(row)?);
            }
            Ok(of.iter().map(|(_, customer)| found.get(&customer.uuid()).cloned()).collect())
        },
    )
}

/// The replies of keys, expired or not.
///
/// # Errors
/// If they cannot be read.
pub fn replies(connection: &mut PgConnection, keys: &[ReplyKey]) -> Result<Vec<Option<SavedReply>>, Fault> {
    tenant_by_tenant(
        keys,
        |key| key.tenant,
        |tenant, keys| {
            let digests: Vec<&[u8]> = keys.iter().map(|key| key.digest.0.as_slice()).collect();
            let rows: Vec<ReplyRow> =
                replies_of(tenant).filter(replies::key_digest.eq_any(digests)).load(connection)?;
            let mut found: HashMap<Vec<u8>, SavedReply> = HashMap::with_capacity(rows.len());
            for row in rows {
                found.insert(row.key_digest.clone(), SavedReply::try_from(row)?);
            }
            Ok(keys.iter().map(|key| found.get(key.digest.0.as_slice()).cloned()).collect())
        },
    )
}

/// The keys of some replies of tenants that have expired, at most `size`.
///
/// # Errors
/// If they cannot be read.
pub fn expired_replies(
    connection: &mut PgConnection,
    tenants: &[Tenant],
    now: DateTime<Utc>,
    size: usize,
) -> QueryResult<Vec<(Uuid, String, Vec<u8>)>> {
    until_full(tenants, size, |tenant, left| {
        let expired = replies_of(tenant).filter(replies::expires_at.le(now)).order(replies::expires_at);
        let key = (replies::merchant_id, replies::environment, replies::key_digest);
        expired.select(key).limit(limit(left)).load(connection)
    })
}

/// What `read` finds for one tenant after the other, until there are `size`.
fn until_full<T>(
    tenants: &[Tenant],
    size: usize,
    mut read: impl FnMut(Tenant, usize) -> QueryResult<Vec<T>>,
) -> QueryResult<Vec<T>> {
    let mut found = Vec::new();
    for tenant in tenants {
        if found.len() >= size {
            break;
        }
        let left = size - found.len();
        found.extend(read(*tenant, left)?);
    }
    Ok(found)
}

/// Where the logs of tenants begin and end.
///
/// # Errors
/// If they cannot be read.
pub fn extents(connection: &mut PgConnection, tenants: &[Tenant]) -> QueryResult<Vec<Extent>> {
    let mut extent = |tenant: &Tenant| {
        let floor: Option<i64> = feed_floor_of(*tenant).get_result(connection).optional()?;
        let head: Option<i64> = feed_head_of(*tenant).get_result(connection).optional()?;
        Ok(Extent { floor: floor.unwrap_or(0), head: head.unwrap_or(0) })
    };
    tenants.iter().map(&mut extent).collect()
}

/// The tenants whose first event is older than a time.
///
/// # Errors
/// If they cannot be read.
pub fn older_than(connection: &mut PgConnection, tenants: &[Tenant], time: DateTime<Utc>) -> QueryResult<Vec<Tenant>> {
    let mut older = Vec::new();
    for tenant in tenants {
        let floor: Option<i64> = feed_floor_of(*tenant).get_result(connection).optional()?;
        let first = events_of(*tenant).filter(events::seq.gt(floor.unwrap_or(0))).order(events::seq);
        let first: Option<DateTime<Utc>> = first.select(events::created_at).first(connection).optional()?;
        if first.is_some_and(|first| first < time) {
            older.push(*tenant);
        }
    }
    Ok(older)
}

/// The keys of attempts of one tenant's endpoints: those of before `oldest`, and those beyond the last `most` of each endpoint.
/// At most `size` of each kind.
///
/// # Errors
/// If they cannot be read.
pub fn outdated_attempts(
    connection: &mut PgConnection,
    tenants: &[Tenant],
    oldest: AttemptId,
    most: usize,
    size: usize,
) -> QueryResult<Vec<AttemptKey>> {
    until_full(tenants, size, |tenant, left| {
        let endpoints: Vec<Uuid> = endpoints_of(tenant).select(webhook_endpoints::id).load(connection)?;
        let mut found: Vec<AttemptKey> = Vec::new();
        for endpoint in endpoints.into_iter().map(EndpointId::new) {
            if found.len() >= left {
                break;
            }
            let of_endpoint = || attempts_of(tenant, endpoint).select(webhook_attempts::id);
            let old = of_endpoint().filter(webhook_attempts::id.lt(oldest.uuid())).order(webhook_attempts::id);
            let mut ids: Vec<Uuid> = old.limit(limit(left)).load(connection)?;
            let newest_first = of_endpoint().order(webhook_attempts::id.desc());
            ids.extend(newest_first.offset(limit(most)).limit(limit(left)).load::<Uuid>(connection)?);
            found.extend(ids.into_iter().map(|id| AttemptKey { tenant, endpoint, id: AttemptId::new(id) }));
        }
        Ok(found)
    })
}

/// The uploads of tenants that have not ended: at most one of each.
///
/// # Errors
/// If they cannot be read.
pub fn unended_uploads(connection: &mut PgConnection, tenants: &[Tenant]) -> QueryResult<Vec<(Tenant, UploadId)>> {
    let mut unended = Vec::new();
    for tenant in tenants {
        let of_tenant = uploads_of(*tenant).filter(uploads::ended_at.is_null());
        let found: Option<Uuid> = of_tenant.select(uploads::id).first(connection).optional()?;
        unended.extend(found.map(|id| (*tenant, UploadId::new(id))));
    }
    Ok(unended)
}

/// At most `most` customers of some tenants that the index for searches lacks.
///
/// # Errors
/// If they cannot be read.
pub fn unindexed_customers(
    connection: &mut PgConnection,
    tenants: &[Tenant],
    most: usize,
) -> QueryResult<Vec<CustomerRow>> {
    until_full(tenants, most, |tenant, left| {
        let live = customers_of(tenant).filter(customers::deleted_at.is_null());
        live.filter(sql::<Bool>(&is_unindexed())).order(customers::id).limit(limit(left)).load(connection)
    })
}
