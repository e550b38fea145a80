use roster_domain::{Endpoint, EndpointId, EventId, Tenant, Timestamp};

use super::record_deliveries::Sent;
use crate::Roster;
use crate::ports::{Attempt, AttemptOutcome, EntropyError, StoreError};

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

/// Why no test event was made.
#[derive(Debug, thiserror::Error)]
pub enum TestEventError {
    /// The tenant has no such endpoint.
    #[error("there is no such webhook endpoint")]
    NotFound,
    /// The system has no random bytes.
    #[error("no identifier could be made")]
    Entropy(#[source] EntropyError),
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
        let endpoint = self.find_endpoint(tenant, id)?.ok_or(TestEventError::NotFound)?;
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
        let Endpoint { tenant, id, .. } = test.endpoint;
        let attempt = sent.attempt(self.ids.as_ref(), (tenant, id), (test.id, None), 1, outcome);
        self.store.transaction(|uow| {
            uow.webhooks().lock(tenant, id)?.ok_or(TestEventError::NotFound)?;
            uow.webhooks().log(&attempt)?;
            Ok(attempt.clone())
        })
    }
}
