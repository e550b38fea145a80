use roster_domain::{Endpoint, EndpointId, EndpointSecret, EndpointSettings, Tenant};

use super::list_events::extent;
use crate::Roster;
use crate::ports::{EntropyError, StoreError, UnitOfWork};

/// The most endpoints of a tenant: 50. Callers that create some at the same time may come to a few more.
pub const MAX_ENDPOINTS: usize = 50;

/// Why an endpoint was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateEndpointError {
    /// The tenant has [`MAX_ENDPOINTS`] endpoints.
    #[error("there are {MAX_ENDPOINTS} webhook endpoints, and there may be no more")]
    TooMany,
    /// There is no such merchant.
    #[error("there is no such merchant")]
    UnknownMerchant,
    /// The system has no random bytes.
    #[error("no secret could be made")]
    Entropy(#[source] EntropyError),
    /// The store failed.
    #[error("the endpoint could not be stored")]
    Store(#[from] StoreError),
}

impl Roster {
    /// Creates an endpoint, to which the events from now on are sent. Its secret is in the result; it is shown to its owner this
    /// once.
    ///
    /// # Errors
    /// [`CreateEndpointError`]
    pub fn create_endpoint(&self, tenant: Tenant, settings: EndpointSettings) -> Result<Endpoint, CreateEndpointError> {
        let endpoint = self.new_endpoint(tenant, settings).map_err(CreateEndpointError::Entropy)?;
        self.store.transaction(|uow| insert(uow, &endpoint))?;
        Ok(endpoint)
    }

    pub(super) fn new_endpoint(&self, tenant: Tenant, settings: EndpointSettings) -> Result<Endpoint, EntropyError> {
        let now = self.clock.now();
        let id = EndpointId::new(self.ids.next(now));
        Ok(Endpoint::create(tenant, id, settings, self.new_endpoint_secret()?, now))
    }

    pub(super) fn new_endpoint_secret(&self) -> Result<EndpointSecret, EntropyError> {
        let mut bytes = [0; 32];
        self.entropy.fill(&mut bytes)?;
        Ok(EndpointSecret::new(&bytes))
    }
}

/// Stores a new endpoint, behind the events that have happened.
pub(super) fn insert(uow: &mut dyn UnitOfWork, endpoint: &Endpoint) -> Result<(), CreateEndpointError> {
    let tenant = endpoint.tenant;
    uow.merchants().find(tenant.merchant)?.ok_or(CreateEndpointError::UnknownMerchant)?;
    if uow.webhooks().list(tenant, None, MAX_ENDPOINTS)?.len() >= MAX_ENDPOINTS {
        return Err(CreateEndpointError::TooMany);
    }
    let head = extent(uow, tenant)?.head;
    Ok(uow.webhooks().insert(endpoint, head)?)
}
