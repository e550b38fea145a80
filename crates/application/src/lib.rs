//! What can be done with customers: one use case per file, over ports that adapters fill.
//!
//! [`Roster`] is the way in: every surface and the command line call its methods, and nothing else reaches a store.
//! Everything here is synchronous and knows neither which database nor which protocol is used. The ports stand in
//! [`ports`], one file each; what a store promises is written down as test cases in `roster-store-contract`.

pub mod api_key;
pub mod batch;
pub mod json;
mod known_credentials;
pub mod page;
pub mod ports;
pub mod principal;
pub mod scope;
mod use_cases;

use std::sync::Arc;
use std::time::Duration;

pub use api_key::{ApiKey, ApiKeySecret, Digest};
pub use page::{Page, PageSize};
pub use principal::Principal;
pub use scope::{Scope, ScopeError, Scopes};
pub use use_cases::authenticate::{AuthenticateError, Presented, Recognition};
pub use use_cases::change_customer::ChangeError;
pub use use_cases::create_api_key::{ApiKeyOrder, CreateApiKeyError, CreatedApiKey};
pub use use_cases::delete_customer::DeleteError;
pub use use_cases::list_subscriptions::ListSubscriptionsError;
pub use use_cases::record_subscription::{RecordSubscriptionError, Recorded, SubscriptionReport};
pub use use_cases::register_customers::{RegisterError, Registration};
pub use use_cases::rotate_api_key::{DEFAULT_OVERLAP, MAX_OVERLAP, RotateApiKeyError};

use known_credentials::KnownCredentials;
use ports::{Clock, Entropy, Ids, Store, TokenVerifier};

/// The service: its use cases, over the store, the clock and the sources of identifiers and randomness that a
/// deployment chose. Cloning it is cheap.
#[derive(Clone)]
pub struct Roster {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    entropy: Arc<dyn Entropy>,
    tokens: Option<Arc<dyn TokenVerifier>>,
    known: Arc<KnownCredentials>,
}

/// How long a key that was looked up is known without another look, if nobody says: 5 s.
pub const DEFAULT_KEY_LIFETIME: Duration = Duration::from_secs(5);

impl Roster {
    /// Puts the service together. It takes no tokens, and knows a key for [`DEFAULT_KEY_LIFETIME`].
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>, entropy: Arc<dyn Entropy>) -> Self {
        let known = Arc::new(KnownCredentials::new(DEFAULT_KEY_LIFETIME));
        Self { store, clock, ids, entropy, tokens: None, known }
    }

    /// The same, but it takes the tokens that `tokens` finds in order.
    #[must_use]
    pub fn with_tokens(self, tokens: Arc<dyn TokenVerifier>) -> Self {
        Self { tokens: Some(tokens), ..self }
    }

    /// The same, but it knows a key, or the merchant of a token, for `lifetime` after it was looked up. That is how long
    /// one that another process revoked may still open something here. Zero: each is looked up every time.
    #[must_use]
    pub fn with_key_lifetime(self, lifetime: Duration) -> Self {
        Self { known: Arc::new(KnownCredentials::new(lifetime)), ..self }
    }
}
