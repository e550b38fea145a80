//! What the service needs from outside, one port per file.

mod api_keys;
mod clock;
pub(crate) mod customers;
mod entropy;
mod ids;
mod merchants;
mod store;
mod subscriptions;
mod tokens;

pub use api_keys::{ApiKeyRecord, ApiKeyRepository, ApiKeyUse, USE_INTERVAL, api_key_tenant};
pub use clock::Clock;
pub use customers::{Claims, CustomerKey, CustomerRecord, CustomerRef, CustomerRepository, Inserted, Taken};
pub use entropy::{Entropy, EntropyError};
pub use ids::Ids;
pub use merchants::MerchantRepository;
pub use store::{Retry, Store, StoreError, TRIES, UnitOfWork, Verdict, Work, rerun_lost_races};
pub use subscriptions::{SubscriptionCursor, SubscriptionRecord, SubscriptionRepository};
pub use tokens::{TokenClaims, TokenError, TokenVerifier};
