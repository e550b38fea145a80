use crate::ports::StoreError;
use crate::{ApiKeySecret, Principal, Roster};

/// Why a credential opened nothing.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// It is malformed, unknown, revoked or expired; which of them is nobody's business.
    #[error("the credential is not valid")]
    Refused,
    /// The store could not be asked.
    #[error("the credential could not be looked up")]
    Store(#[from] StoreError),
}

impl Roster {
    /// Finds out who calls from the API key that was shown.
    ///
    /// # Errors
    /// [`AuthenticateError`]. A key with a wrong checksum is refused without asking the store.
    pub fn authenticate(&self, presented: &str) -> Result<Principal, AuthenticateError> {
        let digest = ApiKeySecret::parse(presented).ok_or(AuthenticateError::Refused)?.digest();
        let now = self.clock.now();
        let found = self.store.direct(|uow| uow.api_keys().find(&[digest]))?;
        let key = found.into_iter().flatten().find(|key| key.is_usable(now)).ok_or(AuthenticateError::Refused)?;
        Ok(Principal { tenant: key.tenant, api_key: key.id })
    }
}
