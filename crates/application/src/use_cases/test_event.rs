use roster_domain::{Endpoint, EndpointId, EventId, Tenant, Timestamp};

use super::once::{Once, RepeatError, Repeatable};
use super::record_deliveries::Sent;
use crate::Roster;
use crate::outcome::Outcome;
use crate::ports::{Attempt, AttemptOutcome, EntropyError, StoreError, UnitOfWork};
use crate::records::AttemptRecord;

/// An event that is in no log, to try an endpoint with. Its type is [`TestEvent::KIND`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestEvent {
    /// Where it is to be sent.
    pub endpoint: Endpoint,
    /// Its identifier, which is that of no other event.
    pub id: EventId,
    /// When it was made.
    pub created_at: Timestamp,
}

impl TestEvent {
    /// The name of its type.
    pub const KIND: &str = "webhook.test";
}

/// What is left to do for a request to test an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointTest {
    /// Send this event once, and [log](Roster::log_test_once) what it led to.
    New(Box<TestEvent>),
    /// Nothing: the first request with the same idempotency key has logged this attempt.
    Logged(Attempt),
}

/// Why no test event was made.
#[derive(Debug, thiserror::Error)]
pub enum TestEventError {
    /// The tenant has no such endpoint.
    #[error("there is no such webhook endpoint")]
    NotFound,
    /// The system has no random bytes.
    #[error("no identifier could be made")]
    Entropy(#[source] EntropyError),
    /// It is not answered as the first request with its idempotency key.
    #[error("it is no repeat of the first request")]
    Repeat(#[from] RepeatError),
    /// The store failed.
    #[error("the test could not be read or logged")]
    Store(#[from] StoreError),
}

impl Roster {
    /// A test event for an endpoint, active or not. The caller sends it once, and [logs](Roster::log_test) what it led to.
    ///
    /// # Errors
    /// [`TestEventError`]
    pub fn test_event(&self, tenant: Tenant, id: EndpointId) -> Result<TestEvent, TestEventError> {
        self.store.direct(|uow| self.new_test(uow, tenant, id))
    }

    /// The same, for a request that may have an idempotency key. Only what it led to is saved under the key, so a repeat that arrives
    /// before that sends another event.
    #[must_use]
    pub fn test_event_once(
        &self,
        tenant: Tenant,
        id: EndpointId,
        once: Option<&Once>,
    ) -> Repeatable<Result<EndpointTest, TestEventError>> {
        self.do_once(
            tenant,
            once,
            |uow| self.new_test(uow, tenant, id).map(|test| EndpointTest::New(Box::new(test))),
            |result| matches!(result, Err(TestEventError::NotFound)).then_some(Outcome::EndpointNotFound {}),
            |outcome| restore(outcome).map(EndpointTest::Logged),
        )
    }

    fn new_test(&self, uow: &mut dyn UnitOfWork, tenant: Tenant, id: EndpointId) -> Result<TestEvent, TestEventError> {
        let endpoint = uow.webhooks().find(tenant, id)?.ok_or(TestEventError::NotFound)?.endpoint;
        let mut random = [0; 8];
        self.entropy.fill(&mut random).map_err(TestEventError::Entropy)?;
        // Logs begin at 1.
        Ok(TestEvent { endpoint, id: EventId::at(0, random), created_at: self.clock.now() })
    }

    /// Logs what the attempt to send a test event led to. It changes nothing else of the endpoint.
    ///
    /// # Errors
    /// [`TestEventError`]
    pub fn log_test(&self, test: &TestEvent, sent: Sent, outcome: AttemptOutcome) -> Result<Attempt, TestEventError> {
        self.log_test_once(test, sent, outcome, None).result
    }

    /// The same, once for the idempotency key of a request. If another request with the key was faster, its attempt is returned, and this
    /// one is not logged.
    #[must_use]
    pub fn log_test_once(
        &self,
        test: &TestEvent,
        sent: Sent,
        outcome: AttemptOutcome,
        once: Option<&Once>,
    ) -> Repeatable<Result<Attempt, TestEventError>> {
        let Endpoint { tenant, id, .. } = test.endpoint;
        let attempt = sent.attempt(self.ids.as_ref(), (tenant, id), (test.id, None), 1, outcome);
        self.do_once(
            tenant,
            once,
            |uow| {
                uow.webhooks().lock(tenant, id)?.ok_or(TestEventError::NotFound)?;
                uow.webhooks().log(&attempt)?;
                Ok(attempt.clone())
            },
            |result| match result {
                Ok(attempt) => Some(Outcome::EndpointTested(Box::new(AttemptRecord::from(attempt)))),
                Err(TestEventError::NotFound) => Some(Outcome::EndpointNotFound {}),
                Err(_) => None,
            },
            restore,
        )
    }
}

fn restore(outcome: Outcome) -> Result<Attempt, TestEventError> {
    match outcome {
        Outcome::EndpointTested(record) => Ok(Attempt::try_from(*record)?),
        Outcome::EndpointNotFound {} => Err(TestEventError::NotFound),
        _ => Err(StoreError::internal("a reply is of another kind of request").into()),
    }
}
