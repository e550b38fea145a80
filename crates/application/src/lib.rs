//! What can be done with customers: one use case per file, over ports that adapters fill.
//!
//! [`Roster`] is the way in: every surface and the command line call its methods, and nothing else reaches a store.
//! Everything here is synchronous and knows neither which database nor which protocol is used. The ports stand in
//! [`ports`], one file each; what a store promises is written down as test cases in `roster-store-contract`.

pub mod api_key;
mod batch;
pub mod json;
pub mod page;
pub mod ports;
pub mod principal;
pub mod scope;
mod use_cases;

use std::sync::Arc;

pub use api_key::{ApiKey, ApiKeySecret, Digest};
pub use page::{Page, PageSize};
pub use principal::Principal;
pub use scope::{Scope, Scopes};
pub use use_cases::authenticate::AuthenticateError;
pub use use_cases::change_customer::ChangeError;
pub use use_cases::create_api_key::{ApiKeyOrder, CreateApiKeyError, CreatedApiKey};
pub use use_cases::delete_customer::DeleteError;
pub use use_cases::list_subscriptions::ListSubscriptionsError;
pub use use_cases::record_subscription::{RecordSubscriptionError, Recorded, SubscriptionReport};
pub use use_cases::register_customers::{RegisterError, Registration};

use ports::{Clock, Entropy, Ids, Store};

/// The service: its use cases, over the store, the clock and the sources of identifiers and randomness that a
/// deployment chose. Cloning it is cheap.
#[derive(Clone)]
pub struct Roster {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    entropy: Arc<dyn Entropy>,
}

impl Roster {
    /// Puts the service together.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>, entropy: Arc<dyn Entropy>) -> Self {
        Self { store, clock, ids, entropy }
    }
}
