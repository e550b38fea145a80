use std::sync::Arc;

use roster_domain::{
    ApiKeyId, ChangeReason, CustomerId, Environment, EventType, MerchantId, SubscriptionId, Tenant, Timestamp,
};
use uuid::Uuid;

use crate::ports::{StoreError, TokenHolder};
use crate::{Actor, Attribution, Event};

/// The row of an event, in types that every database has.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "fields are the columns")]
pub struct EventRecord {
    pub merchant_id: Uuid,
    pub environment: String,
    pub seq: i64,
    pub customer_id: Uuid,
    pub subscription_id: Option<String>,
    pub version: i64,
    pub event_type: String,
    /// JSON.
    pub changes: String,
    pub actor_type: String,
    pub actor_id: Option<String>,
    pub actor_issuer: Option<String>,
    pub request_id: Option<String>,
    pub reason: Option<String>,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

impl From<Event> for EventRecord {
    fn from(event: Event) -> Self {
        let Attribution { actor, request_id, reason } = event.attribution;
        Self {
            merchant_id: event.tenant.merchant.uuid(),
            environment: event.tenant.environment.as_str().to_owned(),
            seq: event.seq,
            customer_id: event.customer.uuid(),
            subscription_id: event.subscription.map(|id| id.as_str().to_owned()),
            version: event.version,
            event_type: event.kind.as_str().to_owned(),
            changes: event.changes,
            actor_type: actor.kind().to_owned(),
            actor_id: actor.id(),
            actor_issuer: actor.issuer().map(str::to_owned),
            request_id,
            reason: reason.map(|reason| reason.as_str().to_owned()),
            created_at: event.created_at.as_millis(),
        }
    }
}

/// The actor in its three columns; otherwise the column that does not decode.
pub(super) fn actor(kind: &str, id: Option<String>, issuer: Option<String>) -> Result<Actor, &'static str> {
    match (kind, id, issuer) {
        ("api_key", Some(id), None) => Ok(Actor::ApiKey(ApiKeyId::parse(&id).map_err(|_| "actor_id")?)),
        ("token", subject, Some(issuer)) => {
            Ok(Actor::Token(Arc::new(TokenHolder { issuer: Arc::from(issuer), subject })))
        }
        ("operator", None, None) => Ok(Actor::Operator),
        ("system", None, None) => Ok(Actor::System),
        _ => Err("actor_type"),
    }
}

impl TryFrom<EventRecord> for Event {
    type Error = StoreError;

    /// # Errors
    /// [`StoreError::Corrupt`], naming the column, if a value does not decode.
    fn try_from(record: EventRecord) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::Corrupt { table: "events", column, id: record.customer_id };
        let actor = actor(&record.actor_type, record.actor_id, record.actor_issuer).map_err(corrupt)?;
        Ok(Self {
            tenant: Tenant {
                merchant: MerchantId::new(record.merchant_id),
                environment: Environment::parse(&record.environment).map_err(|_| corrupt("environment"))?,
            },
            seq: record.seq,
            customer: CustomerId::new(record.customer_id),
            subscription: record.subscription_id.map(SubscriptionId::restore),
            version: record.version,
            kind: EventType::parse(&record.event_type).map_err(|_| corrupt("event_type"))?,
            changes: record.changes,
            attribution: Attribution {
                actor,
                request_id: record.request_id,
                reason: record.reason.map(ChangeReason::restore),
            },
            created_at: Timestamp::from_millis(record.created_at).map_err(|_| corrupt("created_at"))?,
        })
    }
}
