use crate::batch::serve_together;
use crate::ports::StoreError;
use crate::{ApiKey, ApiKeySecret, Principal, Roster};

/// Why a credential opened nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuthenticateError {
    /// It is unknown, revoked or expired; which of them is nobody's business.
    #[error("the credential is not valid")]
    Refused,
    /// The store could not be asked.
    #[error("the credential could not be looked up")]
    Store(#[from] StoreError),
}

impl Roster {
    /// Finds out who calls from each of the API keys that were shown; the results stand in their order.
    ///
    /// What [`ApiKeySecret::parse`] does not take is no key, and nobody needs to be asked about it.
    #[must_use]
    pub fn authenticate(&self, presented: &[ApiKeySecret]) -> Vec<Result<Principal, AuthenticateError>> {
        let now = self.clock.now();
        let digests: Vec<_> = presented.iter().map(ApiKeySecret::digest).collect();
        let found = serve_together(&digests, |digests| self.store.direct(|uow| uow.api_keys().find(digests)));
        let principal = |found: Result<Option<ApiKey>, StoreError>| {
            let key = found?.filter(|key| key.is_usable(now)).ok_or(AuthenticateError::Refused)?;
            Ok(Principal { tenant: key.tenant, api_key: key.id })
        };
        found.into_iter().map(principal).collect()
    }
}
