//! The use cases, one per file, and the ports that adapters implement.
//!
//! Start with [`Roster`]: every surface and the command line call its methods, and nothing else calls a store.
//! Everything here is synchronous and does not know which database or protocol is used. Each port has a file in
//! [`ports`]; the test cases in `roster-store-contract` define what a store must do.

pub mod api_key;
pub mod batch;
mod consistency;
pub mod cursor;
mod event;
mod import;
pub mod json;
mod known_credentials;
mod known_operators;
pub mod listing;
pub mod operator;
mod outcome;
pub mod page;
pub mod ports;
mod precondition;
pub mod principal;
pub mod progress;
pub mod records;
pub mod scope;
mod upload;
mod use_cases;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub use api_key::{ApiKey, ApiKeySecret, Digest, OperatorSecret};
pub use consistency::Consistency;
pub use cursor::{CursorKey, CursorScope};
pub use event::{Actor, Attribution, Event, changes_of};
pub use import::{Import, ImportCounts, ImportedCustomer, ImportedMetadata, OnConflict};
pub use operator::{Action, LogEntry, Operation, Operator, OperatorPrincipal, Role, Target};
pub use page::{Page, PageSize};
pub use precondition::{Precondition, Revision, Revisions};
pub use principal::{Grant, Principal};
pub use progress::{Delivery, DeliveryBounds, DeliveryOutcome, Progress};
pub use scope::{Scope, ScopeError, Scopes};
pub use upload::{PartKind, Upload, UploadState};
pub use use_cases::*;

use known_credentials::KnownCredentials;
use known_operators::KnownOperators;
use ports::{Clock, Entropy, Ids, Replica, Store, TokenVerifier};
use roster_domain::Timestamp;

/// The service: all use cases, with the store, the clock and the sources of identifiers and randomness that they use.
///
/// Cloning it is cheap.
#[derive(Clone)]
pub struct Roster {
    store: Arc<dyn Store>,
    replica: Option<Arc<dyn Replica>>,
    /// The database that the replica must follow, once it is known.
    replicated: Arc<OnceLock<u64>>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    entropy: Arc<dyn Entropy>,
    tokens: Option<Arc<dyn TokenVerifier>>,
    known: Arc<KnownCredentials>,
    operators: Arc<KnownOperators>,
    cursor_key: Arc<OnceLock<CursorKey>>,
    reply_lifetime: Duration,
    event_retention: Option<Duration>,
}

/// How long a key that was looked up stays in the cache by default: 5 s.
pub const DEFAULT_KEY_LIFETIME: Duration = Duration::from_secs(5);

impl Roster {
    /// Builds the service. It accepts no tokens, caches a key for [`DEFAULT_KEY_LIFETIME`], keeps replies for
    /// [`DEFAULT_REPLY_LIFETIME`], and events for ever.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>, entropy: Arc<dyn Entropy>) -> Self {
        let known = Arc::new(KnownCredentials::new(DEFAULT_KEY_LIFETIME, Duration::ZERO));
        Self {
            store,
            replica: None,
            replicated: Arc::default(),
            clock,
            ids,
            entropy,
            tokens: None,
            known,
            operators: Arc::new(KnownOperators::new(DEFAULT_KEY_LIFETIME, Duration::ZERO)),
            cursor_key: Arc::default(),
            reply_lifetime: DEFAULT_REPLY_LIFETIME,
            event_retention: None,
        }
    }

    /// The time of the service's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Also reads `replica`, where a read may be behind the store.
    #[must_use]
    pub fn with_replica(self, replica: Arc<dyn Replica>) -> Self {
        Self { replica: Some(replica), ..self }
    }

    /// Also accepts the tokens that `tokens` verifies.
    #[must_use]
    pub fn with_tokens(self, tokens: Arc<dyn TokenVerifier>) -> Self {
        Self { tokens: Some(tokens), ..self }
    }

    /// Caches a key, an operator, or the merchant of a token, for `lifetime` after its look-up. Zero: no cache. While the store does not
    /// answer, a key is accepted for `grace` longer. Zero: it is not.
    ///
    /// For that long this process still accepts a key that another process has revoked.
    #[must_use]
    pub fn with_key_lifetime(self, lifetime: Duration, grace: Duration) -> Self {
        let known = Arc::new(KnownCredentials::new(lifetime, grace));
        Self { known, operators: Arc::new(KnownOperators::new(lifetime, grace)), ..self }
    }
}
