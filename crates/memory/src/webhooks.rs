//! The webhook endpoints, their lanes and the log of attempts.

use std::ops::Bound;

use roster_application::ports::{
    Attempt, AttemptKey, DeliveryRecord, Lane, LaneKey, Lease, StoreError, StoredEndpoint, WebhookRepository,
};
use roster_domain::{AttemptId, Endpoint, EndpointId, Tenant, Timestamp};
use uuid::Uuid;

use crate::store::Rows;
use crate::unit_of_work::MemoryUnitOfWork;

const FIRST: AttemptId = AttemptId::new(Uuid::nil());

/// An endpoint with its lanes and its attempts.
#[derive(Debug, Clone)]
pub(crate) struct WebhookRows {
    stored: StoredEndpoint,
    lanes: std::collections::BTreeMap<LaneKey, Lane>,
    attempts: std::collections::BTreeMap<AttemptId, Attempt>,
}

impl WebhookRepository for MemoryUnitOfWork<'_> {
    fn insert(&mut self, endpoint: &Endpoint, cursor: i64) -> Result<(), StoreError> {
        self.call(|rows| {
            rows.require_merchant(endpoint.tenant.merchant)?;
            let key = (endpoint.tenant, endpoint.id);
            if rows.webhooks.contains_key(&key) {
                return Err(StoreError::Duplicate { index: "webhook_endpoints (id)".to_owned() });
            }
            let due_at = endpoint.created_at;
            let stored = StoredEndpoint { endpoint: endpoint.clone(), cursor, fence: 0, due_at };
            let (lanes, attempts) = Default::default();
            rows.webhooks.insert(key, WebhookRows { stored, lanes, attempts });
            Ok(())
        })
    }

    fn find(&mut self, tenant: Tenant, id: EndpointId) -> Result<Option<StoredEndpoint>, StoreError> {
        self.call(|rows| Ok(rows.webhooks.get(&(tenant, id)).map(|one| one.stored.clone())))
    }

    fn list(
        &mut self,
        tenant: Tenant,
        after: Option<EndpointId>,
        limit: usize,
    ) -> Result<Vec<StoredEndpoint>, StoreError> {
        self.call(|rows| {
            let is_next = |id: EndpointId| after.is_none_or(|after| id > after);
            let of_tenant = rows.webhooks.iter().filter(|((owner, id), _)| *owner == tenant && is_next(*id));
            Ok(of_tenant.take(limit).map(|(_, one)| one.stored.clone()).collect())
        })
    }

    fn lock(&mut self, tenant: Tenant, id: EndpointId) -> Result<Option<StoredEndpoint>, StoreError> {
        WebhookRepository::find(self, tenant, id)
    }

    fn update(&mut self, endpoint: &Endpoint) -> Result<(), StoreError> {
        self.call(|rows| {
            if let Some(one) = rows.webhooks.get_mut(&(endpoint.tenant, endpoint.id)) {
                let created_at = one.stored.endpoint.created_at;
                one.stored.endpoint = Endpoint { created_at, ..endpoint.clone() };
            }
            Ok(())
        })
    }

    fn delete(&mut self, tenant: Tenant, id: EndpointId) -> Result<bool, StoreError> {
        self.call(|rows| Ok(rows.webhooks.remove(&(tenant, id)).is_some()))
    }

    fn rewind(&mut self, tenant: Tenant, id: EndpointId, cursor: i64) -> Result<bool, StoreError> {
        self.call(|rows| {
            let Some(one) = rows.webhooks.get_mut(&(tenant, id)) else { return Ok(false) };
            if cursor < one.stored.cursor {
                one.stored.cursor = cursor;
                one.stored.fence += 1;
                one.lanes.retain(|key, lane| key.replayed.is_some() || lane.next_seq <= cursor);
            }
            Ok(true)
        })
    }

    fn open_lane(&mut self, tenant: Tenant, id: EndpointId, lane: &Lane) -> Result<bool, StoreError> {
        self.call(|rows| {
            let Some(one) = rows.webhooks.get_mut(&(tenant, id)) else { return Ok(false) };
            one.lanes.insert(lane.key, lane.clone());
            Ok(true)
        })
    }

    fn lease(&mut self, now: Timestamp, until: Timestamp, limit: usize) -> Result<Vec<StoredEndpoint>, StoreError> {
        self.call(|rows| {
            let mut due: Vec<_> = rows.webhooks.values().filter(|one| rows.has_work(one, now)).collect();
            due.sort_by_key(|one| one.stored.due_at);
            let keys: Vec<_> = due.into_iter().take(limit).map(WebhookRows::key).collect();
            let lease = |key| {
                let one = rows.webhooks.get_mut(&key)?;
                one.stored.fence += 1;
                one.stored.due_at = until;
                Some(one.stored.clone())
            };
            Ok(keys.into_iter().filter_map(lease).collect())
        })
    }

    fn renew(&mut self, lease: &Lease, until: Timestamp) -> Result<Option<StoredEndpoint>, StoreError> {
        self.call(|rows| {
            let Some(one) = rows.leased(lease) else { return Ok(None) };
            one.stored.due_at = until;
            Ok(Some(one.stored.clone()))
        })
    }

    fn record(&mut self, lease: &Lease, record: &DeliveryRecord) -> Result<bool, StoreError> {
        self.call(|rows| {
            let Some(one) = rows.leased(lease) else { return Ok(false) };
            one.stored.cursor = record.cursor;
            one.stored.due_at = record.due_at;
            one.stored.endpoint.failing_since = record.failing_since;
            if let Some((reason, at)) = record.disabled {
                one.stored.endpoint = one.stored.endpoint.clone().disabled(reason, at);
            }
            for key in &record.closed {
                one.lanes.remove(key);
            }
            one.lanes.extend(record.lanes.iter().map(|lane| (lane.key, lane.clone())));
            one.attempts.extend(record.attempts.iter().map(|attempt| (attempt.id, attempt.clone())));
            Ok(true)
        })
    }

    fn lanes(
        &mut self,
        tenant: Tenant,
        id: EndpointId,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Lane>, StoreError> {
        self.call(|rows| {
            let lanes = rows.webhooks.get(&(tenant, id)).into_iter().flat_map(|one| one.lanes.values());
            let mut due: Vec<Lane> = lanes.filter(|lane| lane.due_at <= until).cloned().collect();
            due.sort_by_key(|lane| lane.due_at);
            due.truncate(limit);
            Ok(due)
        })
    }

    fn first_in_lanes(&mut self, tenant: Tenant, id: EndpointId) -> Result<Option<i64>, StoreError> {
        self.call(|rows| {
            let lanes = rows.webhooks.get(&(tenant, id)).into_iter().flat_map(|one| one.lanes.values());
            Ok(lanes.filter(|lane| lane.key.replayed.is_none()).map(|lane| lane.next_seq).min())
        })
    }

    fn log(&mut self, attempt: &Attempt) -> Result<(), StoreError> {
        self.call(|rows| {
            let one = rows.webhooks.get_mut(&(attempt.tenant, attempt.endpoint));
            let one = one.ok_or_else(|| StoreError::internal("an attempt of no endpoint"))?;
            one.attempts.insert(attempt.id, attempt.clone());
            Ok(())
        })
    }

    fn attempts(
        &mut self,
        tenant: Tenant,
        id: EndpointId,
        before: Option<AttemptId>,
        limit: usize,
    ) -> Result<Vec<Attempt>, StoreError> {
        let end = before.map_or(Bound::Unbounded, Bound::Excluded);
        self.call(|rows| {
            let Some(one) = rows.webhooks.get(&(tenant, id)) else { return Ok(Vec::new()) };
            let newest_first = one.attempts.range((Bound::Included(FIRST), end)).rev();
            Ok(newest_first.take(limit).map(|(_, attempt)| attempt.clone()).collect())
        })
    }

    fn outdated_attempts(
        &mut self,
        tenants: &[Tenant],
        oldest: AttemptId,
        most: usize,
        limit: usize,
    ) -> Result<Vec<AttemptKey>, StoreError> {
        self.call(|rows| {
            let of_tenants = rows.webhooks.values().filter(|one| tenants.contains(&one.stored.endpoint.tenant));
            let outdated = of_tenants.flat_map(|one| {
                let newest_first = one.attempts.values().rev().enumerate();
                newest_first.filter(|(place, attempt)| *place >= most || attempt.id < oldest)
            });
            Ok(outdated.map(|(_, attempt)| attempt.into()).take(limit).collect())
        })
    }

    fn delete_attempts(&mut self, keys: &[AttemptKey]) -> Result<(), StoreError> {
        self.call(|rows| {
            for key in keys {
                if let Some(one) = rows.webhooks.get_mut(&(key.tenant, key.endpoint)) {
                    one.attempts.remove(&key.id);
                }
            }
            Ok(())
        })
    }
}

impl WebhookRows {
    fn key(&self) -> (Tenant, EndpointId) {
        (self.stored.endpoint.tenant, self.stored.endpoint.id)
    }
}

impl Rows {
    fn has_work(&self, one: &WebhookRows, now: Timestamp) -> bool {
        let StoredEndpoint { endpoint, cursor, due_at, .. } = &one.stored;
        let has_lane = || one.lanes.values().any(|lane| lane.due_at <= now);
        endpoint.is_active() && *due_at <= now && (self.extent(endpoint.tenant).head > *cursor || has_lane())
    }

    fn leased(&mut self, lease: &Lease) -> Option<&mut WebhookRows> {
        self.webhooks.get_mut(&(lease.tenant, lease.endpoint)).filter(|one| one.stored.fence == lease.fence)
    }
}
