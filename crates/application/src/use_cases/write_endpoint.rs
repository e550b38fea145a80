use std::time::Duration;

use roster_domain::{Endpoint, EndpointEdit, EndpointId, EndpointSettings, EventId, Tenant};

use super::once::{Once, RepeatError, Repeatable};
use super::{CreateEndpointError, ReplayError};
use super::{change_endpoint, create_endpoint, replay_events};
use crate::Roster;
use crate::outcome::Outcome;
use crate::ports::{EntropyError, StoreError, StoredEndpoint, UnitOfWork};
use crate::records::EndpointRecord;

/// What a request does with endpoints.
#[derive(Debug, Clone)]
pub enum EndpointCommand {
    /// As [`Roster::create_endpoint`].
    Create(EndpointSettings),
    /// As [`Roster::change_endpoint`].
    Change(EndpointId, EndpointEdit),
    /// As [`Roster::rotate_endpoint_secret`].
    Rotate(EndpointId, Duration),
    /// As [`Roster::delete_endpoint`].
    Delete(EndpointId),
    /// As [`Roster::replay_events`].
    ReplayFrom(EndpointId, i64),
    /// As [`Roster::replay_event`].
    ReplayOne(EndpointId, EventId),
}

/// Why a request did nothing with endpoints.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The tenant has no such endpoint.
    #[error("there is no such webhook endpoint")]
    NotFound,
    /// It was not created.
    #[error(transparent)]
    Create(CreateEndpointError),
    /// Events are not sent again.
    #[error(transparent)]
    Replay(ReplayError),
    /// The system has no random bytes.
    #[error("no secret could be made")]
    Entropy(#[source] EntropyError),
    /// It is not answered as the first request with its idempotency key.
    #[error("it is no repeat of the first request")]
    Repeat(#[from] RepeatError),
    /// The store failed.
    #[error("the endpoint could not be written")]
    Store(#[from] StoreError),
}

impl Roster {
    /// Does what `command` says, once for the idempotency key of a request if it has one. Returns the endpoint that the request
    /// has made or changed; `None` after a deletion or a replay. A repeat gets the same endpoint, with the same secret: that is
    /// stored as it is in any case.
    #[must_use]
    pub fn write_endpoint(
        &self,
        tenant: Tenant,
        command: &EndpointCommand,
        once: Option<&Once>,
    ) -> Repeatable<Result<Option<Endpoint>, EndpointError>> {
        self.do_once(
            tenant,
            once,
            |uow| self.run_endpoint_command(uow, tenant, command),
            |result| match result {
                Ok(Some(endpoint)) => Some(Outcome::EndpointWritten(Box::new(EndpointRecord::of(endpoint)))),
                Ok(None) => Some(Outcome::EndpointDone {}),
                Err(EndpointError::NotFound) => Some(Outcome::EndpointNotFound {}),
                Err(EndpointError::Create(CreateEndpointError::TooMany)) => Some(Outcome::TooManyEndpoints {}),
                Err(EndpointError::Replay(ReplayError::TooMany)) => Some(Outcome::TooManyReplays {}),
                Err(_) => None,
            },
            |outcome| match outcome {
                Outcome::EndpointWritten(record) => Ok(Some(StoredEndpoint::try_from(*record)?.endpoint)),
                Outcome::EndpointDone {} => Ok(None),
                Outcome::EndpointNotFound {} => Err(EndpointError::NotFound),
                Outcome::TooManyEndpoints {} => Err(CreateEndpointError::TooMany.into()),
                Outcome::TooManyReplays {} => Err(ReplayError::TooMany.into()),
                _ => Err(StoreError::internal("a reply is of another kind of request").into()),
            },
        )
    }

    fn run_endpoint_command(
        &self,
        uow: &mut dyn UnitOfWork,
        tenant: Tenant,
        command: &EndpointCommand,
    ) -> Result<Option<Endpoint>, EndpointError> {
        let now = self.clock.now();
        let found = |endpoint: Option<Endpoint>| endpoint.map(Some).ok_or(EndpointError::NotFound);
        match command {
            EndpointCommand::Create(settings) => {
                let endpoint = self.new_endpoint(tenant, settings.clone()).map_err(EndpointError::Entropy)?;
                create_endpoint::insert(uow, &endpoint)?;
                Ok(Some(endpoint))
            }
            EndpointCommand::Change(id, edit) => {
                found(change_endpoint::write(uow, tenant, *id, |endpoint| endpoint.changed(edit.clone(), now))?)
            }
            EndpointCommand::Rotate(id, overlap) => {
                let secret = self.new_endpoint_secret().map_err(EndpointError::Entropy)?;
                found(change_endpoint::write(uow, tenant, *id, |endpoint| endpoint.rotated(secret, *overlap, now))?)
            }
            EndpointCommand::Delete(id) => {
                if uow.webhooks().delete(tenant, *id)? {
                    Ok(None)
                } else {
                    Err(EndpointError::NotFound)
                }
            }
            EndpointCommand::ReplayFrom(id, from) => Ok(replay_events::rewind(uow, tenant, *id, *from).map(|()| None)?),
            EndpointCommand::ReplayOne(id, event) => {
                Ok(replay_events::replay(uow, tenant, *id, *event, now).map(|()| None)?)
            }
        }
    }
}

impl From<CreateEndpointError> for EndpointError {
    fn from(error: CreateEndpointError) -> Self {
        match error {
            CreateEndpointError::Store(error) => Self::Store(error),
            CreateEndpointError::Entropy(error) => Self::Entropy(error),
            error @ (CreateEndpointError::TooMany | CreateEndpointError::UnknownMerchant) => Self::Create(error),
        }
    }
}

impl From<ReplayError> for EndpointError {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Store(error) => Self::Store(error),
            ReplayError::NotFound => Self::NotFound,
            error @ (ReplayError::UnknownEvent | ReplayError::TooMany) => Self::Replay(error),
        }
    }
}
