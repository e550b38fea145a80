//! What the service needs from outside, one port per file.

mod api_keys;
mod clock;
mod customer_lists;
mod customers;
mod entropy;
mod events;
mod facts;
mod ids;
mod imports;
mod merchants;
mod migrations;
mod operators;
mod replica;
mod replies;
mod secrets;
mod store;
mod subscriptions;
mod tokens;
mod uploads;
mod usage;
mod webhooks;

pub use api_keys::{ApiKeyRepository, ApiKeyUse, USE_INTERVAL};
pub use clock::Clock;
pub use customer_lists::{Count, CustomerFilter, CustomerQuery, ListOrder, Listed, MAX_ROWS, MetadataCondition, Place};
pub use customers::{
    Claims, CustomerKey, CustomerRef, CustomerRepository, CustomerState, Identifier, Origins, SubscriptionWrite, Taken,
    Write, Written,
};
pub use entropy::{Entropy, EntropyError};
pub use events::{EventQuery, EventRepository, Extent, MAX_EVENTS};
pub use facts::{CustomerFact, Fact, Fault, Indexed, LogFact};
pub use ids::Ids;
pub use imports::ImportRepository;
pub use merchants::MerchantRepository;
pub use migrations::MigrationState;
pub use operators::{OperatorRepository, RevokedOperator};
pub use replica::{Position, Replica, Shown, Standing};
pub use replies::{ReplyKey, ReplyRepository, SavedReply};
pub use secrets::SecretRepository;
pub use store::{
    FirstError, MAX_SNAPSHOT_AGE, Retry, Store, StoreError, TRIES, UnitOfWork, Verdict, Work, rerun_lost_races,
};
pub use subscriptions::{CustomerSubscription, SubscriptionCursor, SubscriptionKey, SubscriptionRepository};
pub use tokens::{TokenClaims, TokenError, TokenFault, TokenHolder, TokenRefusal, TokenVerifier};
pub use uploads::UploadRepository;
pub use usage::{Connections, Usage, Wal};
pub use webhooks::{
    Attempt, AttemptKey, AttemptOutcome, DeliveryRecord, Lane, LaneKey, Lease, StoredEndpoint, WebhookRepository,
};
