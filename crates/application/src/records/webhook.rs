use std::fmt;
use std::time::Duration;

use roster_domain::{
    AttemptId, CustomerId, DisabledReason, Endpoint, EndpointDescription, EndpointId, EndpointSecret, EndpointSettings,
    EndpointStatus, EndpointUrl, Environment, EventId, EventTypes, Excerpt, FormerSecret, MerchantId, PayloadForm,
    Tenant, Timestamp,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ports::{Attempt, AttemptOutcome, Lane, LaneKey, StoreError, StoredEndpoint};

/// The row of a webhook endpoint, in types that every database has. Its secrets are in no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
#[expect(missing_docs, reason = "fields are the columns")]
pub struct EndpointRecord {
    pub merchant_id: Uuid,
    pub environment: String,
    pub id: Uuid,
    pub url: String,
    /// The names of types, with a space between them, or `*`.
    pub event_types: String,
    pub description: Option<String>,
    pub with_customer: bool,
    pub status: String,
    /// Milliseconds since 1970.
    pub disabled_at: Option<i64>,
    pub disabled_reason: Option<String>,
    pub secret: String,
    pub former_secret: Option<String>,
    /// Milliseconds since 1970.
    pub former_until: Option<i64>,
    /// Milliseconds since 1970.
    pub failing_since: Option<i64>,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Milliseconds since 1970.
    pub updated_at: i64,
    pub cursor_seq: i64,
    pub fence: i64,
    /// Milliseconds since 1970.
    pub due_at: i64,
}

impl fmt::Debug for EndpointRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EndpointRecord({})", self.id)
    }
}

impl EndpointRecord {
    /// The row of an endpoint, wherever its deliveries are.
    pub(crate) fn of(endpoint: &Endpoint) -> Self {
        Self::new(endpoint, 0, 0, endpoint.created_at)
    }

    /// The row of an endpoint, and how far its deliveries have come.
    #[must_use]
    pub fn new(endpoint: &Endpoint, cursor: i64, fence: i64, due_at: Timestamp) -> Self {
        let EndpointSettings { url, events, description, form } = &endpoint.settings;
        let (disabled_at, disabled_reason) = match endpoint.status {
            EndpointStatus::Active => (None, None),
            EndpointStatus::Disabled { at, reason } => (Some(at.as_millis()), Some(reason.as_str().to_owned())),
        };
        let former = endpoint.former_secret.as_ref();
        Self {
            merchant_id: endpoint.tenant.merchant.uuid(),
            environment: endpoint.tenant.environment.as_str().to_owned(),
            id: endpoint.id.uuid(),
            url: url.as_str().to_owned(),
            event_types: events.to_string(),
            description: description.as_ref().map(|text| text.as_str().to_owned()),
            with_customer: *form == PayloadForm::WithCustomer,
            status: endpoint.status.as_str().to_owned(),
            disabled_at,
            disabled_reason,
            secret: endpoint.secret.reveal().to_owned(),
            former_secret: former.map(|former| former.secret.reveal().to_owned()),
            former_until: former.map(|former| former.until.as_millis()),
            failing_since: endpoint.failing_since.map(Timestamp::as_millis),
            created_at: endpoint.created_at.as_millis(),
            updated_at: endpoint.updated_at.as_millis(),
            cursor_seq: cursor,
            fence,
            due_at: due_at.as_millis(),
        }
    }
}

impl TryFrom<EndpointRecord> for StoredEndpoint {
    type Error = StoreError;

    /// # Errors
    /// [`StoreError::Corrupt`], naming the column, if a value does not decode.
    fn try_from(record: EndpointRecord) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::Corrupt { table: "webhook_endpoints", column, id: record.id };
        let time = |millis, column| Timestamp::from_millis(millis).map_err(|_| corrupt(column));
        let secret = |text, column| EndpointSecret::restore(text).ok_or_else(|| corrupt(column));
        let status = match (record.status.as_str(), record.disabled_at, record.disabled_reason.as_deref()) {
            (EndpointStatus::ACTIVE, None, None) => EndpointStatus::Active,
            (EndpointStatus::DISABLED, Some(at), Some(reason)) => EndpointStatus::Disabled {
                at: time(at, "disabled_at")?,
                reason: DisabledReason::parse(reason).map_err(|_| corrupt("disabled_reason"))?,
            },
            _ => return Err(corrupt("status")),
        };
        let former_secret = match (record.former_secret, record.former_until) {
            (Some(text), Some(until)) => {
                Some(FormerSecret { secret: secret(text, "former_secret")?, until: time(until, "former_until")? })
            }
            _ => None,
        };
        let form = if record.with_customer { PayloadForm::WithCustomer } else { PayloadForm::Thin };
        Ok(Self {
            endpoint: Endpoint {
                tenant: Tenant {
                    merchant: MerchantId::new(record.merchant_id),
                    environment: Environment::parse(&record.environment).map_err(|_| corrupt("environment"))?,
                },
                id: EndpointId::new(record.id),
                settings: EndpointSettings {
                    url: EndpointUrl::restore(record.url),
                    events: EventTypes::restore(&record.event_types).map_err(|_| corrupt("event_types"))?,
                    description: record.description.map(EndpointDescription::restore),
                    form,
                },
                status,
                secret: secret(record.secret, "secret")?,
                former_secret,
                failing_since: record.failing_since.map(|millis| time(millis, "failing_since")).transpose()?,
                created_at: time(record.created_at, "created_at")?,
                updated_at: time(record.updated_at, "updated_at")?,
            },
            cursor: record.cursor_seq,
            fence: record.fence,
            due_at: time(record.due_at, "due_at")?,
        })
    }
}

/// The row of a lane, in types that every database has.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "fields are the columns")]
pub struct LaneRecord {
    pub merchant_id: Uuid,
    pub environment: String,
    pub endpoint_id: Uuid,
    pub customer_id: Uuid,
    /// The place of an event that is sent again; 0 for the lane of a customer.
    pub replayed_seq: i64,
    pub next_seq: i64,
    pub attempts: i64,
    /// Milliseconds since 1970.
    pub due_at: i64,
}

impl LaneRecord {
    /// The row of a lane of an endpoint.
    #[must_use]
    pub fn new(tenant: Tenant, endpoint: EndpointId, lane: &Lane) -> Self {
        Self {
            merchant_id: tenant.merchant.uuid(),
            environment: tenant.environment.as_str().to_owned(),
            endpoint_id: endpoint.uuid(),
            customer_id: lane.key.customer.uuid(),
            replayed_seq: lane.key.replayed.unwrap_or(0),
            next_seq: lane.next_seq,
            attempts: i64::from(lane.attempts),
            due_at: lane.due_at.as_millis(),
        }
    }
}

impl TryFrom<LaneRecord> for Lane {
    type Error = StoreError;

    /// # Errors
    /// [`StoreError::Corrupt`], naming the column, if a value does not decode.
    fn try_from(record: LaneRecord) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::Corrupt { table: "webhook_lanes", column, id: record.endpoint_id };
        Ok(Self {
            key: LaneKey {
                customer: CustomerId::new(record.customer_id),
                replayed: Some(record.replayed_seq).filter(|seq| *seq > 0),
            },
            next_seq: record.next_seq,
            attempts: u32::try_from(record.attempts).map_err(|_| corrupt("attempts"))?,
            due_at: Timestamp::from_millis(record.due_at).map_err(|_| corrupt("due_at"))?,
        })
    }
}

/// The row of an attempt, in types that every database has. What was answered is in no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
#[expect(missing_docs, reason = "fields are the columns")]
pub struct AttemptRecord {
    pub merchant_id: Uuid,
    pub environment: String,
    pub endpoint_id: Uuid,
    pub id: Uuid,
    pub event_id: Uuid,
    pub customer_id: Option<Uuid>,
    pub number: i64,
    pub outcome: String,
    pub status: Option<i64>,
    pub duration_ms: i64,
    pub answer: Option<String>,
    pub error: Option<String>,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

impl fmt::Debug for AttemptRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AttemptRecord({})", self.id)
    }
}

impl From<&Attempt> for AttemptRecord {
    fn from(attempt: &Attempt) -> Self {
        let text = |excerpt: &Option<Excerpt>| excerpt.as_ref().map(|excerpt| excerpt.as_str().to_owned());
        Self {
            merchant_id: attempt.tenant.merchant.uuid(),
            environment: attempt.tenant.environment.as_str().to_owned(),
            endpoint_id: attempt.endpoint.uuid(),
            id: attempt.id.uuid(),
            event_id: attempt.event.uuid(),
            customer_id: attempt.customer.map(CustomerId::uuid),
            number: i64::from(attempt.number),
            outcome: attempt.outcome.as_str().to_owned(),
            status: attempt.status.map(i64::from),
            duration_ms: i64::try_from(attempt.duration.as_millis()).unwrap_or(i64::MAX),
            answer: text(&attempt.answer),
            error: text(&attempt.error),
            created_at: attempt.at.as_millis(),
        }
    }
}

impl TryFrom<AttemptRecord> for Attempt {
    type Error = StoreError;

    /// # Errors
    /// [`StoreError::Corrupt`], naming the column, if a value does not decode.
    fn try_from(record: AttemptRecord) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::Corrupt { table: "webhook_attempts", column, id: record.id };
        Ok(Self {
            id: AttemptId::new(record.id),
            tenant: Tenant {
                merchant: MerchantId::new(record.merchant_id),
                environment: Environment::parse(&record.environment).map_err(|_| corrupt("environment"))?,
            },
            endpoint: EndpointId::new(record.endpoint_id),
            event: EventId::new(record.event_id),
            customer: record.customer_id.map(CustomerId::new),
            number: u32::try_from(record.number).map_err(|_| corrupt("number"))?,
            outcome: AttemptOutcome::parse(&record.outcome).ok_or_else(|| corrupt("outcome"))?,
            status: record.status.map(|status| u16::try_from(status).map_err(|_| corrupt("status"))).transpose()?,
            duration: Duration::from_millis(u64::try_from(record.duration_ms).map_err(|_| corrupt("duration_ms"))?),
            answer: record.answer.map(Excerpt::restore),
            error: record.error.map(Excerpt::restore),
            at: Timestamp::from_millis(record.created_at).map_err(|_| corrupt("created_at"))?,
        })
    }
}
