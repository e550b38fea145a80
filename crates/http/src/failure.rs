//! Everything that keeps a request from being answered as its caller hoped, whatever the surface.

use std::error::Error;
use std::fmt;

use roster_application::json::{JsonError, Pointer};
use roster_application::ports::{Retry, StoreError, Taken};
use roster_application::{
    AuthenticateError, ChangeError, CreateApiKeyError, DeleteError, ListSubscriptionsError, RecordSubscriptionError,
    RegisterError, RotateApiKeyError, Scope,
};
use roster_domain::{CustomerId, Rule};

use crate::core::NotDone;
use crate::limits::Limit;

/// What went wrong. Each surface has one total `match` from here to its answers.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No credential, or one that opens nothing.
    Unauthorized,
    /// The credential is good, but this limit on requests is reached.
    TooManyRequests(Limit),
    /// The credential is good, but lacks this scope.
    MissingScope(Scope),
    /// No such path.
    UnknownPath,
    /// The path has other methods: these.
    MethodNotAllowed(String),
    /// The body could not be taken.
    Body(BodyFailure),
    /// The request breaks rules: all of them that it breaks.
    Invalid(Vec<Fault>),
    /// The identifier in the path is none.
    MalformedId,
    /// No live customer of the tenant has that identifier.
    NotFound,
    /// The e-mail address is in use by this customer, and perhaps the external identifier too.
    EmailTaken(CustomerId),
    /// The external identifier is in use by this customer.
    ExternalIdTaken(CustomerId),
    /// The tenant has no API key with that identifier.
    KeyNotFound,
    /// The API key is revoked or has expired.
    KeyEnded,
    /// The database could not be asked in time. A write may have happened.
    Unavailable,
    /// A defect of ours.
    Internal,
}

/// Why a body could not be taken.
#[derive(Debug)]
pub(crate) enum BodyFailure {
    /// More bytes than allowed.
    TooLarge,
    /// It took too long to arrive, or stopped arriving.
    Incomplete,
    /// Declared as something other than JSON.
    MediaType,
    /// Not JSON that is taken here.
    Json(JsonError),
}

/// One rule that a request breaks.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Where.
    pub(crate) place: Place,
    /// The rule's name.
    pub(crate) code: &'static str,
    /// The rule in words, to be read behind the name of the place.
    pub(crate) detail: String,
}

/// Where a request breaks a rule.
#[derive(Debug)]
pub(crate) enum Place {
    /// In the body.
    Body(Pointer),
    /// In a parameter of the path or the query.
    Parameter(&'static str),
    /// In a parameter of the query that nobody knows.
    UnknownParameter(String),
}

impl fmt::Display for Place {
    /// What a person would call it: `billing_address/country`.
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
    /// `rule` is broken at `place`.
    pub(crate) fn new(place: Place, rule: &dyn Rule) -> Self {
        Self { place, code: rule.code(), detail: rule.to_string() }
    }
}

/// A store's failure is told apart, and logged, here and nowhere else.
impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Unavailable { retry: Retry::Now | Retry::Later, .. } | StoreError::Duplicate { .. } => {
                tracing::warn!(error = Chain(&error).to_string(), "the store is not available");
                Self::Unavailable
            }
            StoreError::Corrupt { .. } | StoreError::Internal { .. } => {
                tracing::error!(error = Chain(&error).to_string(), "the store failed");
                Self::Internal
            }
        }
    }
}

impl From<NotDone> for Failure {
    fn from(error: NotDone) -> Self {
        match error {
            NotDone::Busy | NotDone::Late => {
                tracing::warn!(%error, "a request did not reach the store");
                Self::Unavailable
            }
            NotDone::Panicked => Self::Internal,
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
            AuthenticateError::Refused => Self::Unauthorized,
            AuthenticateError::Store(error) => error.into(),
        }
    }
}

impl From<DeleteError> for Failure {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::NotFound => Self::NotFound,
            DeleteError::Store(error) => error.into(),
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

impl From<RecordSubscriptionError> for Failure {
    fn from(error: RecordSubscriptionError) -> Self {
        match error {
            RecordSubscriptionError::NotFound => Self::NotFound,
            RecordSubscriptionError::Store(error) => error.into(),
        }
    }
}

impl From<CreateApiKeyError> for Failure {
    fn from(error: CreateApiKeyError) -> Self {
        match error {
            CreateApiKeyError::BeyondScope(scope) => Self::MissingScope(scope),
            CreateApiKeyError::Expired => Self::Invalid(vec![Fault {
                place: Place::Body(Pointer::default().key("expires_at")),
                code: "not_in_the_future",
                detail: "must be in the future".to_owned(),
            }]),
            // The merchant of a token that was known a moment ago is gone.
            CreateApiKeyError::UnknownMerchant => Self::Unauthorized,
            CreateApiKeyError::Entropy(error) => {
                tracing::error!(%error, "no key could be made");
                Self::Internal
            }
            CreateApiKeyError::Store(error) => error.into(),
        }
    }
}

impl From<RotateApiKeyError> for Failure {
    fn from(error: RotateApiKeyError) -> Self {
        match error {
            RotateApiKeyError::NotFound => Self::KeyNotFound,
            RotateApiKeyError::Ended => Self::KeyEnded,
            RotateApiKeyError::BeyondScope(scope) => Self::MissingScope(scope),
            RotateApiKeyError::Create(error) => error.into(),
            RotateApiKeyError::Store(error) => error.into(),
        }
    }
}

impl Failure {
    /// What to answer when a customer was not registered; `first` says which of two conflicts to tell of.
    pub(crate) fn of_register(error: RegisterError, first: fn(Taken) -> Self) -> Self {
        match error {
            RegisterError::Taken(taken) => first(taken),
            RegisterError::Store(error) => error.into(),
        }
    }

    /// What to answer when a customer was not changed; `first` says which of two conflicts to tell of.
    pub(crate) fn of_change(error: ChangeError, first: fn(Taken) -> Self) -> Self {
        match error {
            ChangeError::NotFound => Self::NotFound,
            ChangeError::Taken(taken) => first(taken),
            ChangeError::Metadata(error) => {
                let place = Place::Body(Pointer::default().key("metadata"));
                Self::Invalid(vec![Fault::new(place, &error)])
            }
            ChangeError::Store(error) => error.into(),
        }
    }

    /// Tells of the external identifier first: a caller that repeats itself learns that its customer is there.
    pub(crate) fn external_id_first(taken: Taken) -> Self {
        match (taken.external_id, taken.email) {
            (Some(customer), _) => Self::ExternalIdTaken(customer.id()),
            (None, Some(customer)) => Self::EmailTaken(customer),
            (None, None) => Self::Unavailable,
        }
    }

    /// Tells of the e-mail address first.
    pub(crate) fn email_first(taken: Taken) -> Self {
        match (taken.email, taken.external_id) {
            (Some(customer), _) => Self::EmailTaken(customer),
            (None, Some(customer)) => Self::ExternalIdTaken(customer.id()),
            (None, None) => Self::Unavailable,
        }
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

/// Defines what a surface's handlers return for a [`Failure`], which actix then has written by `$answer`.
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

        impl actix_web::ResponseError for $name {
            fn error_response(&self) -> actix_web::HttpResponse {
                $answer(&self.0)
            }
        }
    };
}
pub(crate) use error;
