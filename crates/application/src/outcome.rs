//! What a request led to, in the form in which it is saved for repeats of the request.
//!
//! It has what was decided and nothing of a protocol: each surface writes its answer from it anew. The form has a version. Members may
//! be added to it, as a program ignores those that it does not know; any other change needs another version.

use roster_domain::metadata::MetadataError;
use roster_domain::{Customer, CustomerId, Subscription};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Revision;
use crate::ports::{ReplyKey, StoreError, SubscriptionWrite, Taken, Write};
use crate::records::{ApiKeyRecord, AttemptRecord, CustomerRecord, EndpointRecord, SubscriptionRecord, corrupt_reply};
use crate::use_cases::WriteError;

/// The version of the form that this program writes, and the only one that it reads.
const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    v: u8,
    outcome: T,
}

/// What a request led to.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// The customer is as the request wants it.
    Written(Box<WrittenOutcome>),
    /// There is no such customer.
    NotFound {},
    /// What is stored is not what the request asks for.
    PreconditionFailed {
        /// What is stored, if anything is.
        #[serde(skip_serializing_if = "Option::is_none")]
        current: Option<RevisionOutcome>,
    },
    /// Other customers have what it claims.
    Taken(Box<TakenOutcome>),
    /// The merged metadata breaks a rule.
    Metadata {
        /// The text of the rule, which no two rules share.
        rule: String,
    },
    /// A batch has begun, of which each item has an outcome of its own.
    Begun {},
    /// All items of an atomic batch were done.
    Batch {
        /// Their outcomes, in their order.
        items: Vec<Outcome>,
    },
    /// An item of an atomic batch was refused, so that nothing was done.
    BatchRefused {
        /// Its place, from 0.
        place: usize,
        /// Why.
        refused: Box<Outcome>,
    },
    /// A key was created.
    KeyCreated {
        /// The key.
        key: Box<ApiKeyRecord>,
        /// What its secret is derived from, beside what only the caller has.
        salt: Uuid,
    },
    /// A key is revoked.
    KeyRevoked {},
    /// There is no such key.
    KeyNotFound {},
    /// The key is revoked or has expired.
    KeyEnded {},
    /// The key was rotated before.
    KeyHasSuccessor {
        /// The key in its place.
        successor: Uuid,
    },
    /// A webhook endpoint was created or changed.
    EndpointWritten(Box<EndpointRecord>),
    /// A webhook endpoint was deleted, or is sent events again.
    EndpointDone {},
    /// There is no such webhook endpoint.
    EndpointNotFound {},
    /// There are as many webhook endpoints as there may be.
    TooManyEndpoints {},
    /// As many single events as may wait to be sent again.
    TooManyReplays {},
    /// A test event was sent to a webhook endpoint.
    EndpointTested(Box<AttemptRecord>),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WrittenOutcome {
    customer: CustomerRecord,
    is_new: bool,
    /// The subscription that was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded: Option<SubscriptionRecord>,
    /// Whether that one is new.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    recorded_is_new: bool,
    /// The subscription that is shown with the customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    shown: Option<SubscriptionRecord>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TakenOutcome {
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<CustomerRecord>,
    /// The subscription that is shown with that customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    shown: Option<SubscriptionRecord>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RevisionOutcome {
    customer: Uuid,
    version: i64,
}

impl From<Revision> for RevisionOutcome {
    fn from(Revision { customer, version }: Revision) -> Self {
        Self { customer: customer.uuid(), version }
    }
}

impl From<RevisionOutcome> for Revision {
    fn from(RevisionOutcome { customer, version }: RevisionOutcome) -> Self {
        Self { customer: CustomerId::new(customer), version }
    }
}

/// The result of a command, and the subscription that is shown with its customer.
type Shown = (Result<Write, WriteError>, Option<Subscription>);

fn record(customer: &Customer, subscription: &Subscription) -> SubscriptionRecord {
    SubscriptionRecord::new(customer.tenant(), customer.id(), subscription)
}

impl Outcome {
    /// That of a write.
    pub(crate) fn of_write(write: &Write, shown: Option<&Subscription>) -> Self {
        let customer = write.after();
        let subscription = write.subscription();
        Self::Written(Box::new(WrittenOutcome {
            customer: CustomerRecord::from(customer),
            is_new: write.before().is_none(),
            recorded: subscription.map(|subscription| record(customer, &subscription.after)),
            recorded_is_new: subscription.is_some_and(|subscription| subscription.before.is_none()),
            shown: shown.map(|subscription| record(customer, subscription)),
        }))
    }

    /// That of a refusal; `None` if it is no answer for good, as that of a store that fails.
    pub(crate) fn of_error(error: &WriteError, shown: Option<&Subscription>) -> Option<Self> {
        match error {
            WriteError::NotFound => Some(Self::NotFound {}),
            WriteError::PreconditionFailed(current) => {
                Some(Self::PreconditionFailed { current: current.map(RevisionOutcome::from) })
            }
            WriteError::Taken(Taken { email, external_id }) => {
                let holder = external_id.as_deref();
                Some(Self::Taken(Box::new(TakenOutcome {
                    email: email.map(CustomerId::uuid),
                    external_id: holder.map(CustomerRecord::from),
                    shown: holder.zip(shown).map(|(holder, subscription)| record(holder, subscription)),
                })))
            }
            WriteError::Metadata(error) => Some(Self::Metadata { rule: error.to_string() }),
            WriteError::KeyReused | WriteError::Store(_) => None,
        }
    }

    /// The customer whose data it has.
    pub(crate) fn customer(&self) -> Option<CustomerId> {
        let id = match self {
            Self::Written(written) => Some(written.customer.id),
            Self::Taken(taken) => taken.external_id.as_ref().map(|holder| holder.id),
            Self::PreconditionFailed { current } => current.as_ref().map(|current| current.customer),
            _ => None,
        };
        id.map(CustomerId::new)
    }

    /// What it has of one customer: of a batch, its items. `None`: nothing.
    pub(crate) fn part_of(self, customer: CustomerId) -> Option<Self> {
        match self {
            Self::Batch { items } => {
                let items: Vec<Self> = items.into_iter().filter_map(|item| item.part_of(customer)).collect();
                (!items.is_empty()).then_some(Self::Batch { items })
            }
            Self::BatchRefused { place, refused } => {
                let part_of = |refused| Self::BatchRefused { place, refused: Box::new(refused) };
                refused.part_of(customer).map(part_of)
            }
            one => (one.customer() == Some(customer)).then_some(one),
        }
    }

    /// The text that is saved.
    pub(crate) fn encode(&self) -> Result<String, StoreError> {
        serde_json::to_string(&Versioned { v: VERSION, outcome: self }).map_err(StoreError::internal)
    }

    /// The outcome in a text that was saved under `key`.
    pub(crate) fn decode(key: &ReplyKey, text: &str) -> Result<Self, StoreError> {
        match serde_json::from_str(text) {
            Ok(Versioned { v: VERSION, outcome }) => Ok(outcome),
            Ok(_) | Err(_) => Err(corrupt_reply(key, "outcome")),
        }
    }

    /// The result of a command that writes customers, as its repeat gets it: of the write only what is shown, which a write
    /// of nothing has as well.
    pub(crate) fn into_write(self, key: &ReplyKey) -> Result<Shown, StoreError> {
        let subscription = |record: Option<SubscriptionRecord>| record.map(Subscription::try_from).transpose();
        match self {
            Self::Written(written) => {
                let shown = subscription(written.shown)?;
                let customer = Customer::try_from(written.customer)?;
                let write = match subscription(written.recorded)? {
                    Some(after) => {
                        let before = (!written.recorded_is_new).then(|| after.clone());
                        Write::record(customer, SubscriptionWrite { before, after })
                    }
                    None if written.is_new => Write::create(customer),
                    None => Write::change(customer.clone(), customer),
                };
                Ok((Ok(write), shown))
            }
            Self::NotFound {} => Ok((Err(WriteError::NotFound), None)),
            Self::PreconditionFailed { current } => {
                Ok((Err(WriteError::PreconditionFailed(current.map(Revision::from))), None))
            }
            Self::Taken(taken) => {
                let external_id = taken.external_id.map(Customer::try_from).transpose()?.map(Box::new);
                let email = taken.email.map(CustomerId::new);
                Ok((Err(WriteError::Taken(Taken { email, external_id })), subscription(taken.shown)?))
            }
            Self::Metadata { rule } => {
                let error = MetadataError::ALL.into_iter().find(|error| error.to_string() == rule);
                Ok((Err(WriteError::Metadata(error.ok_or_else(|| corrupt_reply(key, "outcome"))?)), None))
            }
            Self::Begun {}
            | Self::Batch { .. }
            | Self::BatchRefused { .. }
            | Self::KeyCreated { .. }
            | Self::KeyRevoked {}
            | Self::KeyNotFound {}
            | Self::KeyEnded {}
            | Self::KeyHasSuccessor { .. }
            | Self::EndpointWritten(_)
            | Self::EndpointDone {}
            | Self::EndpointNotFound {}
            | Self::TooManyEndpoints {}
            | Self::TooManyReplays {}
            | Self::EndpointTested(_) => Err(corrupt_reply(key, "outcome")),
        }
    }
}
