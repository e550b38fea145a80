//! Request failures, shared by all surfaces.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use actix_web::HttpResponse;
use roster_application::json::{JsonError, Pointer};
use roster_application::ports::{MAX_ROWS, Retry, StoreError, Taken};
use roster_application::{
    AuthenticateError, BeginUploadError, CreateApiKeyError, CreateEndpointError, EndpointError, ExportError, ListError,
    ListEventsError, ListSubscriptionsError, RepeatError, ReplayError, Revision, RevokeApiKeyError, Role,
    RotateApiKeyError, Scope, SecretError, TestEventError, UploadError, WriteError,
};
use roster_domain::{ApiKeyId, CustomerId, Rule, Timestamp, UploadId};
use roster_executor::ExecuteError;

use crate::given::Given;
use crate::middleware::limits::Limit;

/// Why a request failed. Each surface has one total `match` that maps it to a response.
#[derive(Debug)]
pub(crate) enum Failure {
    /// There is no credential, or an invalid one.
    Unauthorized,
    /// The credential is valid, but its caller has reached this rate limit.
    TooManyRequests(Limit),
    /// The credential is valid, but lacks this scope.
    MissingScope(Scope),
    /// The credential is valid, but its merchant is disabled.
    MerchantDisabled,
    /// The operator's key is valid, but the operator lacks this role.
    MissingRole(Role),
    /// There is no merchant with that identifier.
    MerchantNotFound,
    /// The head has more bytes than allowed.
    HeadTooLarge,
    /// What requests send takes all the memory that it may take.
    NoMemory,
    /// The request is for another protocol: `CONNECT`, or `Upgrade: websocket`.
    OtherProtocol,
    /// The path does not exist.
    UnknownPath,
    /// The path does not have the method. It has these, as in the header `Allow`.
    MethodNotAllowed(String),
    /// The header `Idempotency-Key` breaks this rule, which follows its name.
    IdempotencyKey(&'static str),
    /// Another request has had the same idempotency key.
    IdempotencyKeyReused,
    /// The first request with this idempotency key came with another credential, without which it cannot be answered again.
    OtherCredential,
    /// The body is refused.
    Body(BodyFailure),
    /// The request breaks rules.
    Invalid(Faults),
    /// This header is malformed.
    MalformedHeader(&'static str),
    /// The header of this name breaks this rule, which follows the name.
    InvalidHeader(&'static str, &'static str),
    /// The cursor is none of this list: changed, or from another tenant, or from a list with other filters or another order.
    InvalidCursor,
    /// The identifier in the path is malformed.
    MalformedId,
    /// No live customer of the tenant has that identifier.
    NotFound,
    /// It is an item of a batch that was to be done as a whole, and another item failed.
    BatchUndone,
    /// What is stored is not what the headers ask for, but this; `None` if nothing is.
    PreconditionFailed(Option<Revision>),
    /// Another customer has the e-mail address or the external identifier.
    Taken(Taken),
    /// The tenant has no event with that identifier.
    EventNotFound,
    /// Events behind the cursor are no longer kept; this is the last place of which that is so.
    EventsPruned(i64),
    /// The tenant has no API key with that identifier.
    KeyNotFound,
    /// The tenant has no webhook endpoint with that identifier.
    WebhookNotFound,
    /// There is no import with this identifier in the caller's tenant.
    ImportNotFound,
    /// Another import of the tenant has not ended.
    ImportRunning(UploadId),
    /// An import of the same file has not come to its end, and has other options.
    ImportHasOtherOptions(String),
    /// The import ended while its file was being sent.
    ImportEnded,
    /// The file has more bytes than allowed.
    FileTooLarge(u64),
    /// The file has taken longer than this to be sent.
    FileTooSlow(Duration),
    /// The tenant has as many webhook endpoints as it may have.
    TooManyWebhooks,
    /// As many single events as may wait to be sent again.
    TooManyReplays,
    /// The API key is revoked or has expired.
    KeyEnded,
    /// The API key was rotated before; this key has come into its place.
    KeyHasSuccessor(ApiKeyId),
    /// The new API key would outlive the caller's, which expires at this time.
    OutlivesCaller(Timestamp),
    /// Too many requests wait for the database. This one was not started.
    Overloaded,
    /// The database did not answer in time. A write may have happened.
    Unavailable,
    /// The database takes no writes at present.
    ReadOnly,
    /// A defect of this service.
    Internal,
}

/// Writes a failure as the response of a surface.
pub(crate) type Answer = fn(&Failure) -> HttpResponse;

/// Why a body is refused.
#[derive(Debug)]
pub(crate) enum BodyFailure {
    /// It has more bytes than this.
    TooLarge(usize),
    /// It took too long to arrive, or stopped arriving.
    Incomplete,
    /// Its content type is not JSON.
    MediaType,
    /// It is not JSON that this service accepts.
    Json(JsonError),
}

/// One rule that a request breaks.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Where it is broken.
    pub(crate) place: Place,
    /// The rule's name.
    pub(crate) code: &'static str,
    /// The rule as text that follows the name of the place, such as "must not be empty".
    pub(crate) detail: String,
}

/// The rules that a request breaks: the first [`Faults::MAX_LISTED`] of them, and how many there are.
///
/// A request can break as many rules as it has fields. Without a limit its answer would be many times as large as the
/// request, whose sender need not be known.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    listed: Vec<Fault>,
    total: usize,
}

impl Faults {
    /// The most faults that are listed.
    pub(crate) const MAX_LISTED: usize = 50;

    /// Adds a fault. `fault` is called if it is listed.
    pub(crate) fn add(&mut self, fault: impl FnOnce() -> Fault) {
        self.total += 1;
        if self.listed.len() < Self::MAX_LISTED {
            self.listed.push(fault());
        }
    }

    /// Adds the faults of a part of the request.
    pub(crate) fn append(&mut self, part: Self) {
        self.total += part.total;
        self.listed.extend(part.listed);
        self.listed.truncate(Self::MAX_LISTED);
    }

    /// Those that are listed.
    pub(crate) fn listed(&self) -> &[Fault] {
        &self.listed
    }

    /// How many there are, if not all are listed.
    pub(crate) fn total_unless_listed(&self) -> Option<usize> {
        (self.total > self.listed.len()).then_some(self.total)
    }

    /// Fails if there is any.
    pub(crate) fn check(self) -> Result<(), Failure> {
        if self.total == 0 { Ok(()) } else { Err(Failure::Invalid(self)) }
    }
}

impl From<Fault> for Failure {
    /// The failure of a request that breaks one rule.
    fn from(fault: Fault) -> Self {
        Self::Invalid(Faults { listed: vec![fault], total: 1 })
    }
}

/// Where a request breaks a rule.
#[derive(Debug)]
pub(crate) enum Place {
    /// In the body.
    Body(Pointer),
    /// In a parameter of the path or the query.
    Parameter(&'static str),
    /// In a parameter of the query that does not exist.
    UnknownParameter(String),
}

impl fmt::Display for Place {
    /// The name for people, such as `billing_address/country`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body(pointer) => match pointer.to_string().strip_prefix('/') {
                Some(name) => f.write_str(name),
                None => f.write_str("body"),
            },
            Self::Parameter(name) => f.write_str(name),
            Self::UnknownParameter(name) => f.write_str(name),
        }
    }
}

impl Fault {
    /// The fault of a request that breaks `rule` at `place`.
    pub(crate) fn new(place: Place, rule: &dyn Rule) -> Self {
        Self { place, code: rule.code(), detail: rule.to_string() }
    }

    /// The same fault, and what the request gave at its place.
    pub(crate) fn given(self, given: &Given) -> Self {
        Self { detail: format!("{}; given: {given}", self.detail), ..self }
    }
}

impl From<ListEventsError> for Failure {
    fn from(error: ListEventsError) -> Self {
        match error {
            ListEventsError::Store(error) => error.into(),
            ListEventsError::Pruned { floor } => Self::EventsPruned(floor),
        }
    }
}

/// A list that is not read, because too many customers would have to be looked at.
impl From<ListError> for Failure {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Store(error) => error.into(),
            ListError::TooDeep => {
                let detail = format!(
                    "skips customers that are not among the first {MAX_ROWS} that these filters look at: follow next_cursor, or \
                     narrow the list by created_after and created_before"
                );
                Fault { place: Place::Parameter("offset"), code: "too_broad", detail }.into()
            }
        }
    }
}

/// An export that is not begun, or broken off.
impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Store(error) => error.into(),
            // It has begun: its client sees that it is broken off.
            ExportError::TooSlow(_) | ExportError::Stopped => {
                tracing::warn!(%error, "an export was broken off");
                Self::Unavailable
            }
        }
    }
}

/// The only place where errors of a store are classified and logged.
impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Unavailable { retry: Retry::Now | Retry::Later, .. }
            | StoreError::Locked { .. }
            | StoreError::Duplicate { .. } => {
                tracing::warn!(error = Chain(&error).to_string(), "the store is not available");
                Self::Unavailable
            }
            StoreError::ReadOnly => {
                tracing::warn!(%error, "the store is read-only");
                Self::ReadOnly
            }
            StoreError::Corrupt { .. } | StoreError::Internal { .. } => {
                tracing::error!(error = Chain(&error).to_string(), "the store failed");
                Self::Internal
            }
        }
    }
}

impl From<ExecuteError> for Failure {
    fn from(error: ExecuteError) -> Self {
        match error {
            ExecuteError::QueueFull => {
                tracing::warn!(%error, "a request was not started");
                Self::Overloaded
            }
            ExecuteError::DeadlineExceeded => {
                tracing::warn!(%error, "a request did not reach the store");
                Self::Unavailable
            }
            ExecuteError::Panicked => Self::Internal,
        }
    }
}

impl From<BodyFailure> for Failure {
    fn from(failure: BodyFailure) -> Self {
        Self::Body(failure)
    }
}

impl From<AuthenticateError> for Failure {
    fn from(error: AuthenticateError) -> Self {
        match error {
            AuthenticateError::Refused(_) => Self::Unauthorized,
            AuthenticateError::MerchantDisabled => Self::MerchantDisabled,
            AuthenticateError::Store(error) => error.into(),
        }
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::NotFound => Self::NotFound,
            WriteError::PreconditionFailed(current) => Self::PreconditionFailed(current),
            WriteError::Taken(taken) => Self::Taken(taken),
            WriteError::Metadata(error) => {
                let place = Place::Body(Pointer::default().key("metadata"));
                Fault::new(place, &error).into()
            }
            WriteError::KeyReused => Self::IdempotencyKeyReused,
            WriteError::Store(error) => error.into(),
        }
    }
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::Entropy(error) => {
                tracing::error!(%error, "no secret could be made");
                Self::Internal
            }
            SecretError::Store(error) => error.into(),
        }
    }
}

impl From<ListSubscriptionsError> for Failure {
    fn from(error: ListSubscriptionsError) -> Self {
        match error {
            ListSubscriptionsError::NotFound => Self::NotFound,
            ListSubscriptionsError::Store(error) => error.into(),
        }
    }
}

impl From<CreateApiKeyError> for Failure {
    fn from(error: CreateApiKeyError) -> Self {
        match error {
            CreateApiKeyError::BeyondScope(scope) => Self::MissingScope(scope),
            CreateApiKeyError::Outlives(end) => Self::OutlivesCaller(end),
            CreateApiKeyError::Expired => Self::from(Fault {
                place: Place::Body(Pointer::default().key("expires_at")),
                code: "not_in_the_future",
                detail: "must be in the future".to_owned(),
            }),
            // The token's merchant was found or cached before, and no longer exists.
            CreateApiKeyError::UnknownMerchant => Self::Unauthorized,
            CreateApiKeyError::Entropy(error) => {
                tracing::error!(%error, "no key could be made");
                Self::Internal
            }
            CreateApiKeyError::Repeat(error) => error.into(),
            CreateApiKeyError::Store(error) => error.into(),
        }
    }
}

impl From<RotateApiKeyError> for Failure {
    fn from(error: RotateApiKeyError) -> Self {
        match error {
            RotateApiKeyError::NotFound => Self::KeyNotFound,
            RotateApiKeyError::HasSuccessor(successor) => Self::KeyHasSuccessor(successor),
            RotateApiKeyError::Ended => Self::KeyEnded,
            RotateApiKeyError::BeyondScope(scope) => Self::MissingScope(scope),
            RotateApiKeyError::Outlives(end) => Self::OutlivesCaller(end),
            RotateApiKeyError::Create(error) => error.into(),
            RotateApiKeyError::Repeat(error) => error.into(),
            RotateApiKeyError::Store(error) => error.into(),
        }
    }
}

impl From<RevokeApiKeyError> for Failure {
    fn from(error: RevokeApiKeyError) -> Self {
        match error {
            RevokeApiKeyError::NotFound => Self::KeyNotFound,
            RevokeApiKeyError::Repeat(error) => error.into(),
            RevokeApiKeyError::Store(error) => error.into(),
        }
    }
}

impl From<EndpointError> for Failure {
    fn from(error: EndpointError) -> Self {
        match error {
            EndpointError::NotFound => Self::WebhookNotFound,
            EndpointError::Create(error) => error.into(),
            EndpointError::Replay(error) => error.into(),
            EndpointError::Entropy(error) => {
                tracing::error!(%error, "no secret could be made");
                Self::Internal
            }
            EndpointError::Repeat(error) => error.into(),
            EndpointError::Store(error) => error.into(),
        }
    }
}

impl From<BeginUploadError> for Failure {
    fn from(error: BeginUploadError) -> Self {
        match error {
            BeginUploadError::Unended(id) => Self::ImportRunning(id),
            BeginUploadError::Store(error) => error.into(),
        }
    }
}

impl From<UploadError> for Failure {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Ended => Self::ImportEnded,
            UploadError::OtherOptions(import) => Self::ImportHasOtherOptions(import.options),
            UploadError::Store(error) => error.into(),
        }
    }
}

impl From<CreateEndpointError> for Failure {
    fn from(error: CreateEndpointError) -> Self {
        match error {
            CreateEndpointError::TooMany => Self::TooManyWebhooks,
            // The token's merchant was found or cached before, and no longer exists.
            CreateEndpointError::UnknownMerchant => Self::Unauthorized,
            CreateEndpointError::Entropy(error) => EndpointError::Entropy(error).into(),
            CreateEndpointError::Store(error) => error.into(),
        }
    }
}

impl From<ReplayError> for Failure {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::NotFound => Self::WebhookNotFound,
            ReplayError::UnknownEvent => Self::from(Fault {
                place: Place::Body(Pointer::default().key("event_id")),
                code: "unknown_event",
                detail: "must be an event of the merchant and the environment of the credential".to_owned(),
            }),
            ReplayError::TooMany => Self::TooManyReplays,
            ReplayError::Store(error) => error.into(),
        }
    }
}

impl From<TestEventError> for Failure {
    fn from(error: TestEventError) -> Self {
        match error {
            TestEventError::NotFound => Self::WebhookNotFound,
            TestEventError::Entropy(error) => EndpointError::Entropy(error).into(),
            TestEventError::Repeat(error) => error.into(),
            TestEventError::Store(error) => error.into(),
        }
    }
}

impl From<RepeatError> for Failure {
    fn from(error: RepeatError) -> Self {
        match error {
            RepeatError::KeyReused => Self::IdempotencyKeyReused,
            RepeatError::OtherCredential => Self::OtherCredential,
        }
    }
}

/// Which identifier is in use, and by which customer.
pub(crate) enum Conflict {
    /// The e-mail address.
    Email(CustomerId),
    /// The external identifier.
    ExternalId(CustomerId),
}

impl Conflict {
    /// Of two conflicts the one of the external identifier: a caller that repeats its request learns which customer it
    /// created.
    pub(crate) fn external_id_first(taken: &Taken) -> Option<Self> {
        Self::of_external_id(taken).or_else(|| Self::of_email(taken))
    }

    /// Of two conflicts the one of the e-mail address.
    pub(crate) fn email_first(taken: &Taken) -> Option<Self> {
        Self::of_email(taken).or_else(|| Self::of_external_id(taken))
    }

    fn of_email(taken: &Taken) -> Option<Self> {
        taken.email.map(Self::Email)
    }

    fn of_external_id(taken: &Taken) -> Option<Self> {
        taken.external_id.as_ref().map(|customer| Self::ExternalId(customer.id()))
    }
}

/// An error with all its sources, for the log.
struct Chain<'a>(&'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

/// Defines a surface's error type, a wrapped [`Failure`]. `$answer` makes the response from it.
macro_rules! error {
    ($(#[$doc:meta])* $name:ident, $answer:path) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name($crate::failure::Failure);

        impl From<$crate::failure::Failure> for $name {
            fn from(failure: $crate::failure::Failure) -> Self {
                Self(failure)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a request failed")
            }
        }

        impl std::error::Error for $name {}

        impl actix_web::ResponseError for $name {
            fn error_response(&self) -> actix_web::HttpResponse {
                $answer(&self.0)
            }
        }
    };
}
pub(crate) use error;
